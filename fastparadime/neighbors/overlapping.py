"""Neighbours among overlapping clusters on the CPU, as many clusters a point as its data asks for.

Each point joins its nearest clusters, and each cluster is compared all with all by products. How
many a point has to join is read beforehand from rows that were solved exactly: a neighbour is found
where it shares a cluster with its row.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch

from fastparadime import ops
from fastparadime.neighbors import costs
from fastparadime.neighbors.centroids import find_centroids
from fastparadime.neighbors.exact import CANCELLED, exact_rows, near_origin_centre, scale_of
from fastparadime.neighbors.graph import NeighborGraph
from fastparadime.neighbors.sample import Sample, recall_of, warn_of_recall
from fastparadime.utils.seed import derive

_CLUSTERS, _POWER = 0.65, 0.6  # times this power of the number of points
_SAMPLED = 32  # points a cluster that centroids are moved by
_MOVES = 3
_LEAST_JOINED, MOST_JOINED = 2, 24  # clusters a point
_STEPS = 4  # to one more: a point in four takes each
_USUALLY_JOINED, _USUAL_CROWDING = 6, 1.6  # before they are known
_MOST_WORK = 1.05  # of an exact search's, for a recall that is less than was predicted
_COMPARED = 2**22  # rows and centroids at a time, by differences
_TOGETHER = 2**16  # points whose true distances are taken at a time

# Columns that longer rows may be compared by: of one subspace, or if these are too few of a larger.
_PROJECTED = ((64, 96, 128, 160, 192, 256), (320, 384, 512))
_LEAST_SAVED = 0.6  # share of the columns, above which a projection saves too little
_FITTED = 2**14  # rows whose projection costs as much as its subspace
_WORTH = 0.05  # of an exact search's work, which both may cost
_SHOWN = 64  # rows of the sample that show what a projection loses
_LOSS = 0.3  # share of the neighbours that may be missed, which it may lose


@dataclass(frozen=True)
class Plan:
    """How the clusters of a table are searched.

    Attributes
    ----------
    rows : float32 tensor (n, columns)
        What is compared: the data, or a projection of it.
    width : int
        Candidates listed a point.
    centers : float32 tensor (clusters, columns)
    mean : float32 tensor (columns,)
        Near all rows.
    scale : float
        Of rows, so that their squares are finite.
    joined : int
        Steps to the clusters of a point, of which `_STEPS` are one of all points.
    work : float
        Share of an exact search's work that the search is predicted to take.
    """

    rows: torch.Tensor
    width: int
    centers: torch.Tensor
    mean: torch.Tensor
    scale: float
    joined: int = 0
    work: float = math.inf

    def nearest(self, rows: torch.Tensor, count: int) -> torch.Tensor:
        """The `count` nearest clusters of each row, int32 (m, count)."""
        return _nearest(rows, self.centers, count, self.mean, self.scale)


def make_plan(X: torch.Tensor, k: int, recall: float, seed: int, sample: Sample) -> Plan:
    """A plan that is predicted to find the recall.

    Parameters
    ----------
    X : float32 tensor (n, d)
        On the CPU.
    k : int
    recall : float
    seed : int
        Of the centroids and of a projection.
    sample : Sample
        Of `X`.
    """
    n, d = X.shape
    rows, width, kept = _compared(X, k, recall, seed, sample)
    mean, spread = near_origin_centre(rows)
    scale = scale_of(spread)

    def nearest(some: torch.Tensor, centers: torch.Tensor, count: int) -> torch.Tensor:
        return _nearest(some, centers, count, mean, scale)

    centers, sizes = find_centroids(rows, count_clusters(n), _SAMPLED, _MOVES, seed, nearest)
    plan = Plan(rows, width, centers, mean, scale)
    joined = _joined(plan, sample, recall / kept)
    # Pairs that share a cluster, beside those of clusters of one size.
    drawn = float(sizes.sum())
    crowding = (
        count_clusters(n) * float((sizes.double() * (sizes - 1)).sum()) / (drawn * (drawn - 1))
    )
    products = _products(n, d, rows.shape[1], width, joined / _STEPS, crowding)
    if joined >= _STEPS * len(centers):  # each point in all clusters
        products = math.inf
    work = products / costs.exact_products(n, d, k)
    return dataclasses.replace(plan, joined=joined, work=work)


def _nearest(
    rows: torch.Tensor, centers: torch.Tensor, count: int, mean: torch.Tensor, scale: float
) -> torch.Tensor:
    indices, squares = ops.ProductTable(centers, mean, scale).nearest_to(rows, count)
    lengths = torch.linalg.vector_norm((centers - mean) * scale, dim=1)
    lengths = lengths[indices[:, 0].long()] + squares[:, 0].sqrt()  # of rows, at the most
    doubtful = (squares[:, -1] < CANCELLED * lengths.square()).nonzero().flatten()
    every = torch.arange(len(centers), dtype=torch.int32)
    for some in doubtful.split(max(1, _COMPARED // len(centers))):
        candidates = every.expand(len(some), -1)
        indices[some] = ops.rerank(centers, candidates, count, queries=rows[some])[0]
    return indices


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
    lists = (8 * width + 32 * MOST_JOINED + 40) * n
    projected = 8 * n * columns
    return lists + projected + 16 * _SAMPLED * count_clusters(n) * d


def _products(n: int, d: int, columns: int, width: int, joined: float, crowding: float) -> float:
    """Multiply-adds that a search is worth, as `costs.exact_products` counts them."""
    clusters = count_clusters(n)
    pairs = crowding * (joined * n) ** 2 / (2 * clusters)
    lists = n * width * (costs.LISTED * joined + costs.GATHERED * d)
    return (pairs + float(n) * clusters) * columns + lists


def _compared(
    X: torch.Tensor, k: int, recall: float, seed: int, sample: Sample
) -> tuple[torch.Tensor, int, float]:
    """The rows that are compared, the candidates to list, and the share of neighbours among these.

    `X` itself, or the cheapest projection that loses next to nothing.
    """
    n, d = X.shape
    width = ops.list_width(n, d, k, columns=d)
    best = (X, width, 1.0)
    least = _products(n, d, d, width, _USUALLY_JOINED, _USUAL_CROWDING)
    for ladder in projections(n, d):
        subspace = ops.Subspace(X, ladder[-1], derive(seed, "subspace"))
        rows = X[:, :0]
        for columns in ladder:
            rows = torch.cat((rows, subspace.rows(rows.shape[1], columns)), dim=1)
            kept = _kept(rows, k, sample)
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


def _kept(rows: torch.Tensor, k: int, sample: Sample) -> torch.Tensor:
    """The shares of true neighbours among the nearest k, k + 1 ... others by `rows`, float64."""
    shown, truth = sample.rows[:_SHOWN], sample.indices[:_SHOWN]
    mean, spread = near_origin_centre(rows)
    most = 1 + ops.list_width(
        len(rows), rows.shape[1], k, columns=0
    )  # a row is the nearest to itself
    listed = ops.ProductTable(rows, mean, scale_of(spread)).nearest_to(rows[shown], most)[0]
    hits = (truth[:, :, None] == listed[:, None, :]).any(dim=1).double()
    return hits.cumsum(dim=1)[:, k:].mean(dim=0) / k


def _joined(plan: Plan, sample: Sample, recall: float) -> int:
    """The fewest steps to clusters that each point has to take for the recall."""
    pairs = torch.cat((sample.rows[:, None], sample.indices.long()), dim=1)
    points, place = torch.unique(pairs, return_inverse=True)
    most = min(MOST_JOINED, len(plan.centers))
    clusters = plan.nearest(plan.rows[points], most)
    # Two points meet in the cluster that the later of the two joins first.
    steps = torch.arange(most) * _STEPS + (points % _STEPS)[:, None] + 1
    meets = torch.empty(sample.indices.shape, dtype=torch.int64)
    for j in range(sample.k):
        own, other = place[:, 0], place[:, j + 1]
        shared = clusters[own][:, :, None] == clusters[other][:, None, :]
        later = torch.maximum(steps[own][:, :, None], steps[other][:, None, :])
        meets[:, j] = torch.where(shared, later, _STEPS * most + 1).flatten(1).min(dim=1).values
    for count in range(_STEPS * min(_LEAST_JOINED, most), _STEPS * most):
        if recall_of((meets <= count).sum(dim=1), sample.k)[1] >= recall:
            return count
    return _STEPS * most


def overlapping_knn(
    X: torch.Tensor, k: int, metric: str, recall: float, sample: Sample, plan: Plan
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

    Warns
    -----
    RecallWarning
        If the recall was not reached by about the work of an exact search.
    """
    search = ops.ClusterSearch(plan.rows, plan.width, plan.scale)
    most = plan.joined * math.sqrt(max(1.0, _MOST_WORK / plan.work))
    most = int(min(most, _STEPS * min(MOST_JOINED, len(plan.centers))))
    clusters = plan.nearest(plan.rows, -(-plan.joined // _STEPS))
    known = torch.zeros(len(plan.centers), dtype=torch.int64)
    for joined in range(plan.joined, most + 1):
        if joined > _STEPS * clusters.shape[1]:
            clusters = plan.nearest(plan.rows, clusters.shape[1] + 1)
        known = _compare(search, clusters, joined, plan.centers, known)
        candidates = search.nearest(sample.rows)[0]
        found = sample.recall(ops.rerank(X, candidates, k, points=sample.rows)[1])
        if found[1] >= recall:
            break
    else:
        warn_of_recall(recall, found, "overlapping clusters", "recall=1.0 searches exactly")
    indices, distances = _true_neighbors(X, search, clusters[:, 0], k)
    if metric == "sqeuclidean":
        distances.square_()
    columns, d = plan.rows.shape[1], X.shape[1]
    engine = (
        f"{len(plan.centers)} overlapping clusters, {joined / _STEPS:g} a point"
        f"{f', by {columns} of {d} columns' if columns < d else ''}, "
        f"recall {found[0]:.3f} >= {found[1]:.3f}"
    )
    return NeighborGraph(indices, distances, engine, *found)


def _compare(
    search: ops.ClusterSearch,
    clusters: torch.Tensor,
    joined: int,
    centers: torch.Tensor,
    known: torch.Tensor,
) -> torch.Tensor:
    """Compares the points that have joined a cluster; says how many each has now."""
    n = len(clusters)
    parts = [torch.arange(first, n, _STEPS) for first in range(_STEPS)]
    whole, steps = divmod(joined, _STEPS)
    count = whole * n + sum(len(part) for part in parts[:steps])
    points = torch.cat(parts)
    flat = clusters[points].T.flatten()[:count]
    sizes = flat.bincount(minlength=len(centers))
    # In each cluster those come first that have joined it first, and know each other.
    members = points[flat.argsort(stable=True).remainder_(n)]
    search.compare(members, sizes, centers, known)
    return sizes


def _true_neighbors(
    X: torch.Tensor, search: ops.ClusterSearch, cluster: torch.Tensor, k: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The k nearest of the lists, cluster by cluster: their rows are in the cache then."""
    indices = torch.empty((len(X), k), dtype=torch.int32)
    distances = torch.empty((len(X), k))
    for points in cluster.argsort(stable=True).split(_TOGETHER):
        found = ops.rerank(X, search.nearest(points)[0], k, points=points)
        indices[points], distances[points] = found
    alone = (indices[:, -1] < 0).nonzero().flatten()
    if len(alone):
        indices[alone], distances[alone] = exact_rows(X, alone, k)
    return indices, distances
