"""A map that stays put while rows are added: points held where they were, and how far they moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from fastparadime import ops
from fastparadime.neighbors import knn
from fastparadime.utils.convert import to_numpy

_NEIGHBORS, _KEPT = 15, 10  # of a map, and how many of them a point keeps that stayed among its own
_BLOCK = 65_536  # rows that are compared at a time


@dataclass(frozen=True)
class Drift:
    """How far the rows of a map moved when others came.

    Attributes
    ----------
    median, upper : float
        The median and the 95th percentile of the rows' movements, as shares of the map's span, the
        longer side of the box around it.
    kept : float
        The share of rows that kept at least 10 of their 15 nearest rows in the map.
    rows : int
        Rows that had a position before.
    """

    median: float
    upper: float
    kept: float
    rows: int

    def __repr__(self) -> str:
        return (
            f"Drift(median={self.median:.2%}, upper={self.upper:.2%}, kept={self.kept:.1%}, "
            f"rows={self.rows})"
        )

    @classmethod
    def between(cls, before: torch.Tensor, after: torch.Tensor) -> Drift:
        """The drift of rows by their positions (n, dim) before and after; those with NaN are left out."""
        known = before.isfinite().all(dim=1) & after.isfinite().all(dim=1)
        before, after = before[known].float().cpu(), after[known].float().cpu()
        n = len(before)
        if n == 0:
            return cls(0.0, 0.0, 1.0, 0)
        span = span_of(before)
        moved = (after - before).norm(dim=1) / (span if span > 0 else 1.0)
        median, upper = np.quantile(to_numpy(moved), [0.5, 0.95]).tolist()
        return cls(median, upper, _kept_neighbors(before, after), n)


def span_of(positions: torch.Tensor) -> float:
    """The longer side of the box around positions (n, dim), those that are known."""
    known = positions[positions.isfinite().all(dim=1)]
    return float((known.amax(dim=0) - known.amin(dim=0)).max()) if len(known) else 0.0


def _kept_neighbors(before: torch.Tensor, after: torch.Tensor) -> float:
    k = min(_NEIGHBORS, len(before) - 1)
    if k < 1:
        return 1.0
    first, second = (knn(table, k, recall=1.0).indices.long() for table in (before, after))
    pairs = zip(first.split(_BLOCK), second.split(_BLOCK), strict=True)
    common = [(a[:, :, None] == b[:, None]).any(dim=2).sum(dim=1) for a, b in pairs]
    return float((torch.cat(common) >= _KEPT * k / _NEIGHBORS).double().mean())


@dataclass(frozen=True)
class Landmarks:
    """The first points of a layout, held where they were.

    Attributes
    ----------
    positions : float32 tensor (m, dim)
        Where they were; NaN for a point that is not held.
    weight : float
        How often a point is drawn there, for each time that the layout moves it.
    """

    positions: torch.Tensor
    weight: float

    def pulls(self, edges: ops.Edges, negatives: int) -> torch.Tensor:
        """What draws each landmark in an epoch at a step size of 1, float64 (m,).

        As the alignment of umap-learn's AlignedUMAP, it goes with the moves of a point: the head of
        a sampled edge moves with it and with each of its negatives, and its tail once.
        """
        m, weights = len(self.positions), edges.weights.double()
        sums = weights.new_zeros(len(edges.indptr) - 1).index_add_(0, edges.heads.long(), weights)
        largest = weights.max() if len(weights) else weights.new_ones(())
        pulls: torch.Tensor = self.weight * (2 + negatives) * sums[:m] / largest
        return pulls.masked_fill(~self.positions.isfinite().all(dim=1), 0.0)

    def hold(self, moved: torch.Tensor, pulls: torch.Tensor, size: float) -> None:
        """Draws the points of a layout, in place, after an epoch of steps of a size."""
        own = moved[: len(self.positions)]
        share = -torch.expm1(-size * pulls)[:, None].float()
        own += share * (self.positions.nan_to_num() - own)


def spread_rows(rows: torch.Tensor, places: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Some rows (count, ...) of a table, whose places (n, dim) are all over the map, in its order."""
    if count >= len(rows):
        return rows
    from sklearn.cluster import kmeans_plusplus  # which takes as long to import as all else

    # It draws a place by its squared distance from those before it.
    _, chosen = kmeans_plusplus(places.double().numpy(), count, random_state=seed % 2**32)
    return rows[torch.from_numpy(np.sort(chosen))]


def blended(positions: torch.Tensor, before: torch.Tensor, weight: float) -> torch.Tensor:
    """Positions (n, dim) whose first rows are drawn to where they were, (m, dim).

    The place whose squared distances from both, weighed, are least.
    """
    found, m = positions.clone(), len(before)
    held = (found[:m] + weight * before) / (1 + weight)
    found[:m] = torch.where(before.isfinite(), held, found[:m])
    return found
