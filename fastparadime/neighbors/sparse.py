"""Neighbours among the rows of a sparse matrix, exact or through a random projection."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch

from fastparadime import ops
from fastparadime.neighbors import binary, correlations, costs
from fastparadime.neighbors.blocks import SPARE
from fastparadime.neighbors.neighbor_graph import NeighborGraph
from fastparadime.neighbors.recall_sample import (
    EXACT_RECALL,
    Sample,
    sample_rows,
    warn_of_recall,
)
from fastparadime.neighbors.sparse_table import canonical, prepared, scaled_by_deviation, table_of
from fastparadime.neighbors.table import UNIT_METRICS, unit_distances
from fastparadime.utils.seed import derive
from fastparadime.utils.validate import check_form

METRICS = (
    *ops.SPARSE_METRICS, "cosine", "hellinger", "correlation", "seuclidean", *ops.BINARY_METRICS,
)  # fmt: skip
_COMPARED = {"cosine": "euclidean", "hellinger": "euclidean", "seuclidean": "euclidean"}
_APPROXIMATED = ("euclidean", "sqeuclidean", "manhattan")  # near in a projection where near
_COLUMNS = 128  # of the projection
_SMALL = 16  # times a leaf, below which so many points are compared anyway
_FOLDED = 2**16  # columns of the matrix that the projection tells apart
_TREES = 8
_ROUNDS = 2  # on the projection
_MOST_ROUNDS = 16  # by true distances
_PROJECTIONS = 3  # one after the other where the rounds after one gain no more
_GAIN = 0.002  # of recall that a further round must bring
_EXTRA = 10  # neighbours listed beyond k
_BLOCK_BYTES = 64 * 2**20  # of candidates held at a time
_CHUNK = 2**12  # points between two looks for Ctrl-C
# Nanoseconds of one thread, measured on a server of 2024.
_PRODUCT = 1.3  # of two values in one column
_SCORE = 1.0  # of a pair of rows
_MEET = 2.0  # of a value and a row, whose candidates are all others
_WALK = 16000.0  # of a stored value, in all rounds of the approximate search


def is_approximate(table: ops.SparseTable, k: int, metric: str, recall: float) -> bool:
    """Whether the approximate search is wanted: where it takes less time."""
    width = _width(len(table), k)
    if metric not in _APPROXIMATED or recall > EXACT_RECALL:
        return False
    cost = _exact_cost(table, metric)
    return len(table) > _SMALL * ops.leaf_size(width) and cost > _WALK * table.nnz


def estimate_memory(n: int, d: int, k: int, nnz: int, *, approximate: bool) -> int:
    """Bytes of a search among n sparse rows; see `fastparadime.neighbors.estimate_memory`."""
    tables = 8 * n * k + 32 * nnz + 40 * (n + d) + 2**26
    scores = torch.get_num_threads() * 4 * (n + d)
    if not approximate:
        return tables + scores
    width = _width(n, k)
    projected = 2 * 4 * _COLUMNS * n + 4 * _COLUMNS * min(d, _FOLDED)
    return tables + scores + projected + (30 * width + 40 * k + 400) * n


def check_sparse(X: Any, metric: Any) -> None:
    """Raises for a sparse matrix, or a metric of one, that is not searched."""
    if metric not in METRICS:
        known = ", ".join(map(repr, METRICS))
        raise ValueError(
            f"metric must be one of {known} for a sparse X, not {metric!r}: make X dense with "
            ".toarray(), or reduce its columns first with sklearn.decomposition.TruncatedSVD"
        )
    check_form(X, "X")


def find(X: Any, k: int, metric: str, p: float, recall: float, seed: int) -> NeighborGraph:
    """Neighbours of all rows of a sparse matrix by one of `METRICS`; see `sparse_knn`."""
    rows = canonical(X)
    if metric in ops.BINARY_METRICS:
        return binary.binary_knn(binary.listed_table(rows), k, metric, "sparse")
    if metric == "correlation":
        return correlations.correlation_knn(rows, k)
    if metric == "seuclidean":
        rows = scaled_by_deviation(rows)
    table = table_of(prepared(rows, metric))
    graph = sparse_knn(table, k, compared(metric), recall, seed, p=p)
    if metric in UNIT_METRICS:
        graph = dataclasses.replace(graph, distances=unit_distances(graph.distances, metric))
    return graph


def compared(metric: str) -> str:
    """The metric of `fastparadime.ops.SPARSE_METRICS` that prepared rows are compared by."""
    return _COMPARED.get(metric, metric)


def sparse_knn(
    table: ops.SparseTable, k: int, metric: str, recall: float, seed: int, *, p: float = 2.0
) -> NeighborGraph:
    """Neighbours of all rows, at least the share `recall` of them.

    Parameters
    ----------
    table : SparseTable
        Of n rows.
    k : int
        In [1, n).
    metric : str
        One of `fastparadime.ops.SPARSE_METRICS`.
    recall : float
    seed : int
    p : float
        Exponent of ``"minkowski"``.

    Warns
    -----
    RecallWarning
        If it fell short.
    SlowSearchWarning
        Before an exact search that is going to take more than ten minutes.
    """
    n = len(table)
    if not is_approximate(table, k, metric, recall):
        seconds = 1e-9 * _exact_cost(table, metric) / torch.get_num_threads()
        costs.warn_of_seconds(seconds, f"{n} sparse rows with {table.nnz} values")
        return NeighborGraph(*_exact(table, torch.arange(n), k, metric, p), "sparse, exact")
    chosen = sample_rows(n, recall, seed)
    sample = Sample(chosen, *_exact(table, chosen, k, metric))
    search = _Search(table, k, metric)
    for attempt in range(_PROJECTIONS):
        search.project(derive(seed, attempt))
        found = sample.recall(search.distances[chosen, :k])
        gain = math.inf
        while found[1] < recall and gain >= _GAIN and search.rounds < _MOST_ROUNDS:
            before = found[0]
            search.refine()
            found = sample.recall(search.distances[chosen, :k])
            gain = found[0] - before
        if found[1] >= recall:
            break
    if found[1] < recall:
        advice = "recall=1.0 searches exactly; TruncatedSVD makes columns that are easier to search"
        warn_of_recall(recall, found, "the search through a projection", advice)
    engine = (
        f"sparse, {attempt + 1} projection{'s' * (attempt > 0)}, {search.rounds} rounds, "
        f"recall {found[0]:.3f} >= {found[1]:.3f}"
    )
    indices, distances = (part[:, :k].contiguous() for part in (search.lists, search.distances))
    return NeighborGraph(indices, distances, engine, *found)


def _width(n: int, k: int) -> int:
    return min(n - 1, 2 * k + _EXTRA)


def _exact_cost(table: ops.SparseTable, metric: str) -> float:
    if metric not in ops.SHARED_METRICS:
        return _MEET * len(table) * (2.0 * table.nnz + len(table))
    return _PRODUCT * table.pairs() + _SCORE * float(len(table)) ** 2


def _exact(
    table: ops.SparseTable, points: torch.Tensor, k: int, metric: str, p: float = 2.0
) -> tuple[torch.Tensor, torch.Tensor]:
    indices = torch.empty((len(points), k), dtype=torch.int32)
    distances = torch.empty((len(points), k))
    for start, candidates in proposed(table, points, k + 1, metric):
        part = slice(start, start + len(candidates))
        found = table.rerank(candidates, k, metric, p=p, points=points[part])
        indices[part], distances[part] = found
    return indices, distances


def proposed(
    table: ops.SparseTable,
    points: torch.Tensor,
    k: int,
    metric: str,
    queries: ops.SparseTable | None = None,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Rows among which are the k nearest of some points: the first point and theirs, in turn."""
    n = len(table)
    shared = metric in ops.SHARED_METRICS
    step = _CHUNK if shared else max(1, min(_CHUNK, _BLOCK_BYTES // (16 * n)))
    every = torch.arange(n, dtype=torch.int32)
    for start in range(0, len(points), step):
        some = points[start : start + step]
        if shared:
            yield start, table.nearest(some, min(n, k + SPARE), metric, queries=queries)
        else:
            yield start, every.expand(len(some), n)


class _Search:
    """Lists of neighbours by true distances, from projections and from one another."""

    def __init__(self, table: ops.SparseTable, k: int, metric: str) -> None:
        self._table, self._k, self._metric = table, k, metric
        n = len(table)
        self._width = _width(n, k)
        self.lists = torch.full((n, min(self._width, k + _EXTRA)), -1, dtype=torch.int32)
        self.distances = torch.full(self.lists.shape, math.inf)
        self.rounds = 0

    def project(self, seed: int) -> None:
        """Takes in the neighbours in a random projection."""
        rows = self._table.project(_COLUMNS, folded=_FOLDED, seed=seed)
        descent = ops.NeighborDescent(rows, self._width, columns=_COLUMNS, seed=seed)
        descent.grow(_TREES)
        for _ in range(_ROUNDS):
            descent.refine(self._width)
        self._take(descent.nearest(self._width)[0].__getitem__)

    def refine(self) -> None:
        """Takes in those that list a point, and the neighbours of these and of its own."""
        near = self.lists[:, : self._k]
        around = torch.cat((near, _reverse(near)), dim=1)

        def beyond(part: slice) -> torch.Tensor:
            middle = around[part].long()
            ends = near[middle.clamp_min(0)].masked_fill_((middle < 0)[..., None], -1)
            return torch.cat((around[part], ends.flatten(1)), dim=1)

        self._take(beyond)
        self.rounds += 1

    def _take(self, candidates: Callable[[slice], torch.Tensor]) -> None:
        found = torch.empty_like(self.lists), torch.empty_like(self.distances)
        for start in range(0, len(self.lists), _CHUNK):
            part = slice(start, min(len(self.lists), start + _CHUNK))
            points = torch.arange(part.start, part.stop)
            joined = torch.cat((self.lists[part], candidates(part)), dim=1)
            width = self.lists.shape[1]
            best = self._table.rerank(joined, width, self._metric, points=points)
            for whole, piece in zip(found, best, strict=True):
                whole[part] = piece
        self.lists, self.distances = found


def _reverse(near: torch.Tensor) -> torch.Tensor:
    """As many points that list each one, those that rank it first; -1 where there are fewer."""
    n, k = near.shape
    listed = near.flatten().long()
    ranks = torch.arange(k).repeat(n)
    order = torch.where(listed < 0, n * k, listed * k + ranks).argsort(stable=True)
    order = order[: int((listed >= 0).sum())]
    whose = listed[order]
    places = torch.arange(len(order)) - torch.searchsorted(whose, torch.arange(n))[whose]
    kept = places < k
    reverse = torch.full((n, k), -1, dtype=torch.int32)
    reverse[whose[kept], places[kept]] = (order[kept] // k).to(torch.int32)
    return reverse
