"""Neighbours from what is known already: neighbour lists, tables of distances, distance graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fastparadime.neighbors.neighbor_graph import NeighborGraph
from fastparadime.neighbors.smallest import smallest
from fastparadime.types import Array
from fastparadime.utils import sources
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.validate import check_form, check_integer
from fastparadime.utils.warning import warn

_BLOCK_BYTES = 64 * 2**20  # of sorted entries held at a time
# Negative distances to this share of the largest of their row, or of 1, are rounding. In float32,
# 1 - x y of equal unit rows of 50 to 20,000 columns goes down to -6e-7.
_ROUNDING = 1e-5


def is_graph(X: Any) -> bool:
    """Whether `X` is a sparse matrix of SciPy, without importing SciPy."""
    return hasattr(X, "nnz") and hasattr(X, "tocsr")


def from_lists(
    lists: Any, k: int, name: str = "X", *, first_row: int = 0, points: int | None = None
) -> NeighborGraph:
    """The k nearest of each point's list.

    Parameters
    ----------
    lists : (indices, distances)
        Arrays or tensors (n, w), w at least k, in any order. The point itself is dropped; entries
        of negative index or infinite distance are empty. Distances below zero by rounding, by 1e-5
        of the largest of their row or of 1, are 0.
    k : int
        In [1, n).
    name : str
        What errors call `lists`.
    first_row : int
        The number of the first point, where the lists are those of some points alone.
    points : int, optional
        How many points there are then; n if None.

    Returns
    -------
    NeighborGraph
        A row of fewer than k other points ends with the index -1 at an infinite distance.

    Raises
    ------
    TypeError, ValueError
        If they are no two such arrays, naming the first wrong or repeated index, or distance that
        is negative, NaN or beyond float32.

    Warns
    -----
    UserWarning
        If rows hold fewer than k other points.
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
    points = n if points is None else points
    k = check_integer(k, "k", minimum=1, maximum=points - 1)
    if width < k:
        raise ValueError(f"{name} must have at least k = {k} columns, not {width}")
    found, at = _empty(n, k)
    rows = max(1, _BLOCK_BYTES // (8 * max(1, width)))
    for start in range(0, n, rows):
        part = slice(start, min(n, start + rows))
        own = np.arange(first_row + part.start, first_row + part.stop)
        values = cleaned(distances[part], own, name, counted=indices[part] >= 0)
        _check_indices(indices[part], own, points, name)
        found[part], at[part] = _nearest(indices[part], values, own, k)
    return _graph(found, at, "neighbor lists", name)


def from_graph(graph: Any, k: int, name: str = "X") -> NeighborGraph:
    """The k nearest by a sparse matrix whose stored entries, zeros included, are distances.

    Parameters, result, errors and warnings are as of `from_lists`, with rows of any length; entries
    of the diagonal are dropped.
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
        widest = max(k, int(lengths[order[min(n, start + 4096) - 1]]))
        own = order[start : start + min(4096, max(1, _BLOCK_BYTES // (8 * widest)))]
        columns = np.arange(max(k, int(lengths[own].max())))
        there = columns < lengths[own, None]
        places = np.where(there, graph.indptr[own, None] + columns, 0)
        indices, distances = np.full(places.shape, -1, np.int64), np.full(places.shape, np.inf)
        indices[there], distances[there] = graph.indices[places[there]], graph.data[places[there]]
        distances = cleaned(distances, own, name, columns=indices)
        _check_indices(indices, own, n, name)
        found[own], at[own] = _nearest(indices, distances, own, k)
        start += len(own)
    return _graph(found, at, "distance graph", name)


def from_square(D: Any, k: int, name: str = "X") -> NeighborGraph:
    """The k nearest by a square table of distances, read block by block.

    Parameters
    ----------
    D : (n, n) array, tensor or source of rows
        Not negative but for rounding, as of `from_lists`, with zeros on the diagonal up to it;
        infinite between points that are no neighbours.
    k : int
        In [1, n).
    name : str
        What errors call `D`.

    Returns
    -------
    NeighborGraph
        As of `from_lists`.

    Raises
    ------
    OSError
        For a source that cannot be read.
    TypeError, ValueError
        If it is not as described, naming the first such entry.

    Warns
    -----
    UserWarning
        If rows hold fewer than k other points.
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
        block = cleaned(block, own, name)
        _check_diagonal(block, own, name)
        found[own], at[own] = _nearest(np.broadcast_to(numbers, block.shape), block, own, k)
    return _graph(found, at, "distances", name)


def _empty(n: int, k: int) -> tuple[Array, Array]:
    return np.empty((n, k), np.int32), np.empty((n, k), np.float32)


def _graph(indices: Array, distances: Array, what: str, name: str) -> NeighborGraph:
    k = indices.shape[1]
    fewer = np.flatnonzero(indices[:, -1] < 0)
    if len(fewer):
        least = fewer[np.argmin((indices[fewer] >= 0).sum(axis=1))]
        warn(
            f"{name} holds fewer than k = {k} other points in {len(fewer)} of {len(indices)} rows, "
            f"least in row {least} with {(indices[least] >= 0).sum()}: they are used with what they "
            "have",
            UserWarning,
        )
    engine = f"precomputed {what}"
    return NeighborGraph(torch.from_numpy(indices), torch.from_numpy(distances), engine)


def cleaned(
    distances: Array,
    own: Array,
    name: str,
    *,
    columns: Array | None = None,
    counted: Array | None = None,
) -> Array:
    """A copy of distances (m, w) in float32, in which those that rounding made negative are 0.

    `own` are the numbers of the rows and `columns` those of the entries, for errors; entries that
    are not `counted` are infinite.

    Raises
    ------
    ValueError
        For a distance that is negative, NaN or beyond float32, with its place.
    """
    with np.errstate(over="ignore"):
        values = distances.astype(np.float32)
    if counted is not None:
        values[~counted] = np.inf
    bad = ~(values >= 0)
    if bad.any():
        largest = np.where(values < np.inf, values, 0).max(axis=1, keepdims=True, initial=1)
        negative = bad & ~(values >= -np.float32(_ROUNDING) * largest)
        _refuse(negative, distances, own, columns, f"{name} must hold distances, not negative")
        values[bad] = 0
    if distances.dtype.itemsize > 4:
        beyond = np.isinf(values) & np.isfinite(distances)
        beyond &= True if counted is None else counted
        _refuse(beyond, distances, own, columns, f"{name} must hold distances within float32")
    return values


def _check_indices(indices: Array, own: Array, n: int, name: str) -> None:
    _refuse(indices >= n, indices, own, None, f"{name} must hold indices below {n}")
    ordered = np.sort(indices, axis=1)
    twice = (np.diff(ordered, axis=1) == 0) & (ordered[:, 1:] >= 0)
    if twice.any():
        row = _first(twice, own)
        which = ordered[row, 1:][twice[row]][0]
        raise ValueError(f"{name} must name a neighbor once, but row {own[row]} has {which} twice")


def _check_diagonal(block: Array, own: Array, name: str) -> None:
    diagonal = block[np.arange(len(own)), own]
    largest = np.where(block < np.inf, block, 0).max(axis=1, initial=1)
    wrong = np.flatnonzero((diagonal > _ROUNDING * largest) & (diagonal < np.inf))
    if len(wrong):
        raise ValueError(
            f"{name} must have a diagonal of zeros for metric='precomputed', but row "
            f"{own[wrong[0]]} has {diagonal[wrong[0]]:.6g}"
        )


def _nearest(indices: Array, distances: Array, own: Array, k: int) -> tuple[Array, Array]:
    """The k nearest others of each row; `distances` may be changed."""
    none = (indices < 0) | (indices == own[:, None])
    distances[none] = np.inf
    found, at = smallest(distances, np.where(none, 0, indices), k)
    found[np.isinf(at)] = -1
    return found, at


def _refuse(bad: Array, values: Array, own: Array, columns: Array | None, wanted: str) -> None:
    if not bad.any():
        return
    row = _first(bad, own)
    column = np.argmax(bad[row])
    place = column if columns is None else columns[row, column]
    raise ValueError(f"{wanted}, but row {own[row]} has {values[row, column]} in column {place}")


def _first(bad: Array, own: Array) -> int:
    """Which of the rows with a bad entry has the least number."""
    rows = np.flatnonzero(bad.any(axis=1))
    return int(rows[np.argmin(own[rows])])
