"""Lower bounds of distances in few dimensions, which spare most of the products of a search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from fastparadime import ops

_COLUMNS = 128  # of the projected rows, the last one the length of what is left
_FROM_POINTS, _FROM_COLUMNS = 10_000, 512  # where the search is faster by it
_CANDIDATES = 8  # times k that are looked at first, and some more
_MORE = 128
_GROWTH = 5  # of these, for queries that they leave unproven
_SHARE = 8  # of the rows, of which so many are too many to look at
_EACH = 32  # row is a sample of how near those are that are looked at,
_MARGIN = 3  # as near as so many times their number
_SOME = 2048  # rows that the subspace is fitted to
_POWER_STEPS = 2  # by that, from as many random directions and _MORE_DIRECTIONS
_MORE_DIRECTIONS = 33
_ROWS = 1024  # projected at a time: temporaries stay in the cache
_ROUNDING = 1e-5  # of the squared norms, by which float32 bounds may be off


@dataclass(frozen=True)
class Projection:
    """Rows in the coordinates of a subspace, and the length of what lies outside of it.

    By the triangle inequality, distances of such rows are never larger than the true ones. Rows are
    taken as (row - mean) * scale.
    """

    mean: torch.Tensor  # (d,)
    scale: float
    basis: torch.Tensor  # (d, columns), orthonormal but for the last column of zeros
    n: int
    table: ops.ProductTable  # of (n, columns)
    sample: ops.ProductTable  # of some of these
    largest: float  # squared norm

    @classmethod
    def of(cls, rows: torch.Tensor, mean: torch.Tensor, scale: float) -> Projection | None:
        """The projection to the principal subspace of some rows, where it is worth its work."""
        n, d = rows.shape
        if n < _FROM_POINTS or d < _FROM_COLUMNS:
            return None
        some = (rows[:: -(-n // _SOME)] - mean) * scale
        basis = torch.zeros((d, _COLUMNS))
        basis[:, :-1] = _principal(some, _COLUMNS - 1)
        projected, largest = torch.empty((n, _COLUMNS)), 0.0
        for start in range(0, n, _ROWS):
            part = slice(start, start + _ROWS)
            norms = _project((rows[part] - mean) * scale, basis, projected[part])
            largest = max(largest, float(norms.max()))
        table, sample = ops.ProductTable(projected), ops.ProductTable(projected[::_EACH])
        return cls(mean, scale, basis, n, table, sample, largest)

    def counts(self, k: int) -> Iterator[int]:
        """How many candidates to look at in turn, until those of all queries are proven."""
        count = _CANDIDATES * k + _MORE
        while count <= self.n // _SHARE:
            yield count
            count *= _GROWTH

    def candidates(
        self, queries: torch.Tensor, count: int, within: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows of the smallest bounds (m, count), -1 where there are fewer, and the bounds.

        Bounds are of squared distances of scaled rows, ascending; of rows within `within` (m,),
        none that is left out has a bound below the last. Without it, rows of about that number are
        looked at.
        """
        points = torch.empty((len(queries), _COLUMNS))
        norms = _project((queries - self.mean) * self.scale, self.basis, points)
        rounding = _ROUNDING * (norms + self.largest)
        if within is not None:
            indices, squares = self.table.nearest_to(points, count, within=within + rounding)
        else:
            likely = self.sample.nearest_to(points, -(-_MARGIN * count // _EACH))[1][:, -1]
            indices, squares = self.table.nearest_to(points, count, within=likely)
            squares = torch.minimum(squares, likely[:, None])
        return indices, squares - rounding[:, None]


def _project(rows: torch.Tensor, basis: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Writes coordinates and the length of what they leave; the squared norms of the rows."""
    norms: torch.Tensor = torch.linalg.vector_norm(rows, dim=1).square_()
    torch.mm(rows, basis, out=out)
    inside = torch.linalg.vector_norm(out, dim=1).square_()
    out[:, -1] = (norms - inside).clamp_min_(0.0).sqrt_()
    return norms


def _principal(rows: torch.Tensor, count: int) -> torch.Tensor:
    """About the leading principal directions (d, count) of rows around 0.

    Halko, Martinsson and Tropp, SIAM Review 2011, algorithms 4.4 and 5.1. Eigenvectors of all
    columns take their third power: 12 s for 5,000. Bounds hold in any subspace.
    """
    generator = torch.Generator().manual_seed(0)
    basis = torch.randn((rows.shape[1], count + _MORE_DIRECTIONS), generator=generator)
    for _ in range(_POWER_STEPS):
        basis = torch.linalg.qr(rows.T @ (rows @ basis)).Q
    scores = rows @ basis
    _, vectors = torch.linalg.eigh(scores.T @ scores)
    directions: torch.Tensor = basis @ vectors[:, -count:]
    return directions
