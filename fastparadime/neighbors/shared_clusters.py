"""Neighbours among the overlapping clusters of the rows of several processes.

Each cluster has a rank that owns it. Round by round, rows go to the owners of the clusters that
they have joined, which compare all rows of a cluster, and what was found goes back and joins the
lists of the rows. At last blocks of rows go round the ranks once, for true distances.
"""

from __future__ import annotations

import torch

from fastparadime import ops
from fastparadime.distributed import gathered
from fastparadime.neighbors.cluster_plan import STEPS, Plan
from fastparadime.neighbors.cluster_search import join_until
from fastparadime.neighbors.neighbor_graph import NeighborGraph
from fastparadime.neighbors.recall_sample import Sample
from fastparadime.neighbors.ring import pass_round
from fastparadime.neighbors.shared_plan import Found, among, exact_neighbors, true_distances_of
from fastparadime.neighbors.shared_rounds import (
    TOGETHER,
    Members,
    Range,
    room_of,
    rounds_of,
)
from fastparadime.neighbors.shared_rows import SharedRows

_ALONE = 8192  # rows that share clusters with fewer than k others, solved at a time


def clusters_of_all(
    shared: SharedRows, k: int, recall: float, sample: Sample, plan: Plan
) -> NeighborGraph:
    """Neighbours of the rows that this rank was dealt, at least the share `recall` of all ranks'.

    By Euclidean distance; the same bits for any number of ranks, and those of
    `cluster_search.overlapping_knn` where that looks through no neighbours of neighbours.
    Collective.

    Parameters
    ----------
    shared : SharedRows
    k : int
    recall : float
    sample : Sample
        Of all rows.
    plan : Plan
        Of all rows, which has those of this rank.

    Warns
    -----
    RecallWarning
        If the recall was not reached by about the work of an exact search.
    """
    search = _Search(shared, k, plan, sample)
    search.join(plan.joined)
    found = join_until(search, plan, recall)
    engine = f"{search.described()}, recall {found[0]:.3f} >= {found[1]:.3f}"
    return NeighborGraph(*search.true_neighbors(), engine, *found)


