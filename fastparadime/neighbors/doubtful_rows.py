"""Rows whose neighbours products may have lost: which they are, and how they are searched again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch

from fastparadime import ops
from fastparadime.neighbors.blocks import SPARE
from fastparadime.neighbors.read_rows import Rows
from fastparadime.neighbors.tree import TreeSearch

CANCELLED = 1e-4  # of the largest squared norm, below which products lose a squared distance
_NOTHING = 1e-30  # of a squared norm in float32
_SMALLEST = 1e-20  # of a mean square, that keeps its digits beside it in float32
_EXTREME = 126  # power of two up to which float32 holds a factor and its inverse
SHOWN_ROWS = 1024  # rows that show where the data lies
_ROWS = 8192  # whose norms are taken at a time
_CENTRES = 8  # that rows in doubt are searched from at the most
_BLOCK_BYTES = 64 * 2**20  # of distances or candidates held at a time
_AT_ONCE = 2e10  # coordinates compared on the CPU between two looks for Ctrl-C
_BUSY_ROWS, _MOST_PARTS, _PART_ROWS = 25_000, 16, 4096  # of a GPU; parts of a table, and their rows

# Neighbours and distances (m, k) of some rows, and which of these are in doubt.
Found: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def near_origin_centre(X: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean or the median of some rows, float32 (d,), and their root mean squared distance from it.

    Whichever is nearer to the usual row: few rows far out move a mean away from all others. If they
    are so far that squares in float32 hold either them or the others, it is the mean all the same.
    """
    some = X[:: -(-len(X) // SHOWN_ROWS)].double()
    mean, median = some.mean(dim=0), some.median(dim=0).values
    squares = [(some - centre).square().sum(dim=1) for centre in (mean, median)]
    usual, spread = squares[1].median(), squares[1].mean()
    if usual < squares[0].median() and usual > _SMALLEST * spread:
        return median.float(), spread.sqrt()
    return mean.float(), squares[0].mean().sqrt()


def scale_of(spread: torch.Tensor) -> float:
    """A power of two that brings distances of such a root mean square near 1, within float32.

    Norms are squared in float32, and data may be of any size. Rows may be nearer to each other
    than the least of float32's normal numbers.
    """
    if not spread > 0:
        return 1.0
    return float(2.0 ** -max(-_EXTREME, min(round(torch.log2(spread).item()), _EXTREME)))


def cancelled(distances: torch.Tensor, norms: torch.Tensor, scale: float) -> torch.Tensor:
    """Which rows have their k-th neighbour so near that products may have lost it."""
    reach = (distances[:, -1].double() * scale).square()
    # Where k rows are equal to a point, none is nearer. Squares of next to nothing have no digits.
    return (reach > 0) & ((reach < CANCELLED * norms) | (norms < _NOTHING))


def norms_of(X: Rows, rows: torch.Tensor, centre: torch.Tensor, scale: float) -> torch.Tensor:
    parts = [((X[part] - centre) * scale).square().sum(dim=1) for part in rows.split(_ROWS)]
    return torch.cat(parts)


def solve_nearer(
    X: Rows,
    rows: torch.Tensor,
    found: tuple[torch.Tensor, torch.Tensor],
    doubtful: torch.Tensor,
    search: Callable[[torch.Tensor, torch.Tensor, float], Found],
) -> torch.Tensor:
    """Searches rows in doubt again from centres of their own; those that are in doubt still.

    Parameters
    ----------
    X : float32 tensor (n, d)
    rows : int64 tensor (m,)
    found : (int32 tensor (m, k), float32 tensor (m, k))
        Neighbours and distances of `rows`, which take what is found.
    doubtful : int64 tensor
        Places in `rows`.
    search : callable (points, centre, scale) -> neighbours, distances, bool tensor
        By products around a centre, times a scale, and which of the points are in doubt still.
    """
    indices, distances = found
    for _ in range(_CENTRES):
        points = rows[doubtful]
        centre, spread = near_origin_centre(X[points[:: -(-len(points) // SHOWN_ROWS)]])
        scale = scale_of(spread)
        norms = norms_of(X, points, centre, scale)
        if 2 * int(cancelled(distances[doubtful], norms, scale).sum()) > len(doubtful):
            break
        indices[doubtful], distances[doubtful], doubts = search(points, centre, scale)
        before, doubtful = len(doubtful), doubtful[doubts]
        if 2 * len(doubtful) > before or not len(doubtful):
            break
    return doubtful


def differing_rows(
    X: torch.Tensor, rows: torch.Tensor, k: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Neighbours of some rows from the differences of coordinates, which cancel no digits.

    Parameters
    ----------
    X : float32 tensor (n, d)
    rows : int64 tensor (m,)
    k : int

    Returns
    -------
    indices, distances : int32 and float32 tensors (m, k)
    """
    count = min(len(X), k + 1 + SPARE)
    found = []
    for chunk in rows.split(max(1, _differing_at_once(X, count))):
        if count <= ops.MOST_CANDIDATES:
            parts = _parts(X, len(chunk))
            candidates = ops.nearest_by_differences(X, chunk, count, parts=parts)[0].flatten(1)
        else:
            block = torch.cdist(X[chunk], X, compute_mode="donot_use_mm_for_euclid_dist")
            candidates = block.topk(count, dim=1, largest=False).indices
        found.append(ops.rerank(X, candidates, k, points=chunk))
    indices, distances = (torch.cat(parts) for parts in zip(*found, strict=True))
    return indices, distances


def _differing_at_once(X: torch.Tensor, count: int) -> int:
    """Rows that are compared with all by differences at a time."""
    if count > ops.MOST_CANDIDATES:
        return _BLOCK_BYTES // (4 * len(X))
    if X.is_cuda:
        return _BLOCK_BYTES // (8 * _MOST_PARTS * ops.candidate_width(count))
    return int(_AT_ONCE / X.numel())


def _parts(X: torch.Tensor, rows: int) -> int:
    """Parts of the table that keep a GPU busy where there are few rows."""
    if not X.is_cuda:
        return 1
    return max(1, min(_MOST_PARTS, _BUSY_ROWS // rows, len(X) // _PART_ROWS))


def rows_by_tree(X: torch.Tensor, rows: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Neighbours and distances of many rows, on the CPU, by a tree."""
    return TreeSearch(X, k).of_rows(rows)
