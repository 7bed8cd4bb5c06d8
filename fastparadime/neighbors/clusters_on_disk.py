"""The search among overlapping clusters, of rows that are not held in memory.

What is compared is that of `Search`, and so are the results, bit for bit. Rows are copied once, as
they are, in the order of their nearest clusters, and lists are in that order too, so that a cluster
reads and writes a few pieces of both, and clusters that follow each other about the same pieces.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from fastparadime.neighbors.cluster_plan import MAX_CANDIDATES, STEPS, Plan, count_clusters
from fastparadime.neighbors.cluster_search import Search
from fastparadime.neighbors.read_rows import ProjectedRows, ReadRows
from fastparadime.neighbors.recall_sample import Sample
from fastparadime.ops.neighbors.gathered_clusters import GatheredClusters
from fastparadime.ops.neighbors.nn_descent import padded_rows
from fastparadime.utils import disk

_TURN_BYTES = 64 * 2**20  # of rows in float32 that are compared at a time
_TURN_PRODUCTS = 2e10  # multiply-adds of them
_COPIED_BYTES = 64 * 2**20  # of rows that are put in order at a time, at the least,
_COPIED_SHARE = 4  # and of what a limit leaves: each time the file is read once
_FIXED_BYTES = 64 * 2**20
_SAMPLED = 512  # bytes a column and cluster of the rows that centroids are moved by
_PLACES = 48  # bytes a row of orders, places and marks


def needed_bytes(n: int, d: int) -> int:
    """What the search holds in memory at the most, beside what may be written to the disk."""
    return _PLACES * n + _SAMPLED * count_clusters(n) * d + _FIXED_BYTES


class SearchOnDisk(Search):
    """The lists of all points, and what they have been compared with.

    Parameters
    ----------
    X : ReadRows
    k : int
    plan : Plan
        Of `X`.
    sample : Sample
        Of `X`.
    """

    _X: ReadRows

    def __init__(self, X: ReadRows, k: int, plan: Plan, sample: Sample) -> None:
        super().__init__(X, k, plan, sample)
        self._order = self._place = torch.empty(0)

    def _lists_of(self, plan: Plan) -> GatheredClusters:
        n, columns = plan.rows.shape
        return GatheredClusters(n, columns, plan.width, plan.scale)

    def join(self, joined: int) -> None:
        """Compares the points of each cluster, after so many steps of each point to clusters."""
        self._find_clusters(joined)
        if not len(self._place):
            self._arrange()
        members, sizes = self._members(joined)
        rows = self._compared_rows()
        for first, last, own in self._turns(sizes):
            names = members[own]
            some = slice(first, last)
            self._lists.compare_rows(
                rows[names], self._place[names.long()], names,
                sizes[some], self.plan.centers[some], self._known[some],
            )  # fmt: skip
        self._known, self.joined = sizes, joined

    def _arrange(self) -> None:
        """Copies the rows in the order of their nearest clusters."""
        n = len(self._X)
        self._order = self._clusters[:, 0].argsort(stable=True)
        self._place = torch.empty(n, dtype=torch.int32)
        self._place[self._order] = torch.arange(n, dtype=torch.int32)
        left = ((disk.limit() or 0.0) - _PLACES * n) / _COPIED_SHARE
        self._X = self._X.placed(self._order, self._place, max(_COPIED_BYTES, left))

    def _compared_rows(self) -> ReadRows:
        rows = self.plan.rows
        return rows.of(self._X) if isinstance(rows, ProjectedRows) else self._X

    def _members(self, joined: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The points of each cluster, in the order that they have joined it, and how many they are."""
        sizes = torch.zeros(len(self.plan.centers), dtype=torch.int64)
        for _, labels in self._joining(joined):
            sizes += labels.bincount(minlength=len(sizes))
        ends = sizes.cumsum(0)
        members = disk.empty((int(ends[-1]),), torch.int32)
        following = ends - sizes
        for points, labels in self._joining(joined):
            order = labels.argsort(stable=True)
            counts = labels.bincount(minlength=len(sizes))
            begins = following - (counts.cumsum(0) - counts)
            places = begins.repeat_interleave(counts) + torch.arange(len(labels))
            members[places] = points[order].int()
            following += counts
        return members, sizes

    def _joining(self, joined: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Of each step the points that take it, and the cluster that each joins."""
        n = len(self._clusters)
        for step in range(joined):
            column, first = divmod(step, STEPS)
            points = torch.arange(first, n, STEPS)
            yield points, self._clusters[first::STEPS, column]

    def _turns(self, sizes: torch.Tensor) -> Iterator[tuple[int, int, slice]]:
        """Clusters first ... last - 1 that are compared at a time, and their members."""
        columns = self.plan.rows.shape[1]
        most = _TURN_BYTES // (4 * columns)
        first = begin = held = 0
        work = 0.0
        for cluster, size in enumerate(sizes.tolist()):
            products = 0.5 * size * size * columns
            if held and (held + size > most or work + products > _TURN_PRODUCTS):
                yield first, cluster, slice(begin, begin + held)
                first, begin, held, work = cluster, begin + held, 0, 0.0
            held, work = held + size, work + products
        yield first, len(sizes), slice(begin, begin + held)

    def _listed(self, points: torch.Tensor) -> torch.Tensor:
        return super()._listed(self._place[points].long())

    def refine(self) -> None:
        """Each point looks through the neighbours of its neighbours."""
        rows = padded_rows(self._compared_rows(), self._order, self.plan.scale)
        self._lists.refine_rows(MAX_CANDIDATES, self._order, self._place, rows)
        self._refined = True

    def _by_cluster(self) -> torch.Tensor:
        return self._order
