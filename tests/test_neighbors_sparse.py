"""Neighbours among the rows of sparse matrices."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from scipy.spatial.distance import cdist

from fastparadime import exceptions, neighbors, relations
from fastparadime.neighbors import costs, sparse

K = 10
METRICS = ["euclidean", "l2", "sqeuclidean", "cosine", "inner_product", "manhattan"]


def topics(n: int = 400, dim: int = 300, words: int = 20, seed: int = 0) -> Any:
    """Rows that take most of their columns from one of some topics."""
    rng = np.random.default_rng(seed)
    which = rng.integers(0, max(2, n // 150), n)
    own = rng.permuted(np.tile(np.arange(dim), (max(2, n // 150), 1)), axis=1)[:, : 2 * words]
    columns = own[which[:, None], rng.integers(0, 2 * words, (n, words))]
    columns[:, : words // 4] = rng.integers(0, dim, (n, words // 4))
    rows = np.repeat(np.arange(n), words)
    values = rng.gamma(2, size=n * words).astype(np.float32)
    return scipy.sparse.coo_matrix((values, (rows, columns.ravel())), shape=(n, dim)).tocsr()


def distances_of(X: Any, metric: str) -> np.ndarray:
    dense = X.toarray().astype(np.float64)
    if metric == "inner_product":
        return 1 - dense @ dense.T
    return cdist(dense, dense, {"l2": "euclidean", "manhattan": "cityblock"}.get(metric, metric))


def check(graph: neighbors.NeighborGraph, D: np.ndarray, atol: float = 1e-6) -> None:
    D = D.copy()
    np.fill_diagonal(D, np.inf)
    wanted = np.sort(D, axis=1)[:, :K]
    np.testing.assert_allclose(graph.distances, wanted, rtol=1e-5, atol=atol)
    at = np.take_along_axis(D, graph.indices.numpy().astype(np.int64), axis=1)
    np.testing.assert_allclose(at, wanted, rtol=1e-5, atol=atol)
    assert (graph.indices.dtype, graph.distances.dtype) == (torch.int32, torch.float32)
    assert all(len(set(row)) == K for row in graph.indices.tolist())


@pytest.mark.parametrize("metric", METRICS)
def test_small_matrices_are_exact(metric: str) -> None:
    X = topics()
    graph = neighbors.knn(X, K, metric)
    check(graph, distances_of(X, metric), atol=3e-5 if metric == "inner_product" else 1e-6)
    assert graph.engine == "sparse, exact"
    assert graph.recall_bound == 1


@pytest.mark.parametrize("form", ["csc", "coo", "lil", "bsr"])
@pytest.mark.parametrize("dtype", ["f8", "i4", "u1", "?"])
def test_other_forms_and_dtypes(form: str, dtype: str) -> None:
    X = topics().astype(dtype)
    graph = neighbors.knn(scipy.sparse.csr_array(X).asformat(form), K)
    check(graph, distances_of(X.astype(float), "euclidean"))


def test_repeated_entries_are_summed_and_the_matrix_is_untouched() -> None:
    X = topics()
    parts = (
        np.r_[X.data / 2, X.data / 2],
        (np.r_[X.tocoo().row, X.tocoo().row], np.r_[X.indices, X.indices]),
    )
    halves = scipy.sparse.coo_matrix(parts, shape=X.shape)
    check(neighbors.knn(halves, K), distances_of(X, "euclidean"))
    indptr = np.concatenate(([0], np.cumsum(2 * np.diff(X.indptr))))
    order = np.argsort(parts[1][0], kind="stable")
    unsorted = scipy.sparse.csr_matrix((parts[0][order], parts[1][1][order], indptr), X.shape)
    before = [part.copy() for part in (unsorted.data, unsorted.indices, unsorted.indptr)]
    check(neighbors.knn(unsorted, K), distances_of(X, "euclidean"))
    for part, kept in zip((unsorted.data, unsorted.indices, unsorted.indptr), before, strict=True):
        np.testing.assert_array_equal(part, kept)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
def test_equal_and_empty_rows(metric: str) -> None:
    X = topics(60).tolil()
    X[10:30] = X[10]
    X[40:45] = 0
    graph = neighbors.knn(X.tocsr(), K, metric)
    assert (graph.distances[10:30] == 0).all()
    assert (graph.distances[40:45, :4] == 0).all()
    assert torch.isfinite(graph.distances).all()
    assert neighbors.knn(scipy.sparse.csr_matrix((20, 4)), K, metric).distances.max() == 0


@pytest.fixture
def approximately(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small matrices go through a projection too."""
    monkeypatch.setattr(sparse, "_WALK", 0.0)


