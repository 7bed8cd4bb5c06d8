"""A map that stays put while rows are added: points held where they were, and how far they moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from fastparadime import ops
from fastparadime.neighbors import knn
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.validate import check_positive

# Of an update, as docs/growing-data.md has measured them: how far rows may move, and how much of
# where a network had a row counts beside where the layout has it.
MAX_DRIFT, LANDMARK_WEIGHT = 0.015, 0.1

_NEIGHBORS, _KEPT = 15, 10  # of a map, and how many of them a point keeps that stayed among its own
_BELOW = 0.999  # of the bound of a drift, which rounding then does not pass
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
    """The first points of a layout, of which half stay close to where they were.

    Attributes
    ----------
    positions : float32 tensor (m, dim)
        Where they were; NaN for a point that is not held.
    max_drift : float
        What the median of their movements stays below, over the span of where they were; 0 keeps
        all of them in place.
    """

    positions: torch.Tensor
    max_drift: float

    def holder(self, edges: ops.Edges) -> Callable[[torch.Tensor], None]:
        """What holds the points of a layout of some edges, in place, after each epoch."""
        m = len(self.positions)
        known = self.positions.isfinite().all(dim=1)
        held = (known & (edges.indptr.diff()[:m] > 0).to(known.device)).nonzero()[:, 0]
        before, limit = self.positions[held], _BELOW * self.max_drift * span_of(self.positions)

        def hold(moved: torch.Tensor) -> None:
            if len(held):
                moved[held] = before + drawn_back(moved[held] - before, limit)

        return hold


def check_drift(max_drift: float | None) -> None:
    """Raises for a bound of a drift that is neither None nor a finite number, 0 or more."""
    if max_drift is not None:
        check_positive(max_drift, "max_drift", zero_ok=True)


def drawn_back(offsets: torch.Tensor, limit: float) -> torch.Tensor:
    """Offsets (m, dim) drawn back so that the median of their lengths is a limit, if it is beyond.

    A length r becomes r / (1 + 2 c / (1 + (r / median)^2)), which keeps their order: the farther a
    point has gone, the less it is drawn, as one whose neighbours are elsewhere now.
    """
    lengths = offsets.norm(dim=1)
    median = float(lengths.kthvalue(len(lengths) // 2 + 1).values)  # of two middle ones the longer
    if median <= limit:
        return offsets
    if limit == 0:
        return torch.zeros_like(offsets)
    pull = 2 * (median / limit - 1)
    shrunk: torch.Tensor = offsets / (1 + pull / (1 + (lengths / median).square()))[:, None]
    return shrunk


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
