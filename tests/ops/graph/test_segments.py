"""Gram matrices and small products within segments of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference

# A piece of a segment is 4096 rows.
SIZES = [[1], [5], [4096], [4097, 1, 3], [3, 10_000, 8192, 2, 1]]


def columns(rows: int, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([rows, count, seed]).standard_normal((rows, count))


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(("p", "q"), [(1, 1), (8, 8), (3, 17)])
def test_equals_reference(sizes: list[int], p: int, q: int, device: torch.device) -> None:
    x, y = columns(sum(sizes), p), columns(sum(sizes), q, 1)
    segments = ops.Segments(sizes, device)
    found = segments.gram(*(torch.from_numpy(part).to(device) for part in (x, y)))
    # Sums of up to 10,000 terms of about 1.
    np.testing.assert_allclose(
        found.cpu(), reference.segment_gram(x, y, np.array(sizes)), rtol=1e-10, atol=1e-10
    )
    matrices = columns(len(sizes) * p, q, 2).reshape(len(sizes), p, q)
    moved = segments.matmul(torch.from_numpy(x).to(device), torch.from_numpy(matrices))
    np.testing.assert_allclose(
        moved.cpu(), reference.segment_matmul(x, matrices, np.array(sizes)), rtol=1e-10, atol=1e-12
    )


def test_threads_do_not_matter(assert_same_bits: Callable[[Any], None]) -> None:
    segments = ops.Segments([30_000, 7, 9_000])
    x = torch.from_numpy(columns(39_007, 8))
    matrices = torch.from_numpy(columns(24, 5)).reshape(3, 8, 5)
    assert_same_bits(lambda: (segments.gram(x, x), segments.matmul(x, matrices)))


def test_no_columns_and_no_segments(device: torch.device) -> None:
    x = torch.ones((3, 2), dtype=torch.float64, device=device)
    assert ops.Segments([3], device).gram(x, x[:, :0]).shape == (1, 2, 0)
    assert ops.Segments([], device).gram(x[:0], x[:0]).shape == (0, 2, 2)


def test_bad_input() -> None:
    for sizes in ([0], [3, -1], [[1]]):
        with pytest.raises(ValueError, match=r"sizes must (hold positive|lie in|have 1 dim)"):
            ops.Segments(sizes)
    segments, x = ops.Segments([2, 1]), torch.ones((3, 2))
    for wrong in (torch.ones(3), torch.ones((2, 2))):
        with pytest.raises(ValueError, match="y must have 3 rows, not shape"):
            segments.gram(x, wrong)
    with pytest.raises(ValueError, match=r"matrices must have shape \(2, 2, q\), not \(1, 2, 2\)"):
        segments.matmul(x, torch.ones((1, 2, 2)))
    with pytest.raises(ValueError, match="one device, not segments on cpu, x on meta"):
        segments.gram(torch.ones((3, 2), device="meta"), x)
