"""UMAP's weighted graph of the data: neighbours and membership strengths."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from fastparadime import neighbors, ops
from fastparadime.estimators._metrics import Space
from fastparadime.estimators._parameters import Settings
from fastparadime.estimators._rows import is_sparse
from fastparadime.neighbors import NeighborGraph
from fastparadime.neighbors.precomputed import from_lists
from fastparadime.types import Array
from fastparadime.utils.masks import without_mask


class FuzzyGraph(NamedTuple):
    """The fuzzy simplicial set of neighbours."""

    edges: ops.Edges
    rho: torch.Tensor  # (n,) offsets of the nearest
    sigma: torch.Tensor  # (n,) widths
    removed: int  # edges that were too long


def find_neighbors(X: Any, k: int, space: Space) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices and distances (n, k) of the nearest other points, nearest first."""
    if space.metric == "precomputed":
        return _from_distances(X, k)
    graph = neighbors.knn(space.rows(X), k, space.metric, p=space.p)
    return graph.indices, graph.distances


def _from_distances(D: Any, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    graph = neighbors.knn(D, k, "precomputed")
    return graph.indices, graph.distances


def given_neighbors(knn: Any, n: int, n_neighbors: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Neighbours of `precomputed_knn`, the point itself dropped, the nearest n_neighbors - 1 of them.

    Raises
    ------
    TypeError, ValueError
        If they are neither two arrays of indices and distances, of n_neighbors - 1 others or more
        in each row, nor a dense or sparse matrix of distances (n, n).
    """
    knn = without_mask(tuple(knn) if isinstance(knn, NeighborGraph) else knn, "precomputed_knn")
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
    return graph.indices, graph.distances


def _given_distances(D: Any, n: int, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    matrix = D.tocsr() if is_sparse(D) else np.asarray(D)
    if matrix.shape != (n, n):
        raise ValueError(
            "precomputed_knn must be (indices, distances) or a matrix of distances of shape "
            f"{(n, n)}, not of shape {matrix.shape}"
        )
    try:
        return _from_distances(matrix, k)
    except ValueError as error:
        raise ValueError(str(error).replace("X must", "precomputed_knn must", 1)) from None


def fuzzy_graph(indices: torch.Tensor, distances: torch.Tensor, settings: Settings) -> FuzzyGraph:
    """The fuzzy simplicial set of neighbours, without edges too long for it."""
    too_long = ~(distances < settings.unrelated_distance)
    removed = int(too_long.sum())
    if removed:
        # They keep a place in the rows, but neither distance nor weight.
        distances = distances.masked_fill(too_long, 0.0)
        distances = torch.where(too_long, distances.amax(dim=1, keepdim=True), distances)
    strengths, rho, sigma = ops.smooth_knn(
        distances, "umap", local_connectivity=settings.local_connectivity
    )
    weights = strengths.masked_fill(too_long, 0.0)
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
    places = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
    found: Array = np.where(keys[places] == sought, values[order][places], np.nan)
    return found
