"""Nearest rows by a k-d tree, against a sort of all distances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference


def rows(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([n, d, seed]).normal(size=(n, d)).astype(np.float32)


def nearest(X: np.ndarray, width: int, metric: str = "euclidean", p: float = 2.0) -> np.ndarray:
    """Of all rows, in their own order."""
    tree = ops.KdTree(X)
    found, _ = tree.nearest(torch.arange(tree.leaves), width, metric, p=p)
    points = tree.rows.flatten()
    there = points >= 0
    assert sorted(points[there].tolist()) == list(range(len(X)))
    assert (found.flatten(0, 1)[~there] == -1).all()
    indices = np.empty((len(X), width), np.int32)
    indices[points[there].numpy()] = found.flatten(0, 1)[there].numpy()
    return indices


def check(
    indices: np.ndarray,
    X: np.ndarray,
    metric: str = "euclidean",
    p: float = 2.0,
    queries: np.ndarray | None = None,
    rtol: float = 1e-5,
) -> None:
    """Asserts that the rows named are as near as the reference's; rows may run out."""
    asked = None if queries is None else queries.astype(float)
    wanted = reference.nearest_by_tree(X.astype(float), indices.shape[1], metric, p, asked)[1]
    there = wanted.shape[1]
    assert (indices[:, there:] == -1).all()
    assert all(len(set(row)) == there for row in indices[:, :there].tolist())
    own = X if queries is None else queries
    for row, mine, distances in zip(own.astype(float), indices[:, :there], wanted, strict=True):
        true = [reference.distance(row, X[i].astype(float), metric, p) for i in mine]
        np.testing.assert_allclose(true, distances, rtol=rtol, atol=1e-30)
    if queries is None:
        assert not (indices == np.arange(len(X))[:, None]).any()


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 33, 257])
@pytest.mark.parametrize(("d", "width"), [(1, 1), (2, 7), (3, 40), (17, 5), (40, 300)])
def test_equals_reference(n: int, d: int, width: int) -> None:
    X = rows(n, d)
    check(nearest(X, width), X)


@pytest.mark.parametrize(
    ("metric", "p"),
    [
        ("euclidean", 2.0), ("sqeuclidean", 2.0), ("manhattan", 2.0), ("chebyshev", 2.0),
        ("minkowski", 0.5), ("minkowski", 1.5), ("minkowski", 40.0),
    ],
)  # fmt: skip
def test_metrics(metric: str, p: float) -> None:
    X, queries = rows(400, 4), rows(30, 4, 1)
    check(nearest(X, 9, metric, p), X, metric, p)
    check(ops.KdTree(X).nearest_to(queries, 9, metric, p=p).numpy(), X, metric, p, queries)


@pytest.mark.parametrize("m", [1, 3, 50])
def test_a_query_does_not_depend_on_the_others(m: int) -> None:
    X, queries = rows(600, 3), rows(m, 3, 1)
    tree = ops.KdTree(X)
    found = tree.nearest_to(queries, 11)
    check(found.numpy(), X, queries=queries)
    alone = [tree.nearest_to(query[None], 11) for query in queries]
    assert torch.equal(found, torch.cat(alone))


def test_more_rows_than_are_copied_at_a_time() -> None:
    """The upper nodes of such a tree are cut where the rows lie."""
    X = rows(10_000, 2)
    indices = nearest(X, 3)
    D = ((X[:100, None].astype(float) - X) ** 2).sum(axis=2)
    D[np.arange(100), np.arange(100)] = np.inf
    np.testing.assert_array_equal(indices[:100], np.argsort(D, axis=1)[:, :3])


@pytest.mark.parametrize("far", [1e4, 1e15])
def test_close_rows_far_from_the_origin_keep_their_digits(far: float) -> None:
    X = rows(300, 3) * np.float32(far * 1e-5) + np.float32(far)
    check(nearest(X, 6), X)


def test_equal_rows() -> None:
    X = np.repeat(rows(3, 2), 700, axis=0)
    indices = nearest(X, 20)
    assert (np.arange(2100)[:, None] // 700 == indices // 700).all()
    assert not nearest(np.zeros((5000, 3), np.float32), 20).max(axis=1).min() < 0


def test_equal_rows_are_not_compared_with_each_other() -> None:
    tree = ops.KdTree(np.zeros((50_000, 2), np.float32))
    _, compared = tree.nearest(torch.arange(tree.leaves), 20)
    assert compared.sum() < 100 * 50_000


def test_values_of_both_signs_and_zeros() -> None:
    X = np.array([[-0.0], [0.0], [-1e-40], [1e-40], [-3.0], [3.0], [-1e38], [1e38]] * 5, np.float32)
    distances = reference.nearest_by_tree(X.astype(float), 4, "manhattan")[1]
    found = nearest(X, 4, "manhattan")
    true = np.abs(X[:, None, 0].astype(float) - X[found, 0])
    np.testing.assert_allclose(np.sort(true, axis=1), distances, rtol=1e-6, atol=2e-40)


def test_few_rows_are_compared() -> None:
    tree = ops.KdTree(rows(20_000, 2))
    _, compared = tree.nearest(torch.arange(tree.leaves), 15)
    assert 16 * 15 < compared.float().mean() < 16 * 150


def test_a_search_is_given_up() -> None:
    tree = ops.KdTree(rows(5000, 30))
    _, compared = tree.nearest(torch.tensor([7]), 15, max_compared=1000)
    assert 1000 < int(compared) <= 1000 + 256


def test_threads_do_not_matter(assert_same_bits: Callable[[Any], None]) -> None:
    X, queries = rows(9000, 3), rows(200, 3, 1)

    def call() -> tuple[torch.Tensor, ...]:
        tree = ops.KdTree(X)
        found, compared = tree.nearest(torch.arange(tree.leaves), 10)
        return tree.rows, found, compared, tree.nearest_to(queries, 10)

    assert_same_bits(call)


def test_empty() -> None:
    none = np.empty((0, 4), np.float32)
    assert ops.KdTree(none).leaves == 0
    assert ops.KdTree(none).nearest_to(rows(2, 4), 3).tolist() == [[-1] * 3] * 2
    assert ops.KdTree(rows(9, 4)).nearest_to(none, 3).shape == (0, 3)
    found, _ = ops.KdTree(np.empty((3, 0), np.float32)).nearest(torch.tensor([0]), 2)
    assert found[0, :3].tolist() == [[1, 2], [0, 2], [0, 1]]


def test_memory_by_formula() -> None:
    assert ops.tree_bytes(1600, 7) == 100 * (64 * 8 + 112) + 8 * 1600
    assert ops.tree_bytes(1, 7) == 64 * 8 + 112 + 8


def test_bad_input() -> None:
    tree = ops.KdTree(rows(20, 4))
    with pytest.raises(ValueError, match=r"X must have 2 dimensions, not shape \(3,\)"):
        ops.KdTree(torch.ones(3))
    with pytest.raises(ValueError, match="X must be on the CPU, not on meta"):
        ops.KdTree(torch.ones((3, 2), device="meta"))
    with pytest.raises(ValueError, match="width must be"):
        tree.nearest(torch.tensor([0]), 0)
    with pytest.raises(ValueError, match="leaves"):
        tree.nearest(torch.tensor([2]), 1)
    with pytest.raises(ValueError, match="metric must be"):
        tree.nearest(torch.tensor([0]), 1, "canberra")
    with pytest.raises(ValueError, match="queries must have 4 columns as X, not 5"):
        tree.nearest_to(rows(2, 5), 3)
