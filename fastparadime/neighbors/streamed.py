"""Exact search in little memory: blocks of queries against blocks of rows, each read in turn."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fastparadime.neighbors.blocks import SPARE, Nearest, Tile
from fastparadime.neighbors.neighbor_graph import NeighborGraph
from fastparadime.neighbors.table import Table

_ROWS = 4096  # of a block: many beside the candidates of a query, each of which costs twenty rows
_LEAST_ROWS = 256
_PIECE = 512  # queries whose distances to a block are held at a time
_LEAST_PIECE = 64


@dataclass(frozen=True)
class Tiles:
    """Sizes of a streamed search: queries held at once, rows of a block, queries of a product."""

    queries: int
    rows: int
    piece: int

    def bytes(self, n: int, d: int, k: int) -> int:
        """What the search takes at its peak, the result included.

        8 n k of the result; 4 d for each query; 28 d for each row of a block, which is read,
        converted, prepared and centred; for each query of a product its distances, 4 a row of the
        block, a centred copy, 4 d, and 96 (k + 9) of candidates.
        """
        products = self.piece * (4 * self.rows + 4 * d + 96 * (k + 1 + SPARE))
        return 8 * n * k + 4 * d * self.queries + 28 * d * self.rows + products


def least_tiles(n: int, k: int) -> Tiles:
    """The smallest tiles that are searched: many passes over the data."""
    piece = min(n, _LEAST_PIECE)
    return Tiles(piece, min(n, max(_LEAST_ROWS, 2 * k)), piece)


def tiles_within(allowed: float, n: int, d: int, k: int) -> Tiles | None:
    """The tiles of the fewest passes that `allowed` bytes hold, None if not even the least do."""
    tiles = least_tiles(n, k)
    if tiles.bytes(n, d, k) > allowed:
        return None
    large = Tiles(min(n, _PIECE), min(n, max(_ROWS, 2 * k)), min(n, _PIECE))
    if large.bytes(n, d, k) <= allowed:
        tiles = large
    spare = allowed - tiles.bytes(n, d, k)
    return Tiles(min(n, tiles.queries + int(spare // (4 * d))), tiles.rows, tiles.piece)


def streamed_knn(table: Table, k: int, metric: str, p: float, tiles: Tiles) -> NeighborGraph:
    """Exact neighbours of all rows by a native metric, never holding more rows than `tiles` says.

    Parameters
    ----------
    table : Table
    k : int
    metric : str
        One of `fastparadime.ops.METRICS`.
    p : float
    tiles : Tiles

    Raises
    ------
    OSError, ValueError
        As of `Table.rows`.
    """
    n = table.shape[0]
    found = Nearest(n, k, table.device)
    # The block of rows stands below the queries in one table.
    both = torch.empty((min(n, tiles.queries) + tiles.rows, table.columns), device=table.device)
    for first in range(0, n, tiles.queries):
        count = min(n, first + tiles.queries) - first
        asked = torch.arange(first, first + count, device=table.device)
        table.fill(both[:count], first, tiles.rows)
        for start in range(0, n, tiles.rows):
            held = both[: count + min(tiles.rows, n - start)]
            table.fill(held[count:], start, tiles.rows)
            tile = Tile(held, asked, start, metric, p)
            for at in range(0, count, tiles.piece):
                nearest = tile.nearest(at, min(count, at + tiles.piece), k)
                found.take(first + at, *nearest)
    passes = -(-n // tiles.queries)
    engine = f"streamed, exact, X read {passes + 1} times"
    return NeighborGraph(found.indices, found.distances, engine)
