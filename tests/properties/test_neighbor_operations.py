"""Neighbours found by every operation, of random tables, against distances in float64."""

from __future__ import annotations

import numpy as np
import scipy.sparse
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from fastparadime import ops
from fastparadime.ops import reference

from .arrays import FEW, KINDS, SCALES, SEEDS, SIZES, SOME, assert_nearest, distances_of, table

BY_DIFFERENCES = ("euclidean", "sqeuclidean", "manhattan", "chebyshev", "minkowski")


def sparse(seed: int, n: int, d: int, density: float) -> scipy.sparse.csr_matrix:
    X = table(seed, n, d) * (np.random.default_rng(seed).random((n, d)) < density)
    return scipy.sparse.csr_matrix(X.astype(np.float32))


def sparse_table(X: scipy.sparse.csr_matrix) -> ops.SparseTable:
    return ops.SparseTable(X.indptr, X.indices, X.data, X.shape[1])


def squares(X: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.square(X[:, None].astype(float) - others).sum(axis=2)


@given(SEEDS, SIZES, SOME, FEW, st.sampled_from(BY_DIFFERENCES), KINDS, SCALES, st.booleans())
def test_rerank(
    seed: int, n: int, d: int, k: int, metric: str, kind: str, scale: float, beside: bool
) -> None:
    X, queries = table(seed, n, d, kind, scale), table(seed + 1, 5, d, kind, scale)
    asked = queries if beside else X
    found = ops.rerank(
        torch.from_numpy(X), torch.arange(n).repeat(len(asked), 1), k, metric, p=3.0,
        queries=torch.from_numpy(queries) if beside else None,
    )  # fmt: skip
    true = distances_of(X, metric, 3.0, queries if beside else None)
    assert_nearest(*found, true, k, rtol=1e-5, atol=1e-30)


@given(SEEDS, SIZES, SOME, FEW, st.sampled_from(["canberra", "braycurtis", "hamming"]), KINDS)
def test_rerank_by_shares(seed: int, n: int, d: int, k: int, metric: str, kind: str) -> None:
    X = np.abs(table(seed, n, d, kind))
    found = ops.rerank(torch.from_numpy(X), torch.arange(n).repeat(n, 1), k, metric)
    assert_nearest(*found, distances_of(X, metric), k, rtol=1e-5, atol=1e-6)


@given(SEEDS, SIZES, SOME, FEW, st.floats(0, 1))
def test_rerank_of_missing_values(seed: int, n: int, d: int, k: int, share: float) -> None:
    X = table(seed, n, d)
    X[np.random.default_rng(seed).random(X.shape) < share] = np.nan
    found = ops.rerank(torch.from_numpy(X), torch.arange(n).repeat(n, 1), k, "nan_euclidean")
    assert_nearest(*found, distances_of(X, "nan_euclidean"), k, rtol=1e-5, atol=1e-30)


@given(SEEDS, SIZES, SOME, FEW, st.sampled_from(BY_DIFFERENCES), KINDS, SCALES)
def test_kd_tree(seed: int, n: int, d: int, k: int, metric: str, kind: str, scale: float) -> None:
    X, queries = table(seed, n, d, kind, scale), table(seed + 1, 5, d, kind, scale)
    tree = ops.KdTree(X)
    found, compared = tree.nearest(torch.arange(tree.leaves), k, metric, p=3.0)
    assert bool((compared >= 0).all())
    points = tree.rows.flatten()
    indices = torch.empty((n, k), dtype=torch.int32)
    indices[points[points >= 0].long()] = found.flatten(0, 1)[points >= 0]
    for named, asked in ((indices, None), (tree.nearest_to(queries, k, metric, p=3.0), queries)):
        true = distances_of(X, metric, 3.0, asked)
        padded = np.concatenate([true, np.full((len(true), 1), np.inf)], axis=1)
        at = np.take_along_axis(padded, named.numpy().astype(np.int64), axis=1)
        assert_nearest(named, at, true, k, rtol=1e-5, atol=1e-30)


@given(SEEDS, SIZES, SOME, FEW, KINDS)
def test_product_table(seed: int, n: int, d: int, k: int, kind: str) -> None:
    X, queries = table(seed, n, d, kind), table(seed + 1, 5, d, kind)
    least = 1e-6 * max(1.0, float(np.square(np.concatenate([X, queries])).sum(axis=1).max()))
    products = ops.ProductTable(X)
    true = squares(X, X)
    np.fill_diagonal(true, np.inf)
    assert_nearest(*products.nearest(k), true, k, rtol=1e-5, atol=4 * least)
    found = products.nearest_to(queries, k)
    assert_nearest(*found, squares(queries, X), k, rtol=1e-5, atol=4 * least)


@given(SEEDS, SIZES, SOME, FEW, st.integers(1, 5))
def test_cluster_search(seed: int, n: int, d: int, width: int, clusters: int) -> None:
    X, rng = table(seed, n, d), np.random.default_rng(seed)
    members = [np.flatnonzero(rng.random(n) < 0.5) for _ in range(clusters)]
    search = ops.ClusterSearch(X, width)
    sizes = torch.tensor([len(part) for part in members])
    search.compare(torch.from_numpy(np.concatenate(members)), sizes, torch.zeros(clusters, d))
    _, expected = reference.nearest_in_clusters(X.astype(float), width, members)
    indices, found = search.nearest()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * d)
    np.testing.assert_array_equal(indices.numpy() < 0, np.isinf(expected))
    if n:
        lists = [[j for j in row if j >= 0] for row in indices.tolist()]
        search.refine(n, torch.arange(n))
        refined = reference.neighbors_of_neighbors(X.astype(float), lists, width)
        np.testing.assert_allclose(search.nearest()[1], refined[1], rtol=1e-5, atol=1e-5 * d)


