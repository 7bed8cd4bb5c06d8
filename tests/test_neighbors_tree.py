"""Neighbours in data of few dimensions, and of rows that lie closer together than products can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.datasets import make_moons, make_swiss_roll

from fastparadime import KNNTransformer, neighbors
from fastparadime.neighbors import doubtful_rows, exact, memory, tree
from fastparadime.neighbors.metric_space import check_row_metric
from fastparadime.neighbors.query_index import QueryIndex

K = 10
Table = np.ndarray[Any, np.dtype[np.float32]]
SCIPY = {"manhattan": "cityblock"}


def normal(n: int, d: int, seed: int = 0) -> Table:
    return np.random.default_rng([n, d, seed]).normal(size=(n, d)).astype(np.float32)


def check(
    graph: Any, X: Any, metric: str = "euclidean", *, k: int = K, atol: float = 0.0, **options: Any
) -> None:
    """Asserts, for 200 rows, the true distances in float64, and that they are of the rows named."""
    rows = np.unique(np.linspace(0, len(X) - 1, 200).astype(int))
    wide = X.astype(np.float64)
    D = cdist(wide[rows], wide, SCIPY.get(metric, metric), **options)
    D[np.arange(len(rows)), rows] = np.inf
    wanted = np.sort(D, axis=1)[:, :k]
    indices, distances = (part.numpy()[rows] for part in graph)
    assert graph.indices.dtype == torch.int32
    assert all(len(set(row)) == k for row in indices.tolist())
    np.testing.assert_allclose(distances, wanted, rtol=1e-5, atol=atol)
    np.testing.assert_allclose(np.take_along_axis(D, indices, 1), wanted, rtol=1e-5, atol=atol)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize(
    ("metric", "options"),
    [
        ("euclidean", {}), ("sqeuclidean", {}), ("manhattan", {}), ("chebyshev", {}),
        ("minkowski", {"p": 1.5}), ("minkowski", {"p": 30.0}),
    ],
)  # fmt: skip
def test_true_neighbors(metric: str, options: dict[str, float], d: int) -> None:
    X = normal(3000, d)
    graph = neighbors.knn(X, K, metric, **options)
    assert graph.engine == "k-d tree, exact"
    assert graph.recall_estimate == graph.recall_bound == 1.0
    check(graph, X, metric, **options)


@pytest.mark.parametrize("metric", ["cosine", "correlation"])
def test_unit_rows(metric: str) -> None:
    X = normal(20_000, 3)
    graph = neighbors.knn(X, K, metric)
    assert graph.engine == "k-d tree, exact"
    check(graph, X, metric, atol=1e-7)


@pytest.mark.parametrize("n", [2, 3, 17])
@pytest.mark.parametrize("d", [1, 3])
def test_as_many_neighbors_as_there_are(n: int, d: int) -> None:
    X = normal(n, d)
    check(neighbors.knn(X, n - 1), X, k=n - 1)


def test_nearly_all_rows_are_neighbors() -> None:
    X = normal(900, 2)
    check(neighbors.knn(X, 890), X, k=890)


def test_moons_go_by_a_tree() -> None:
    X = make_moons(50_000, noise=0)[0].astype(np.float32)
    graph = neighbors.knn(X, K)
    assert graph.engine == "k-d tree, exact"
    check(graph, X)


def test_a_roll_in_many_columns_has_few_dimensions() -> None:
    directions = np.linalg.qr(normal(50, 50))[0][:3]
    X = (make_swiss_roll(8000, random_state=0)[0] @ directions).astype(np.float32)
    graph = neighbors.knn(X, K)
    assert graph.engine == "k-d tree, exact"
    check(graph, X)


@pytest.mark.parametrize(("n", "d"), [(3000, 30), (1500, 8)])
def test_many_dimensions_go_by_products(n: int, d: int) -> None:
    assert neighbors.knn(normal(n, d), K).engine == "products, exact"


@pytest.mark.parametrize("copies", [300, 20_000])
def test_equal_rows(copies: int) -> None:
    X = np.concatenate([np.repeat(normal(1, 2), copies, axis=0), normal(500, 2)])
    graph = neighbors.knn(X, K)
    assert not graph.distances[:copies].any()
    assert (graph.indices[:copies] < copies).all()
    check(graph, X)


@pytest.mark.parametrize("scale", [1e30, 1.0, 1e-30, 1e-42])
def test_scales(scale: float) -> None:
    X = (normal(2000, 2) * scale).astype(np.float32)
    check(neighbors.knn(X, K), X, atol=1e-45)


@pytest.mark.parametrize("far", [1e4, 1e8])
def test_outliers(far: float) -> None:
    X = normal(3000, 3)
    X[::1000] *= np.float32(far)
    check(neighbors.knn(X, K), X)


def test_a_constant_column_and_a_lattice() -> None:
    X = np.stack(np.meshgrid(np.arange(60), [7], np.arange(50)), axis=-1).reshape(-1, 3)
    graph = neighbors.knn(X.astype(np.float32), 4)
    check(graph, X.astype(np.float32), k=4)
    inner = ((X[:, 0] % 59 > 0) & (X[:, 2] % 49 > 0)).nonzero()[0]
    assert (graph.distances[inner] == 1).all()


def test_threads_do_not_matter(assert_same_bits: Callable[[Any], None]) -> None:
    X = normal(12_000, 3)
    assert_same_bits(lambda: tuple(neighbors.knn(X, K)))


def test_the_choice_is_a_count(set_threads: Callable[[int], None]) -> None:
    search = tree.TreeSearch(torch.from_numpy(normal(30_000, 6)), K)
    counts = []
    for threads in (1, 2):
        set_threads(threads)
        counts.append(search.pairs(1e9))
    assert counts[0] == counts[1]
    assert search.pairs(100.0) > 100.0
    assert 300 < counts[0] < 3000


def test_what_a_tree_cannot_hold_is_streamed() -> None:
    X = normal(1000, 3)
    needed = neighbors.estimate_memory(1000, 3, K, ready=True)
    assert neighbors.knn(X, K, max_memory=needed).engine == "k-d tree, exact"
    graph = neighbors.knn(X, K, max_memory=needed - 1)
    assert graph.engine.startswith("streamed")
    check(graph, X)


def test_more_columns_count_the_larger_of_two_engines() -> None:
    n, d = 50_000, 12
    estimate = neighbors.estimate_memory(n, d, K, ready=True)
    usual = memory._usual_bytes(n, d, K, "euclidean", 0.95)
    assert estimate == 8 * n * K + max(usual, tree.needed_bytes(n, d, K))


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "cosine"])
def test_queries(metric: str) -> None:
    X, queries = normal(5000, 2), normal(300, 2, 1)
    index = QueryIndex(X, check_row_metric(metric, None).space(X))
    indices, distances = index.nearest(queries, K)
    assert isinstance(index._ready[0], tree.TreeQueries)
    D = cdist(queries.astype(float), X.astype(float), SCIPY.get(metric, metric))
    wanted = np.sort(D, axis=1)[:, :K]
    np.testing.assert_allclose(distances, wanted, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        np.take_along_axis(D, indices.numpy(), 1), wanted, rtol=1e-5, atol=1e-7
    )
    alone = [index.nearest(query[None], K) for query in queries[:20]]
    assert torch.equal(indices[:20], torch.cat([part for part, _ in alone]))


def test_transform_of_moons() -> None:
    X, queries = (make_moons(n, noise=0)[0].astype(np.float32) for n in (20_000, 333))
    found = KNNTransformer(n_neighbors=K).fit(X).transform(queries)
    wanted = np.sort(cdist(queries.astype(float), X.astype(float)), axis=1)
    width = found.nnz // len(queries)
    distances = np.sort(found.data.reshape(len(queries), width), axis=1)
    np.testing.assert_allclose(distances, wanted[:, :width], rtol=1e-5, atol=1e-9)


# Rows too close together for products around one centre.


def redone(graph: Any) -> int:
    """Rows that were compared by differences."""
    parts = graph.engine.split(", exact, ")
    return int(parts[1].split()[0]) if len(parts) > 1 else 0


@pytest.mark.parametrize("outliers", [1, 20])
def test_outliers_do_not_send_rows_to_differences(outliers: int) -> None:
    X = normal(4000, 50)
    X[:outliers] *= np.float32(1e6)
    graph = exact.product_knn(torch.from_numpy(X), K, "euclidean")
    check(graph, X)
    assert redone(graph) <= outliers


def test_two_far_blobs_have_a_centre_each() -> None:
    X = normal(4000, 50)
    X[::3] += np.float32(5000.0)
    graph = exact.product_knn(torch.from_numpy(X), K, "euclidean")
    check(graph, X)
    assert redone(graph) == 0


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean"])
def test_many_tight_clusters(metric: str) -> None:
    X = 1e4 * np.repeat(normal(40, 50), 100, axis=0) + normal(4000, 50, 1)
    graph = exact.product_knn(torch.from_numpy(X), K, metric)
    assert redone(graph) > 3000
    check(graph, X, metric)


def test_close_pairs_among_usual_rows() -> None:
    X = normal(3000, 20)
    X[1::2] = X[::2] * np.float32(1 + 1e-6)
    graph = exact.product_knn(torch.from_numpy(X), 1, "euclidean")
    check(graph, X, k=1)


def test_few_rows_far_out_do_not_move_the_centre() -> None:
    X = torch.from_numpy(normal(1000, 5))
    mean = doubtful_rows.near_origin_centre(X)[0]
    torch.testing.assert_close(mean, X.mean(dim=0))
    X[::100] += 1e5
    assert float(doubtful_rows.near_origin_centre(X)[0].norm()) < 0.3