@pytest.mark.usefixtures("approximately")
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine", "manhattan"])
@pytest.mark.parametrize("recall", [0.9, 0.98])
def test_the_promise(metric: str, recall: float) -> None:
    X = topics(6000, 1000)
    graph = neighbors.knn(X, K, metric, recall=recall)
    assert re.match(r"sparse, \d projections?, \d+ rounds", graph.engine)
    assert f"{graph.recall_estimate:.3f} >= {graph.recall_bound:.3f}" in graph.engine
    assert recall <= graph.recall_bound <= graph.recall_estimate <= 1
    exact = neighbors.knn(X, K, metric, recall=1.0)
    assert exact.engine == "sparse, exact"
    assert float((graph.distances <= exact.distances[:, -1:]).float().mean()) >= recall
    D = distances_of(X[:6000:40], metric)  # distances are those of the pairs
    among = np.arange(0, 6000, 40)
    for row, point in enumerate(among):
        for other, distance in zip(*(part[point] for part in graph), strict=True):
            if int(other) % 40 == 0:
                assert float(distance) == pytest.approx(
                    D[row, int(other) // 40], rel=1e-4, abs=1e-6
                )


@pytest.mark.usefixtures("approximately")
def test_inner_products_and_full_recall_are_exact() -> None:
    X = topics(5000, 500)
    assert neighbors.knn(X, K, "inner_product").engine == "sparse, exact"
    assert neighbors.knn(X, K, recall=0.9995).engine == "sparse, exact"


@pytest.mark.usefixtures("approximately")
def test_a_recall_that_is_not_reached_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "_COLUMNS", 2)
    monkeypatch.setattr(sparse, "_MOST_ROUNDS", 0)
    monkeypatch.setattr(sparse, "_PROJECTIONS", 1)
    message = r"recall=0.95 was not reached: the search through a projection .* TruncatedSVD"
    with pytest.warns(exceptions.RecallWarning, match=message) as caught:
        graph = neighbors.knn(topics(5000, 1000), K)
    assert caught[0].filename == __file__
    assert graph.recall_bound < 0.95


@pytest.mark.usefixtures("approximately")
def test_same_bits_for_any_threads_and_other_seeds(assert_same_bits: Callable[..., None]) -> None:
    X = topics(5000, 400)
    assert_same_bits(lambda: tuple(neighbors.knn(X, K, recall=0.8)))
    one, other = (neighbors.knn(X, K, recall=0.8, seed=seed) for seed in (0, 1))
    assert one.recall_estimate != other.recall_estimate


def test_relations_take_sparse_matrices() -> None:
    X = topics()
    found = relations.NeighborBasedPDist(K, "cosine").compute_relations(X)
    np.testing.assert_array_equal(found.data[1], neighbors.knn(X, K, "cosine").distances)


