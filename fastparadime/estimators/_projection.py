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
_SOME = 2048  # rows that the subspace is fitted to
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
    basis: torch.Tensor  # (d, columns - 1), orthonormal
    n: int
    table: ops.ProductTable  # of (n, columns)
    largest: float  # squared norm

    @classmethod
    def of(cls, rows: torch.Tensor, mean: torch.Tensor, scale: float) -> Projection | None:
        """The projection to the principal subspace of some rows, where it is worth its work."""
        n, d = rows.shape
        if n < _FROM_POINTS or d < _FROM_COLUMNS:
            return None
        some = (rows[:: -(-n // _SOME)] - mean) * scale
        _, vectors = torch.linalg.eigh(some.T @ some)
        basis = vectors[:, -(_COLUMNS - 1) :].contiguous()
        projected, largest = torch.empty((n, _COLUMNS)), 0.0
        for start in range(0, n, _ROWS):
            part = slice(start, start + _ROWS)
            norms = _project((rows[part] - mean) * scale, basis, projected[part])
            largest = max(largest, float(norms.max()))
        return cls(mean, scale, basis, n, ops.ProductTable(projected), largest)

    def counts(self, k: int) -> Iterator[int]:
        """How many candidates to look at in turn, until those of all queries are proven."""
        count = _CANDIDATES * k + _MORE
        while count <= self.n // _SHARE:
            yield count
            count *= _GROWTH

    def candidates(
        self, queries: torch.Tensor, count: int, within: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows of the smallest bounds (m, count), those within (m,) alone, and the bounds.

        Bounds are of squared distances of scaled rows, ascending, infinite where there are no more
        rows; none that is left out has one below the last.
        """
        points = torch.empty((len(queries), _COLUMNS))
        norms = _project((queries - self.mean) * self.scale, self.basis, points)
        rounding = _ROUNDING * (norms + self.largest)
        indices, squares = self.table.nearest_to(points, count, within=within + rounding)
        return indices, squares - rounding[:, None]


def _project(rows: torch.Tensor, basis: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Writes coordinates and the length of what they leave; the squared norms of the rows."""
    norms: torch.Tensor = torch.linalg.vector_norm(rows, dim=1).square_()
    inside = rows @ basis
    out[:, :-1] = inside
    out[:, -1] = (norms - inside.square_().sum(dim=1)).clamp_min_(0.0).sqrt_()
    return norms
