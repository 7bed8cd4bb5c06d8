"""What a layout does otherwise where no cache holds the positions, and memory may not hold the graph."""

from __future__ import annotations

import torch

from fastparadime.utils import disk

_MANY_POINTS = 1_000_000
# Beyond so many, heads in a row draw negatives from the same windows of points in a row.
_WINDOW, _WINDOW_HEADS_LOG2 = 2**13, 15
_WHOLE = 2**16  # parts of a share
_BLOCK = 2**20  # edges whose shares are computed at once


def windows_of(n: int, *, fixed: bool) -> tuple[int, int]:
    """Points of a window that negatives are drawn from, or 0, and the log2 of heads that share it.

    Fixed tails have none: where a row is among those that are placed is not to matter.
    """
    return (_WINDOW, _WINDOW_HEADS_LOG2) if _are_many(n, fixed) else (0, 0)


def narrow_shares(
    weights: torch.Tensor, largest: float, n: int, *, fixed: bool
) -> torch.Tensor | None:
    """Samples of each edge an epoch in 65,536ths, uint16 (edges,); None for fewer points.

    Epochs read them instead of the weights, half as many bytes. The largest number stands for one.
    """
    if not _are_many(n, fixed):
        return None
    shares = disk.empty_like(weights, torch.uint16)
    for begin in range(0, len(weights), _BLOCK):
        some = slice(begin, begin + _BLOCK)
        parts = (weights[some] / largest).mul_(_WHOLE).round_().clamp_(max=_WHOLE - 1)
        shares[some] = parts.int().to(torch.uint16)
    return shares


def _are_many(n: int, fixed: bool) -> bool:
    return n > _MANY_POINTS and not fixed
