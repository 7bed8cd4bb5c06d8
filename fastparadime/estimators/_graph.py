"""UMAP's weighted graph of the data: neighbours, membership strengths, labels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from fastparadime import neighbors, ops
from fastparadime.estimators._parameters import Settings
from fastparadime.neighbors.precomputed import from_lists
from fastparadime.types import Array

_UNKNOWN_LABEL = -1
_UNKNOWN_FACTOR = math.exp(-1.0)  # of an edge at whose ends a label is missing


def find_neighbors(X: Array, k: int, settings: Settings) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices and distances (n, k) of the nearest other points, nearest first."""
    if settings.metric == "precomputed":
        return _from_distances(X, k)
    graph = neighbors.knn(X, k, settings.metric, p=settings.p)
    return graph.indices, graph.distances


def _from_distances(D: Array, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    graph = neighbors.knn(D, k, "precomputed")
    return graph.indices, graph.distances


def given_neighbors(knn: Any, n: int, n_neighbors: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Neighbours of `precomputed_knn`, the point itself dropped, the first n_neighbors - 1 of them.

    Raises
    ------
    TypeError, ValueError
        If they are no two arrays (n, at least n_neighbors) of indices and distances, whose first
        column is the point itself.
    """
    if len(knn) < 2 or knn[0] is None or knn[1] is None:
        raise TypeError("precomputed_knn must hold indices and distances: (indices, distances)")
    indices, distances = (np.asarray(part) for part in knn[:2])
    if indices.shape != distances.shape or indices.ndim != 2 or len(indices) != n:
        raise ValueError(
            "precomputed_knn must hold two arrays of one shape with a row for each of "
            f"{n} points, not {indices.shape} and {distances.shape}"
        )
    if indices.shape[1] < n_neighbors:
        raise ValueError(
            f"precomputed_knn must have at least n_neighbors = {n_neighbors} columns, the point "
            f"itself counted, not {indices.shape[1]}"
        )
    if (indices[:, 0] != np.arange(n)).mean() > 0.5:  # duplicates may come before the point itself
        raise ValueError("precomputed_knn must have the point itself in its first column")
    graph = from_lists((indices, distances), n_neighbors - 1, "precomputed_knn")
    return graph.indices, graph.distances


def fuzzy_graph(
    indices: torch.Tensor, distances: torch.Tensor, settings: Settings
) -> tuple[ops.Edges, int]:
    """The fuzzy simplicial set of neighbours, and how many edges were too long for it."""
    too_long = ~(distances < settings.unrelated_distance)
    removed = int(too_long.sum())
    if removed:
        # They keep a place in the rows, but neither distance nor weight.
        distances = distances.masked_fill(too_long, 0.0)
        distances = torch.where(too_long, distances.amax(dim=1, keepdim=True), distances)
    weights = ops.smooth_knn(
        distances, "umap", local_connectivity=settings.local_connectivity
    ).weights.masked_fill(too_long, 0.0)
    return ops.symmetrize(indices, weights, "mix", mix_ratio=settings.set_op_mix_ratio), removed


def with_labels(edges: ops.Edges, y: Array, target_weight: float) -> ops.Edges:
    """The graph's intersection with categorical labels, -1 for unknown ones, as in umap-learn.

    Edges between different labels are weakened by exp(-2.5 / (1 - target_weight)), edges with an
    unknown label by exp(-1); then each point's strongest edge counts 1 again.
    """
    heads, tails = edges.heads.numpy(), edges.tails.numpy()
    far = 2.5 / (1 - target_weight) if target_weight < 1 else math.inf
    _, codes = np.unique(y, return_inverse=True)
    factors = np.where(codes[heads] == codes[tails], 1.0, math.exp(-far))
    if y.dtype.kind in "if":
        unknown = y == _UNKNOWN_LABEL
        factors[unknown[heads] | unknown[tails]] = _UNKNOWN_FACTOR
    weights = edges.weights.double().numpy() * factors
    n = len(edges.indptr) - 1
    largest = np.zeros(n)
    np.maximum.at(largest, heads, weights)
    strongest = largest[heads]
    scaled = np.divide(weights, strongest, out=np.zeros_like(weights), where=strongest > 0)
    return ops.symmetrize(edges.tails, scaled.astype(np.float32), "union", indptr=edges.indptr)
