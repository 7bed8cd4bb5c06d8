"""Neighbour descent: recall against exact neighbours in float64, and what holds for any data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference

K = 10


def blobs(n: int = 3000, dim: int = 20, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = 4 * rng.standard_normal((30, dim))
    return (centres[rng.integers(0, 30, n)] + rng.standard_normal((n, dim))).astype(np.float32)


def uniform() -> np.ndarray:
    return np.random.default_rng(1).random((4000, 2), dtype=np.float32)


def low_rank() -> np.ndarray:
    """More columns than are compared on the way, most of the variance in a few directions."""
    rng = np.random.default_rng(2)
    signal = rng.standard_normal((2000, 12)) @ rng.standard_normal((12, 200))
    return (signal + 0.2 * rng.standard_normal((2000, 200))).astype(np.float32)


def duplicates() -> np.ndarray:
    """Every row four times, and 300 rows that are all the same."""
    return np.concatenate([np.repeat(blobs(500), 4, axis=0), np.tile(blobs(1), (300, 1))])


def far_cluster() -> np.ndarray:
    X = blobs(2500, 8)
    X[:400] += np.float32(1e5)
    return X


def far_away() -> np.ndarray:
    return blobs(2000, 8) + np.float32(1e4)


def one_column() -> np.ndarray:
    return np.random.default_rng(3).standard_normal((2000, 1)).astype(np.float32)


def recall(distances: torch.Tensor, X: np.ndarray, k: int = K) -> float:
    """The share of distances within that to the true k-th neighbour."""
    exact = reference.nn_descent(X, k)[1]
    radius = exact[:, -1:] * (1 + 1e-5) + 1e-30
    return float((distances.double().numpy() <= radius).mean())


def assert_is_a_graph(found: tuple[torch.Tensor, torch.Tensor], X: np.ndarray, k: int) -> None:
    indices, distances = (part.numpy() for part in found)
    n = len(X)
    assert indices.shape == distances.shape == (n, k)
    assert indices.dtype == np.int32
    assert distances.dtype == np.float32
    assert indices.min() >= 0
    assert indices.max() < n
    assert not (indices == np.arange(n)[:, None]).any()
    assert all(len(set(row)) == k for row in indices.tolist())
    assert (np.diff(distances, axis=1) >= 0).all()
    wide = X.astype(np.float64)
    true = np.linalg.norm(wide[:, None] - wide[indices], axis=2)
    np.testing.assert_allclose(distances, true, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize(
    ("make", "bound"),
    [
        (blobs, 0.99), (uniform, 0.99), (low_rank, 0.95), (duplicates, 0.99), (far_cluster, 0.99),
        (far_away, 0.99), (one_column, 0.99),
    ],
)  # fmt: skip
def test_recall(make: Callable[[], np.ndarray], bound: float) -> None:
    X = make()
    found = ops.nn_descent(X, K)
    assert_is_a_graph(found, X, K)
    assert recall(found[1], X) >= bound


def test_projected_distances_need_wide_lists() -> None:
    X = np.random.default_rng(4).standard_normal((1500, 100)).astype(np.float32)
    shares = [recall(ops.nn_descent(X, K, width=width)[1], X) for width in (K, 4 * K, 40 * K)]
    assert shares[0] < shares[1] < shares[2]
    assert shares[2] >= 0.95


@pytest.mark.parametrize("power", [-70.0, 70.0])
def test_squares_beyond_float32(power: float) -> None:
    X = blobs(2000, 6) * np.float32(2.0**power)
    descent = ops.NeighborDescent(X, K)
    descent.grow(8)
    descent.refine()
    # The reported distances overflow, or vanish, as `rerank` computes them; who is listed does not.
    indices = descent.nearest(K)[0].numpy()
    exact = reference.nn_descent(X, K)[0]
    assert (indices[:, :, None] == exact[:, None, :]).any(2).mean() >= 0.98


@pytest.mark.parametrize("n", [2, 3, 17, 100, 255])
def test_few_points_are_compared_all_with_all(n: int) -> None:
    X = blobs(n, 5)
    for k in {1, n // 2, n - 1}:
        indices, distances = ops.nn_descent(X, k, trees=1, rounds=0)
        exact = reference.nn_descent(X, k)
        np.testing.assert_array_equal(indices.numpy(), exact[0])
        np.testing.assert_allclose(distances.numpy(), exact[1], rtol=1e-5)


@pytest.mark.parametrize("n", [0, 1])
def test_no_others(n: int) -> None:
    indices, distances = ops.nn_descent(torch.zeros((n, 3)), 5)
    assert indices.shape == distances.shape == (n, 0)
    assert indices.dtype == torch.int32


@pytest.mark.parametrize("k", [1, 299, 599])
def test_k_from_one_to_all(k: int) -> None:
    X = blobs(600, 4)
    found = ops.nn_descent(X, k)
    assert_is_a_graph(found, X, k)
    assert recall(found[1], X, k) >= 0.99


def test_identical_points_and_constant_columns() -> None:
    indices, distances = ops.nn_descent(np.full((1000, 3), 2.5, np.float32), K)
    assert distances.count_nonzero() == 0
    assert all(len(set(row)) == K for row in indices.tolist())
    X = np.concatenate([blobs(1000, 4), np.full((1000, 90), 7, np.float32)], axis=1)
    assert recall(ops.nn_descent(X, K)[1], X) >= 0.99


@pytest.mark.parametrize("make", [blobs, low_rank, duplicates])
def test_same_bits_for_any_threads_and_again(
    make: Callable[[], np.ndarray], assert_same_bits: Callable[..., None]
) -> None:
    X = make()
    assert_same_bits(lambda: ops.nn_descent(X, K, trees=3))


def test_seeds_differ() -> None:
    X = blobs()
    first, again, other = (
        ops.nn_descent(X, K, trees=1, rounds=0, seed=seed)[0] for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_every_step_improves() -> None:
    X = blobs(4000)
    descent = ops.NeighborDescent(X, 15)
    descent.grow(1)
    before = descent.nearest(K)[1]
    for step in (lambda: descent.grow(2), descent.refine, lambda: descent.refine(5)):
        step()
        after = descent.nearest(K)[1]
        assert (after <= before).all()
        assert recall(after, X) > recall(before, X)
        before = after
    assert descent.trees == 3
    assert descent.rounds == 2


def test_rounds_settle() -> None:
    descent = ops.NeighborDescent(blobs(), 15)
    descent.grow(2)
    new = [descent.refine(30) for _ in range(6)]
    assert new[0] > 1
    assert new[-1] < 0.01
    settled = descent.nearest(K)
    if new[-1] == 0:
        descent.refine(30)
        assert torch.equal(settled[0], descent.nearest(K)[0])


def test_some_rows() -> None:
    descent = ops.NeighborDescent(low_rank(), 25)
    descent.grow(3)
    rows = torch.tensor([1999, 0, 77])
    for whole, some in zip(descent.nearest(K), descent.nearest(K, rows=rows), strict=True):
        assert torch.equal(whole[rows], some)
    squares = descent.nearest(K, "sqeuclidean")[1]
    torch.testing.assert_close(squares, descent.nearest(K)[1].square())


def test_at_most_255_rounds() -> None:
    descent = ops.NeighborDescent(blobs(300, 2), 3)
    descent.grow(1)
    for _ in range(255):
        descent.refine(1)
    with pytest.raises(RuntimeError, match="at most 255 rounds"):
        descent.refine(1)


def test_the_data_is_untouched() -> None:
    X = low_rank()
    kept = X.copy()
    ops.nn_descent(X, K)
    np.testing.assert_array_equal(X, kept)


NAN = np.array([[1.0, 2.0], [3.0, np.nan], [0.0, 0.0]])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"X": np.ones(4)}, ValueError, r"X must have 2 dimensions, not shape \(4,\)"),
        ({"X": NAN}, ValueError, "X must be finite, but row 1 is not"),
        ({"X": np.ones((3, 0))}, ValueError, r"X must have at least one column.*\(3, 0\)"),
        ({"X": torch.ones((3, 2), dtype=torch.complex64)}, TypeError, "X must be real"),
        ({"k": 0}, ValueError, r"k must be an integer in \[1, 39\], not 0"),
        ({"k": 40}, ValueError, r"k must be an integer in \[1, 39\], not 40"),
        ({"width": 4}, ValueError, r"width must be an integer in \[5, 39\], not 4"),
        ({"width": 40}, ValueError, r"width must be an integer in \[5, 39\]"),
        ({"trees": 0}, ValueError, "trees must be an integer >= 1"),
        ({"rounds": -1}, ValueError, "rounds must be an integer in"),
        ({"max_candidates": 0}, ValueError, "max_candidates must be an integer >= 1"),
        ({"seed": -1}, ValueError, "seed must be an integer in"),
    ],
)
def test_bad_input(change: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments = {"X": blobs(40, 3), "k": 5, **change}
    with pytest.raises(error, match=message):
        ops.nn_descent(**arguments)


def test_bad_metric_and_too_many_asked_for() -> None:
    descent = ops.NeighborDescent(blobs(40, 3), 5)
    with pytest.raises(ValueError, match=r"k must be an integer in \[1, 5\], not 6"):
        descent.nearest(6)
    with pytest.raises(ValueError, match="metric must be one of 'euclidean', 'sqeuclidean'"):
        descent.nearest(5, "manhattan")


def test_other_devices_are_refused() -> None:
    with pytest.raises(ValueError, match="runs on the CPU, but X is on meta"):
        ops.nn_descent(torch.zeros((5, 2), device="meta"), 1)
