"""Nearest rows of a fit to queries: by given distances, sparse, binary and others, and on a device."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime.neighbors.binary import listed_table
from fastparadime.neighbors.blocks import SPARE, Nearest, Tile
from fastparadime.neighbors.correlations import Correlations
from fastparadime.neighbors.doubtful_rows import CANCELLED
from fastparadime.neighbors.exact import row_distances
from fastparadime.neighbors.metrics import BINARY_METRICS, Metric
from fastparadime.neighbors.precomputed import cleaned
from fastparadime.neighbors.sparse import compared, proposed
from fastparadime.neighbors.sparse_table import table_of
from fastparadime.neighbors.sphere import Sphere, check_positions
from fastparadime.types import Array
from fastparadime.utils.convert import is_sparse, to_numpy

Found = tuple[torch.Tensor, torch.Tensor]  # indices int32 and distances float32 (m, k)

_BLOCK_BYTES = 64 * 2**20  # of distances held at a time
_ROWS, _PIECE = 2**15, 2**9  # compared with one another at a time on a device: rows, queries


def nearest_given(queries: Any, k: int) -> Found:
    """The k smallest of each row of given distances, dense or CSR; infinite where there are fewer."""
    m, n = queries.shape
    found = []
    for own in np.array_split(np.arange(m), max(1, m * n * 8 // _BLOCK_BYTES)):
        block = queries[own]
        if is_sparse(block):
            dense = np.full(block.shape, np.inf, np.float32)
            dense[np.repeat(np.arange(len(own)), np.diff(block.indptr)), block.indices] = block.data
            block = dense
        found.append(nearest_of(cleaned(block, own, "X"), k))
    indices, distances = (torch.cat(part) for part in zip(*found, strict=True))
    return indices, distances


def nearest_of(distances: Array, k: int) -> Found:
    """The k smallest of each row of distances, ties by index."""
    indices = np.argsort(distances, axis=1, kind="stable")[:, :k]
    nearest = np.take_along_axis(distances, indices, axis=1).astype(np.float32)
    return torch.from_numpy(indices.astype(np.int32)), torch.from_numpy(nearest)


class Unheld:
    """A search that never holds the distances of its queries to all rows."""

    def __call__(self, block: Any, k: int) -> Found:
        raise NotImplementedError


class BinarySearch(Unheld):
    def __init__(self, rows: Any, metric: Metric) -> None:
        self.rows, self.metric = _binary_table(rows), str(metric)

    def __call__(self, block: Any, k: int) -> Found:
        return self.rows.nearest(k, self.metric, queries=_binary_table(block))


def _binary_table(rows: Any) -> ops.BinaryTable:
    return listed_table(rows) if is_sparse(rows) else ops.BinaryTable.packed([rows], *rows.shape)


class SphereSearch(Unheld):
    def __init__(self, rows: Array) -> None:
        self.sphere = Sphere(check_positions(rows))

    def __call__(self, block: Array, k: int) -> Found:
        return self.sphere.nearest(check_positions(block), k)


class SparseSearch(Unheld):
    """Candidates by what CSR rows share, or all rows; then their true distances."""

    def __init__(self, rows: Any, metric: Metric, p: float) -> None:
        self.rows, self.metric, self.p = table_of(rows), compared(str(metric)), p

    def __call__(self, block: Any, k: int) -> Found:
        queries, points = table_of(block), torch.arange(block.shape[0])
        found = [
            self.rows.rerank(
                candidates, k, self.metric, p=self.p, queries=queries,
                points=points[start : start + len(candidates)],
            )
            for start, candidates in proposed(self.rows, points, k, self.metric, queries)
        ]  # fmt: skip
        indices, distances = (torch.cat(part) for part in zip(*found, strict=True))
        return indices, distances


class CorrelationSearch:
    """Of CSR rows."""

    def __init__(self, rows: Any) -> None:
        self.rows = Correlations(rows)

    def __call__(self, block: Any, k: int) -> Found:
        return nearest_of(self.rows.distances(block), k)


class WholeSearch:
    """By a metric of SciPy, or a function of two rows in their own dtype."""

    def __init__(self, rows: Array, metric: Metric) -> None:
        self.metric = metric
        self.rows = rows.copy() if callable(metric) else to_numpy(rows).astype(np.float64)

    def __call__(self, block: Array, k: int) -> Found:
        queries = block.copy() if callable(self.metric) else to_numpy(block).astype(np.float64)
        return nearest_of(row_distances(queries, self.rows, self.metric), k)


class TileSearch(Unheld):
    """On a device: the nearest of each block of rows, and by differences where products may cancel."""

    def __init__(self, rows: torch.Tensor, metric: str, p: float) -> None:
        self.rows, self.metric, self.p = rows, metric, p

    def __call__(self, queries: torch.Tensor, k: int) -> Found:
        (m, d), n = queries.shape, len(self.rows)
        step = max(1, min(_ROWS, _BLOCK_BYTES // (4 * d)))
        found, largest = Nearest(m, k, queries.device), queries.new_zeros(())
        asked = torch.full((m,), -1, device=queries.device)  # queries are no rows
        for start in range(0, n, step):
            both = torch.cat((queries, self.rows[start : start + step]))
            tile = Tile(both, asked, start, self.metric, self.p)
            largest = torch.maximum(largest, tile.norms.max())
            for first in range(0, m, _PIECE):
                nearest = tile.nearest(first, min(m, first + _PIECE), k)
                found.take(first, *nearest)
        if self.metric in ("euclidean", "sqeuclidean"):
            last = found.distances[:, -1].double()
            reach = last if self.metric == "sqeuclidean" else last.square()
            # Where k rows are equal to a query, none is nearer.
            for part in ((reach > 0) & (reach < CANCELLED * largest)).nonzero()[:, 0].split(_PIECE):
                better = self._by_differences(queries[part], k)
                found.indices[part], found.distances[part] = better
        return found.indices, found.distances

    def _by_differences(self, queries: torch.Tensor, k: int) -> Found:
        count = min(len(self.rows), k + SPARE)
        found = []
        for part in queries.split(max(1, _BLOCK_BYTES // (4 * len(self.rows)))):
            scores = torch.cdist(part, self.rows, compute_mode="donot_use_mm_for_euclid_dist")
            candidates = scores.topk(count, dim=1, largest=False).indices
            found.append(ops.rerank(self.rows, candidates, k, self.metric, queries=part))
        indices, distances = (torch.cat(parts) for parts in zip(*found, strict=True))
        return indices, distances


def special_search(rows: Any, metric: Metric, p: float) -> Any:
    """The search of prepared rows by a metric that needs one on the CPU from above, else None."""
    if metric in BINARY_METRICS:
        return BinarySearch(rows, metric)
    if is_sparse(rows):
        return CorrelationSearch(rows) if metric == "correlation" else SparseSearch(rows, metric, p)
    if metric == "haversine":
        return SphereSearch(rows)
    return WholeSearch(rows, metric) if callable(metric) or metric == "jensenshannon" else None
