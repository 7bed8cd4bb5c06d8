"""Exact search by metrics of which columns are not zero."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from fastparadime import ops
from fastparadime.neighbors import costs
from fastparadime.neighbors.neighbor_graph import NeighborGraph
from fastparadime.neighbors.table import Table

_BLOCK_BYTES = 16 * 2**20  # of rows read at a time
# Nanoseconds of one thread, measured on a server of 2024.
_COUNT = 1.3  # of a word of 64 columns, or of two values in one column
_PAIR = 4.0  # of a pair of rows
_QUERIES = 4  # of a thread at a time


def packed_table(table: Table) -> ops.BinaryTable:
    """The rows of a table, read in turn."""
    n, d = table.shape
    return ops.BinaryTable.packed(_blocks(table), n, d)


def _blocks(table: Table) -> Iterator[torch.Tensor]:
    n, d = table.shape
    step = table.rows_at_a_time(max(1, _BLOCK_BYTES // (4 * d)))
    for start in range(0, n, step):
        yield table.rows(start, min(n, start + step))


def listed_table(rows: Any) -> ops.BinaryTable:
    """The rows of a CSR matrix without stored zeros and repeated entries."""
    return ops.BinaryTable.listed(rows.indptr, rows.indices, rows.shape[1])


def binary_knn(table: ops.BinaryTable, k: int, metric: str, form: str) -> NeighborGraph:
    """Neighbours of all rows by one of `fastparadime.ops.BINARY_METRICS`.

    Warns
    -----
    SlowSearchWarning
        Before a search that is going to take more than ten minutes.
    """
    n = len(table)
    seconds = 1e-9 * (_COUNT * table.pairs() + _PAIR * float(n) ** 2) / torch.get_num_threads()
    costs.warn_of_seconds(seconds, f"{n} rows of {table.dim} columns by metric {metric!r}")
    return NeighborGraph(*table.nearest(k, metric), f"{form}, exact")


def binary_bytes(n: int, d: int, k: int) -> int:
    """Bytes that a search among dense rows takes beside `X`: bits, counts, a block and the result."""
    counts = torch.get_num_threads() * 4 * _QUERIES * n
    return 8 * n * k + 8 * n * -(-d // 64) + 4 * n + counts + 3 * max(_BLOCK_BYTES, 4 * d)
