"""Neighbours of a fit: searched among its rows, or given as `precomputed_knn`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from fastparadime import neighbors
from fastparadime.estimators._kinds import as_known
from fastparadime.graph.shared import candidates_for, with_shared_neighbors
from fastparadime.neighbors import NeighborGraph
from fastparadime.neighbors.metric_space import Space
from fastparadime.neighbors.precomputed import from_graph, from_lists, from_square
from fastparadime.neighbors.search import function_knn
from fastparadime.types import Array
from fastparadime.utils.convert import is_sparse, to_numpy
from fastparadime.utils.masks import without_mask


def find_neighbors(
    X: Any,
    k: int,
    space: Space,
    recall: float,
    min_shared_neighbors: int = 0,
    max_memory: float | None = None,
) -> NeighborGraph:
    """The nearest other points of each row, or by each row of distances."""
    least = min_shared_neighbors
    count = candidates_for(X.shape[0], k) if least else k
    if space.metric == "precomputed":
        found = neighbors.knn(X, count, "precomputed")
    elif callable(space.metric) and not is_sparse(X):
        found = function_knn(X, count, space.metric)
    else:
        options: dict[str, Any] = {"p": space.p, "recall": recall, "max_memory": max_memory}
        found = neighbors.knn(space.rows(X), count, space.metric, **options)
    return with_shared_neighbors(found, k, least) if least else found


def given_neighbors(knn: Any, n: int, n_neighbors: int, device: torch.device) -> NeighborGraph:
    """Neighbours of `precomputed_knn`, the point itself dropped, the nearest n_neighbors - 1 of them.

    They are checked on the host, and then lie on the device.

    Raises
    ------
    TypeError, ValueError
        If they are neither two arrays of indices and distances, of n_neighbors - 1 columns or more,
        nor a dense or sparse matrix of distances (n, n).
    """
    found = knn if isinstance(knn, NeighborGraph) else None
    knn = without_mask(knn if found is None else tuple(found), "precomputed_knn")
    if not isinstance(knn, (tuple, list)):
        return _moved(_given_distances(knn, n, n_neighbors - 1), device)
    if len(knn) < 2 or knn[0] is None or knn[1] is None:
        raise TypeError("precomputed_knn must hold indices and distances: (indices, distances)")
    indices, distances = (_array(part) for part in knn[:2])
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
    if found is not None:
        graph = replace(found, indices=graph.indices, distances=graph.distances)
    return _moved(graph, device)


def _moved(graph: NeighborGraph, device: torch.device) -> NeighborGraph:
    indices, distances = (part.to(device) for part in graph)
    return replace(graph, indices=indices, distances=distances)


def _given_distances(D: Any, n: int, k: int) -> NeighborGraph:
    matrix = D.tocsr() if is_sparse(D) else _array(D)
    if matrix.shape != (n, n):
        raise ValueError(
            "precomputed_knn must be (indices, distances) or a matrix of distances of shape "
            f"{(n, n)}, not of shape {matrix.shape}"
        )
    return (from_graph if is_sparse(D) else from_square)(matrix, k, "precomputed_knn")


def _array(part: Any) -> Array:
    known = as_known(part)
    return to_numpy(known) if isinstance(known, torch.Tensor) else np.asarray(known)


def neighbors_given(knn: Any) -> bool:
    """Whether `precomputed_knn` holds neighbours: arrays, or a matrix of distances."""
    if isinstance(knn, (tuple, list)):
        return any(part is not None for part in knn)
    return knn is not None
