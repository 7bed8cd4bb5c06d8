"""UMAP's weighted graph of the data: neighbours and membership strengths."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from fastparadime import neighbors, ops
from fastparadime.estimators._parameters import Settings
from fastparadime.neighbors import NeighborGraph
from fastparadime.neighbors.metric_space import Space
from fastparadime.neighbors.precomputed import from_graph, from_lists, from_square
from fastparadime.types import Array
from fastparadime.utils.convert import is_sparse
from fastparadime.utils.masks import without_mask


class FuzzyGraph(NamedTuple):
    """The fuzzy simplicial set of neighbours."""

    edges: ops.Edges
    rho: torch.Tensor  # (n,) offsets of the nearest
    sigma: torch.Tensor  # (n,) widths
    removed: int  # edges that were too long


def find_neighbors(X: Any, k: int, space: Space, recall: float) -> NeighborGraph:
    """The nearest other points of each row, or by each row of distances."""
    if space.metric == "precomputed":
        return neighbors.knn(X, k, "precomputed")
    return neighbors.knn(space.rows(X), k, space.metric, p=space.p, recall=recall)


def given_neighbors(knn: Any, n: int, n_neighbors: int) -> NeighborGraph:
    """Neighbours of `precomputed_knn`, the point itself dropped, the nearest n_neighbors - 1 of them.

    Raises
    ------
    TypeError, ValueError
        If they are neither two arrays of indices and distances, of n_neighbors - 1 columns or more,
        nor a dense or sparse matrix of distances (n, n).
    """
    found = knn if isinstance(knn, NeighborGraph) else None
    knn = without_mask(knn if found is None else tuple(found), "precomputed_knn")
    if not isinstance(knn, (tuple, list)):
        return _given_distances(knn, n, n_neighbors - 1)
    if len(knn) < 2 or knn[0] is None or knn[1] is None:
        raise TypeError("precomputed_knn must hold indices and distances: (indices, distances)")
    indices, distances = (np.asarray(part) for part in knn[:2])
    if indices.shape != distances.shape or indices.ndim != 2 or len(indices) != n:
        raise ValueError(
            "precomputed_knn must hold two arrays of one shape with a row for each of "
            f"{n} points, not {indices.shape} and {distances.shape}"
        )
    if indices.shape[1] < n_neighbors - 1:
        raise ValueError(
            f"precomputed_knn must have n_neighbors = {n_neighbors} columns or more, or one less "
            f"without the point itself, not {indices.shape[1]}"
        )
    graph = from_lists((indices, distances), n_neighbors - 1, "precomputed_knn")
    return (
        graph if found is None else replace(found, indices=graph.indices, distances=graph.distances)
    )


def _given_distances(D: Any, n: int, k: int) -> NeighborGraph:
    matrix = D.tocsr() if is_sparse(D) else np.asarray(D)
    if matrix.shape != (n, n):
        raise ValueError(
            "precomputed_knn must be (indices, distances) or a matrix of distances of shape "
            f"{(n, n)}, not of shape {matrix.shape}"
        )
    return (from_graph if is_sparse(D) else from_square)(matrix, k, "precomputed_knn")


def fuzzy_graph(found: NeighborGraph, settings: Settings) -> FuzzyGraph:
    """The fuzzy simplicial set of neighbours, without edges too long for it."""
    indices, distances = found
    too_long = (distances >= settings.unrelated_distance) & (indices >= 0)
    removed = int(too_long.sum())
    if removed:  # they keep a place in the rows, as neighbours that are lacking
        distances = distances.masked_fill(too_long, math.inf)
    weights, rho, sigma = ops.smooth_knn(
        distances, "umap", local_connectivity=settings.local_connectivity
    )
    edges = ops.symmetrize(indices, weights, "mix", mix_ratio=settings.set_op_mix_ratio)
    return FuzzyGraph(edges, rho, sigma, removed)


Ends = tuple[Array, Array]  # heads and tails of edges


def ends_of(edges: ops.Edges) -> Ends:
    return edges.heads.numpy(), edges.tails.numpy()


def values_at(n: int, wanted: Ends, known: Ends, values: Array) -> Array:
    """The values (edges,) of a directed graph of n points at some edges, NaN where it has none."""
    keys, sought = (heads.astype(np.int64) * n + tails for heads, tails in (known, wanted))
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    if not len(keys):
        return np.full(len(sought), np.nan)
    places = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
    found: Array = np.where(keys[places] == sought, values[order][places], np.nan)
    return found
