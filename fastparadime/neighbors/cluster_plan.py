"""What a search among overlapping clusters does, chosen from rows that were solved exactly.

A neighbour is found where it shares a cluster with its row, so these rows tell how many clusters a
point has to join. They also tell which columns of a projection lose next to nothing.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from fastparadime import ops
from fastparadime.neighbors import costs
from fastparadime.neighbors.centroids import drawn_numbers, find_centroids
from fastparadime.neighbors.doubtful_rows import near_origin_centre, scale_of
from fastparadime.neighbors.nearest_centers import (
    MOST_JOINED,
    TELLING_NEAR,
    TELLING_ROWS,
    CenterGroups,
    are_many,
    groups_of,
    nearest_centers,
)
from fastparadime.neighbors.read_rows import ProjectedRows, ReadRows, Rows, nearest_to
from fastparadime.neighbors.recall_sample import Sample, recall_of
from fastparadime.utils import disk
from fastparadime.utils.seed import derive

_CLUSTERS, _POWER = 0.65, 0.6  # times this power of the number of points
SAMPLED = 32  # points a cluster that centroids are moved by
MOVES = 3
_LEAST_JOINED = 2  # clusters a point
MAX_CANDIDATES = 10  # neighbours of a point whose neighbours it may look through
STEPS = 4  # to one more: a point in four takes each
_USUALLY_JOINED, _USUAL_CROWDING = 6, 1.6  # before they are known
_TOGETHER = 2**18  # rows whose clusters are found at a time

# Columns that longer rows may be compared by: of one subspace, or if these are too few of a larger.
_PROJECTED = ((64, 96, 128, 160, 192, 256), (320, 384, 512))
_LEAST_SAVED = 0.6  # share of the columns, above which a projection saves too little
_FITTED = 2**14  # rows whose projection costs as much as its subspace
_WORTH = 0.05  # of an exact search's work, which both may cost
SHOWN = 64  # rows of the sample that show what a projection loses
_LOSS = 0.3  # share of the neighbours that may be missed, which it may lose


# Projected rows (n, columns) with more columns, from those, None of the first, and how many.
Widened: TypeAlias = Callable[[Any, int], Any]


@dataclass(frozen=True)
class Plan:
    """How the clusters of a table are searched.

    Attributes
    ----------
    rows : float32 tensor (n, columns) or rows that are read
        What is compared: the data, or a projection of it.
    width : int
        Candidates listed a point.
    centers : float32 tensor (clusters, columns)
    mean : float32 tensor (columns,)
        Near all rows.
    scale : float
        Of rows, so that their squares are finite.
    groups : CenterGroups or None
        By which the nearest of many centroids are found.
    kept : float
        Share of the neighbours that are among `width` candidates by what is compared.
    crowding : float
        Pairs that share a cluster, over those of clusters of one size.
    met : int64 tensor (sampled rows, k)
        Steps to clusters after which each neighbour shares one with its row. `STEPS` of them are a
        cluster of every point.
    joined : int
        Steps that are predicted to find the recall.
    work : float
        Share of an exact search's work that the search is predicted to take.
    """

    rows: Rows
    width: int
    centers: torch.Tensor
    mean: torch.Tensor
    scale: float
    groups: CenterGroups | None
    kept: float
    crowding: float
    met: torch.Tensor
    joined: int = 0
    work: float = math.inf

    def nearest(self, rows: torch.Tensor, count: int) -> torch.Tensor:
        """The `count` nearest clusters of each row, int32 (m, count)."""
        table = (self.centers, count, self.mean, self.scale)
        if self.groups is None:
            return nearest_centers(rows, *table)
        return self.groups.nearest(rows, *table)

    def nearest_of_all(self, count: int) -> torch.Tensor:
        """The `count` nearest clusters of all rows, int32 (n, count)."""
        n = len(self.rows)
        found = disk.empty((n, count), torch.int32)
        for first in range(0, n, _TOGETHER):
            rows = slice(first, first + _TOGETHER)
            found[rows] = self.nearest(self.rows[rows], count)
        return found

    @property
    def most(self) -> int:
        """Steps to clusters that a point may take."""
        return STEPS * min(MOST_JOINED, len(self.centers))

    def steps_for(self, recall: float) -> int:
        """The fewest steps to clusters that each point has to take for the recall."""
        for count in range(min(STEPS * _LEAST_JOINED, self.most), self.most):
            if (
                recall_of((self.met <= count).sum(dim=1), self.met.shape[1])[1]
                >= recall / self.kept
            ):
                return count
        return self.most

    def products(self, joined: int) -> float:
        """Multiply-adds of comparing all points after so many steps to clusters."""
        n, columns = self.rows.shape
        return _pairs(n, joined / STEPS, self.crowding) * columns


def make_plan(X: Rows, k: int, recall: float, seed: int, sample: Sample) -> Plan:
    """A plan that is predicted to find the recall.

    Parameters
    ----------
    X : float32 tensor (n, d) or rows that are read
        On the CPU.
    k : int
    recall : float
    seed : int
        Of the centroids and of a projection.
    sample : Sample
        Of `X`.
    """
    n, d = X.shape

    def subspace(columns: int) -> Widened:
        space = ops.Subspace(X, columns, derive(seed, "subspace"))
        return lambda before, columns: _projected(X, space, before, columns)

    rows, width, kept = compared(X, n, k, recall, subspace, lambda rows: _kept(rows, k, sample))
    mean, spread = near_origin_centre(rows)
    scale = scale_of(spread)

    def nearest(some: torch.Tensor, centers: torch.Tensor, count: int) -> torch.Tensor:
        return nearest_centers(some, centers, count, mean, scale)

    centers, sizes = find_centroids(rows, count_clusters(n), SAMPLED, MOVES, seed, nearest)
    centers = centers[along_a_curve(centers)]  # clusters near each other have near numbers
    groups = None
    if are_many(centers):
        shown = rows[drawn_numbers(n, TELLING_ROWS, derive(seed, "groups"))]
        groups = groups_of(centers, mean, scale, shown, nearest(shown, centers, TELLING_NEAR))
    unmet = torch.empty(0, dtype=torch.int64)
    plan = Plan(rows, width, centers, mean, scale, groups, kept, crowding_of(n, sizes), unmet)
    met = steps_to_meet(
        sample, lambda points, count: plan.nearest(rows[points], count), len(centers)
    )
    return predicted(dataclasses.replace(plan, met=met), n, d, k, recall)


def predicted(plan: Plan, n: int, d: int, k: int, recall: float) -> Plan:
    """The plan for n rows of d columns, with what is predicted to find the recall."""
    joined = plan.steps_for(recall)
    columns = plan.rows.shape[1]
    products = _products(n, d, columns, plan.width, joined / STEPS, plan.crowding)
    if joined >= STEPS * len(plan.centers):  # each point in all clusters
        products = math.inf
    work = products / costs.exact_products(n, d, k)
    return dataclasses.replace(plan, joined=joined, work=work)


def crowding_of(n: int, sizes: torch.Tensor) -> float:
    """Pairs that share a cluster, beside those of clusters of one size; see `find_centroids`."""
    drawn = float(sizes.sum())
    pairs = float((sizes.double() * (sizes - 1)).sum())
    return count_clusters(n) * pairs / (drawn * (drawn - 1))


def along_a_curve(centers: torch.Tensor) -> torch.Tensor:
    """An order of centroids in which near ones are near: that of a tree which halves its nodes."""
    parts, table = [np.arange(len(centers))], centers.numpy()
    while max(map(len, parts)) > 1:
        halves = []
        for part in parts:
            column = table[part].var(axis=0).argmax()
            order = part[table[part, column].argsort(kind="stable")]
            halves += [half for half in np.array_split(order, 2) if len(half)]
        parts = halves
    return torch.from_numpy(np.concatenate(parts))


def count_clusters(n: int) -> int:
    """Clusters that n points are divided into."""
    return round(_CLUSTERS * math.pow(n, _POWER))


def projections(n: int, d: int) -> list[list[int]]:
    """Columns that rows of d may be compared by instead, ascending, by subspaces that hold them."""
    most = min(_LEAST_SAVED * d, _WORTH * n * n / (2 * (n + _FITTED)))
    ladders = ([columns for columns in ladder if columns <= most] for ladder in _PROJECTED)
    return [ladder for ladder in ladders if ladder]


def needed_bytes(n: int, d: int, k: int) -> int:
    """What a search takes beside `X`, rows solved exactly and the result, at the most."""
    columns = max((ladder[-1] for ladder in projections(n, d)), default=0)
    width = ops.list_width(n, d, k, columns=0 if columns else d)
    lists = lists_bytes(width) * n
    projected = 8 * n * columns
    refined = ops.ClusterSearch.refinement_bytes(n, columns or d, width, MAX_CANDIDATES)
    return lists + projected + refined + 16 * SAMPLED * count_clusters(n) * d


def lists_bytes(width: int) -> int:
    """What the lists and the clusters of a row take, at the most."""
    return 8 * width + 32 * MOST_JOINED + 40


def _products(n: int, d: int, columns: int, width: int, joined: float, crowding: float) -> float:
    """Multiply-adds that a search is worth, as `costs.exact_products` counts them."""
    pairs = _pairs(n, joined, crowding) + float(n) * count_clusters(n)
    return pairs * columns + n * width * (costs.LISTED * joined + costs.GATHERED * d)


def _pairs(n: int, joined: float, crowding: float) -> float:
    return crowding * (joined * n) ** 2 / (2 * count_clusters(n))


def compared(
    X: Rows,
    n: int,
    k: int,
    recall: float,
    subspace: Callable[[int], Widened],
    kept_of: Callable[[Any], torch.Tensor],
) -> tuple[Any, int, float]:
    """The rows that are compared, the candidates to list, and the share of neighbours among these.

    `X` itself, or the cheapest projection that loses next to nothing.

    Parameters
    ----------
    X : float32 tensor (m, d) or rows that are read
        All rows of a table, or some.
    n : int
        Rows of the table.
    k : int
    recall : float
    subspace : callable (most) -> callable (rows, columns) -> rows
        Of `X`: gives projected rows the columns of a subspace that they lack.
    kept_of : callable (rows) -> float64 tensor
        The shares of true neighbours among the nearest k, k + 1 ... others by projected rows.
    """
    d = X.shape[1]
    width = ops.list_width(n, d, k, columns=d)
    best: tuple[Rows, int, float] = (X, width, 1.0)
    least = _products(n, d, d, width, _USUALLY_JOINED, _USUAL_CROWDING)
    for ladder in projections(n, d):
        widened = subspace(ladder[-1])
        rows: Rows | None = None
        for columns in ladder:
            rows = widened(rows, columns)
            kept = kept_of(rows)
            enough = (kept >= 1 - _LOSS * (1 - recall)).nonzero().flatten()
            if len(enough) == 0:
                continue
            width = k + int(enough[0])
            products = _products(n, d, columns, width, _USUALLY_JOINED, _USUAL_CROWDING)
            if products >= least:
                return best
            best, least = (rows, width, float(kept[enough[0]])), products
        if best[0] is not X:
            break
    return best


def _projected(X: Rows, subspace: ops.Subspace, before: Rows | None, columns: int) -> Rows:
    """All rows in the first coordinates of a subspace, of which those `before` has are there."""
    if isinstance(X, ReadRows):
        return ProjectedRows(X, subspace, columns)
    if not isinstance(before, torch.Tensor):
        return subspace.rows(0, columns)
    return torch.cat((before, subspace.rows(before.shape[1], columns)), dim=1)


def _kept(rows: Rows, k: int, sample: Sample) -> torch.Tensor:
    mean, spread = near_origin_centre(rows)
    shown = rows[sample.rows[:SHOWN]]
    listed = nearest_to(rows, mean, scale_of(spread), shown, listed_of(len(rows), k))
    return kept_shares(sample, listed)


def listed_of(n: int, k: int) -> int:
    """How many of n projected rows are listed for `kept_shares`: a row is the nearest to itself."""
    return 1 + ops.list_width(n, 1, k, columns=0)


def kept_shares(sample: Sample, listed: torch.Tensor) -> torch.Tensor:
    """The shares of true neighbours among the nearest k, k + 1 ... others, float64.

    Parameters
    ----------
    sample : Sample
    listed : integer tensor (SHOWN, w)
        The nearest of all projected rows, itself included, to the first rows of the sample.
    """
    k, truth = sample.k, sample.indices[:SHOWN]
    hits = (truth[:, :, None] == listed[:, None, :]).any(dim=1).double()
    return hits.cumsum(dim=1)[:, k:].mean(dim=0) / k


def steps_to_meet(
    sample: Sample, nearest: Callable[[torch.Tensor, int], torch.Tensor], clusters: int
) -> torch.Tensor:
    """Steps to clusters after which the neighbours of sampled rows share one with them.

    Parameters
    ----------
    sample : Sample
    nearest : callable (points, count) -> int32 tensor (len(points), count)
        The nearest clusters of rows by their numbers, which ascend.
    clusters : int
        How many there are.
    """
    pairs = torch.cat((sample.rows[:, None], sample.indices.long()), dim=1)
    points, place = torch.unique(pairs, return_inverse=True)
    most = min(MOST_JOINED, clusters)
    joined = nearest(points, most)
    # Two points meet in the cluster that the later of the two joins first.
    steps = torch.arange(most) * STEPS + (points % STEPS)[:, None] + 1
    met = torch.empty(sample.indices.shape, dtype=torch.int64)
    for j in range(sample.k):
        own, other = place[:, 0], place[:, j + 1]
        shared = joined[own][:, :, None] == joined[other][:, None, :]
        later = torch.maximum(steps[own][:, :, None], steps[other][:, None, :])
        met[:, j] = torch.where(shared, later, STEPS * most + 1).flatten(1).min(dim=1).values
    return met
