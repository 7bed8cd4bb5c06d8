"""Approximate nearest neighbours on the CPU: a random-projection forest, then neighbour descent."""

from __future__ import annotations

import math
from typing import Any

import torch

from fastparadime import _core
from fastparadime.ops._checks import MAX_POINTS, as_floats, target_of
from fastparadime.ops.neighbors.rerank import rerank
from fastparadime.ops.neighbors.subspace import Subspace, largest, scale_of, stride_of
from fastparadime.types import TensorLike
from fastparadime.utils import disk
from fastparadime.utils.validate import check_integer, check_option

_LEAF = 256  # points compared all with all: cheap beside looking for any of them
_FOREST = 4  # trees built at a time
_CHUNK = 2**15  # points between two looks for Ctrl-C, which also see what earlier ones found
_MAX_ROUNDS = 255


class NeighborDescent:
    """Neighbour lists of all points, improved step by step.

    Lists hold the nearest found so far by distances among at most `columns` coordinates: of data
    with more, by the projection to its directions of largest variance. `nearest` compares in full.

    Parameters
    ----------
    X : (n, d) array or tensor
        Finite numbers, on the CPU.
    width : int
        Neighbours listed a point, in [1, n).
    columns : int
        Coordinates that are compared on the way.
    seed : int
        Of the trees, in [0, 2^63).

    Raises
    ------
    TypeError, ValueError
        For data that is no finite table on the CPU, or another argument outside its range.

    Notes
    -----
    Dasgupta and Freund, "Random projection trees and low dimensional manifolds", STOC 2008; Dong,
    Moses and Li, "Efficient k-nearest neighbor graph construction for generic similarity
    measures", WWW 2011. Trees halve their nodes at the median, and each point looks through the
    neighbours of its neighbours and of those that list it, so that its list has one writer: the
    same seed gives the same bits with any number of threads.
    """

    def __init__(self, X: TensorLike, width: int, *, columns: int = 64, seed: int = 0) -> None:
        self._X = _table(X)
        n = len(self._X)
        self.width = check_integer(width, "width", minimum=1, maximum=n - 1)
        self._columns = check_integer(columns, "columns", minimum=1)
        self._seed = check_integer(seed, "seed", minimum=0, maximum=2**63 - 1)
        self._leaf = leaf_size(self.width)
        self.trees = self.rounds = 0
        self._order, self._rows = self._arrange()
        self._indices = torch.full((n, width), -1, dtype=torch.int32)
        self._distances = torch.full((n, width), math.inf)
        self._found_in = torch.zeros((n, width), dtype=torch.uint8)

    @property
    def _dim(self) -> int:
        return min(self._X.shape[1], self._columns)

    def _arrange(self) -> tuple[torch.Tensor, torch.Tensor]:
        # In the order of a tree, the rows of close points are close in memory.
        n, d = self._X.shape
        if d > self._columns:
            rows = Subspace(self._X, self._columns, self._seed).rows()
            order = self._forest(rows, 1)[0]
            return order, rows.index_select(0, order)
        scale = scale_of(self._X)
        order = self._forest(padded_rows(self._X, torch.arange(n), scale), 1)[0]
        return order, padded_rows(self._X, order, scale)

    def _points(self, rows: torch.Tensor) -> _core.Points:
        n, stride = rows.shape
        return _core.Points(rows.data_ptr(), n, stride, self._dim)

    def _lists(self) -> _core.NeighborLists:
        return _core.NeighborLists(
            self._indices.data_ptr(),
            self._distances.data_ptr(),
            self._found_in.data_ptr(),
            self.width,
        )

    def _forest(self, rows: torch.Tensor, trees: int) -> torch.Tensor:
        orders = torch.empty((trees, len(rows)), dtype=torch.int32)
        _core.build_forest(
            orders.data_ptr(),
            self._points(rows),
            trees,
            self.trees,
            self._leaf,
            self._seed,
            target_of(rows),
        )
        return orders

    def grow(self, trees: int) -> None:
        """Compares the points of each leaf of so many more trees.

        Parameters
        ----------
        trees : int
        """
        trees = check_integer(trees, "trees", minimum=0)
        if self.trees == 0 and trees > 0:  # the tree that the rows lie in the order of
            self._join(torch.arange(len(self._rows), dtype=torch.int32))
            trees -= 1
        for start in range(0, trees, _FOREST):
            for order in self._forest(self._rows, min(_FOREST, trees - start)):
                self._join(order)

    def _join(self, order: torch.Tensor) -> None:
        _core.join_leaves(
            self._lists(),
            self._points(self._rows),
            order.data_ptr(),
            self._leaf,
            target_of(order),
        )
        self.trees += 1

    def refine(self, max_candidates: int = 20) -> float:
        """One round of neighbour descent.

        Parameters
        ----------
        max_candidates : int
            How many neighbours, and how many of those that list a point, are looked through.

        Returns
        -------
        float
            New entries of lists, a point.

        Raises
        ------
        RuntimeError
            After 255 rounds.
        """
        # There are no more neighbours, nor points that list one.
        max_candidates = min(
            check_integer(max_candidates, "max_candidates", minimum=1), len(self._rows)
        )
        if self.rounds == _MAX_ROUNDS:
            raise RuntimeError(f"neighbour descent takes at most {_MAX_ROUNDS} rounds")
        self.rounds += 1
        points = self._points(self._rows)
        return descent_round(self._lists(), points, len(self._rows), max_candidates, self.rounds)

    def nearest(
        self, k: int, metric: str = "euclidean", rows: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The k nearest of each list by true distances.

        Parameters
        ----------
        k : int
            In [1, width].
        metric : {"euclidean", "sqeuclidean"}
        rows : int64 tensor (m,), optional
            Points to answer for, all if None.

        Returns
        -------
        indices, distances : int32 and float32 tensors (m, k)
            As `fastparadime.ops.rerank` gives them.
        """
        k = check_integer(k, "k", minimum=1, maximum=self.width)
        metric = check_option(metric, ("euclidean", "sqeuclidean"), "metric")
        if rows is not None:
            place = torch.empty_like(self._order)
            place[self._order.long()] = torch.arange(len(place), dtype=torch.int32)
            candidates = self._named(self._indices[place[rows].long()])
            return rerank(self._X, candidates, k, metric, points=rows)
        found = rerank(self._X, self._named(self._indices), k, metric, points=self._order)
        indices, distances = (torch.empty_like(part) for part in found)
        indices[self._order.long()], distances[self._order.long()] = found
        return indices, distances

    def _named(self, places: torch.Tensor) -> torch.Tensor:
        names = self._order.index_select(0, places.clamp_min(0).flatten()).view_as(places)
        return torch.where(places < 0, places, names)


def descent_round(
    lists: _core.NeighborLists, points: _core.Points, n: int, max_candidates: int, number: int
) -> float:
    """One round over the lists of n points, numbered from 1; new entries a point."""
    reverse = disk.empty((n, max_candidates), torch.int32)
    target = target_of(reverse)
    _core.reverse_lists(reverse.data_ptr(), lists, n, max_candidates, number, target)
    found = 0
    for first in range(0, n, _CHUNK):
        last = min(n, first + _CHUNK)
        found += _core.nn_descent(
            lists, points, reverse.data_ptr(), max_candidates, first, last, number, target
        )
    return found / n


def nn_descent(
    X: TensorLike,
    k: int,
    *,
    trees: int = 8,
    rounds: int = 2,
    max_candidates: int = 20,
    width: int | None = None,
    seed: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Approximate k nearest other rows by Euclidean distance, with a fixed effort.

    Parameters
    ----------
    X : (n, d) array or tensor
        Finite numbers, on the CPU.
    k : int
        In [1, n); 0 and 1 rows have no neighbours and give empty results.
    trees, rounds, max_candidates : int
        Effort, as `NeighborDescent` takes it.
    width : int, optional
        Candidates kept for the final comparison, `list_width` if None.
    seed : int

    Returns
    -------
    indices, distances : int32 and float32 tensors (n, k)
        Nearest first by true distances, ties by index; the row itself is not among them.

    Raises
    ------
    TypeError, ValueError
        As `NeighborDescent` raises them.
    """
    table = _table(X)
    n, d = table.shape
    if n < 2:
        return torch.empty((n, 0), dtype=torch.int32), torch.empty((n, 0))
    k = check_integer(k, "k", minimum=1, maximum=n - 1)
    trees = check_integer(trees, "trees", minimum=1)
    rounds = check_integer(rounds, "rounds", minimum=0, maximum=_MAX_ROUNDS)
    if width is None:
        width = list_width(n, d, k)
    width = check_integer(width, "width", minimum=k, maximum=n - 1)
    descent = NeighborDescent(table, width, seed=seed)
    descent.grow(trees)
    for _ in range(rounds):
        descent.refine(max_candidates)
    return descent.nearest(k)


def leaf_size(width: int) -> int:
    """Most points of a leaf for lists of `width`: leaves of half the size fill the lists too."""
    return max(_LEAF, 2 * (width + 2))


def list_width(n: int, d: int, k: int, columns: int = 64) -> int:
    """Candidates to keep for k neighbours: more where the distances on the way are a projection's.

    Parameters
    ----------
    n, d : int
        Rows and columns of the data.
    k : int
    columns : int
        As of `NeighborDescent`.
    """
    return min(n - 1, k + 5 if d <= columns else 5 * k // 2 + 2)


def _table(X: TensorLike) -> torch.Tensor:
    table = as_floats(X, "X", 2)
    if table.device.type != "cpu":
        raise ValueError(f"neighbour descent runs on the CPU, but X is on {table.device}")
    if len(table) >= MAX_POINTS:
        raise ValueError(f"X may have fewer than 2^31 - 1 rows, not {len(table)}")
    if table.shape[1] == 0:
        raise ValueError(f"X must have at least one column, not shape {tuple(table.shape)}")
    if not math.isfinite(largest(table)):
        row = int((~torch.isfinite(table)).any(dim=1).nonzero()[0])
        raise ValueError(f"X must be finite, but row {row} is not")
    return table


def padded_rows(X: Any, order: torch.Tensor, scale: float) -> torch.Tensor:
    """Scaled rows in an order, with zeros beyond their coordinates, as `Points` wants them."""
    n, d = X.shape
    rows = disk.full((n, stride_of(d)), 0.0, torch.float32)
    for start in range(0, n, _CHUNK):
        chunk = order[start : start + _CHUNK]
        rows[start : start + len(chunk), :d] = X[chunk.long()] * scale
    return rows
