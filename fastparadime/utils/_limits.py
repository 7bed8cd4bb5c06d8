"""What part of the plane a map shows, and how much of it the points fill."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastparadime.types import Array

_FEW = 50  # with fewer points, none is a stray
_STRAYS_PER_SIDE = 0.001  # of the points, and always one
_STRAY_FROM = 0.5  # of the others' extent, beyond them


@dataclass(frozen=True)
class Limits:
    """The box of a map: its lowest and highest x and y."""

    low: Array  # (2,)
    high: Array  # (2,)

    @property
    def side(self) -> float:
        """The longer side, above 0."""
        return max(float((self.high - self.low).max()), 1e-12)

    def holds(self, points: Array) -> Array:
        """Which points are within, its border included: bool (n,)."""
        return np.asarray(((points >= self.low) & (points <= self.high)).all(axis=1))


def limits_of(points: Array) -> Limits:
    """The box of the points, without the few strays that would shrink the map.

    On each side, these are at most one in a thousand points (but always one, of 50 or more) that
    lie beyond the others by more than half of what these extend over.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    n = len(points)
    if n < _FEW:
        return Limits(low, high)
    spared = max(1, int(n * _STRAYS_PER_SIDE))
    parted = np.partition(points, (spared, n - 1 - spared), axis=0)
    inner_low, inner_high = parted[spared], parted[n - 1 - spared]
    reach = _STRAY_FROM * (inner_high - inner_low)
    kept = ((points >= inner_low - reach) & (points <= inner_high + reach)).all(axis=1)
    if kept.all() or not reach.all():
        return Limits(low, high)
    return Limits(points[kept].min(axis=0), points[kept].max(axis=0))


def filled_share(points: Array, limits: Limits) -> float:
    """How much of a square with the map's longer side has points on it, in (0, 1]."""
    bins = int(np.clip(np.sqrt(len(points) / 4), 2, 64))
    places = (points - limits.low) / limits.side * bins
    cells = np.clip(places, 0, bins - 1).astype(np.int64)
    return len(np.unique(cells[:, 0] * bins + cells[:, 1])) / bins**2
