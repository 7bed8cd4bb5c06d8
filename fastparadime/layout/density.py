"""Local radii of UMAP's points in the data and in the embedding, for densMAP."""

from __future__ import annotations

import numpy as np
import torch

from fastparadime import neighbors, ops
from fastparadime.graph import fuzzy_simplicial_set
from fastparadime.graph.edges import ends_of, values_at
from fastparadime.types import Array

_NOTHING = 1e-8  # added to a radius, so that its logarithm is finite


def sampled_edges(edges: ops.Edges, n_epochs: int) -> ops.Edges:
    """The edges that are sampled within so many epochs, as umap-learn keeps them."""
    if not len(edges.weights):
        return edges
    kept = edges.weights >= edges.weights.max() / n_epochs
    indptr = torch.zeros_like(edges.indptr)
    indptr[1:] = kept.long().cumsum(0)[edges.indptr[1:] - 1].masked_fill(edges.indptr[1:] == 0, 0)
    return ops.Edges(indptr, *(part[kept] for part in edges[1:]))


def data_radii(edges: ops.Edges, indices: torch.Tensor, distances: torch.Tensor) -> Array:
    """Log of the mean squared distance of each point's edges by weight, float64 (n,).

    Edges between points that are not neighbours, which labels bring, count nothing; NaN for a
    point without an edge.
    """
    return _log_means(edges, _edge_distances(edges, indices, distances) ** 2)


def embedded_radii(positions: Array, n_neighbors: int, recall: float) -> Array:
    """Log of the mean distance of each point's edges in the embedding's own graph, float64 (n,).

    The mean is that of distances, not of their squares, as in umap-learn; NaN where the position
    is.
    """
    there = np.isfinite(positions[:, 0])
    radii = np.full(len(positions), np.nan)
    n = int(there.sum())
    if n < 2:
        return radii
    found = neighbors.knn(positions[there], min(n_neighbors, n) - 1, recall=recall)
    edges = fuzzy_simplicial_set(found).edges
    radii[there] = _log_means(edges, _edge_distances(edges, *found))
    return radii


def _edge_distances(edges: ops.Edges, indices: torch.Tensor, distances: torch.Tensor) -> Array:
    """The distance of each edge, float64 (edges,), from that end's neighbours that have it."""
    n, k = indices.shape
    heads, tails = np.repeat(np.arange(n), k), indices.numpy().ravel()
    values = distances.double().numpy().ravel()
    there = tails >= 0
    heads, tails, values = heads[there], tails[there], values[there]
    known = np.concatenate([heads, tails]), np.concatenate([tails, heads])
    return values_at(n, ends_of(edges), known, np.concatenate([values, values]))


def _log_means(edges: ops.Edges, values: Array) -> Array:
    n = len(edges.indptr) - 1
    weights = np.where(np.isnan(values), 0.0, edges.weights.double().numpy())
    heads = edges.heads.numpy()
    sums = np.bincount(heads, weights * np.nan_to_num(values), n)
    totals = np.bincount(heads, weights, n)
    means = np.divide(sums, totals, out=np.full(n, np.nan), where=totals > 0)
    radii: Array = np.log(_NOTHING + means)
    return radii
