"""Neighbours among overlapping clusters: for tables whose exact search on a GPU takes too long.

Each point joins its nearest clusters, each cluster is searched exactly and what its points found
joins their lists. Points join more clusters until rows solved exactly show the promised recall.
"""

from __future__ import annotations

import torch

from fastparadime import ops
from fastparadime.neighbors import tiled
from fastparadime.neighbors.approximate import EXACT_RECALL, Sample, warn_of_recall
from fastparadime.neighbors.graph import NeighborGraph
from fastparadime.utils.seed import derive

_EXACT_ROWS = 3_000_000  # up to which a GPU searches exactly
_CLUSTER_ROWS = 32_768  # points that are nearest to one cluster, on average
_OVERLAPS = (2, 4, 8)  # clusters a point joins, in turn
_SAMPLED = 64  # points a cluster that centroids are moved by
_MOVES = 8
_BLOCK_BYTES = 64 * 2**20  # of distances to centroids at a time


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
    device, limit
        As of `tiled_knn`.

    Returns
    -------
    NeighborGraph
        Where `X` lives.

    Warns
    -----
    RecallWarning
        If the widest overlap fell short.
    """
    sample = Sample.of(X, k, recall, seed)
    centroids = _centroids(X, seed)
    overlaps = [overlap for overlap in _OVERLAPS if overlap < len(centroids)] or [len(centroids)]
    for overlap in overlaps:
        indices, distances = _search(X, k, _nearest(X, centroids, overlap), device, limit)
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


def _centroids(X: torch.Tensor, seed: int) -> torch.Tensor:
    """Means of a sample's clusters, float32 (clusters, d), after some of Lloyd's iterations."""
    count = max(1, -(-len(X) // _CLUSTER_ROWS))
    generator = torch.Generator().manual_seed(derive(seed, "clusters"))
    size = min(len(X), count * _SAMPLED)
    # Drawn with replacement: a permutation of all rows would be the largest array here.
    drawn = torch.randint(len(X), (size,), generator=generator)
    sample = X[drawn.to(X.device)]
    centroids = sample[:count]
    for _ in range(_MOVES):
        labels = _nearest(sample, centroids, 1)[:, 0]
        order = labels.argsort(stable=True)
        sizes = labels.bincount(minlength=len(centroids))
        sizes = sizes[sizes > 0]  # an empty cluster is given up
        segments = ops.Segments(sizes.cpu(), X.device)
        ones = torch.ones((size, 1), dtype=torch.float64, device=X.device)
        sums = segments.gram(ones, sample[order].double())[:, 0]
        centroids = (sums / sizes[:, None]).float()
    return centroids


def _nearest(X: torch.Tensor, centroids: torch.Tensor, count: int) -> torch.Tensor:
    """The `count` nearest centroids of each row, int64 (n, count)."""
    # From their mean: products cancel where the data lies far out.
    mean = centroids.mean(dim=0)
    centred = centroids - mean
    norms = centred.square().sum(dim=1)
    chunks = X.split(max(1, _BLOCK_BYTES // (4 * len(centroids))))
    return torch.cat(
        [
            torch.addmm(norms, chunk - mean, centred.T, alpha=-2.0)
            .topk(count, dim=1, largest=False)
            .indices
            for chunk in chunks
        ]
    )


def _search(
    X: torch.Tensor,
    k: int,
    joined: torch.Tensor,
    device: torch.device | None,
    limit: float | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Neighbours by exact searches within the clusters that points have joined (n, overlap)."""
    n, overlap = joined.shape
    indices = torch.full((n, k), -1, dtype=torch.int32, device=X.device)
    distances = torch.full((n, k), torch.inf, device=X.device)
    order = joined.flatten().argsort(stable=True) // overlap
    for members in order.split(joined.flatten().bincount().tolist()):
        if len(members) < 2:
            continue
        most = min(k, len(members) - 1)
        local = tiled.tiled_knn(X[members], most, device=device, limit=limit).indices
        candidates = torch.cat([indices[members], members[local.long()].int()], dim=1)
        indices[members], distances[members] = ops.rerank(X, candidates, k, points=members)
    return indices, distances
