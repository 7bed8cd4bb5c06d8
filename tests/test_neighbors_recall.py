"""Searches of much data: the promised recall, its estimate, and the memory they take."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.base import clone

from fastparadime import UMAP, KNNTransformer, dr, neighbors, ops, relations, routines
from fastparadime.dr import spec
from fastparadime.neighbors import approximate, cluster_plan, recall_sample, tiled, tree

K = 10


def clusters(n: int = 6000, dim: int = 32) -> np.ndarray:
    rng = np.random.default_rng(5)
    centres = 3 * rng.standard_normal((50, dim))
    return (centres[rng.integers(0, 50, n)] + rng.standard_normal((n, dim))).astype(np.float32)


@pytest.fixture
def approximates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tables go by clusters too, even where these are slower than exact search."""
    monkeypatch.setattr(approximate, "_EXACT_COST", 1e6)
    monkeypatch.setattr(approximate, "_LEAST_ROWS", 1000)
    monkeypatch.setattr(approximate, "_MOST_WORK", math.inf)
    monkeypatch.setattr(tree, "_MOST_COLUMNS", 0)


def true_recall(graph: neighbors.NeighborGraph, X: np.ndarray, metric: str) -> float:
    D = cdist(X.astype(np.float64), X.astype(np.float64), metric)
    np.fill_diagonal(D, np.inf)
    radius = np.partition(D, K - 1, axis=1)[:, K - 1 : K]
    found = np.take_along_axis(D, graph.indices.numpy().astype(np.int64), axis=1)
    return float((found <= radius * (1 + 1e-5)).mean())


@pytest.mark.slow
@pytest.mark.usefixtures("approximates")
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine", "correlation"])
@pytest.mark.parametrize("dim", [32, 96])
@pytest.mark.parametrize("recall", [0.9, 0.99])
def test_the_promise(metric: str, dim: int, recall: float) -> None:
    X = clusters(dim=dim)
    graph = neighbors.knn(X, K, metric, recall=recall)
    assert "overlapping clusters" in graph.engine
    assert f"{graph.recall_estimate:.3f} >= {graph.recall_bound:.3f}" in graph.engine
    assert recall <= graph.recall_bound <= graph.recall_estimate <= 1
    assert true_recall(graph, X, metric) >= recall
    # Distances are those of the pairs, from X itself, and in order.
    rows = np.arange(300)
    pairs = cdist(X[rows].astype(float), X.astype(float), metric)
    pairs = np.take_along_axis(pairs, graph.indices.numpy()[rows].astype(np.int64), axis=1)
    np.testing.assert_allclose(graph.distances[rows], pairs, rtol=2e-5, atol=1e-6)
    assert (graph.distances.diff(dim=1) >= 0).all()


@pytest.mark.usefixtures("approximates")
@pytest.mark.parametrize("recall", [0.9995, 1.0])
def test_full_recall_is_exact(recall: float) -> None:
    graph = neighbors.knn(clusters(), K, recall=recall)
    assert "exact" in graph.engine
    assert graph.recall_estimate == graph.recall_bound == 1


@pytest.mark.usefixtures("approximates")
@pytest.mark.parametrize("metric", ["manhattan", "inner_product", "chebyshev"])
def test_other_metrics_are_exact(metric: str) -> None:
    assert "exact" in neighbors.knn(clusters(2000), K, metric, recall=0.9).engine


def test_small_data_is_exact() -> None:
    graph = neighbors.knn(clusters(), K)
    assert "exact" in graph.engine
    assert graph.recall_bound == 1


@pytest.mark.usefixtures("approximates")
def test_more_effort_for_more_recall() -> None:
    # 256 directions of one variance: no projection to fewer tells enough.
    X = np.random.default_rng(0).standard_normal((4500, 256)).astype(np.float32)
    graph = neighbors.knn(X, 5, recall=0.6)
    assert true_recall_at_5(graph, X) >= 0.6
    assert graph.recall_bound >= 0.6


def true_recall_at_5(graph: neighbors.NeighborGraph, X: np.ndarray) -> float:
    exact = neighbors.knn(X, 5, recall=1.0).indices
    return float((graph.indices[:, :, None] == exact[:, None, :]).any(2).float().mean())


@pytest.mark.usefixtures("approximates")
def test_a_recall_that_is_not_reached_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_plan, "MOST_JOINED", 1)
    with pytest.warns(
        UserWarning, match=r"recall=0.95 was not reached: .* found 0\.\d+ .* exactly"
    ):
        graph = neighbors.knn(clusters(), K)
    assert graph.recall_bound < 0.95
    assert graph.recall_bound <= true_recall(graph, clusters(), "euclidean")