@given(SEEDS, SIZES, st.integers(1, 9), st.integers(0, 9), st.integers(1, 20))
def test_lists_that_join(seed: int, n: int, width: int, found: int, others: int) -> None:
    rng = np.random.default_rng(seed)
    lists = ops.NearestLists(n, width)
    named: list[list[tuple[int, float]]] = [[] for _ in range(n)]
    for _ in range(3):
        indices = rng.integers(-1, others, (n, found))
        distances = rng.integers(0, 4, (n, found)).astype(np.float32)
        lists.join(np.arange(n), indices, distances)
        for i, row in enumerate(indices.tolist()):
            pairs = zip(row, distances[i].tolist(), strict=True)
            named[i] += [pair for pair in pairs if pair[0] >= 0]
    for got, wanted in zip(lists.nearest(), reference.join_lists(named, width), strict=True):
        np.testing.assert_array_equal(got, wanted)


@given(SEEDS, SIZES, SOME, st.sampled_from([1, 32, 33, 100]), st.integers(0, 70))
def test_candidates(seed: int, rows: int, columns: int, count: int, cut: int) -> None:
    rng = np.random.default_rng([seed, rows, columns])
    cosines = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
    own, norms = (rng.uniform(0.5, 2, size).astype(np.float32) for size in (rows, columns))
    lists, cut = ops.Candidates(torch.from_numpy(own), count), min(cut, columns)
    for first, last in ((0, cut), (cut, columns)):
        tile = torch.from_numpy(cosines[:, first:last])
        lists.update(tile, torch.from_numpy(norms[first:last]), first, slack=0.01)
    width = ops.candidate_width(count)
    bounds = norms.astype(float) ** 2 - 2 * own[:, None].astype(float) * norms * (cosines + 0.01)
    assert_nearest(lists.indices, lists.bounds, bounds, width, rtol=1e-5, atol=2e-6)


@given(SEEDS, SOME, SOME, FEW, st.floats(0, 1), st.sampled_from(ops.SHARED_METRICS))
def test_sparse_table(seed: int, n: int, d: int, k: int, density: float, metric: str) -> None:
    X = sparse(seed, n, d, density)
    rows, everyone = sparse_table(X), torch.arange(n)
    found = rows.rerank(everyone.repeat(n, 1), k, metric)
    true = distances_of(X.toarray(), metric)
    assert_nearest(*found, true, k, rtol=1e-5, atol=1e-5)
    best = rows.nearest(everyone, min(k, n), metric)
    assert bool(((best >= 0) & (best < n)).all())
    np.fill_diagonal(true, 1 - np.square(X.toarray()).sum(axis=1) if "inner" in metric else 0)
    at = np.take_along_axis(true, best.numpy().astype(np.int64), axis=1)
    np.testing.assert_allclose(at, np.sort(true, axis=1)[:, : min(k, n)], rtol=1e-4, atol=5e-3)


@given(SEEDS, SIZES, st.sampled_from([1, 63, 64, 65]), FEW, st.sampled_from(ops.BINARY_METRICS))
def test_binary_table(seed: int, n: int, d: int, k: int, metric: str) -> None:
    X = (np.random.default_rng([seed, n, d]).random((n, d)) < 0.3).astype(np.float64)
    listed = scipy.sparse.csr_matrix(X)
    tables = (
        ops.BinaryTable.packed([X], n, d),
        ops.BinaryTable.listed(listed.indptr, listed.indices, d),
    )
    _, distances = reference.nearest_binary(X, k, metric)
    for rows in tables:
        indices, found = rows.nearest(k, metric)
        np.testing.assert_allclose(found, distances, rtol=1e-6)
        for i, row in enumerate(indices.tolist()):
            at = [reference.binary_distance(X[i], X[j], metric) for j in row if j >= 0]
            np.testing.assert_allclose(at, distances[i, : len(at)], rtol=1e-6)


@given(SEEDS, st.sampled_from([2, 3, 17, 33, 70]), SOME, KINDS)
def test_neighbor_descent(seed: int, n: int, d: int, kind: str) -> None:
    X, k = table(seed, n, d, kind), min(5, n - 1)
    # So few rows lie in one leaf, all of whose pairs are compared.
    found = ops.nn_descent(X, k, seed=seed)
    assert_nearest(*found, distances_of(X, "euclidean"), k, rtol=1e-5, atol=1e-30)


@given(SEEDS, SOME, SOME, SOME)
def test_subspace(seed: int, n: int, d: int, columns: int) -> None:
    assume(columns <= min(n, d))
    rows = ops.Subspace(torch.from_numpy(table(seed, n, d)), columns, seed=seed % 2**31).rows(
        0, columns
    )
    assert rows.shape == (n, columns)
    assert bool(torch.isfinite(rows).all())