def test_bad_matrices() -> None:
    X = topics()
    for metric in ("haversine", "mahalanobis", "nan_euclidean", lambda *_: 0.0):
        with pytest.raises(ValueError, match=r"metric must be one of .* sparse X.*toarray"):
            neighbors.knn(X, K, metric)
    X.data[X.indptr[17]] = np.nan
    column = X.indices[X.indptr[17]]
    with pytest.raises(ValueError, match=f"row 17 has nan in column {column}"):
        neighbors.knn(X, K)
    with pytest.raises(ValueError, match="k must be an integer"):
        neighbors.knn(X, 400)
    for bad, error, message in (
        (topics().astype(complex), TypeError, "X has dtype complex128"),
        (scipy.sparse.csr_matrix((1, 3)), ValueError, "at least 2 rows"),
        (scipy.sparse.csr_matrix((0, 3)), ValueError, "X is empty"),
    ):
        with pytest.raises(error, match=message):
            neighbors.knn(bad, 1)
    big = topics().astype(np.float64)
    big.data[big.indptr[5]] = 1e300
    with pytest.raises(ValueError, match=r"row 5 has 1e\+300"):
        neighbors.knn(big, K)


def test_memory_is_said_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    X = topics()
    needed = neighbors.estimate_memory(*X.shape, K, nnz=X.nnz)
    neighbors.knn(X, K, max_memory=needed)
    monkeypatch.setattr(sparse, "canonical", None)
    with pytest.raises(ValueError, match=r"max_memory=.* too little: 10 neighbors of 400 sparse"):
        neighbors.knn(X, K, max_memory=needed - 1)


@pytest.mark.parametrize("metric", ["hamming", "canberra", "euclidean", lambda *_: 0.0])
def test_slow_searches_say_how_long_they_take(metric: Any) -> None:
    seconds = costs.estimate_seconds(10**6, 100, metric, 2)
    assert seconds > 600
    assert seconds == pytest.approx(100 * costs.estimate_seconds(10**5, 100, metric, 2))
    name = "<lambda>" if callable(metric) else metric
    with pytest.warns(
        exceptions.SlowSearchWarning, match=f"1000000 rows of .*{name}.* takes about"
    ):
        costs.warn_if_slow(10**6, 100, metric)
    costs.warn_if_slow(1000, 100, metric)  # a warning would be an error


def test_lengths_of_time() -> None:
    assert costs._readable(900) == "15 minutes"
    assert costs._readable(3 * 3600) == "3 hours"
    assert costs._readable(86400 * 5) == "5 days"


def test_a_slow_search_warns_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "_LONG", 1e-9)
    with pytest.warns(exceptions.SlowSearchWarning, match="by metric 'hamming'") as caught:
        neighbors.knn(topics(50).toarray(), K, "hamming")
    assert caught[0].filename == __file__
    with pytest.warns(exceptions.SlowSearchWarning, match="50 rows .* 'manhattan'") as caught:
        neighbors.knn(topics(50).toarray(), K, "manhattan")
    assert caught[0].filename == __file__
    with pytest.warns(exceptions.SlowSearchWarning, match="50 sparse rows") as caught:
        neighbors.knn(topics(50), K)
    assert caught[0].filename == __file__


_PEAK = """
import resource, sys
import numpy as np, scipy.sparse
from fastparadime import neighbors
from fastparadime.neighbors import sparse
n, recall = int(sys.argv[1]), float(sys.argv[2])
X = scipy.sparse.random(n, 2000, 0.02, "csr", np.float32, np.random.default_rng(0))
sparse._WALK = 0
neighbors.knn(X[:300], 15)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
graph = neighbors.knn(X, 15, recall=recall)
taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
print(graph.engine, taken, neighbors.estimate_memory(*X.shape, 15, nnz=X.nnz, recall=recall), sep=";")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "recall", "engine"), [(15_000, 0.01, "projection"), (8_000, 1.0, "exact")]
)
def test_the_estimate_covers_the_peak(n: int, recall: float, engine: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", _PEAK, str(n), str(recall)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    name, taken, allowed = found.stdout.strip().split(";")
    assert engine in name
    assert int(taken) <= int(allowed)
