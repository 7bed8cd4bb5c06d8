"""Every metric beside its definition: dense and sparse rows, counts and booleans, old rows and new."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from sklearn.metrics.pairwise import haversine_distances, nan_euclidean_distances

from fastparadime import UMAP, KNNTransformer, neighbors
from fastparadime.neighbors.metric_space import SPARSE_METRICS, check_row_metric
from fastparadime.neighbors.query_index import QueryIndex
from fastparadime.ops import reference

umap_distances = pytest.importorskip("umap.distances")

K = 9
BINARY = neighbors.BINARY_METRICS
DENSE = [
    *BINARY, "hamming", "euclidean", "sqeuclidean", "manhattan", "chebyshev", "minkowski", "canberra",
    "braycurtis", "cosine", "correlation", "hellinger", "jensenshannon", "seuclidean",
]  # fmt: skip


def counts(n: int = 80, d: int = 30, seed: int = 0) -> np.ndarray:
    """Non-negative counts with equal rows and two empty ones."""
    rng = np.random.default_rng(seed)
    X = (rng.poisson(2, (n, d)) * (rng.random((n, d)) < 0.4)).astype(np.float32)
    X[3] = X[2]
    X[5] = 2 * X[4]
    X[7] = X[8] = 0
    return X


def table(metric: str, seed: int = 0) -> np.ndarray:
    X = counts(seed=seed)
    return np.delete(X, [7, 8], axis=0) if metric == "jensenshannon" else X


def distances(A: np.ndarray, B: np.ndarray, metric: str, V: np.ndarray) -> np.ndarray:
    """By umap-learn's functions, or where it has none the reference's."""
    named = umap_distances.named_distances
    if metric == "seuclidean":
        return np.sqrt((np.square(A[:, None].astype(float) - B) / V).sum(axis=2))
    if metric == "minkowski":
        return np.array([[named[metric](x, y, 3.0) for y in B] for x in A])
    if metric in named and metric != "braycurtis":
        with np.errstate(invalid="ignore"):
            found = np.array([[named[metric](x, y) for y in B] for x in A])
        # Of equal rows it takes the root of what rounding left of a difference.
        return np.nan_to_num(found) if metric == "hellinger" else found
    return np.array([[reference.distance(x, y, metric, 3.0) for y in B] for x in A])


def check(found: Any, D: np.ndarray, k: int, metric: str = "") -> None:
    indices, got = (np.asarray(part) for part in found)
    wanted = np.sort(D, axis=1)[:, :k]
    # Roots of differences of numbers near 1, in the definitions' own rounding.
    least = 4e-4 if metric in ("hellinger", "jensenshannon") else 2e-6
    np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=least)
    at = np.take_along_axis(D, indices.astype(np.int64), axis=1)
    np.testing.assert_allclose(at, wanted, rtol=2e-5, atol=least)


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize("metric", DENSE)
def test_neighbors_are_those_of_the_definition(metric: str, form: str) -> None:
    X = table(metric)
    D = distances(X, X, metric, X.astype(float).var(axis=0, ddof=1))
    np.fill_diagonal(D, np.inf)
    given = scipy.sparse.csc_matrix(X) if form == "sparse" else X
    graph = neighbors.knn(given, K, metric, p=3.0)
    check(graph, D, K, metric)
    assert graph.distances[2, 0] == 0
    assert graph.indices[2, 0] == 3


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize("metric", DENSE)
def test_new_rows_find_those_of_the_definition(metric: str, form: str) -> None:
    X, new = table(metric), table(metric, seed=1)
    V = X.astype(float).var(axis=0, ddof=1)
    options = {"p": 3.0} if metric == "minkowski" else None
    space = check_row_metric(metric, options).space
    given, queries = (scipy.sparse.csr_matrix(A) if form == "sparse" else A for A in (X, new))
    index = QueryIndex(given, space(given))
    found = index.nearest(queries, K)
    check(found, distances(new, X, metric, V), K, metric)
    alone = index.nearest(queries[5:6], K)
    assert all(torch.equal(a, b[5:6]) for a, b in zip(alone, found, strict=True))
    assert (index.nearest(given[2:3], 2)[1] == 0).all()


@pytest.mark.parametrize("metric", sorted(SPARSE_METRICS))
def test_sparse_rows_are_fitted_as_dense_ones(metric: str) -> None:
    X, new = table(metric), table(metric, seed=1)
    options = {"n_neighbors": 8, "n_epochs": 5, "random_state": 0, "metric": metric}
    sparse, dense = scipy.sparse.csr_matrix(X), X
    graphs = [UMAP(**options, init="random").fit(A) for A in (sparse, dense)]
    if metric in BINARY:  # of others, ties are broken by rounding
        assert abs(graphs[0].graph_ - graphs[1].graph_).max() < 1e-5
    for fit, rows in zip(graphs, (scipy.sparse.csr_matrix(new), new), strict=True):
        placed = fit.transform(rows)
        assert np.isfinite(placed[10:]).all()
        fitted = fit.transform(sparse if rows is not new else X)[9:]
        np.testing.assert_array_equal(fitted, fit.embedding_[9:])
    step = KNNTransformer(metric=metric, n_neighbors=K)
    first, second = (step.fit_transform(A).data for A in (sparse, dense))
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)
    first, second = step.fit(sparse).transform(sparse[:4]), step.fit(dense).transform(dense[:4])
    np.testing.assert_allclose(first.data, second.data, rtol=1e-5, atol=1e-6)


def test_counts_are_binary_to_binary_metrics() -> None:
    X = np.array([[3, 0], [3, 0], [0, 2.0]])
    assert neighbors.knn(X, 2, "dice").distances.tolist() == [[0, 1], [0, 1], [1, 1]]
    for metric in BINARY:
        many, binary = (neighbors.knn(A, K, metric) for A in (counts(), counts() > 0))
        assert torch.equal(many.indices, binary.indices)
        assert torch.equal(many.distances, binary.distances)


@pytest.mark.parametrize("metric", [*BINARY, "hamming", "cosine", "hellinger", "braycurtis"])
def test_empty_rows_are_at_no_distance(metric: str) -> None:
    X = np.zeros((5, 4))
    X[2:] = [[1, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 1]]
    for given in (X, scipy.sparse.csr_matrix(X)):
        graph = neighbors.knn(given, 1, metric)
        assert graph.indices[:2, 0].tolist() == [1, 0]
        assert graph.distances[:2, 0].tolist() == [0, 0]


def test_other_names() -> None:
    X = counts() > 0
    for name, known in (("sokalmichener", "rogerstanimoto"), ("matching", "hamming")):
        first, second = (neighbors.knn(X, K, metric) for metric in (name, known))
        assert torch.equal(first.indices, second.indices)
        torch.testing.assert_close(first.distances, second.distances)
    weights = np.arange(1.0, 31.0)
    first, second = (
        KNNTransformer(metric=name, metric_params={"p": 3.0, "w": weights}).fit_transform(counts())
        for name in ("wminkowski", "minkowski")
    )
    assert (first != second).nnz == 0


def test_opposite_rows_are_infinitely_far_by_bray_curtis() -> None:
    X = np.random.default_rng(0).normal(size=(20, 5))
    X[1] = -X[0]
    for given in (X, scipy.sparse.csr_matrix(X)):
        graph = neighbors.knn(given, 18, "braycurtis")
        assert 1 not in graph.indices[0].tolist()
        with pytest.raises(ValueError, match="row 0 does not: x and -x are infinitely far apart"):
            neighbors.knn(given, 19, "braycurtis")
    index = QueryIndex(X[1:].astype(np.float32), check_row_metric("braycurtis", None).space(X))
    with pytest.raises(ValueError, match=r"row 0 of X is too far .* x and -x"):
        index.nearest(X[:1].astype(np.float32), 19)


def test_close_rows_keep_their_digits_by_hellinger_and_correlation() -> None:
    rng = np.random.default_rng(0)
    X = rng.gamma(1.0, size=(30, 20)).astype(np.float32)
    X[1] = X[0]
    X[1, 3] *= np.float32(1.001)
    wide = X[:2].astype(np.float64)
    roots = np.sqrt(wide / wide.sum(axis=1, keepdims=True))
    hellinger = np.sqrt(np.square(roots[0] - roots[1]).sum() / 2)
    centred = wide - wide.mean(axis=1, keepdims=True)
    units = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    correlation = np.square(units[0] - units[1]).sum() / 2
    for metric, true in (("hellinger", hellinger), ("correlation", correlation)):
        for given in (X, scipy.sparse.csr_matrix(X)):
            graph = neighbors.knn(given, 1, metric)
            assert graph.indices[0, 0] == 1
            assert float(graph.distances[0, 0]) == pytest.approx(true, rel=1e-3)


@pytest.mark.parametrize("given", [np.asarray, scipy.sparse.csr_matrix])
def test_hellinger_needs_values_that_are_not_negative(given: Callable[[Any], Any]) -> None:
    X = counts()
    X[6, 2] = -1
    for fit in (lambda A: neighbors.knn(A, 3, "hellinger"), UMAP(metric="hellinger").fit):
        with pytest.raises(ValueError, match="must hold none for 'hellinger', but row 6 does"):
            fit(given(X))


def places(n: int = 200, seed: int = 0) -> np.ndarray:
    """Latitudes and longitudes, some next to one another and next to the date line."""
    rng = np.random.default_rng(seed)
    X = np.column_stack((np.arcsin(rng.uniform(-1, 1, n)), rng.uniform(-np.pi, np.pi, n)))
    X[5:15] = X[5] + 1e-8 * rng.normal(size=(10, 2))
    X[15:25, 1] = np.pi * rng.choice([-1, 1], 10)
    X[27] = X[26]
    X[28] = -np.pi / 2, 1.0
    return X


def test_haversine() -> None:
    X, new = places(), places(30, seed=1)
    D = haversine_distances(X)
    np.fill_diagonal(D, np.inf)
    graph = neighbors.knn(X, K, "haversine")
    wanted = np.sort(D, axis=1)[:, :K]
    np.testing.assert_allclose(graph.distances, wanted, rtol=1e-6, atol=1e-16)
    at = np.take_along_axis(D, graph.indices.long().numpy(), axis=1)
    np.testing.assert_allclose(at, wanted, rtol=1e-6, atol=1e-16)
    assert graph.indices[26, 0] == 27
    rows, queries = X.astype(np.float32), new.astype(np.float32)
    index = QueryIndex(rows, check_row_metric("haversine", None).space(rows))
    true = haversine_distances(queries.astype(float), rows.astype(float))
    check(index.nearest(queries, K), true, K)
    fit = UMAP(metric="haversine", n_epochs=20, random_state=0).fit(X)
    assert np.isfinite(fit.transform(new)).all()


def test_haversine_of_many_equal_places() -> None:
    X = np.tile([[0.5, 1.0]], (100, 1))
    graph = neighbors.knn(X, K, "haversine")
    assert graph.distances.max() == 0
    assert all(i not in row for i, row in enumerate(graph.indices.tolist()))


def test_bad_places() -> None:
    with pytest.raises(ValueError, match=r"X must have two columns for 'haversine'.* not 3"):
        neighbors.knn(np.ones((9, 3)), 2, "haversine")
    with pytest.raises(ValueError, match=r"row 4 has a latitude of 52.5: convert degrees"):
        neighbors.knn(np.column_stack(([0, 0, 0, 0, 52.5], np.zeros(5))), 2, "haversine")
    for metric in ("haversine", "mahalanobis", "nan_euclidean"):
        with pytest.raises(ValueError, match=f"metric must be one of .* not '{metric}'"):
            neighbors.knn(scipy.sparse.csr_matrix(np.ones((9, 2))), 2, metric)


def missing(n: int = 120, d: int = 6, seed: int = 0, dtype: str = "f8") -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = 100 + rng.normal(size=(n, d))
    X[rng.random((n, d)) < 0.2] = np.nan
    X[3] = X[2]
    X[4, :] = np.nan
    X[4, 0] = 99
    return X.astype(dtype)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("max_memory", [None, 3e5])
def test_nan_euclidean(dtype: str, max_memory: float | None) -> None:
    X = missing(dtype=dtype)
    near = X.astype("f8") - 100  # scikit-learn's products lose the digits of rows far out
    D = np.nan_to_num(nan_euclidean_distances(near), nan=np.inf)
    np.fill_diagonal(D, np.inf)
    graph = neighbors.knn(X, K, "nan_euclidean", max_memory=max_memory)
    check(graph, D, K)
    searched = neighbors.exact.torch_knn(torch.from_numpy(near).float(), K, "nan_euclidean", 2.0)
    torch.testing.assert_close(searched.distances, graph.distances)


def test_missing_values_in_estimators() -> None:
    X, new = missing(), missing(30, seed=1)
    options = {"metric": "nan_euclidean", "n_epochs": 20, "random_state": 0}
    fit = UMAP(**options).fit(X)
    assert np.isfinite(fit.embedding_).all()
    placed = fit.transform(np.vstack([new, X]))
    assert np.isfinite(placed).all()
    apart = np.delete(np.arange(120), [2, 3])
    np.testing.assert_array_equal(placed[30:][apart], fit.embedding_[apart])
    unique = UMAP(**options, unique=True).fit(X)
    assert unique.graph_.shape == (119, 119)
    np.testing.assert_array_equal(unique.embedding_[2], unique.embedding_[3])
    assert KNNTransformer(metric="nan_euclidean").fit_transform(X).shape == (120, 120)
    with pytest.raises(ValueError, match="init='pca' needs rows without missing values"):
        UMAP(**options, init="pca").fit(X)
    with pytest.raises(ValueError, match="NaN"):
        UMAP().fit(X)
    with pytest.raises(ValueError, match="row 0 has nan in column"):
        neighbors.knn(np.full((9, 2), np.nan), 2)
    X[7, 1] = np.inf
    with pytest.raises(ValueError, match="row 7 has inf in column 1"):
        neighbors.knn(X, 3, "nan_euclidean")
    X[7] = np.nan
    with pytest.raises(ValueError, match="row 7 does not: rows without a column that both have"):
        neighbors.knn(X, 3, "nan_euclidean")


def jaccard_of_bits(x: Any, y: Any) -> float:
    both, either = (x & y).sum(), (x | y).sum()
    return 1 - both / either if either else 0.0


def test_functions_have_rows_of_the_data_s_dtype() -> None:
    X = counts() > 0
    expected = neighbors.knn(X, K, "jaccard")
    for given in (X, torch.from_numpy(X)):
        torch.testing.assert_close(
            neighbors.knn(given, K, jaccard_of_bits).distances, expected.distances
        )
    seen = set()

    def noted(x: Any, y: Any) -> float:
        seen.add(x.dtype)
        x[:] = y[:] = 0  # a copy of the rows
        return 0.0

    for dtype in ("u1", "i8", "f4", "f8"):
        given = counts().astype(dtype)
        neighbors.knn(given, 2, noted)
        assert {np.dtype(dtype)} == seen
        assert given.any()
        seen.clear()


def test_estimators_give_functions_rows_of_the_data_s_dtype() -> None:
    X, new = counts() > 0, counts(seed=1) > 0
    options = {"n_epochs": 10, "random_state": 0, "disconnection_distance": 1.0}
    own, named = (UMAP(metric=m, **options).fit(X) for m in (jaccard_of_bits, "jaccard"))
    assert abs(own.graph_ - named.graph_).max() < 1e-5
    assert own.embedding_.dtype == np.float32
    assert own.transform(new).dtype == np.float32
    np.testing.assert_array_equal(own.transform(X[9:20]), own.embedding_[9:20])
    steps = [KNNTransformer(metric=m).fit(X) for m in (jaccard_of_bits, "jaccard")]
    first, second = (step.transform(new) for step in steps)
    assert first.dtype == np.float32
    np.testing.assert_allclose(first.data, second.data, atol=1e-6)


def test_functions_compiled_by_numba_and_with_gradients() -> None:
    X = counts() + 1
    expected = neighbors.knn(X, K, "canberra").distances
    plain = umap_distances.canberra_grad.py_func
    for metric in (umap_distances.canberra, umap_distances.canberra_grad, plain):
        found = neighbors.knn(X, K, metric)
        torch.testing.assert_close(found.distances, expected, rtol=1e-5, atol=1e-6)
        fit = UMAP(metric=metric, n_epochs=5, random_state=0).fit(X)
        assert np.isfinite(fit.transform(X[:3])).all()
    cubed = KNNTransformer(metric=umap_distances.minkowski, metric_params={"p": 3.0})
    named = KNNTransformer(metric="minkowski", metric_params={"p": 3.0})
    np.testing.assert_allclose(cubed.fit_transform(X).data, named.fit_transform(X).data, rtol=1e-5)


@pytest.mark.parametrize(("given", "kind"), [("near", "str"), (None, "NoneType"), ((), "tuple")])
def test_what_a_function_may_not_give(given: Any, kind: str) -> None:
    with pytest.raises(TypeError, match=f"metric must give a number or a pair .*, not {kind}"):
        neighbors.knn(counts(), 3, lambda *_: given)
