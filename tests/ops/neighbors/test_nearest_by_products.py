"""Nearest rows by norms and products, against a sort of all distances."""

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


def check(
    found: tuple[torch.Tensor, torch.Tensor],
    X: np.ndarray,
    width: int,
    queries: np.ndarray | None = None,
    scale: float = 1.0,
) -> None:
    """Asserts that squares are the reference's and belong to their indices; rows may run out."""
    indices, squares = (part.numpy() for part in found)
    asked = None if queries is None else queries.astype(float)
    wanted = reference.nearest_by_products(X.astype(float), width, asked)[1] * scale**2
    there = wanted.shape[1]
    assert indices.shape == squares.shape == (len(wanted), width)
    assert (indices[:, there:] == -1).all()
    assert np.isinf(squares[:, there:]).all()
    indices, squares = indices[:, :there], squares[:, :there]
    largest = (np.square(X.astype(float)).sum(axis=1).max(initial=0)) * scale**2
    np.testing.assert_allclose(squares, wanted, rtol=1e-5, atol=1e-5 * largest)
    assert (np.diff(squares, axis=1) >= 0).all()
    assert all(len(set(row)) == there for row in indices.tolist())
    own = (X if queries is None else queries).astype(float)
    true = [
        np.square(row - X[i].astype(float)).sum(axis=1) for row, i in zip(own, indices, strict=True)
    ]
    true = np.reshape(true, squares.shape) * scale**2
    np.testing.assert_allclose(squares, true, rtol=1e-5, atol=1e-5 * largest)
    if queries is None:
        assert not (indices == np.arange(len(X))[:, None]).any()


@pytest.mark.parametrize("n", [1, 2, 31, 160, 161, 320, 333, 700])
@pytest.mark.parametrize(("d", "width"), [(1, 1), (3, 40), (17, 5), (130, 12), (300, 200)])
def test_equals_reference(n: int, d: int, width: int) -> None:
    X = rows(n, d)
    check(ops.ProductTable(X).nearest(width), X, width)


@pytest.mark.parametrize("m", [1, 33, 170, 500])
@pytest.mark.parametrize(("n", "d", "width"), [(1, 5, 2), (159, 3, 7), (900, 40, 1), (2000, 9, 60)])
def test_queries_equal_reference(m: int, n: int, d: int, width: int) -> None:
    X, queries = rows(n, d), rows(m, d, 1)
    check(ops.ProductTable(X).nearest_to(queries, width), X, width, queries)


@pytest.mark.parametrize("width", [3, 40])
def test_rows_within_a_square(width: int) -> None:
    X, queries = rows(1200, 6), rows(50, 6, 1)
    table, within = ops.ProductTable(X), np.linspace(-0.1, 4.0, 50).astype(np.float32)
    indices, squares = table.nearest_to(queries, width, within=within)
    all_indices, all_squares = table.nearest_to(queries, width)
    there = all_squares <= torch.from_numpy(within)[:, None]
    assert 0 < there.sum() < there.numel()
    assert torch.equal(indices, torch.where(there, all_indices, -1))
    assert torch.equal(squares, torch.where(there, all_squares, torch.inf))


@pytest.mark.parametrize("m", [1, 2, 11, 161])
def test_squares_do_not_depend_on_the_layout(m: int) -> None:
    """Some columns are left over by vectors, some rows by panels, some queries by blocks."""
    X, queries = rows(1003, 19), rows(m, 19, 1)
    table = ops.ProductTable(X)
    alone = [table.nearest_to(query[None], 9) for query in queries]
    found = table.nearest_to(queries, 9)
    assert torch.equal(found[0], torch.cat([indices for indices, _ in alone]))
    assert torch.equal(found[1], torch.cat([squares for _, squares in alone]))


def test_mean_and_scale() -> None:
    X = rows(400, 20)
    shift = np.linspace(-1000, 1000, 20, dtype=np.float32)
    moved = X + shift  # exact to 6e-5
    near = ops.ProductTable(moved, shift, 0.5).nearest(9)
    check(near, moved - shift, 9, scale=0.5)
    queries = rows(30, 20, 1) + shift
    found = ops.ProductTable(moved, shift, 0.5).nearest_to(queries, 9)
    check(found, moved - shift, 9, queries - shift, scale=0.5)