class _Search:
    """The lists of the rows of a rank, and what they have been compared with."""

    def __init__(self, shared: SharedRows, k: int, plan: Plan, sample: Sample) -> None:
        self.plan, self.joined = plan, 0
        self._shared, self._k, self._sample = shared, k, sample
        with shared.ranks.together():
            self._lists = ops.NearestLists(shared.shards.count, plan.width)
        self._clusters = torch.empty((shared.shards.count, 0), dtype=torch.int32)
        self._known = torch.zeros(len(plan.centers), dtype=torch.int64)
        self._queries = shared.at(sample.rows, lambda places: shared.rows[places])

    def join(self, joined: int) -> None:
        """Compares the rows of each cluster, after so many steps of each row to clusters."""
        shared, ranks = self._shared, self._shared.ranks
        with ranks.together():
            if joined > STEPS * self._clusters.shape[1]:
                count = -(-joined // STEPS)
                self._clusters = self.plan.nearest_of_all(count)
            members = Members.of(
                self._clusters, shared.shards.first, (self.joined, joined), STEPS, len(self._known)
            )
        counts = gathered(ranks, members.counts[None], [1] * ranks.size)
        sizes = counts.sum(dim=0)
        grown = sizes > self._known
        with ranks.together():
            members = members.among(grown)
        for ranges in rounds_of(counts * grown, room_of(shared.n, ranks.size)):
            self._compare(members, ranges)
        self._known, self.joined = sizes, joined

    def _compare(self, members: Members, ranges: list[Range]) -> None:
        """Has each rank compare the rows of the clusters that it owns in a round."""
        ranks, size = self._shared.ranks, self._shared.ranks.size
        with ranks.together():
            places, pairs, given = [], [], torch.empty((size, 2), dtype=torch.int64)
            for owner, clusters in enumerate(ranges):
                own, codes = members.within(clusters)
                rows, at = own.unique(return_inverse=True)
                places.append(rows)
                pairs.append(torch.stack((codes, at.to(torch.int32)), dim=1))
                given[owner, 0], given[owner, 1] = len(rows), len(codes)
            going = torch.cat(places)
            rows, numbers = self.plan.rows[going.long()], going + self._shared.shards.first
            reach = self._lists.reach(going.long())
            joined = torch.cat(pairs)
        taken = ranks.sent(given, torch.empty_like(given), [1] * size, [1] * size)
        counts, pair_counts = zip(*(part.T.tolist() for part in (given, taken)), strict=True)
        rows = self._sent(rows, *counts)
        numbers, reach = self._sent(numbers, *counts), self._sent(reach, *counts)
        joined = self._sent(joined, *pair_counts)
        with ranks.together():
            starts = taken[:, 0].cumsum(0) - taken[:, 0]
            at = joined[:, 1] + starts.repeat_interleave(taken[:, 1])
            search = ops.ClusterSearch(rows, self.plan.width, self.plan.scale, reach)
            self._meet(search, joined[:, 0], at, ranges[ranks.rank])
            indices, squares = search.nearest()
            indices = torch.where(indices < 0, -1, numbers[indices.clamp_min(0).long()])
        indices = self._sent(indices, *reversed(counts))
        squares = self._sent(squares, *reversed(counts))
        with ranks.together():
            parts = (part.split(list(counts[0])) for part in (indices, squares))
            for points, *found in zip(places, *parts, strict=True):
                self._lists.join(points, *found)

    def _sent(self, rows: torch.Tensor, given: list[int], taken: list[int]) -> torch.Tensor:
        out = rows.new_empty((sum(taken), *rows.shape[1:]))
        return self._shared.ranks.sent(rows, out, given, taken)

    def _meet(
        self, search: ops.ClusterSearch, codes: torch.Tensor, places: torch.Tensor, clusters: Range
    ) -> None:
        """Compares the rows of clusters that this rank owns."""
        first, last = clusters
        sizes = ((codes >> 1) - first).bincount(minlength=last - first)
        known = self._known[first:last].minimum(sizes)  # none of those that have not grown
        # In each cluster those come first that know each other.
        search.compare(
            places[codes.argsort(stable=True)], sizes, self.plan.centers[first:last], known
        )

    def recall(self) -> tuple[float, float]:
        """Of the sampled rows, estimate and bound."""
        rows = self._sample.rows
        candidates = self._shared.at(rows, lambda places: self._lists.nearest(places)[0])
        found = true_distances_of(self._shared, self._queries, candidates, self._k)
        told: list[tuple[float, float]] = self._shared.ranks.told(self._sample.recall(found[1]))
        return told[0]  # sums depend on the number of threads

    def true_neighbors(self) -> Found:
        """The k nearest of the lists, by the rows of all ranks."""
        shared, ranks, k = self._shared, self._shared.ranks, self._k
        with ranks.together():
            found = ops.NearestLists(shared.shards.count, k)
            order = self._clusters[:, 0].argsort(stable=True)  # close rows are in the cache
        starts = shared.shards.dealt

        def take(rows: torch.Tensor, rank: int) -> None:
            for part in order.split(TOGETHER):
                points = part.sort().values
                own = among(self._lists.nearest(points)[0], starts[rank], len(rows))
                indices, distances = ops.rerank(rows, own, k, queries=shared.rows[points])
                indices = torch.where(indices < 0, -1, indices + starts[rank])
                found.join(points, indices, distances)

        pass_round(shared, take)
        with ranks.together():
            indices, distances = found.nearest()
            alone = (indices[:, -1] < 0).nonzero().flatten() + shared.shards.first
        numbers = gathered(ranks, alone, ranks.told(len(alone)))
        for some in numbers.split(_ALONE) if len(numbers) else ():
            nearest = exact_neighbors(shared, some, k)
            own = among(some, shared.shards.first, shared.shards.count)
            mine = own >= 0
            indices[own[mine]], distances[own[mine]] = (part[mine] for part in nearest)
        return indices, distances

    def described(self) -> str:
        columns, d = self.plan.rows.shape[1], self._shared.rows.shape[1]
        return (
            f"{len(self._known)} overlapping clusters, {self.joined / STEPS:g} a point"
            f"{f', by {columns} of {d} columns' if columns < d else ''}"
        )
