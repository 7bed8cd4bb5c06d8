"""Lower bounds of distances in few dimensions, which spare most of the products of a search."""

from __future__ import annotations

from dataclasses import dataclass

import torch

_COLUMNS = 128  # of the projected rows, the last one the length of what is left
_FROM_POINTS, _FROM_COLUMNS = 10_000, 512  # where the search is faster by it
_CANDIDATES = 8  # times k that are looked at, and some more
_MORE = 128
_ROUNDING = 1e-5  # of the squared norms, by which float32 bounds may be off


@dataclass(frozen=True)
class Projection:
    """Rows in the coordinates of a subspace, and the length of what lies outside of it.

    By the triangle inequality, distances of such rows are never larger than the true ones.
    """

    basis: torch.Tensor  # (d, columns - 1), orthonormal
    rows: torch.Tensor  # (n, columns)
    norms: torch.Tensor  # (n,) squared, those of the rows themselves

    @classmethod
    def of(cls, table: torch.Tensor, some: torch.Tensor, norms: torch.Tensor) -> Projection | None:
        """The projection to the principal subspace of some rows, where it is worth its work."""
        n, d = table.shape
        if n < _FROM_POINTS or d < _FROM_COLUMNS:
            return None
        _, vectors = torch.linalg.eigh(some.T @ some)
        basis = vectors[:, -(_COLUMNS - 1) :].contiguous()
        return cls(basis, _projected(table, basis, norms), norms)

    def is_worthwhile(self, k: int) -> bool:
        return _CANDIDATES * k + _MORE <= len(self.rows) // 8

    def candidates(self, queries: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows of the smallest bounds (m, count), and a squared distance (m,) of all others."""
        norms = queries.square().sum(dim=1)
        points = _projected(queries, self.basis, norms)
        scores = torch.addmm(self.norms, points, self.rows.T, alpha=-2.0)
        count = _CANDIDATES * k + _MORE
        found = scores.topk(count, dim=1, largest=False)
        rounding = _ROUNDING * (norms + self.norms.max())
        return found.indices, found.values[:, -1] + norms - rounding


def _projected(rows: torch.Tensor, basis: torch.Tensor, norms: torch.Tensor) -> torch.Tensor:
    inside = rows @ basis
    left = (norms - inside.square().sum(dim=1)).clamp_min(0.0).sqrt()
    return torch.cat([inside, left[:, None]], dim=1)
