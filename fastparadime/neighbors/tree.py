"""Exact search by a k-d tree, for data of few dimensions, be they columns or within many of them."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from fastparadime import ops
from fastparadime.neighbors.metrics import Metric
from fastparadime.neighbors.neighbor_graph import NeighborGraph

_SPARE = 4  # candidates beyond k: the tree adds up squares in another order than `ops.rerank`
_FEW = 3  # columns that a tree serves best whatever the data
_MOST_COLUMNS = 64  # beyond which it is not tried
_SAMPLE = 32  # leaves whose searches tell what all will take
_USUAL = 15  # neighbours that queries are taken to ask for
_SOME = 20_000  # rows that show whether a tree of all is worth building
_PIECE_BYTES = 16 * 2**20  # of candidates and results at a time
_PAIRS = 3e7  # of rows compared between two looks for Ctrl-C
# Pairs of rows that a tree may compare a row: as long as products of so many of all rows take,
# other metrics so many, and clusters whatever the rows.
_OF_PRODUCTS, _OF_OTHERS, _OF_CLUSTERS = 0.2, 0.5, 4000
_OF_QUERIES = 0.1  # a query has the lanes of a leaf for itself


def may_serve(columns: int, metric: str) -> bool:
    """Whether rows of so many columns may be searched by a tree, by a metric that compares them."""
    return metric in ops.TREE_METRICS and columns <= _MOST_COLUMNS


def is_certain(columns: int, metric: str) -> bool:
    """Whether they are, whatever the data."""
    return may_serve(columns, metric) and columns <= _FEW


def needed_bytes(n: int, d: int, k: int) -> int:
    """What `tree_knn` takes beside `X` and the result: the tree, and pieces of candidates."""
    piece = min(n + 16, max(16, _PIECE_BYTES // _row_bytes(k)))
    return ops.tree_bytes(n, d) + piece * _row_bytes(k) + _SAMPLE * 64 * (k + _SPARE)


def _row_bytes(k: int) -> int:
    return 4 * (k + _SPARE) + 8 * k + 32


class TreeSearch:
    """The k nearest others of rows that share leaves of a k-d tree.

    Parameters
    ----------
    X : float32 tensor (n, d)
        On the CPU.
    k : int
        Less than n.
    metric : str
        One of `fastparadime.ops.TREE_METRICS`.
    p : float
        Exponent of ``"minkowski"``.
    """

    def __init__(self, X: torch.Tensor, k: int, metric: str = "euclidean", p: float = 2.0) -> None:
        self._X, self._k, self._metric, self._p = X, k, metric, p
        self._width = min(len(X), k + _SPARE)
        self._tree = ops.KdTree(X)

    def pairs(self, most: float) -> float:
        """How many rows are compared with a row in the mean, counted for some leaves alone.

        A count does not depend on how busy the machine is, so equal data takes the same engine.
        Searches of more than four times `most` are given up and counted as these.
        """
        step = -(-self._tree.leaves // _SAMPLE)
        leaves = torch.arange(0, self._tree.leaves, step, dtype=torch.int32)
        given_up = 1 + int(64 * most)
        compared = self._tree.nearest(
            leaves, self._width, self._metric, p=self._p, max_compared=given_up
        )[1]
        return float(compared.sum()) / int((self._tree.rows[leaves.long()] >= 0).sum())

    def of_leaves(
        self, leaves: torch.Tensor, pairs: float
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Rows, and their neighbours and distances, piece by piece."""
        rows = min(_PAIRS / max(pairs, 1.0), _PIECE_BYTES / _row_bytes(self._k))
        for part in leaves.split(max(1, int(rows / 16))):
            points = self._tree.rows[part.long()].flatten()
            points = points[: int((points >= 0).sum())]  # what fills up the last leaf comes last
            found = self._tree.nearest(part, self._width, self._metric, p=self._p)[0]
            candidates = found.flatten(0, 1)[: len(points)]
            yield (
                points.long(),
                *ops.rerank(self._X, candidates, self._k, self._metric, p=self._p, points=points),
            )

    def of_all(self, pairs: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Neighbours and distances (n, k) of all rows."""
        n = len(self._X)
        indices = torch.empty((n, self._k), dtype=torch.int32)
        distances = torch.empty((n, self._k))
        leaves = torch.arange(self._tree.leaves, dtype=torch.int32)
        for points, *found in self.of_leaves(leaves, pairs):
            indices[points], distances[points] = found
        return indices, distances

    def of_rows(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Neighbours and distances (m, k) of some rows, int64 (m,)."""
        n = len(self._X)
        place = torch.full((n,), -1, dtype=torch.int64)
        place[rows] = torch.arange(len(rows))
        wanted = place[self._tree.rows.long().clamp_(min=0)] >= 0
        leaves = wanted.any(dim=1).nonzero().flatten().to(torch.int32)
        indices = torch.empty((len(rows), self._k), dtype=torch.int32)
        distances = torch.empty((len(rows), self._k))
        for points, *found in self.of_leaves(leaves, n):
            asked = place[points]
            mine = asked >= 0
            indices[asked[mine]], distances[asked[mine]] = (part[mine] for part in found)
        return indices, distances


class TreeQueries:
    """The nearest rows of a table to queries: each query's depend on it alone."""

    def __init__(self, rows: torch.Tensor, tree: ops.KdTree, metric: str, p: float) -> None:
        self._rows, self._tree, self._metric, self._p = rows, tree, metric, p

    @classmethod
    def of(cls, table: torch.Tensor, metric: Metric, p: float) -> TreeQueries | None:
        """A tree of the rows, if that is faster than to compare them all with a query.

        Some rows show it: the more there are, the smaller the share of them that is compared.
        """
        if callable(metric) or not may_serve(table.shape[1], metric):
            return None
        if not is_certain(table.shape[1], metric):
            some = table[:: -(-len(table) // _SOME)].contiguous()
            most = _OF_QUERIES * len(some)
            if TreeSearch(some, min(len(some), _USUAL), metric, p).pairs(most) > most:
                return None
        return cls(table, ops.KdTree(table), metric, p)

    def __call__(self, queries: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Indices int32 and distances float32 (m, k), ascending, of queries (m, d)."""
        width = min(len(self._rows), k + _SPARE)
        candidates = self._tree.nearest_to(queries, width, self._metric, p=self._p)
        return ops.rerank(self._rows, candidates, k, self._metric, p=self._p, queries=queries)


def most_pairs(n: int, metric: str, *, approximates: bool) -> float:
    """Rows that may be compared with a row before another engine takes less time.

    Measured as nanoseconds: 5 a pair of rows in a tree, 1 by products, 20,000 a row by clusters.
    """
    share = _OF_PRODUCTS if metric in ("euclidean", "sqeuclidean") else _OF_OTHERS
    return min(share * n, _OF_CLUSTERS) if approximates else share * n


def tree_knn(
    X: torch.Tensor, k: int, metric: str, p: float, *, approximates: bool
) -> NeighborGraph | None:
    """Exact neighbours of all rows, or None if another engine is going to be faster.

    Parameters
    ----------
    X : float32 tensor (n, d)
        On the CPU.
    k : int
    metric : str
        One that `may_serve` takes.
    p : float
    approximates : bool
        Whether the other engine is that of overlapping clusters.
    """
    n, d = X.shape
    most = most_pairs(n, metric, approximates=approximates)
    certain = is_certain(d, metric)
    if (
        not certain and n > _SOME
    ):  # fewer rows are compared among fewer: a tree of all may be spared
        some = X[:: -(-n // _SOME)].contiguous()
        if TreeSearch(some, min(k, len(some) - 1), metric, p).pairs(most) > most:
            return None
    search = TreeSearch(X, k, metric, p)
    pairs = search.pairs(float(n) if certain else most)
    if pairs > most and not certain:
        return None
    return NeighborGraph(*search.of_all(pairs), "k-d tree, exact")
