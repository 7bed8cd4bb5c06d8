"""Neighbours among overlapping clusters on the CPU, as many clusters a point as its data asks for.

Each point joins its nearest clusters, and each cluster is compared all with all by products. Where
it is cheaper, fewer clusters are joined and each point looks through the neighbours of its
neighbours afterwards.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch

from fastparadime import ops
from fastparadime.neighbors import costs
from fastparadime.neighbors.cluster_plan import MAX_CANDIDATES, STEPS, Plan
from fastparadime.neighbors.exact import exact_rows
from fastparadime.neighbors.neighbor_graph import NeighborGraph
from fastparadime.neighbors.read_rows import Rows, rerank
from fastparadime.neighbors.recall_sample import Sample, warn_of_recall
from fastparadime.utils import disk

_MOST_WORK = 1.05  # of an exact search's, for a recall that is less than was predicted
_TOGETHER = 2**16  # points whose true distances are taken at a time
_MISSED_FIRST = 2.0  # times what may be missed, when looking through them is tried
_SAVING = 2.0  # of clusters not joined, over what looking through them takes
_LEAST_MISSED = 1e-3  # share of the neighbours, where a share of it is formed


class Joining(Protocol):
    """A search that compares more clusters, step by step."""

    joined: int

    def join(self, joined: int) -> None: ...
    def recall(self) -> tuple[float, float]: ...


def overlapping_knn(
    X: Rows,
    k: int,
    metric: str,
    recall: float,
    sample: Sample,
    plan: Plan,
    kind: type[Search] | None = None,
) -> NeighborGraph:
    """Neighbours of all rows of `X` by Euclidean distance, at least the share `recall` of them.

    Parameters
    ----------
    X : float32 tensor (n, d)
        On the CPU.
    k : int
    metric : {"euclidean", "sqeuclidean"}
    recall : float
    sample : Sample
        Of `X`.
    plan : Plan
        Of `X`.
    kind : type, optional
        Of the search, which says what `X` is; `Search` if None.

    Warns
    -----
    RecallWarning
        If the recall was not reached by about the work of an exact search.
    """
    search = (kind or Search)(X, k, plan, sample)
    if not _refined_early(search, recall):
        search.join(plan.joined)
    found = join_until(search, plan, recall)
    indices, distances = search.true_neighbors()
    if metric == "sqeuclidean":
        distances.square_()
    engine = f"{search.described()}, recall {found[0]:.3f} >= {found[1]:.3f}"
    return NeighborGraph(indices, distances, engine, *found)


def join_until(search: Joining, plan: Plan, recall: float) -> tuple[float, float]:
    """Joins more clusters as long as a recall is not reached; what it is, estimate and bound.

    Warns
    -----
    RecallWarning
        As of `overlapping_knn`.
    """
    most = plan.joined * math.sqrt(max(1.0, _MOST_WORK / plan.work))
    most = int(min(most, plan.most))
    while (found := search.recall())[1] < recall:
        if search.joined >= most:
            warn_of_recall(recall, found, "overlapping clusters", "recall=1.0 searches exactly")
            break
        search.join(search.joined + 1)
    return found


def _refined_early(search: Search, recall: float) -> bool:
    """Whether neighbours of neighbours took the place of some of the clusters to join.

    The first few clusters show, in the sampled rows, which share of the missing neighbours is found
    among these, and with that how many clusters are enough.
    """
    plan, missed = search.plan, 1 - recall
    n, columns = plan.rows.shape
    least_saved = _SAVING * costs.refinement_products(n, columns, MAX_CANDIDATES)
    joined = plan.steps_for(1 - _MISSED_FIRST * missed)
    while plan.products(plan.joined) - plan.products(joined) > least_saved:
        search.join(joined)
        found, refined = search.recall(), search.recall_if_refined()
        if refined[1] >= recall:
            search.refine()
            return True
        still_missed = max(1 - refined[0], _LEAST_MISSED) / max(1 - found[0], _LEAST_MISSED)
        joined = max(joined + 1, plan.steps_for(1 - missed / still_missed))
    return False


class Search:
    """The lists of all points, and what they have been compared with.

    Parameters
    ----------
    X : float32 tensor (n, d)
        On the CPU.
    k : int
    plan : Plan
        Of `X`.
    sample : Sample
        Of `X`.
    """

    def __init__(self, X: Rows, k: int, plan: Plan, sample: Sample) -> None:
        self.plan, self.joined = plan, 0
        self._X, self._k, self._sample = X, k, sample
        self._lists = self._lists_of(plan)
        self._clusters = torch.empty((len(X), 0), dtype=torch.int32)
        self._known = torch.zeros(len(plan.centers), dtype=torch.int64)
        self._refined = False

    def _lists_of(self, plan: Plan) -> Any:
        rows: Any = plan.rows
        return ops.ClusterSearch(rows, plan.width, plan.scale)

    def join(self, joined: int) -> None:
        """Compares the points of each cluster, after so many steps of each point to clusters."""
        self._find_clusters(joined)
        n = len(self._clusters)
        parts = [torch.arange(first, n, STEPS) for first in range(STEPS)]
        whole, steps = divmod(joined, STEPS)
        count = whole * n + sum(len(part) for part in parts[:steps])
        points = torch.cat(parts)
        flat = self._clusters[points].T.flatten()[:count]
        sizes = flat.bincount(minlength=len(self.plan.centers))
        # In each cluster those come first that have joined it first, and know each other.
        members = points[flat.argsort(stable=True).remainder_(n)]
        self._lists.compare(members, sizes, self.plan.centers, self._known)
        self._known, self.joined = sizes, joined

    def _find_clusters(self, joined: int) -> None:
        if joined > STEPS * self._clusters.shape[1]:  # at first all that are predicted
            self._clusters = self.plan.nearest_of_all(-(-max(joined, self.plan.joined) // STEPS))

    def recall(self) -> tuple[float, float]:
        """Of the sampled rows, estimate and bound."""
        return self._recall_of(self._listed(self._sample.rows))

    def _listed(self, points: torch.Tensor) -> torch.Tensor:
        """Candidates of some points."""
        found: torch.Tensor = self._lists.nearest(points)[0]
        return found

    def recall_if_refined(self) -> tuple[float, float]:
        """The same if each looked through the neighbours of its neighbours."""
        own = self._listed(self._sample.rows)
        near = own[:, :MAX_CANDIDATES].flatten().long().clamp_min(0)
        others = self._listed(near)[:, :MAX_CANDIDATES].reshape(len(own), -1)
        return self._recall_of(torch.cat((own, others), dim=1))

    def _recall_of(self, candidates: torch.Tensor) -> tuple[float, float]:
        rows = self._sample.rows
        return self._sample.recall(rerank(self._X, candidates, self._k, points=rows)[1])

    def refine(self) -> None:
        """Each point looks through the neighbours of its neighbours."""
        self._lists.refine(MAX_CANDIDATES, self._by_cluster())
        self._refined = True

    def _by_cluster(self) -> torch.Tensor:
        return self._clusters[:, 0].argsort(stable=True)

    def true_neighbors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The k nearest of the lists, cluster by cluster: their rows are in the cache then."""
        X, k = self._X, self._k
        indices = disk.empty((len(X), k), torch.int32)
        distances = disk.empty((len(X), k), torch.float32)
        for points in self._by_cluster().split(_TOGETHER):
            found = rerank(X, self._listed(points), k, points=points)
            indices[points], distances[points] = found
        alone = (indices[:, -1] < 0).nonzero().flatten()
        if len(alone):
            indices[alone], distances[alone] = exact_rows(X, alone, k)
        return indices, distances

    def described(self) -> str:
        columns, d = self.plan.rows.shape[1], self._X.shape[1]
        return (
            f"{len(self.plan.centers)} overlapping clusters, {self.joined / STEPS:g} a point"
            f"{', neighbors of neighbors' if self._refined else ''}"
            f"{f', by {columns} of {d} columns' if columns < d else ''}"
        )
