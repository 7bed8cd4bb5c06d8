"""Distances of sparse rows by the correlation: float64 products, block by block."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fastparadime.neighbors import costs
from fastparadime.neighbors.neighbor_graph import NeighborGraph
from fastparadime.neighbors.smallest import smallest
from fastparadime.types import Array
from fastparadime.utils.convert import row_sums

_BLOCK_BYTES = 64 * 2**20  # of distances held at a time
_EQUAL = 1e-12  # of a distance to the scale that its products have, below which rows are equal
# Nanoseconds of one thread, measured on a server of 2024.
_PRODUCT = 3.0  # of two values in one column
_PAIR = 12.0  # of a pair of rows


class Correlations:
    """Rows of a CSR matrix without stored zeros and repeated entries.

    A centred table would be dense; its products are those of the rows less those of their means.
    """

    def __init__(self, rows: Any) -> None:
        self._dim = rows.shape[1]
        self.rows = rows.astype(np.float64)
        self._columns = self.rows.T.tocsr()
        self._means, self._roots, self._sizes, self._marks = self._parts(self.rows)

    def _parts(self, rows: Any) -> tuple[Array, Array, Array, Array]:
        """Means, roots of the sums of squares about them and of those about 0, constant rows."""
        values, starts = rows.data, rows.indptr
        sums = row_sums(values, starts)
        squares = row_sums(np.square(values), starts)
        stored = np.diff(starts)
        marks = stored == 0
        for row in np.flatnonzero(stored == self._dim):
            marks[row] = np.ptp(values[starts[row] : starts[row + 1]]) == 0
        means = sums / self._dim
        centred = np.where(marks, 1.0, squares - self._dim * means**2)
        return means, np.sqrt(centred), np.sqrt(squares), marks

    def distances(self, block: Any) -> Array:
        """Of rows (m, d) to all, float64 (m, n); rows of one value are at 1, at 0 to each other."""
        block = block.astype(np.float64)
        means, roots, sizes, marks = self._parts(block)
        found: Array = (block @ self._columns).toarray()
        found -= np.outer(self._dim * means, self._means)
        found /= np.outer(roots, self._roots)
        np.subtract(1.0, found, out=found)
        found[found < _EQUAL * np.outer(sizes / roots, self._sizes / self._roots)] = 0.0
        found[marks] = 1.0
        found[:, self._marks] = 1.0
        found[np.ix_(marks, self._marks)] = 0.0
        return found

    def seconds(self) -> float:
        """That the distances of all rows take, roughly."""
        shared = float(np.square(np.diff(self._columns.indptr).astype(np.float64)).sum())
        return 1e-9 * (_PRODUCT * shared + _PAIR * float(self.rows.shape[0]) ** 2)


def correlation_knn(rows: Any, k: int) -> NeighborGraph:
    """Exact neighbours of all rows of a CSR matrix as of `Correlations`.

    Warns
    -----
    SlowSearchWarning
        Before a search that is going to take more than ten minutes.
    """
    table, n = Correlations(rows), rows.shape[0]
    costs.warn_of_seconds(table.seconds(), f"{n} sparse rows with {rows.nnz} values")
    indices, distances = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    step = max(1, _BLOCK_BYTES // (8 * n))
    for start in range(0, n, step):
        block = table.distances(table.rows[start : start + step])
        own = np.arange(len(block))
        block[own, start + own] = np.inf
        found = smallest(block.astype(np.float32), np.arange(n), k)
        indices[start : start + step], distances[start : start + step] = found
    engine = "sparse products, exact"
    return NeighborGraph(torch.from_numpy(indices), torch.from_numpy(distances), engine)
