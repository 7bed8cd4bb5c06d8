"""Neighbours in data of any scale, of rows without a direction, and of rows close to one another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.spatial.distance import cdist

from fastparadime import UMAP, neighbors
from fastparadime.neighbors import exact
from fastparadime.neighbors.metric_space import check_row_metric
from fastparadime.neighbors.query_index import QueryIndex

K = 5
Table = np.ndarray[Any, np.dtype[np.float32]]


def table(n: int = 120, dim: int = 7) -> Table:
    return np.random.default_rng([n, dim]).normal(size=(n, dim)).astype(np.float32)


def check(graph: Any, D: np.ndarray[Any, Any], rtol: float = 1e-5, atol: float = 0.0) -> None:
    D = D.copy()
    np.fill_diagonal(D, np.inf)
    wanted = np.sort(D, axis=1)[:, :K]
    indices, distances = (part.numpy() for part in graph)
    np.testing.assert_allclose(distances, wanted, rtol=rtol, atol=atol)
    np.testing.assert_allclose(np.take_along_axis(D, indices, 1), wanted, rtol=rtol, atol=atol)


@pytest.mark.parametrize("power", [100, 60, -60, -110])
@pytest.mark.parametrize("metric", ["euclidean", "minkowski", "manhattan", "cosine", "correlation"])
@pytest.mark.parametrize("max_memory", [None, 3e5])
def test_scales_whose_squares_leave_float32(
    metric: str, power: int, max_memory: float | None
) -> None:
    X = table(1000, 7)
    graph = neighbors.knn(X * np.float32(2.0**power), K, metric, p=3.0, max_memory=max_memory)
    usual = neighbors.knn(X, K, metric, p=3.0, max_memory=max_memory)
    unit = 1.0 if metric in ("cosine", "correlation") else 2.0**power
    # Subnormal numbers have fewer digits.
    np.testing.assert_allclose(graph.distances / unit, usual.distances, rtol=1e-5, atol=1e-7)
    assert float((graph.indices == usual.indices).float().mean()) > 0.999


@pytest.mark.parametrize(("scale", "far"), [(1e-16, 1e15), (1e-25, 1.0), (1.0, 1e18)])
def test_close_rows_beside_a_far_one(scale: float, far: float) -> None:
    X = table() * np.float32(scale)
    X[0] = far
    indices, distances = neighbors.knn(X, K)
    rest = X[1:].astype(np.float64)
    check((indices[1:] - 1, distances[1:]), cdist(rest, rest))


@pytest.mark.parametrize("max_memory", [None, 3e5])
def test_directions_that_differ_by_less_than_float32s_least_number(
    max_memory: float | None,
) -> None:
    whole = np.random.default_rng(0).integers(-99, 100, size=(60, 70)).astype(np.float64)
    rows = (whole * 2.0**-130).astype(np.float32)
    rows[:, 0] = 1.0
    indices, distances = neighbors.knn(rows, K, "cosine", max_memory=max_memory)
    assert distances.count_nonzero() == 0  # squares of 2^-123 are nothing, in float64's cosine too
    assert all(len({i, *row}) == K + 1 for i, row in enumerate(indices.tolist()))
    assert UMAP(metric="cosine", n_neighbors=K, n_epochs=0, init="random").fit(rows).graph_.nnz


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("scale", [1e-18, 1e18])
def test_rows_of_zeros_are_at_distance_1_from_others(kind: Any, scale: float) -> None:
    X = table(200, 20) * np.float32(scale)
    X[[5, 17]] = 0.0
    unit = (
        X.astype(np.float64) / np.maximum(np.linalg.norm(X.astype(float), axis=1), 1e-300)[:, None]
    )
    D = 1 - unit @ unit.T
    D[np.ix_([5, 17], [5, 17])] = 0.0
    check(neighbors.knn(kind(X), K, "cosine"), D, atol=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "correlation"])
@pytest.mark.parametrize("max_memory", [None, 3e5])
def test_rows_without_a_direction(metric: str, max_memory: float | None) -> None:
    X = table(1500, 7)
    X[[5, 17]] = 0.1 if metric == "correlation" else 0.0
    graph = neighbors.knn(X, K, metric, max_memory=max_memory)
    assert graph.engine.startswith("products" if max_memory is None else "streamed")
    assert int(((graph.indices == 5) | (graph.indices == 17)).any(dim=1).sum()) == 2
    assert graph.indices[[5, 17], 0].tolist() == [17, 5]
    torch.testing.assert_close(graph.distances[5], torch.tensor([0.0, 1, 1, 1, 1]))


def test_queries_without_a_direction_and_of_any_scale() -> None:
    X = table(150, 6)
    X[3] = 0.0
    for rows in (X, sparse.csr_matrix(X)):
        index = QueryIndex(rows, check_row_metric("cosine", None).space(rows))
        indices, distances = index.nearest(rows[3:5], 3)
        assert indices[0, 0] == 3
        torch.testing.assert_close(distances[0], torch.tensor([0.0, 1.0, 1.0]))
        assert indices[1, 0] == 4
        assert 3 not in indices[1]
    for metric in ("euclidean", "sqeuclidean", "minkowski", "chebyshev"):
        space = check_row_metric(metric, None).space(X)
        usual = QueryIndex(X, space).nearest(X[:9] + 1, 3)
        tiny = np.float32(2.0**-60)
        found = QueryIndex(X * tiny, space).nearest((X[:9] + 1) * tiny, 3)
        assert torch.equal(found[0], usual[0])
        unit = tiny**2 if metric == "sqeuclidean" else tiny
        torch.testing.assert_close(found[1], usual[1] * unit, rtol=1e-5, atol=0.0)


@pytest.mark.parametrize("max_memory", [None, 3e5])
def test_bray_curtis_between_rows_of_zeros(max_memory: float | None) -> None:
    X = np.abs(table(1000, 7))
    X[:20] = 0.0
    D = np.nan_to_num(cdist(X.astype(float), X.astype(float), "braycurtis"))
    check(neighbors.knn(X, K, "braycurtis", max_memory=max_memory), D)


def test_jensen_shannon_between_close_rows() -> None:
    X = 1e3 + table(200, 8)
    shares = X.astype(float) / X.astype(float).sum(axis=1, keepdims=True)
    check(neighbors.knn(X, K, "jensenshannon"), cdist(shares, shares, "jensenshannon"), rtol=2e-3)


@pytest.mark.parametrize("metric", ["chebyshev", "minkowski", "canberra", "braycurtis"])
def test_pairs_in_several_calls(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.abs(table())
    whole = neighbors.knn(X, K, metric)
    monkeypatch.setattr(neighbors.exact, "_COORDINATES", 7 * 120 * 50)
    parts = neighbors.knn(X, K, metric)
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_long_sparse_rows_leave_others_their_direction() -> None:
    X = np.abs(table(100, 12)) * (table(100, 12) > 0) + np.eye(100, 12, dtype=np.float32)
    X[0] *= 1e15
    unit = X.astype(np.float64) / np.linalg.norm(X.astype(float), axis=1)[:, None]
    check(neighbors.knn(sparse.csr_matrix(X), K, "cosine"), 1 - unit @ unit.T, atol=1e-6)


@pytest.mark.parametrize("metric", ["sqeuclidean", "inner_product", "manhattan"])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_distances_beyond_float32_are_an_error(metric: str, kind: Any) -> None:
    X = table(50, 6)
    X[7] = 3e38
    with pytest.raises(ValueError, match=f"X holds values whose distances by '{metric}' are bey"):
        neighbors.knn(kind(X), K, metric)


@pytest.mark.parametrize("differences", [0, 10**12])  # through a tree, or simply compared
def test_some_rows_in_doubt(differences: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "_DIFFERENCES", differences)
    X = np.repeat(100 * table(30, 9), 40, axis=0) + 1e-3 * table(1200, 9)
    rows = torch.randperm(1200, generator=torch.Generator().manual_seed(0))[:50]
    indices, distances = exact.exact_rows(torch.from_numpy(X), rows, K)
    D = cdist(X[rows].astype(float), X.astype(float))
    D[np.arange(50), rows] = np.inf
    wanted = np.sort(D, axis=1)[:, :K]
    np.testing.assert_allclose(distances, wanted, rtol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(D, indices.numpy(), 1), wanted, rtol=1e-5)
