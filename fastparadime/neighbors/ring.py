"""Exact search among the rows of several processes: blocks of rows go round them in a ring."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from fastparadime import ops
from fastparadime.distributed import Ranks, Shards
from fastparadime.neighbors import costs
from fastparadime.neighbors.blocks import SPARE
from fastparadime.neighbors.doubtful_rows import CANCELLED, cancelled, near_origin_centre, scale_of
from fastparadime.neighbors.exact import takes_products
from fastparadime.neighbors.memory import compared
from fastparadime.neighbors.metrics import NATIVE_METRICS, Metric
from fastparadime.neighbors.neighbor_graph import NeighborGraph, with_finite_distances
from fastparadime.neighbors.smallest import smallest
from fastparadime.neighbors.table import (
    SCALED_METRICS,
    UNIT_METRICS,
    Table,
    shown_step,
    true_distances,
    unit_distances,
    unit_of,
)
from fastparadime.utils.centring import centred, some_numbers
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.validate import check_integer

_NONE = torch.iinfo(torch.int32).max  # stands for no row, behind all others
_NOTHING = 1e-20  # of a square, where distances are near 1
_PAIRS = 2**24  # whose candidates are held at a time
_SHOWN = 512  # rows of a block and queries, of each, that show where both lie


class RingSearch:
    """The rows of all ranks, dealt out in slices, each rank's neighbours to be found by itself.

    Collective, as all methods are.

    Parameters
    ----------
    X : (n_local, d) array, tensor, list or source of rows
        The rank's own rows, none too; of one width and dtype on all ranks.
    metric : str
        A native one.
    p : float
        Exponent of ``"minkowski"``.
    ranks : Ranks

    Attributes
    ----------
    ranks : Ranks
    shards : Shards
    rows : float32 tensor (shards.count, columns)
        Those that the rank was dealt, as the metric compares them.

    Raises
    ------
    TypeError, ValueError
        On all ranks: for rows that are not as described on any, for other metrics, and for more
        than 2^31 - 1 rows.
    """

    def __init__(self, X: Any, metric: Metric, p: float, ranks: Ranks) -> None:
        with ranks.together():
            self._metric, self._p = _native(metric), p
            table = Table(X, self._metric, min_rows=0)
            if table.home.type != "cpu":
                raise ValueError(f"X must be on the CPU with process_group, not on {table.home}")
        self.ranks, self.shards = ranks, ranks.shards(table.data)
        n, d = self.shards.n, table.shape[1]
        self._unit = self._compare_alike(table)
        with ranks.together():
            local = _compared_rows(table, self._metric)
            bare = table.centre is None and not bool(local[:, -1:].any())
        if self._metric in UNIT_METRICS and all(ranks.told(bare)):
            local = local[:, :-1]  # of marks of rows without a direction: there are none
        self.rows = ranks.moved(local, self.shards.given, self.shards.dealt)
        with ranks.together():
            seconds = costs.estimate_seconds(n, d, self._metric, torch.get_num_threads())
            what = f"{n} rows of {d} columns by {ranks.size} processes"
            costs.warn_of_seconds(seconds / ranks.size, what)

    def _compare_alike(self, table: Table) -> float:
        """Has own rows centred and scaled as the table of all rows would be; its factor."""
        n, given, ranks = self.shards.n, self.shards.given, self.ranks

        def read(places: Any) -> Any:
            return to_numpy(table.some(places))

        spread = ranks.rows_at(some_numbers(n), given, read)
        strided = ranks.rows_at(np.arange(0, n, shown_step(n)), given, read)
        some = Table(spread, self._metric, min_rows=1)
        scaled = self._metric in SCALED_METRICS
        unit = unit_of(centred(strided, some.centre)) if scaled else 1.0
        table.compare_as(some, unit)
        return unit

    def nearest(self, k: int) -> NeighborGraph:
        """The k nearest other rows of each row that this rank was dealt, by their global numbers.

        The same bits for any number of ranks: two rows are compared in the slices that they lie in,
        and lists are joined by (distance, number).
        """
        ranks, shards = self.ranks, self.shards
        found = _Nearest(shards.count, k)
        held, of = self.rows, ranks.rank
        for step in range(ranks.size):
            waiting, coming = [], held
            before = (of - 1) % ranks.size
            if step < ranks.size - 1:
                coming = held.new_empty((_count(shards, before), held.shape[1]))
                waiting = ranks.pass_on(held, coming)
            with ranks.together():
                try:
                    self._compare(found, held, of)
                finally:
                    for request in waiting:
                        request.wait()
            held, of = coming, before
        squares = self._metric == "sqeuclidean"
        distances = found.distances.square() if squares else found.distances
        distances = true_distances(distances, self._unit, self._metric)
        if self._metric in UNIT_METRICS:
            distances = unit_distances(distances, self._metric)
        differed = int(ranks.sums(torch.tensor(found.differed)))
        redone = f", {differed} times by differences" if differed else ""
        graph = NeighborGraph(found.indices, distances, f"ring, exact{redone}")
        with ranks.together():
            return with_finite_distances(graph, self._metric, shards.first)

    def _compare(self, found: _Nearest, rows: torch.Tensor, rank: int) -> None:
        """Own rows with those of another rank, slice by slice."""
        metric = compared(self._metric)
        for mine in self.shards.slices(self.shards.rank):
            queries = self.rows[mine]
            for theirs in self.shards.slices(rank):
                block = rows[theirs]
                if not len(queries) or not len(block):
                    continue
                itself = rank == self.shards.rank and mine == theirs
                if takes_products(metric):
                    reach = found.distances[mine, -1]
                    lists = _by_products(queries, block, reach, found.width, itself=itself)
                else:
                    own = torch.arange(len(queries))
                    pairs = _by_pairs(queries, block, own, found.width, metric, self._p, itself)
                    lists = Found(own, *pairs, 0)
                found.take(mine.start + lists.places, self.shards.dealt[rank] + theirs.start, lists)


def ring_knn(X: Any, k: int, metric: Metric, p: float, ranks: Ranks) -> NeighborGraph:
    """`fastparadime.neighbors.knn` of the rows of all ranks: the neighbours of the own rows."""
    with ranks.together():
        k = check_integer(k, "k", minimum=1)
    ranks.agree({"k": k, "metric": metric, "p": p})
    search = RingSearch(X, metric, p, ranks)
    n = search.shards.n
    check_integer(k, "k", minimum=1, maximum=n - 1)
    graph = search.nearest(k)
    indices, distances = (
        ranks.moved(part, search.shards.dealt, search.shards.given) for part in graph
    )
    return replace(graph, indices=indices, distances=distances)


def _native(metric: Metric) -> str:
    if metric not in NATIVE_METRICS:
        raise ValueError(
            f"metric must be one of {', '.join(map(repr, NATIVE_METRICS))} with process_group, not "
            f"{metric!r}"
        )
    return str(metric)


def _compared_rows(table: Table, metric: str) -> torch.Tensor:
    """All own rows; of unit rows with the column of marks."""
    if metric not in UNIT_METRICS:
        return table.whole().contiguous()
    rows = torch.empty((table.shape[0], table.columns))
    table.fill(rows, 0)
    return rows


def _count(shards: Shards, rank: int) -> int:
    return shards.dealt[rank + 1] - shards.dealt[rank]


class _Nearest:
    """The nearest so far of own rows, by (distance, number)."""

    def __init__(self, rows: int, k: int) -> None:
        self.width, self.differed = k, 0
        self.indices = torch.full((rows, k), _NONE, dtype=torch.int32)
        self.distances = torch.full((rows, k), torch.inf)

    def take(self, places: torch.Tensor, start: int, lists: Found) -> None:
        """Joins what a block of rows, the first of number `start`, has for some of the own rows."""
        numbers = torch.where(lists.indices < 0, _NONE, lists.indices + start)
        both = torch.cat((self.distances[places], lists.distances), 1)
        joined = smallest(
            both.numpy(), torch.cat((self.indices[places], numbers), 1).numpy(), self.width
        )
        self.indices[places], self.distances[places] = map(torch.from_numpy, joined)
        self.differed += lists.differed


class Found(NamedTuple):
    """Neighbours in a block of rows of some queries, at their places, -1 at infinity behind them."""

    places: torch.Tensor
    indices: torch.Tensor
    distances: torch.Tensor
    differed: int  # queries that took all differences


def _by_products(
    queries: torch.Tensor, rows: torch.Tensor, reach: torch.Tensor, k: int, *, itself: bool
) -> Found:
    """The k nearest rows of a block by Euclidean distance of the queries that have any within reach.

    Where `itself`, the queries are the rows, and none is its own neighbour.
    """
    shown = (part[:: -(-len(part) // _SHOWN)] for part in (queries, rows))
    centre, spread = near_origin_centre(torch.cat(tuple(shown)))
    scale = scale_of(spread)
    norms = ((queries - centre) * scale).square().sum(dim=1)
    # As far as rounding of products may take the square of a row within reach.
    squares = (reach.double() * scale).square()
    within = (squares * (1 + CANCELLED) + CANCELLED * (norms + squares) + _NOTHING).float()
    count = min(len(rows), k + 1 + SPARE)
    candidates, _ = ops.ProductTable(rows, centre, scale).nearest_to(queries, count, within=within)
    full = candidates[:, -1] >= 0
    if itself:
        candidates = _without_itself(candidates, torch.arange(len(queries)))
    places = (candidates >= 0).any(dim=1).nonzero().flatten()
    indices, distances = ops.rerank(rows, candidates[places], k, queries=queries[places])
    if count == len(rows):  # all of them, whatever products say
        return Found(places, indices, distances, 0)
    doubtful = (cancelled(distances, norms[places], scale) & full[places]).nonzero().flatten()
    if len(doubtful):
        redone = _by_pairs(queries, rows, places[doubtful], k, "euclidean", 2.0, itself)
        indices[doubtful], distances[doubtful] = redone
    return Found(places, indices, distances, len(doubtful))


def _by_pairs(
    queries: torch.Tensor,
    rows: torch.Tensor,
    some: torch.Tensor,
    k: int,
    metric: str,
    p: float,
    itself: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The k nearest rows of a block of some queries by the true distances of all pairs."""
    everyone = torch.arange(len(rows), dtype=torch.int32)
    found = []
    for part in some.split(max(1, _PAIRS // len(rows))):
        candidates = everyone.expand(len(part), -1)
        if itself:
            candidates = _without_itself(candidates, part)
        found.append(ops.rerank(rows, candidates, k, metric, p=p, queries=queries[part]))
    indices, distances = (torch.cat(parts) for parts in zip(*found, strict=True))
    return indices, distances


def _without_itself(candidates: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    return torch.where(candidates == own[:, None], -1, candidates)
