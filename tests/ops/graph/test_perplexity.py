"""perplexity against its float64 definition, and what it promises at the borders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference

Floats = npt.NDArray[np.float32]

# One block of neighbours has 16 lanes, one piece of work 1024 rows.
SHAPES = [(1, 2), (33, 3), (16, 15), (15, 16), (50, 17), (40, 100), (1100, 5)]


def random_distances(n: int, k: int, scale: float = 1.0) -> Floats:
    rng = np.random.default_rng(1000 * n + k)
    return ((1.0 + rng.gamma(2.0, size=(n, k))) * scale).astype(np.float32)


def assert_weights_equal_reference(weights: torch.Tensor, expected: npt.ArrayLike) -> None:
    # A weight exp(-u) / Z moves by u times the relative error of beta, and u exp(-u) <= 1/e: with
    # beta within 1e-5, no weight is off by more than 4e-6 and the small ones by far less.
    np.testing.assert_allclose(weights.cpu(), expected, rtol=1e-5, atol=4e-6)


# No whole perplexity: near ties leave the entropy flat at the log of their number, and beta there
# is as uncertain as 3e-7 over that slope.
@pytest.mark.parametrize("share", [0.23, 0.47, 0.91])
@pytest.mark.parametrize(("n", "k"), SHAPES)
def test_equals_reference(n: int, k: int, share: float, device: torch.device) -> None:
    distances, perplexity = random_distances(n, k), 1 + share * (k - 1)
    weights, beta = ops.perplexity(torch.from_numpy(distances).to(device), perplexity)
    assert (weights.dtype, beta.dtype) == (torch.float32, torch.float32)
    assert (weights.shape, beta.shape) == ((n, k), (n,))
    assert weights.device.type == beta.device.type == device.type
    expected_weights, expected_beta = reference.perplexity(distances, perplexity)
    np.testing.assert_allclose(beta.cpu(), expected_beta, rtol=1e-5)
    assert_weights_equal_reference(weights, expected_weights)


@pytest.mark.parametrize("scale", [1e-15, 1e15, 1e30])
def test_any_scale(scale: float, device: torch.device) -> None:
    distances = random_distances(40, 17, scale)
    weights, beta = ops.perplexity(torch.from_numpy(distances).to(device), 6)
    expected_weights, expected_beta = reference.perplexity(distances, 6)
    assert_weights_equal_reference(weights, expected_weights)
    # beta goes with 1 / scale^2: at 1e30 it lies below the smallest float32, 1e-45, and is zero.
    np.testing.assert_allclose(beta.cpu(), expected_beta, rtol=1e-5, atol=1e-45)


@pytest.mark.parametrize("perplexity", [1.5, 5, 12.5])
def test_entropy_and_sum(perplexity: float, device: torch.device) -> None:
    distances = torch.from_numpy(random_distances(300, 20)).to(device)
    weights = ops.perplexity(distances, perplexity)[0].double()
    np.testing.assert_allclose(weights.sum(1).cpu(), 1.0, rtol=1e-6)
    entropy = torch.special.entr(weights).sum(1) / np.log(2)
    np.testing.assert_allclose(entropy.cpu(), np.log2(perplexity), rtol=1e-5)


def test_close_distances_keep_their_digits(device: torch.device) -> None:
    # Two nearest a few units in the last place apart: only beta beyond 1e5 tells them apart.
    rng = np.random.default_rng(4)
    distances = (1.5 + rng.random((200, 5))).astype(np.float32)
    distances[:, 1] = 1.25
    distances[:, 3] = 1.25 + 2.0**-23 * rng.integers(3, 40, 200)
    weights, beta = ops.perplexity(torch.from_numpy(distances).to(device), 1.7)
    expected_weights, expected_beta = reference.perplexity(distances, 1.7)
    np.testing.assert_allclose(beta.cpu(), expected_beta, rtol=1e-5)
    assert_weights_equal_reference(weights, expected_weights)


def test_perplexity_one_takes_the_nearest(device: torch.device) -> None:
    distances = random_distances(30, 8)
    weights, beta = ops.perplexity(torch.from_numpy(distances).to(device), 1)
    assert torch.equal(weights.argmax(1).cpu(), torch.from_numpy(distances).argmin(1))
    # The width is a thousandth of the root mean square, not none.
    assert bool(torch.isfinite(beta).all())
    assert_weights_equal_reference(weights, reference.perplexity(distances, 1)[0])


def test_ties_share_a_row(device: torch.device) -> None:
    distances = random_distances(40, 8)
    distances[:20, :4] = 0  # four at the smallest distance: the entropy is 2 bits or more
    distances[20:, 2:6] = distances[20:].min(axis=1, keepdims=True)
    weights, beta = ops.perplexity(torch.from_numpy(distances).to(device), 3)
    expected = np.zeros_like(distances)
    expected[:20, :4] = 0.25
    expected[20:][distances[20:] == distances[20:].min(axis=1, keepdims=True)] = 1.0
    expected /= expected.sum(axis=1, keepdims=True)
    assert_weights_equal_reference(weights, expected)
    assert bool(torch.isfinite(beta).all())


@pytest.mark.parametrize("value", [0.0, 2.5, 1e30])
def test_equal_distances(value: float, device: torch.device) -> None:
    weights, beta = ops.perplexity(torch.full((18, 5), value, device=device), 3)
    np.testing.assert_allclose(weights.cpu(), 0.2, rtol=1e-6)
    assert bool(torch.isfinite(beta).all())


def test_empty(device: torch.device) -> None:
    weights, beta = ops.perplexity(torch.empty((0, 3), device=device), 2)
    assert (weights.shape, beta.shape) == ((0, 3), (0,))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.double(),
        lambda d: d.T.contiguous().T,
        lambda d: torch.stack((d, d), 2)[:, :, 0],
        lambda d: d.clone().requires_grad_(),
    ],
    ids=["float64", "transposed", "strided", "requires_grad"],
)
def test_any_layout(change: Callable[[torch.Tensor], torch.Tensor], device: torch.device) -> None:
    distances = torch.from_numpy(random_distances(40, 7)).to(device)
    expected = ops.perplexity(distances, 3)
    result = ops.perplexity(change(distances), 3)
    assert all(torch.equal(a, b) for a, b in zip(result, expected, strict=True))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_numpy_input(dtype: str) -> None:
    distances = random_distances(20, 6).astype(dtype)
    before = distances.copy()
    distances.flags.writeable = False
    weights, _ = ops.perplexity(distances, 3)
    assert_weights_equal_reference(weights, reference.perplexity(before, 3)[0])
    np.testing.assert_array_equal(distances, before)


@pytest.mark.parametrize("shape", [(5000, 5), (2049, 17)])
def test_threads_do_not_matter(
    shape: tuple[int, int], assert_same_bits: Callable[[Any], None]
) -> None:
    distances = torch.from_numpy(random_distances(*shape))
    before = distances.clone()
    assert_same_bits(lambda: ops.perplexity(distances, 3))
    assert torch.equal(distances, before)


@pytest.mark.parametrize(
    ("distances", "perplexity", "error", "message"),
    [
        (np.ones(3), 2, ValueError, r"distances must have 2 dimensions.*\(3,\)"),
        ([[1.0, 2.0, -1.0]], 2, ValueError, r"distances must be .*-1.0 at \[0, 2\]"),
        ([[1.0, 2.0, np.nan]], 2, ValueError, r"distances must be .*nan at \[0, 2\]"),
        ([[1.0, 2.0, -np.inf]], 2, ValueError, r"distances must be .*-inf at \[0, 2\]"),
        (np.ones((2, 3)), 3, ValueError, r"perplexity must lie in \[1, k\), k = 3.*not 3"),
        (np.ones((2, 3)), 0.5, ValueError, r"perplexity must lie in \[1, k\)"),
        (np.ones((2, 1)), 1, ValueError, r"perplexity must lie in \[1, k\), k = 1"),
        (np.ones((2, 0)), 1, ValueError, r"perplexity must lie in \[1, k\), k = 0"),
        (np.ones((2, 3)), -1, ValueError, "perplexity"),
        (np.ones((2, 3)), np.nan, ValueError, "perplexity"),
        (np.ones((2, 3)), "2", TypeError, "perplexity"),
    ],
)
def test_bad_input(distances: Any, perplexity: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ops.perplexity(distances, perplexity)
