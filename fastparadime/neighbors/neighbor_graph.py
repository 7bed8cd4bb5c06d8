"""What a search returns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from fastparadime.neighbors.metrics import INFINITE
from fastparadime.utils.checkpoints import Course
from fastparadime.utils.convert import value_range

DEFAULT_RECALL = 0.95  # the share of true neighbours that every search promises unless told another


@dataclass(frozen=True)
class NeighborGraph:
    """Neighbours of each point, itself excluded, nearest first.

    Attributes
    ----------
    indices : int32 tensor (n, k)
    distances : float32 tensor (n, k)
        Of given neighbours, fewer than k in a row are filled up with -1 at an infinite distance.
    engine : str
        What found them, for reports.
    recall_estimate : float
        The share of true neighbours found: 1 of an exact search, measured on some rows of an
        approximate one. A neighbour as near as the k-th counts as found.
    recall_bound : float
        What the share of all rows reaches with 95 % confidence.
    """

    indices: torch.Tensor
    distances: torch.Tensor
    engine: str
    recall_estimate: float = 1.0
    recall_bound: float = 1.0

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter((self.indices, self.distances))

    def about(self) -> dict[str, Any]:
        """What JSON holds of it beside the arrays."""
        return {
            "engine": self.engine,
            "recall_estimate": float(self.recall_estimate),
            "recall_bound": float(self.recall_bound),
        }


def with_finite_distances(graph: NeighborGraph, metric: str, first: int = 0) -> NeighborGraph:
    """The graph of rows from the number `first` on, if its distances are numbers."""
    if not len(graph.distances):
        return graph
    low, high = value_range(graph.distances)
    if not (math.isfinite(low) and math.isfinite(high)):
        bad = (~torch.isfinite(graph.distances)).any(dim=1).nonzero()
        if metric in INFINITE:
            raise ValueError(
                f"X must have k = {graph.indices.shape[1]} other rows at a finite distance by "
                f"{metric!r} for each row, but row {first + int(bad[0])} does not: {INFINITE[metric]}"
            )
        raise ValueError(
            f"X holds values whose distances by {metric!r} are beyond float32, the first in row "
            f"{first + int(bad[0])}: remove such rows, or divide X by a number"
        )
    return graph


def found_in(
    course: Course, device: torch.device, find: Callable[[], NeighborGraph]
) -> NeighborGraph:
    """The neighbours that a course keeps, on a device, or else those found now, which it then keeps."""
    stage = course.read("neighbors")
    if stage is not None:
        indices, distances = (stage.arrays[name].to(device) for name in ("indices", "distances"))
        return NeighborGraph(indices, distances, **stage.about)
    found = find()
    arrays = {"indices": found.indices, "distances": found.distances}
    course.write("neighbors", arrays, found.about())
    return found
