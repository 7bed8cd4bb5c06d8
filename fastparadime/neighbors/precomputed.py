"""Neighbours from what is known already: neighbour lists, tables of distances, distance graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fastparadime.neighbors.graph import NeighborGraph
from fastparadime.neighbors.keys import smallest
from fastparadime.types import Array
from fastparadime.utils import sources
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.validate import check_form, check_integer

_BLOCK_BYTES = 64 * 2**20  # of sorted entries held at a time


def is_graph(X: Any) -> bool:
    """Whether `X` is a sparse matrix of SciPy, without importing SciPy."""
    return hasattr(X, "nnz") and hasattr(X, "tocsr")


def from_lists(lists: Any, k: int, name: str = "X") -> NeighborGraph:
    """The k nearest of each point's list.

    Parameters
    ----------
    lists : (indices, distances)
        Arrays or tensors (n, w) in any order. The point itself is dropped; entries of negative
        index or infinite distance are empty.
    k : int
        In [1, n).
    name : str
        What errors call `lists`.

    Raises
    ------
    TypeError, ValueError
        If they are no two such arrays, naming the first row that holds a wrong index, a repeated
        one, a distance that is negative or NaN, or fewer than k other points.
    """
    if len(lists) != 2:
        raise TypeError(f"{name} must be a pair (indices, distances), not {len(lists)} items")
    indices, distances = (to_numpy(part) for part in lists)
    if indices.shape != distances.shape or indices.ndim != 2:
        raise ValueError(
            f"{name} must be two arrays (n, w) of one shape, indices and distances, not "
            f"{indices.shape} and {distances.shape}"
        )
    if indices.dtype.kind not in "iu" or distances.dtype.kind not in "iuf":
        raise TypeError(
            f"{name} must hold integer indices and real distances, not {indices.dtype} and "
            f"{distances.dtype}"
        )
    n, width = indices.shape
    k = check_integer(k, "k", minimum=1, maximum=n - 1)
    found, at = _empty(n, k)
    rows = max(1, _BLOCK_BYTES // (8 * max(1, width)))
    for start in range(0, n, rows):
        part = slice(start, min(n, start + rows))
        own = np.arange(part.start, part.stop)
        found[part], at[part] = _nearest(indices[part], distances[part], own, n, k, name)
    return _graph(found, at, "neighbor lists")


def from_graph(graph: Any, k: int, name: str = "X") -> NeighborGraph:
    """The k nearest by a sparse matrix whose stored entries, zeros included, are distances.

    Parameters, order and errors are as of `from_lists`; entries of the diagonal are dropped.
    """
    if graph.ndim != 2 or graph.shape[0] != graph.shape[1]:
        raise ValueError(f"{name} must be square for metric='precomputed', not {graph.shape}")
    if graph.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold real distances, not {graph.dtype}")
    graph = graph.tocsr()
    n = graph.shape[0]
    k = check_integer(k, "k", minimum=1, maximum=n - 1)
    found, at = _empty(n, k)
    lengths = np.diff(graph.indptr)
    order = np.argsort(lengths, kind="stable")  # so that rows of a block are about as long
    start = 0
    while start < n:
        widest = int(lengths[order[min(n, start + 4096) - 1]])
        own = order[start : start + min(4096, max(1, _BLOCK_BYTES // (8 * max(1, widest))))]
        columns = np.arange(max(1, int(lengths[own].max())))
        there = columns < lengths[own, None]
        places = np.where(there, graph.indptr[own, None] + columns, 0)
        indices, distances = np.full(places.shape, -1, np.int64), np.full(places.shape, np.inf)
        indices[there], distances[there] = graph.indices[places[there]], graph.data[places[there]]
        found[own], at[own] = _nearest(indices, distances, own, n, k, name)
        start += len(own)
    return _graph(found, at, "distance graph")


def from_square(D: Any, k: int, name: str = "X") -> NeighborGraph:
    """The k nearest by a square table of distances, read block by block.

    Parameters
    ----------
    D : (n, n) array, tensor or source of rows
        Not negative, with zeros on the diagonal; infinite between points that are no neighbours.
    k : int
        In [1, n).
    name : str
        What errors call `D`.

    Raises
    ------
    OSError
        For a source that cannot be read.
    TypeError, ValueError
        If it is not as described, naming the first such row.
    """
    table = D if isinstance(D, np.ndarray) or sources.is_source(D) else to_numpy(D)
    check_form(table, name)
    n, columns = table.shape
    if n != columns:
        raise ValueError(
            f"{name} must be square for metric='precomputed', but has shape {tuple(table.shape)}"
        )
    k = check_integer(k, "k", minimum=1, maximum=n - 1)
    found, at = _empty(n, k)
    numbers = np.arange(n)
    step = max(1, _BLOCK_BYTES // (8 * n))
    for start in range(0, n, step):
        own = numbers[start : start + step]
        if isinstance(table, np.ndarray):
            block = table[start : start + step]
        else:
            block = sources.read_rows(table, start, start + len(own), name)
        indices = np.broadcast_to(numbers, block.shape)
        nearest = _nearest(indices, block, own, n, k, name, distinct=True)
        if (block[np.arange(len(own)), own] != 0).any():
            raise ValueError(f"{name} must have a diagonal of zeros for metric='precomputed'")
        found[own], at[own] = nearest
    return _graph(found, at, "distances")


def _empty(n: int, k: int) -> tuple[Array, Array]:
    return np.empty((n, k), np.int32), np.empty((n, k), np.float32)


def _graph(indices: Array, distances: Array, what: str) -> NeighborGraph:
    engine = f"precomputed {what}"
    return NeighborGraph(torch.from_numpy(indices), torch.from_numpy(distances), engine)


def _nearest(
    indices: Array,
    distances: Array,
    own: Array,
    n: int,
    k: int,
    name: str,
    *,
    distinct: bool = False,
) -> tuple[Array, Array]:
    with np.errstate(over="ignore"):
        distances = distances.astype(np.float32)  # a copy
    _refuse(~(distances >= 0), own, f"{name} must hold distances", "a negative or NaN one")
    _refuse(indices >= n, own, f"{name} must hold indices below {n}", "a larger one")
    if not distinct:
        ordered = np.sort(indices, axis=1)
        twice = (np.diff(ordered, axis=1) == 0) & (ordered[:, 1:] >= 0)
        _refuse(twice, own, f"{name} must name a neighbor once", "one twice")
    none = (indices < 0) | (indices == own[:, None]) | np.isinf(distances)
    enough = (~none).sum(axis=1)
    if (enough < k).any():
        first = int(np.argmin(own + n * (enough >= k)))
        raise ValueError(
            f"{name} must hold at least k = {k} other points in each row, but row {own[first]} "
            f"holds {enough[first]}"
        )
    distances[none] = np.inf
    return smallest(distances, np.where(none, 0, indices), k)


def _refuse(bad: Array, own: Array, wanted: str, what: str) -> None:
    if bad.any():
        row = int(own[bad.any(axis=1)].min())
        raise ValueError(f"{wanted}, but row {row} has {what}")
