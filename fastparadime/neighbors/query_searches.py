"""Nearest rows of a fit to queries without products: by given distances, sparse, binary and others."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime.neighbors.binary import listed_table
from fastparadime.neighbors.correlations import Correlations
from fastparadime.neighbors.exact import row_distances
from fastparadime.neighbors.graph import BINARY_METRICS, Metric
from fastparadime.neighbors.precomputed import cleaned
from fastparadime.neighbors.sparse import compared, proposed
from fastparadime.neighbors.sparse_rows import table_of
from fastparadime.neighbors.sphere import Sphere, check_positions
from fastparadime.types import Array
from fastparadime.utils.convert import is_sparse

Found = tuple[torch.Tensor, torch.Tensor]  # indices int32 and distances float32 (m, k)

_BLOCK_BYTES = 64 * 2**20  # of given distances held at a time


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
        self.rows = rows.copy() if callable(metric) else rows.astype(np.float64)

    def __call__(self, block: Array, k: int) -> Found:
        queries = block.copy() if callable(self.metric) else block.astype(np.float64)
        return nearest_of(row_distances(queries, self.rows, self.metric), k)


def special_search(rows: Any, metric: Metric, p: float) -> Any:
    """The search of prepared rows by a metric that needs one of those above, else None."""
    if metric in BINARY_METRICS:
        return BinarySearch(rows, metric)
    if is_sparse(rows):
        return CorrelationSearch(rows) if metric == "correlation" else SparseSearch(rows, metric, p)
    if metric == "haversine":
        return SphereSearch(rows)
    return WholeSearch(rows, metric) if callable(metric) or metric == "jensenshannon" else None
