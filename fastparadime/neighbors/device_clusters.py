"""Neighbours among overlapping clusters: for tables whose exact search on a GPU takes too long.

Each point joins its nearest clusters, each cluster is searched exactly and what its points found
joins their lists. Points join more clusters until rows solved exactly show the promised recall.
"""

from __future__ import annotations

import torch

from fastparadime import ops
from fastparadime.neighbors import tiled
from fastparadime.neighbors.centroids import find_centroids
from fastparadime.neighbors.exact import rows_bytes
from fastparadime.neighbors.neighbor_graph import NeighborGraph
from fastparadime.neighbors.recall_sample import EXACT_RECALL, Sample, sample_size, warn_of_recall

_EXACT_ROWS = 3_000_000  # up to which a GPU searches exactly
_CLUSTER_ROWS = 32_768  # points that are nearest to one cluster, on average
_OVERLAPS = (2, 4, 8)  # clusters a point joins, in turn
_SAMPLED = 64  # points a cluster that centroids are moved by
_MOVES = 8
_BLOCK_BYTES = 64 * 2**20  # of distances to centroids at a time


def needed_bytes(n: int, d: int, k: int, *, itemsize: int, least: bool = False) -> int:
    """What a search takes beside `X` and the result, with the largest tiles or the smallest.

    Parameters
    ----------
    n, d, k : int
    itemsize : int
        Bytes of an element of unit rows.
    least : bool
        Whether tiles are as small as can be.

    Notes
    -----
    With o = 8 clusters a point, the most that it joins, and m points in the largest cluster, taken
    to be twice the average of 32,768 o: 28 n o while the clusters that points have joined are
    sorted, 8 n o of members after; (4 d + 8) m of a cluster's rows, the tiles of their search (see
    `tiled.make_plan`) and 52 k m of lists that are merged; 3 x 64 MiB of distances to centroids;
    128 MiB + 16 k x 8000 of rows solved exactly.
    """
    m = _largest_cluster(n)
    plan = tiled.least_bytes if least else _plan_bytes
    cluster = (4 * d + 8 + 52 * k) * m + plan(m, d, min(k, m - 1), itemsize=itemsize)
    joined = _OVERLAPS[-1] * n
    solved = rows_bytes(k, sample_size(n, EXACT_RECALL))
    return max(28 * joined, 8 * joined + cluster) + 3 * _BLOCK_BYTES + solved


def _plan_bytes(n: int, d: int, k: int, *, itemsize: int) -> int:
    return tiled.make_plan(n, d, k, itemsize=itemsize).bytes


def _largest_cluster(n: int) -> int:
    return min(n, 2 * _OVERLAPS[-1] * _CLUSTER_ROWS)


def is_wanted(n: int, recall: float) -> bool:
    """Whether `knn` on a GPU goes by clusters."""
    return n > _EXACT_ROWS and recall <= EXACT_RECALL


def clustered_knn(
    X: torch.Tensor,
    k: int,
    metric: str,
    recall: float,
    seed: int,
    *,
    device: torch.device | None = None,
    limit: float | None = None,
) -> NeighborGraph:
    """Neighbours of all rows of `X` by Euclidean distance, at least the share `recall` of them.

    Parameters
    ----------
    X : float32 tensor (n, d)
    k : int
    metric : {"euclidean", "sqeuclidean"}
    recall : float
    seed : int
        Of the centroids and of the rows that are solved exactly.
    device : torch.device, optional
        As of `tiled_knn`.
    limit : float, optional
        Most bytes on the device beside `X` and the result; lists stay where `X` lives.

    Returns
    -------
    NeighborGraph
        Where `X` lives.

    Warns
    -----
    RecallWarning
        If the widest overlap fell short.
    """
    n, d = X.shape
    if limit is not None and (device is None or device.type == X.device.type):
        # What is left to tiles: the size of an element counts for them alone.
        others = needed_bytes(n, d, k, itemsize=4, least=True)
        m = _largest_cluster(n)
        limit -= others - tiled.least_bytes(m, d, min(k, m - 1), itemsize=4)
    sample = Sample.of(X, k, recall, seed)
    count = max(1, -(-n // _CLUSTER_ROWS))
    centroids, _ = find_centroids(X, count, _SAMPLED, _MOVES, seed, _nearest)
    overlaps = [overlap for overlap in _OVERLAPS if overlap < len(centroids)] or [len(centroids)]
    for overlap in overlaps:
        indices = distances = X.new_empty(0)  # frees those of an attempt before
        order, sizes = _members(X, centroids, overlap)
        indices, distances = _search(X, k, order.split(sizes), device, limit)
        found = sample.recall(distances[sample.rows.to(X.device)])
        if found[1] >= recall:
            break
    else:
        warn_of_recall(recall, found, "overlapping clusters", "recall=1.0 searches exactly")
    if metric == "sqeuclidean":
        distances = distances.square()
    engine = (
        f"{len(centroids)} overlapping clusters, {overlap} a point, "
        f"recall {found[0]:.3f} >= {found[1]:.3f}"
    )
    return NeighborGraph(indices, distances, engine, *found)


def _nearest(X: torch.Tensor, centroids: torch.Tensor, count: int) -> torch.Tensor:
    """The `count` nearest centroids of each row, int32 (n, count)."""
    # From their mean: products cancel where the data lies far out.
    mean = centroids.mean(dim=0)
    centred = centroids - mean
    norms = centred.square().sum(dim=1)
    nearest = torch.empty((len(X), count), dtype=torch.int32, device=X.device)
    step = max(1, _BLOCK_BYTES // (4 * max(len(centroids), X.shape[1])))
    for start in range(0, len(X), step):
        rows = X[start : start + step] - mean
        compared = torch.addmm(norms, rows, centred.T, alpha=-2.0)
        nearest[start : start + step] = compared.topk(count, dim=1, largest=False).indices
    return nearest


def _members(
    X: torch.Tensor, centroids: torch.Tensor, overlap: int
) -> tuple[torch.Tensor, list[int]]:
    """The points of each cluster one after the other, int64 (n overlap,), and how many they are."""
    joined = _nearest(X, centroids, overlap).flatten()
    sizes: list[int] = joined.bincount(minlength=len(centroids)).tolist()
    return joined.argsort(stable=True).floor_divide_(overlap), sizes


def _search(
    X: torch.Tensor,
    k: int,
    clusters: tuple[torch.Tensor, ...],
    device: torch.device | None,
    limit: float | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Neighbours by exact searches within the clusters that points have joined."""
    indices = torch.full((len(X), k), -1, dtype=torch.int32, device=X.device)
    distances = torch.full((len(X), k), torch.inf, device=X.device)
    for members in clusters:
        if len(members) < 2:
            continue
        most = min(k, len(members) - 1)
        local = tiled.tiled_knn(X[members], most, device=device, limit=limit).indices
        candidates = torch.cat([indices[members], members[local.long()].int()], dim=1)
        indices[members], distances[members] = ops.rerank(X, candidates, k, points=members)
    return indices, distances
