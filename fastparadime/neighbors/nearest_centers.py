"""The nearest of many centroids: a row is compared with those that rows near it were found to have."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from fastparadime import ops
from fastparadime.neighbors.centroids import moved_centroids
from fastparadime.neighbors.doubtful_rows import CANCELLED
from fastparadime.ops.neighbors.nearest_in_groups import nearest_in_groups

MOST_JOINED = 24  # clusters a point
_LEAST_GROUPED = 2048  # centroids, of which fewer are all compared
TELLING_ROWS = 2**16  # that show which centroids a group's rows have near,
TELLING_NEAR = 8  # so many of each
_GROUPS, _MOVES = 2.5, 3  # times the root of the number of centroids
_JUDGED, _FOUND = 4, 0.98  # nearest of rows that were not shown, and the share to be found
_WORTH = 0.5  # of the comparisons with all
_COMPARED = 2**22  # rows and centroids at a time, by differences


def nearest_centers(
    rows: torch.Tensor, centers: torch.Tensor, count: int, mean: torch.Tensor, scale: float
) -> torch.Tensor:
    """The `count` nearest of all centroids to each row, int32 (m, count).

    Parameters
    ----------
    rows : float32 tensor (m, columns)
    centers : float32 tensor (clusters, columns)
    count : int
    mean : float32 tensor (columns,)
        Near all rows.
    scale : float
        Of rows, so that their squares are finite.
    """
    found = ops.ProductTable(centers, mean, scale).nearest_to(rows, count)
    return _checked(rows, centers, found, mean, scale)


def _checked(
    rows: torch.Tensor,
    centers: torch.Tensor,
    found: tuple[torch.Tensor, torch.Tensor],
    mean: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    """The centroids that products found, by differences where products lose what tells them apart."""
    indices, squares = found
    lengths = torch.linalg.vector_norm((centers - mean) * scale, dim=1)
    lengths = lengths[indices[:, 0].long()] + squares[:, 0].sqrt()  # of rows, at the most
    doubtful = (squares[:, -1] < CANCELLED * lengths.square()).nonzero().flatten()
    every = torch.arange(len(centers), dtype=torch.int32)
    for some in doubtful.split(max(1, _COMPARED // len(centers))):
        candidates = every.expand(len(some), -1)
        indices[some] = ops.rerank(centers, candidates, indices.shape[1], queries=rows[some])[0]
    return indices


@dataclass(frozen=True)
class CenterGroups:
    """Groups of rows, and the centroids that rows of each were found to have near.

    Attributes
    ----------
    means : float32 tensor (groups, columns)
        A row is of the group whose mean is the nearest.
    near : int32 tensor
        The numbers of the centroids that a group's rows are compared with, ascending, those of a
        group after those of the one before.
    sizes : int64 tensor (groups,)
        How many each has.
    """

    means: torch.Tensor
    near: torch.Tensor
    sizes: torch.Tensor

    def nearest(
        self,
        rows: torch.Tensor,
        centers: torch.Tensor,
        count: int,
        mean: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        """As `nearest_centers`, of those that are near a row's group; at most `MOST_JOINED`."""
        groups = nearest_centers(rows, self.means, 1, mean, scale)[:, 0]
        found = nearest_in_groups(
            rows, groups, centers, self.near, self.sizes, count, mean=mean, scale=scale
        )
        return _checked(rows, centers, found, mean, scale)


def are_many(centers: torch.Tensor) -> bool:
    """Whether centroids are so many that groups of rows are worth looking for."""
    return len(centers) >= _LEAST_GROUPED


def groups_of(
    centers: torch.Tensor,
    mean: torch.Tensor,
    scale: float,
    shown: torch.Tensor,
    near: torch.Tensor,
) -> CenterGroups | None:
    """Groups by which next to all nearest centroids are found, None where they save too little.

    Parameters
    ----------
    centers, mean, scale
        As of `nearest_centers`. Centroids with near numbers are near each other.
    shown : float32 tensor (m, columns)
        Rows that were drawn from all.
    near : int32 tensor (m, TELLING_NEAR)
        The nearest of all centroids to each. Half of these rows tell what the others list.
    """
    count = round(_GROUPS * math.sqrt(len(centers)))
    means, _ = moved_centroids(
        centers,
        centers[torch.arange(count) * len(centers) // count],
        _MOVES,
        lambda rows, groups, wanted: nearest_centers(rows, groups, wanted, mean, scale),
    )
    group = nearest_centers(shown, means, 1, mean, scale).long()
    listed = torch.zeros((len(means), len(centers)), dtype=torch.bool)
    listed.scatter_(1, nearest_centers(means, centers, MOST_JOINED, mean, scale).long(), value=True)
    telling, judging = torch.arange(len(shown)).tensor_split(2)
    listed[group[telling], near[telling].long()] = True
    judged = near[judging, :_JUDGED].long()
    if float(listed[group[judging], judged].double().mean()) < _FOUND:
        return None
    listed[group[judging], near[judging].long()] = True
    sizes = listed.sum(dim=1)
    if len(means) + float(sizes[group].double().mean()) > _WORTH * len(centers):
        return None
    return CenterGroups(means, listed.nonzero()[:, 1].int(), sizes)
