"""Exact search among the rows of several processes: blocks of rows go round them in a ring."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from fastparadime import ops
from fastparadime.distributed import Shards
from fastparadime.neighbors import costs
from fastparadime.neighbors.blocks import SPARE
from fastparadime.neighbors.doubtful_rows import CANCELLED, cancelled, near_origin_centre, scale_of
from fastparadime.neighbors.exact import takes_products
from fastparadime.neighbors.neighbor_graph import NeighborGraph
from fastparadime.neighbors.shared_rows import SharedRows
from fastparadime.neighbors.smallest import smallest

NONE = torch.iinfo(torch.int32).max  # stands for no row, behind all others
_NOTHING = 1e-20  # of a square, where distances are near 1
_PAIRS = 2**24  # whose candidates are held at a time
_SHOWN = 512  # rows of a block and queries, of each, that show where both lie


def ring_neighbors(shared: SharedRows, k: int) -> NeighborGraph:
    """The k nearest other rows of each row that this rank was dealt, by their global numbers.

    The same bits for any number of ranks: two rows are compared in the slices that they lie in, and
    lists are joined by (distance, number). Collective.
    """
    ranks, n = shared.ranks, shared.n
    with ranks.together():
        seconds = costs.estimate_seconds(n, shared.d, shared.metric, torch.get_num_threads())
        what = f"{n} rows of {shared.d} columns by {ranks.size} processes"
        costs.warn_of_seconds(seconds / ranks.size, what)
    found = Nearest(shared.shards.count, k)
    pass_round(shared, lambda rows, rank: _compare(shared, found, rows, rank))
    differed = int(ranks.sums(torch.tensor(found.differed)))
    redone = f", {differed} times by differences" if differed else ""
    return NeighborGraph(found.indices, found.distances, f"ring, exact{redone}")


def pass_round(shared: SharedRows, take: Callable[[torch.Tensor, int], None]) -> None:
    """Has each rank take the rows of all ranks, block by block, its own ones first. Collective.

    Parameters
    ----------
    shared : SharedRows
    take : callable (rows, rank)
        Gets the rows that a rank was dealt, and which rank that is.

    Raises
    ------
    Exception
        What `take` raises on any rank, on all ranks.
    """
    ranks, shards = shared.ranks, shared.shards
    held, of = shared.rows, ranks.rank
    for step in range(ranks.size):
        arrival, coming = None, held
        before = (of - 1) % ranks.size
        if step < ranks.size - 1:
            coming = held.new_empty((_count(shards, before), held.shape[1]))
            arrival = ranks.pass_on(held, coming)
        with ranks.together():
            try:
                take(held, of)
            finally:
                if arrival is not None:
                    arrival.wait()
        held, of = coming, before


def _compare(shared: SharedRows, found: Nearest, rows: torch.Tensor, rank: int) -> None:
    """Own rows with those of another rank, slice by slice."""
    shards, metric = shared.shards, shared.compared
    for mine in shards.slices(shards.rank):
        queries = shared.rows[mine]
        for theirs in shards.slices(rank):
            block = rows[theirs]
            if not len(queries) or not len(block):
                continue
            itself = rank == shards.rank and mine == theirs
            if takes_products(metric):
                reach = found.distances[mine, -1]
                lists = by_products(queries, block, reach, found.width, itself=itself)
            else:
                own = torch.arange(len(queries))
                pairs = _by_pairs(queries, block, own, found.width, metric, shared.p, itself)
                lists = Found(own, *pairs, 0)
            found.take(mine.start + lists.places, shards.dealt[rank] + theirs.start, lists)


def _count(shards: Shards, rank: int) -> int:
    return shards.dealt[rank + 1] - shards.dealt[rank]


class Nearest:
    """The nearest so far of own rows, by (distance, number)."""

    def __init__(self, rows: int, k: int) -> None:
        self.width, self.differed = k, 0
        self.indices = torch.full((rows, k), NONE, dtype=torch.int32)
        self.distances = torch.full((rows, k), torch.inf)

    def take(self, places: torch.Tensor, start: int, lists: Found) -> None:
        """Joins what a block of rows, the first of number `start`, has for some of the own rows."""
        numbers = torch.where(lists.indices < 0, NONE, lists.indices + start)
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


def by_products(
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
