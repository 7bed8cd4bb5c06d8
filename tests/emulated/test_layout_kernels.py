"""The layout's kernels on the host, by their own source, against the CPU's loops."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fastparadime import ops
from fastparadime.ops.layout import _many_points

A, B = 1.577, 0.8951
Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def layout(emulated: Callable[[str, str], ctypes.CDLL]) -> Callable[..., Floats]:
    library = emulated("layout", "layout/sgd_layout.cu")
    pointer, number, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
    library.layout_scratch.restype = ctypes.c_size_t
    library.layout_scratch.argtypes = [number, number, ctypes.c_int]
    library.layout.restype = ctypes.c_char_p
    library.layout.argtypes = [
        *[pointer] * 8, number, number, number, ctypes.c_int, ctypes.c_int, number, number, number,
        real, real, ctypes.c_uint64, real, real, pointer, pointer, real, ctypes.c_bool,
        ctypes.c_uint32, ctypes.c_int, pointer,
    ]  # fmt: skip

    def call(
        start: Floats, edges: ops.Edges, n_epochs: int, parts: int, calls: list[int],
        *, negatives: int = 5, anchors: Floats | None = None,
        pulls: tuple[Floats, float] | None = None,
    ) -> Floats:  # fmt: skip
        """Positions after epochs that are cut into calls, with a learning rate of 0.1 and seed 7."""
        n, dim = start.shape
        indptr, tails, weights = (part.numpy() for part in (edges[0], edges[2], edges[3]))
        positions, following = start.copy(), np.full_like(start, np.nan)
        size = library.layout_scratch(n, len(tails), parts)
        scratch = np.full(size // 8 + 1, -1, np.int64)
        streams, sampled = np.arange(n, dtype=np.uint32), np.zeros(len(tails), np.float32)
        fixed, largest = anchors is not None, float(weights.max(initial=0.0)) or 1.0
        shares = _many_points.narrow_shares(edges.weights, largest, n, fixed=fixed)
        for first, last in zip([0, *calls], [*calls, n_epochs], strict=True):
            failure = library.layout(
                positions.ctypes.data, following.ctypes.data, scratch.ctypes.data,
                None if anchors is None else anchors.ctypes.data, indptr.ctypes.data,
                tails.ctypes.data, weights.ctypes.data, streams.ctypes.data, n, dim,
                n if anchors is None else len(anchors), negatives, parts, first, last, n_epochs,
                0.1, largest, 7, A, B,
                None if pulls is None else pulls[0].ctypes.data, sampled.ctypes.data,
                0.0 if pulls is None else pulls[1], first > 0,
                *_many_points.windows_of(n, fixed=fixed),
                None if shares is None else shares.data_ptr(),
            )  # fmt: skip
            assert failure is None
        return positions

    return call


def graph(n: int, k: int, *, hub: bool = False) -> ops.Edges:
    """Of random neighbours, to which a hub adds point 0 for all."""
    rng = np.random.default_rng([n, k, hub])
    indices = np.stack([rng.choice(n - 1, k, replace=False) for _ in range(n)])
    indices += indices >= np.arange(n)[:, None]
    without = ~(indices == 0).any(axis=1) & (np.arange(n) > 0)
    if hub:
        indices[without, 0] = 0
    return ops.symmetrize(indices, rng.random((n, k)).astype(np.float32))


def positions(n: int, dim: int) -> Floats:
    return np.random.default_rng([n, dim]).normal(size=(n, dim), scale=3).astype(np.float32)


def on_cpu(start: Floats, edges: ops.Edges, n_epochs: int, parts: int, **options: Any) -> Floats:
    return ops.sgd_layout(
        start, edges, A, B, n_epochs, steps_per_epoch=parts, learning_rate=0.1, seed=7, **options
    ).numpy()


@pytest.mark.parametrize("dim", [1, 2, 3, 4, 5, 40])
@pytest.mark.parametrize(("n", "k", "hub", "parts"), [(3, 1, False, 2), (150, 6, True, 3)])
def test_equals_the_cpu(
    layout: Callable[..., Floats], n: int, k: int, hub: bool, parts: int, dim: int
) -> None:
    start, edges = positions(n, dim), graph(n, k, hub=hub)
    found, wanted = layout(start, edges, 3, parts, []), on_cpu(start, edges, 3, parts)
    assert np.abs(wanted - start).max() > 0.01
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-5)


@pytest.mark.parametrize("negatives", [0, 2, 5, 12])
def test_negatives(layout: Callable[..., Floats], negatives: int) -> None:
    start, edges = positions(70, 2), graph(70, 4)
    found = layout(start, edges, 2, 2, [], negatives=negatives)
    wanted = on_cpu(start, edges, 2, 2, negative_sample_rate=negatives)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-5)


@pytest.mark.parametrize("dim", [2, 3, 7])
def test_negatives_from_windows(
    layout: Callable[..., Floats], dim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_MANY_POINTS", 20), ("_WINDOW", 16), ("_WINDOW_HEADS_LOG2", 3)):
        monkeypatch.setattr(_many_points, name, value)
    start, edges = positions(150, dim), graph(150, 4)
    found = layout(start, edges, 3, 2, [], negatives=12)
    wanted = on_cpu(start, edges, 3, 2, negative_sample_rate=12)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-5)


def test_calls_do_not_matter(layout: Callable[..., Floats]) -> None:
    start, edges = positions(100, 2), graph(100, 5)
    whole = layout(start, edges, 5, 3, [])
    np.testing.assert_array_equal(layout(start, edges, 5, 3, [2, 3]), whole)


@pytest.mark.parametrize("dim", [2, 7])
def test_anchors(layout: Callable[..., Floats], dim: int) -> None:
    rng = np.random.default_rng(3)
    start, anchors = positions(40, dim), positions(90, dim)
    tails = rng.integers(0, 90, 40 * 3).astype(np.int32)
    weights = rng.random(40 * 3).astype(np.float32)
    heads = np.repeat(np.arange(40, dtype=np.int32), 3)
    parts = (np.arange(0, 40 * 3 + 1, 3), heads, tails, weights)
    edges = ops.Edges(*(torch.from_numpy(part) for part in parts))
    found = layout(start, edges, 4, 1, [], anchors=anchors)
    np.testing.assert_allclose(
        found, on_cpu(start, edges, 4, 1, anchors=anchors), rtol=0, atol=2e-5
    )


@pytest.mark.parametrize("dim", [2, 6])
def test_density(layout: Callable[..., Floats], dim: int) -> None:
    start, edges = positions(80, dim), graph(80, 5)
    radii = np.random.default_rng(4).random(80).astype(np.float32)
    term = ops.DensityTerm(edges, radii, A, B)
    pulls, gain = term.pulls(torch.from_numpy(start))
    found = layout(start, edges, 1, 2, [], pulls=(pulls.numpy(), gain))
    wanted = on_cpu(start, edges, 1, 2, density=term, density_epochs=1)
    assert np.abs(wanted - on_cpu(start, edges, 1, 2)).max() > 1e-3
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-5)