@pytest.mark.usefixtures("approximates")
def test_duplicates_and_a_far_cluster() -> None:
    X = np.concatenate([np.repeat(clusters(1500, 8), 3, axis=0), clusters(500, 8) + 1e5])
    graph = neighbors.knn(X, K, recall=0.98)
    assert true_recall(graph, X.astype(np.float32), "euclidean") >= 0.98
    assert (graph.distances[:4500, :2] == 0).all()


@pytest.mark.usefixtures("approximates")
def test_same_bits_for_any_threads(assert_same_bits: Callable[..., None]) -> None:
    X = clusters(5000, 80)
    assert_same_bits(lambda: tuple(neighbors.knn(X, K)))


@pytest.mark.usefixtures("approximates")
def test_seeds_choose_other_samples() -> None:
    graphs = [neighbors.knn(clusters(5000), K, recall=0.5, seed=seed) for seed in (0, 1, 0)]
    assert graphs[0].recall_estimate == graphs[2].recall_estimate
    assert graphs[0].recall_estimate != graphs[1].recall_estimate


@pytest.mark.usefixtures("approximates")
def test_relations_pass_the_recall_on(capsys: pytest.CaptureFixture[str]) -> None:
    X = clusters(5000)
    relations.NeighborBasedPDist(K, recall=1.0, verbose=True).compute_relations(X)
    assert "exact" in capsys.readouterr().out
    relations.NeighborBasedPDist(K, recall=0.9, verbose=True).compute_relations(X)
    assert "overlapping clusters" in capsys.readouterr().out


@pytest.mark.usefixtures("approximates")
@pytest.mark.parametrize(
    "estimator", [UMAP(n_epochs=0, init="random", random_state=0), KNNTransformer(random_state=0)]
)
def test_estimators_pass_the_recall_on(estimator: Any) -> None:
    X = clusters(5000)
    assert estimator.get_params()["recall"] == neighbors.DEFAULT_RECALL
    few = clone(estimator).set_params(recall=0.6)
    few.fit_transform(X)
    assert "overlapping clusters" in few.engine_
    assert 0.6 <= few.recall_estimate_ < 1
    exact = clone(few).set_params(recall=1.0)
    exact.fit_transform(X)
    assert "exact" in exact.engine_
    assert exact.recall_estimate_ == 1


def test_neighbors_given_keep_what_their_search_said() -> None:
    X = clusters(200)
    graph = dataclasses.replace(neighbors.knn(X, 14), engine="a search", recall_estimate=0.75)
    fit = UMAP(n_epochs=0, precomputed_knn=graph).fit(X)
    assert (fit.engine_, fit.recall_estimate_) == ("a search", 0.75)
    fit = UMAP(n_epochs=0, precomputed_knn=tuple(graph)).fit(X)
    assert (fit.engine_, fit.recall_estimate_) == ("precomputed neighbor lists", 1.0)


@pytest.mark.parametrize("kind", [routines.ParametricUMAP, routines.ParametricTSNE])
def test_routines_pass_the_recall_on(kind: Any) -> None:
    assert kind().recall == kind().global_relations["rel"].recall == neighbors.DEFAULT_RECALL
    routine = kind(recall=0.6)
    assert routine.recall == routine.global_relations["rel"].recall == 0.6
    described = spec.describe(routine)
    assert described["relations"][0]["options"] == {"recall": 0.6}
    assert dr.ParametricDR.from_spec(described).global_relations["rel"].recall == 0.6
    with pytest.raises(ValueError, match=r"recall must lie in \(0, 1\], not 2"):
        kind(recall=2)


@pytest.mark.parametrize("recall", [0.0, -1.0, 1.5, float("nan"), float("inf")])
def test_bad_recall(recall: float) -> None:
    with pytest.raises(ValueError, match="recall must"):
        UMAP(recall=recall).fit(clusters(50))
    with pytest.raises(ValueError, match="recall must"):
        neighbors.knn(clusters(50), K, recall=recall)
    with pytest.raises(ValueError, match="recall must"):
        relations.NeighborBasedPDist(K, recall=recall)


def test_recall_of_independent_hits_is_wilsons() -> None:
    rng = np.random.default_rng(0)
    hits = torch.from_numpy(rng.binomial(1, 0.9, 400))
    estimate, bound = recall_sample.recall_of(hits, 1)
    assert estimate == pytest.approx(float(hits.double().mean()))
    wilson = stats.binomtest(int(hits.sum()), 400).proportion_ci(0.9, "wilson")
    assert bound == pytest.approx(wilson.low, abs=1e-5)