@pytest.mark.parametrize("power", [-100, 100])
def test_scale_keeps_squares_finite(power: int) -> None:
    X = rows(200, 8)
    far = ops.ProductTable(X * np.float32(2.0**power), scale=2.0**-power).nearest(5)
    near = ops.ProductTable(X).nearest(5)
    assert torch.equal(far[0], near[0])
    assert torch.equal(far[1], near[1])


def test_ties_go_to_the_smaller_index() -> None:
    X = np.ones((400, 3), np.float32)
    indices, squares = ops.ProductTable(X).nearest(4)
    assert indices[0].tolist() == [1, 2, 3, 4]
    assert indices[399].tolist() == [0, 1, 2, 3]
    assert not squares.any()
    assert ops.ProductTable(X).nearest_to(X[:2], 3)[0].tolist() == [[0, 1, 2]] * 2


def test_norms_are_of_scaled_rows() -> None:
    X = rows(170, 50)
    norms = ops.ProductTable(X, X[0], 2.0).norms
    np.testing.assert_allclose(norms, np.square(2.0 * (X - X[0])).sum(axis=1), rtol=1e-5)


def test_threads_do_not_matter(assert_same_bits: Callable[[Any], None]) -> None:
    X, queries = rows(1000, 40), rows(200, 40, 1)

    def call() -> tuple[torch.Tensor, ...]:
        table = ops.ProductTable(X)
        return *table.nearest(10), *table.nearest_to(queries, 10)

    assert_same_bits(call)


def test_a_query_does_not_depend_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    table, queries = ops.ProductTable(rows(1500, 70)), rows(300, 70, 1)
    whole = table.nearest_to(queries, 11)
    for taken in (slice(7, 8), slice(100, 290)):
        part = table.nearest_to(queries[taken], 11)
        assert all(torch.equal(a, b[taken]) for a, b in zip(part, whole, strict=True))
    monkeypatch.setattr(
        ops.neighbors.nearest_by_products, "_PRODUCTS", 1.0
    )  # a look for Ctrl-C after each round or row
    again = table.nearest_to(queries[:50], 11)
    assert all(torch.equal(a, b[:50]) for a, b in zip(again, whole, strict=True))
    check(table.nearest(3), rows(1500, 70), 3)


def test_empty() -> None:
    none = np.empty((0, 4), np.float32)
    indices, squares = ops.ProductTable(none).nearest(3)
    assert indices.shape == squares.shape == (0, 3)
    assert ops.ProductTable(none).nearest_to(rows(2, 4), 3)[0].tolist() == [[-1] * 3] * 2
    assert ops.ProductTable(rows(9, 4)).nearest_to(none, 3)[0].shape == (0, 3)
    assert not ops.ProductTable(np.empty((3, 0), np.float32)).nearest(2)[1].any()


def test_memory_by_formula() -> None:
    assert ops.product_bytes(1000, 7, 40) == 4 * 1120 * 8 + 1000 * (8 * 80 + 8 + 8 * 40)
    assert ops.product_bytes(160, 7, 5) == 4 * 160 * 8 + 160 * (8 * 37 + 8 + 8 * 5)
    assert ops.product_bytes(160, 7, 2000) == 4 * 160 * 8 + 160 * (8 * 3024 + 8 + 8 * 2000)


def test_bad_input() -> None:
    table = ops.ProductTable(rows(20, 4))
    with pytest.raises(ValueError, match=r"X must have 2 dimensions, not shape \(3,\)"):
        ops.ProductTable(torch.ones(3))
    with pytest.raises(ValueError, match="X must be on the CPU, not on meta"):
        ops.ProductTable(torch.ones((3, 2), device="meta"))
    with pytest.raises(ValueError, match=r"mean must have shape \(2,\), not \(3,\)"):
        ops.ProductTable(torch.ones((3, 2)), torch.ones(3))
    with pytest.raises(ValueError, match="scale must be"):
        ops.ProductTable(torch.ones((3, 2)), scale=0.0)
    with pytest.raises(ValueError, match="width must be"):
        table.nearest(0)
    with pytest.raises(ValueError, match="width must be"):
        table.nearest_to(rows(2, 4), 0)
    with pytest.raises(ValueError, match="within must have a number a query, 2, not 3"):
        table.nearest_to(rows(2, 4), 1, within=torch.ones(3))
    with pytest.raises(ValueError, match="queries must have 4 columns as X, not 5"):
        table.nearest_to(rows(2, 5), 3)
