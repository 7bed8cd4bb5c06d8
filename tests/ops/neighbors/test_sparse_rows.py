"""Sparse rows: what scores best, and true distances to candidates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

from fastparadime import ops
from fastparadime.ops import reference


def matrix(n: int = 80, dim: int = 200, density: float = 0.1, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    X = scipy.sparse.random(n, dim, density, "csr", np.float32, rng, data_rvs=rng.standard_normal)
    X.sort_indices()
    return X


def distributions(X: Any) -> Any:
    """Rows that sum to one, of the absolute values; empty ones have all in the first column."""
    X = abs(X).tolil()
    X[np.diff(X.tocsr().indptr) == 0, 0] = 1
    return scipy.sparse.csr_matrix(X.multiply(1 / X.sum(axis=1)), dtype=np.float32)


def table(X: Any) -> ops.SparseTable:
    return ops.SparseTable(X.indptr, X.indices, X.data, X.shape[1])


def random_candidates(rows: int, count: int, n: int) -> np.ndarray:
    """With empty and repeated entries, and often the row itself."""
    rng = np.random.default_rng([rows, count, n])
    candidates = rng.integers(-2, n, size=(rows, count))
    candidates[:, 0] = np.arange(rows)
    return candidates


@pytest.mark.parametrize("metric", ops.SPARSE_METRICS)
@pytest.mark.parametrize("density", [0.0, 0.02, 0.3, 1.0])
@pytest.mark.parametrize("dim", [1, 15, 33, 400])
def test_rerank_equals_reference(metric: str, density: float, dim: int) -> None:
    X, candidates = matrix(60, dim, density), random_candidates(60, 25, 60)
    X = distributions(X) if metric == "jensenshannon" else X
    indices, distances = table(X).rerank(candidates, 12, metric, p=3.0)
    assert (indices.dtype, distances.dtype) == (torch.int32, torch.float32)
    expected = reference.rerank(X.toarray(), candidates, 12, metric, 3.0)
    # Products of 400 coordinates, some 250 in all, cancel in float32.
    least = 3e-5 if metric == "inner_product" else 1e-6
    np.testing.assert_allclose(distances, expected[1], rtol=1e-5, atol=least)
    if density > 0 and dim > 1 and metric in ("euclidean", "sqeuclidean", "manhattan"):
        np.testing.assert_array_equal(indices, expected[0])
    rows = X.toarray()
    for i, row in enumerate(indices.tolist()):  # of others there are ties
        at = [reference.distance(rows[i], rows[j], metric, 3.0) for j in row if j >= 0]
        np.testing.assert_allclose(at, expected[1][i, : len(at)], rtol=1e-5, atol=least)


@pytest.mark.parametrize("metric", ops.SPARSE_METRICS)
def test_rerank_equals_that_of_dense_rows(metric: str) -> None:
    X, candidates = matrix(), torch.from_numpy(random_candidates(80, 300, 80))
    X = distributions(X) if metric == "jensenshannon" else X
    indices, distances = table(X).rerank(candidates, 20, metric)
    dense = ops.rerank(torch.from_numpy(X.toarray()), candidates, 20, metric)
    assert torch.equal(indices, dense[0])
    torch.testing.assert_close(distances, dense[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("metric", ops.SHARED_METRICS)
@pytest.mark.parametrize("count", [1, 7, 80])
def test_nearest_are_those_of_least_distance(metric: str, count: int) -> None:
    X, points = matrix(density=0.3), torch.tensor([3, 3, 79, 0])
    found = table(X).nearest(points, count, metric)
    assert (found.shape, found.dtype) == ((4, count), torch.int32)
    rows = X.toarray()
    distances = np.stack(
        [[reference.distance(rows[i], row, metric, 2.0) for row in rows] for i in points.tolist()]
    )
    wanted = np.sort(distances, axis=1)[:, :count]
    np.testing.assert_allclose(
        np.take_along_axis(distances, found.numpy().astype(int), 1), wanted, rtol=1e-5, atol=1e-6
    )


def test_nearest_of_many_keeps_the_best_and_breaks_ties_by_index() -> None:
    values = np.random.default_rng(0).integers(0, 3, (5000, 1)).astype(np.float32)
    found = table(scipy.sparse.csr_matrix(values)).nearest([0, 1, 2], 20)
    for row, point in zip(found.tolist(), range(3), strict=True):
        order = np.lexsort((np.arange(5000), np.abs(values[:, 0] - values[point, 0])))
        assert row == order[:20].tolist()


def test_close_and_equal_rows_keep_their_digits() -> None:
    X = matrix(4, 500, 0.2).tolil()
    X[1] = X[0]
    X[2] = X[0]
    X[2, 7] += 1e-4
    X[3] = 3000 * X[0]
    X = X.tocsr().astype(np.float32)
    for scale in (1.0, 1e6):
        indices, distances = table(scale * X).rerank([[0, 1, 2, 3]] * 4, 3)
        exact = scale * np.float64(np.float32(X[0, 7] + np.float32(1e-4)) - X[0, 7])
        assert indices[0].tolist() == [1, 2, 3]
        assert float(distances[0, 0]) == 0
        assert float(distances[0, 1]) == pytest.approx(exact, rel=1e-3)


def test_stored_zeros_change_nothing() -> None:
    X = matrix(30, 40, 0.3)
    kept = table(X).rerank(random_candidates(30, 30, 30), 5)
    X = X.tocoo()
    rows, columns = np.repeat(np.arange(30), 40), np.tile(np.arange(40), 30)
    filled = scipy.sparse.coo_matrix(
        (np.concatenate((X.data, 0 * rows)), (np.r_[X.row, rows], np.r_[X.col, columns]))
    )
    again = table(filled.tocsr().astype(np.float32)).rerank(random_candidates(30, 30, 30), 5)
    assert torch.equal(kept[0], again[0])
    torch.testing.assert_close(kept[1], again[1])


def test_points_and_empty_requests() -> None:
    rows = table(matrix())
    candidates = random_candidates(80, 30, 80)
    whole = rows.rerank(candidates, 4)
    some = rows.rerank(candidates[[5, 70]], 4, points=[5, 70])
    assert torch.equal(some[0], whole[0][[5, 70]])
    none = rows.rerank(np.empty((2, 0), int), 3, points=[1, 2])
    assert none[0].tolist() == [[-1] * 3] * 2
    assert none[1].tolist() == [[np.inf] * 3] * 2
    assert rows.rerank(np.empty((0, 4), int), 3, points=np.empty(0, int))[0].shape == (0, 3)
    assert rows.nearest(np.empty(0, int), 3).shape == (0, 3)
    assert table(scipy.sparse.csr_matrix((3, 5))).nearest([0], 3).tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("metric", ops.SPARSE_METRICS)
def test_queries_of_another_table(metric: str) -> None:
    X = distributions(matrix(90)) if metric == "jensenshannon" else matrix(90)
    rows, queries = table(X[:80]), table(X[80:])
    every = np.tile(np.arange(80), (10, 1))
    found = rows.rerank(every, 80, metric, queries=queries)
    both = table(X).rerank(every, 80, metric, points=np.arange(80, 90))
    assert all(torch.equal(a, b) for a, b in zip(found, both, strict=True))
    if metric in ops.SHARED_METRICS:
        proposed = rows.nearest([7, 2], 5, metric, queries=queries)
        wanted = rows.rerank(every[:2], 5, metric, queries=queries, points=[7, 2])
        again = rows.rerank(proposed, 5, metric, queries=queries, points=[7, 2])
        torch.testing.assert_close(again[1], wanted[1])


def test_projections_keep_distances_and_fold_columns() -> None:
    X = matrix(50, 3000, 0.02)
    exact = np.linalg.norm(X.toarray()[:25] - X.toarray()[25:], axis=1)
    for folded in (4000, 1000):
        P = table(X).project(2000, folded=folded, seed=1)
        assert (P.shape, P.dtype) == ((50, 2000), torch.float32)
        near = torch.linalg.vector_norm(P[:25] - P[25:], dim=1) / 2000**0.5
        np.testing.assert_allclose(near, exact, rtol=0.25)
        assert torch.equal(P, table(X).project(2000, folded=folded, seed=1))
        assert not torch.equal(P, table(X).project(2000, folded=folded, seed=2))


def test_threads_do_not_matter(assert_same_bits: Callable[[Any], None]) -> None:
    X = matrix(500, 300, 0.1)
    candidates = random_candidates(500, 60, 500)
    assert_same_bits(lambda: table(X).rerank(candidates, 15))
    assert_same_bits(lambda: table(X).nearest(np.arange(500), 15))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"columns": [0, 3]}, ValueError, r"columns must lie in \[0, 3\), but holds 3"),
        ({"columns": [0.5, 1]}, TypeError, "columns must hold integers"),
        ({"columns": [0]}, ValueError, "one length, not 1, 2"),
        ({"columns": [1, 1]}, ValueError, "columns must ascend"),
        ({"columns": [2, 0]}, ValueError, "columns must ascend"),
        ({"values": [1.0, np.nan]}, ValueError, "values must be finite"),
        ({"indptr": [0, 1]}, ValueError, "indptr must ascend from 0 to the number of edges, 2"),
        ({"indptr": [0, 0.5, 2]}, TypeError, "indptr must hold integers, not torch.float32"),
        ({"indptr": [[0, 2]]}, ValueError, r"indptr must have the shape \(n \+ 1,\), not \(1, 2\)"),
        ({"indptr": [0, 2, 1, 2]}, ValueError, "indptr must ascend"),
        ({"dim": 0}, ValueError, "dim must be"),
    ],
)
def test_bad_tables(change: dict[str, Any], error: type[Exception], message: str) -> None:
    good = {"indptr": [0, 2, 2], "columns": [0, 2], "values": [1.0, 2.0], "dim": 3}
    ops.SparseTable(**good)
    with pytest.raises(error, match=message):
        ops.SparseTable(**{**good, **change})


def test_bad_requests() -> None:
    rows = table(matrix())
    with pytest.raises(ValueError, match="metric must be one of"):
        rows.rerank([[1]] * 80, 1, "nan_euclidean")
    with pytest.raises(ValueError, match="metric must be one of"):
        rows.nearest([1], 1, "chebyshev")
    with pytest.raises(ValueError, match="candidates must lie below 80, but holds 80"):
        rows.rerank([[80]] * 80, 1)
    with pytest.raises(ValueError, match="points must name the 1 rows of candidates, not 80"):
        rows.rerank([[1]], 1)
    with pytest.raises(ValueError, match=r"points must lie in \[0, 80\), but holds -1"):
        rows.nearest([-1], 1)
    with pytest.raises(ValueError, match=r"count must be an integer in \[1, 80\]"):
        rows.nearest([0], 81)
    with pytest.raises(ValueError, match="queries must have 200 columns, not 7"):
        rows.nearest([0], 1, queries=table(matrix(3, 7)))
    with pytest.raises(ValueError, match="k must be an integer >= 1"):
        rows.rerank([[1]] * 80, 0)