def test_the_bound_holds() -> None:
    # Rows whose neighbours are found or missed together: the bound must still cover the truth.
    rng = np.random.default_rng(1)
    truth, covered = 0.9, 0
    for _ in range(1000):
        shares = rng.beta(0.9, 0.1, 256)
        hits = torch.from_numpy(rng.binomial(K, shares))
        covered += recall_sample.recall_of(hits, K)[1] <= truth
    assert covered >= 930
    assert recall_sample.recall_of(torch.full((256,), K), K) == (
        1.0,
        pytest.approx(0.9895, abs=1e-4),
    )
    assert recall_sample.recall_of(torch.zeros(256), K)[1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("recall", [0.5, 0.95, 0.99, 0.995, 0.999])
def test_the_sample_can_show_the_recall(recall: float) -> None:
    rows = recall_sample.sample_size(10**6, recall)
    assert 256 <= rows <= 10_000
    assert recall_sample.recall_of(torch.full((rows,), K), K)[1] >= recall
    assert recall_sample.sample_size(100, recall) == 100


def test_graphs_unpack_and_say_that_they_are_exact() -> None:
    graph = neighbors.knn(clusters(50), 3)
    indices, distances = dataclasses.replace(graph, engine="other")
    assert indices is graph.indices
    assert distances is graph.distances


def test_memory_by_formula() -> None:
    n, d, k = 1_000_000, 50, 15
    lists, moved = (8 * (k + 5) + 32 * 24 + 40) * n, 512 * cluster_plan.count_clusters(n) * d
    refined = (4 * 64 + 9 * (k + 5) + 52) * n  # rows of whole vectors, lists, places
    expected = 8 * n * k + 4 * n * d + lists + refined + moved + 256 * 2**20
    assert neighbors.estimate_memory(n, d, k) == expected
    assert neighbors.estimate_memory(n, d, k, "cosine") == expected
    assert neighbors.estimate_memory(n, d, k, "cosine", ready=True) == expected
    assert neighbors.estimate_memory(n, d, k, ready=True) == expected - 4 * n * d
    exact = neighbors.estimate_memory(n, d, k, "manhattan")
    assert exact == 8 * n * k + 12 * n * d + 16 * n * (k + 9) + 64 * 2**20
    width = k + 8
    products = 4 * n * (d + 1) + n * (8 * (width + 32) + 8 + 8 * width) + 8 * d
    found = neighbors.estimate_memory(n, d, k, recall=1.0)
    assert found == 8 * n * k + 4 * n * d + products
    tiles = tiled.make_plan(n, d, k, itemsize=2)
    assert tiles.bytes == n * (2 * 56 + 4 + 8 * 32) + 4 * tiles.rows**2 + 3 * 64 * 2**20
    assert neighbors.estimate_memory(n, d, k, on_gpu=True) == 8 * n * k + 4 * n * d + tiles.bytes
    assert neighbors.estimate_memory(10_000, 10, 5, "hamming") > 4 * 10_000 * 10
    with pytest.raises(ValueError, match="k must be"):
        neighbors.estimate_memory(10, 3, 10)


def test_too_little_memory_is_said_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    X = clusters(500)
    needed = neighbors.estimate_memory(*X.shape, K)
    assert neighbors.knn(X, K, max_memory=needed).indices.shape == (500, K)
    monkeypatch.setattr(ops, "rerank", None)  # any search would need it
    with pytest.raises(
        ValueError, match=r"max_memory=1000 bytes is too little: 10 neighbors of .* streamed"
    ):
        neighbors.knn(X, K, max_memory=1000)
    with pytest.raises(ValueError, match="max_memory must be"):
        neighbors.knn(X, K, max_memory=0)


_PEAK = """
import resource, sys
import numpy as np
from fastparadime import neighbors
n, d = int(sys.argv[1]), int(sys.argv[2])
X = np.random.default_rng(0).standard_normal((n, d)).astype(np.float32)
X[:, 8:] *= 0.01
neighbors.knn(X[:500], 15)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
graph = neighbors.knn(X, 15)
assert "overlapping clusters" in graph.engine, graph.engine
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("n", "d"), [(150_000, 20), (60_000, 200)])
def test_the_estimate_covers_the_peak(n: int, d: int) -> None:
    found = subprocess.run(
        [sys.executable, "-c", _PEAK, str(n), str(d)], capture_output=True, text=True, check=True
    )
    assert int(found.stdout) <= neighbors.estimate_memory(n, d, 15)
