"""The kernels of anchors on the host, by their own source, against the CPU's loops."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import ops

Emulated = Callable[[str, str], ctypes.CDLL]

# A block has 256 threads: fewer anchors than that, as many, and some for a second turn.
SHAPES = [(1, 1, 1), (3, 5, 2), (2, 256, 3), (4, 300, 2), (2, 40, 300)]


def drawn(rows: int, anchors: int, dim: int) -> list[np.ndarray]:
    rng = np.random.default_rng([rows, anchors, dim])
    parts = (
        3 * rng.normal(size=(rows, anchors)),
        rng.normal(size=(rows, dim)) / dim**0.5,
        rng.normal(size=(anchors, dim)) / dim**0.5,
        rng.uniform(0.2, 0.5, anchors),
    )
    return [part.astype(np.float32) for part in parts]


@pytest.fixture(scope="module")
def anchor_loss(emulated: Emulated) -> Callable[..., tuple[Any, Any]]:
    library = emulated("anchor_loss", "training/anchor_loss.cu")
    library.anchor_loss.restype = ctypes.c_char_p
    library.anchor_loss.argtypes = [*[ctypes.c_void_p] * 7, *[ctypes.c_int64] * 3]

    def call(scores: Any, positions: Any, anchors: Any, reaches: Any) -> tuple[Any, Any]:
        (rows, count), dim = scores.shape, positions.shape[1]
        loss, gradient = np.full(1, -1, np.float32), np.full_like(scores, -1)
        parts = (loss, gradient, np.empty(rows), scores, positions, anchors.T.copy(), reaches)
        addresses = [part.ctypes.data for part in parts]
        assert library.anchor_loss(*addresses, rows, count, dim) is None
        return loss[0], gradient

    return call


@pytest.fixture(scope="module")
def anchor_modes(emulated: Emulated) -> Callable[..., Any]:
    library = emulated("anchor_modes", "training/anchor_modes.cu")
    library.anchor_modes.restype = ctypes.c_char_p
    library.anchor_modes.argtypes = [*[ctypes.c_void_p] * 5, *[ctypes.c_int64] * 3]

    def call(scores: Any, anchors: Any, windows: Any) -> Any:
        (rows, count), dim = scores.shape, anchors.shape[1]
        modes, moves = (np.full((rows, dim), np.nan, np.float32) for _ in range(2))
        parts = (modes, moves, scores, anchors.T.copy(), windows)
        addresses = [part.ctypes.data for part in parts]
        assert library.anchor_modes(*addresses, rows, count, dim) is None
        return modes

    return call


@pytest.mark.parametrize(("rows", "anchors", "dim"), SHAPES)
def test_the_loss_is_the_cpus(
    anchor_loss: Callable[..., tuple[Any, Any]], rows: int, anchors: int, dim: int
) -> None:
    batch = drawn(rows, anchors, dim)
    loss, gradient = anchor_loss(*batch)
    expected = ops.anchor_gradients(*batch)
    np.testing.assert_allclose(loss, expected[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("rows", "anchors", "dim"), SHAPES)
def test_modes_are_the_cpus(
    anchor_modes: Callable[..., Any], rows: int, anchors: int, dim: int
) -> None:
    scores, _, places, windows = drawn(rows, anchors, dim)
    expected = ops.anchor_modes(scores, places, windows)
    np.testing.assert_allclose(
        anchor_modes(scores, places, windows), expected, rtol=1e-5, atol=2e-6
    )


def test_what_is_no_number_is_seen(
    anchor_loss: Callable[..., tuple[Any, Any]], anchor_modes: Callable[..., Any]
) -> None:
    scores, positions, places, windows = drawn(3, 300, 2)
    lost = positions.copy()
    lost[1] = np.nan
    assert not np.isfinite(anchor_loss(scores, lost, places, windows)[0])
    scores[2, 280] = np.inf
    assert not np.isfinite(anchor_loss(scores, positions, places, windows)[0])
    assert torch.equal(
        torch.from_numpy(np.isfinite(anchor_modes(scores, places, windows))[:, 0]),
        torch.tensor([True, True, False]),
    )
