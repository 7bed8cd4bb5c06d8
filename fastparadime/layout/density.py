"""Local radii of UMAP's points in the data and in the embedding, for densMAP."""

from __future__ import annotations

import torch

from fastparadime import neighbors, ops
from fastparadime.graph import fuzzy_simplicial_set
from fastparadime.graph.edges import ends_of, sums_by_head, values_at

_NOTHING = 1e-8  # added to a radius, so that its logarithm is finite


def sampled_edges(edges: ops.Edges, n_epochs: int) -> ops.Edges:
    """The edges that are sampled within so many epochs, as umap-learn keeps them."""
    if not len(edges.weights):
        return edges
    kept = edges.weights >= edges.weights.max() / n_epochs
    indptr = torch.zeros_like(edges.indptr)
    indptr[1:] = kept.long().cumsum(0)[edges.indptr[1:] - 1].masked_fill(edges.indptr[1:] == 0, 0)
    return ops.Edges(indptr, *(part[kept] for part in edges[1:]))


def data_radii(edges: ops.Edges, indices: torch.Tensor, distances: torch.Tensor) -> torch.Tensor:
    """Log of the mean squared distance of each point's edges by weight, float64 (n,).

    Edges between points that are not neighbours, which labels bring, count nothing; NaN for a
    point without an edge.
    """
    return _log_means(edges, _edge_distances(edges, indices, distances) ** 2)


def embedded_radii(positions: torch.Tensor, n_neighbors: int, recall: float) -> torch.Tensor:
    """Log of the mean distance of each point's edges in the embedding's own graph, float64 (n,).

    The mean is that of distances, not of their squares, as in umap-learn; NaN where the position
    is.
    """
    there = positions[:, 0].isfinite()
    radii = positions.new_full((len(positions),), torch.nan, dtype=torch.float64)
    n = int(there.sum())
    if n < 2:
        return radii
    found = neighbors.knn(positions[there], min(n_neighbors, n) - 1, recall=recall)
    edges = fuzzy_simplicial_set(found).edges
    radii[there] = _log_means(edges, _edge_distances(edges, *found))
    return radii


def _edge_distances(
    edges: ops.Edges, indices: torch.Tensor, distances: torch.Tensor
) -> torch.Tensor:
    """The distance of each edge, float64 (edges,), from that end's neighbours that have it."""
    n, k = indices.shape
    there = (indices >= 0).flatten()
    heads = torch.arange(n, device=indices.device).repeat_interleave(k)[there]
    tails, values = indices.flatten().long()[there], distances.double().flatten()[there]
    known = torch.cat([heads, tails]), torch.cat([tails, heads])
    return values_at(n, ends_of(edges), known, torch.cat([values, values]))


def _log_means(edges: ops.Edges, values: torch.Tensor) -> torch.Tensor:
    weights = edges.weights.double().masked_fill_(values.isnan(), 0.0)
    sums = sums_by_head(edges, weights * values.nan_to_num())
    totals = sums_by_head(edges, weights)
    means = torch.where(totals > 0, sums / totals, torch.nan)
    return torch.log(_NOTHING + means)
