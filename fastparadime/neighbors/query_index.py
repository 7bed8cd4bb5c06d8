"""Nearest rows of a fit to new rows: each row's result depends on that row alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from fastparadime import ops
from fastparadime.neighbors.doubtful_rows import CANCELLED, near_origin_centre, scale_of
from fastparadime.neighbors.metric_space import Space
from fastparadime.neighbors.metrics import INFINITE, NATIVE_METRICS, Metric
from fastparadime.neighbors.projection import Projection
from fastparadime.neighbors.query_searches import (
    CorrelationSearch,
    Found,
    TileSearch,
    Unheld,
    nearest_given,
    special_search,
)
from fastparadime.neighbors.sparse_table import prepared as prepared_sparse
from fastparadime.neighbors.table import (
    SCALED_METRICS,
    UNIT_METRICS,
    some_units,
    true_distances,
    unit_distances,
    unit_of,
    unit_rows,
)
from fastparadime.neighbors.tree import TreeQueries
from fastparadime.types import Array
from fastparadime.utils.centring import centred, may_round, medians_of, some_rows
from fastparadime.utils.convert import is_sparse, share, to_float32, to_numpy
from fastparadime.utils.lazy import lazy_property
from fastparadime.utils.progress import memory_for

_BLOCK_BYTES = 64 * 2**20  # of distances held at a time
_SPARE = 8  # candidates beyond k, so that rounding of products cannot drop a true neighbour
_QUERIES = 4096  # compared at a time where products are not held
_MANY = 1024  # candidates of a query whose products have lost too many digits
_ROUNDING = 3e-5  # of its squared norm, by which they may be off
_FROM_QUERIES = 256  # in all, whose full products take as long as projecting the rows
_FIRST = 2  # times k candidates whose distances tell which others are worth a look
_PRODUCT_METRICS = ("euclidean", "sqeuclidean")


class QueryIndex:
    """The rows of a fit, made ready with the first queries. What is made is not pickled.

    Parameters
    ----------
    rows : float32 or float64 tensor or array (n, d), or CSR
        Tensors on a device are searched there.
    space : Space
        For the metric ``"precomputed"``, queries hold distances (m, n).
    """

    def __init__(self, rows: Any, space: Space) -> None:
        self.rows, self.space = rows, space

    @lazy_property
    def _ready(self) -> tuple[Callable[[Any, int], Found], float]:
        """The search of a block of queries, and the factor that rows and queries have in it."""
        rows, unit = self._prepared(self.space.rows(self.rows)), 1.0
        if self.space.metric in SCALED_METRICS and not is_sparse(rows):
            unit = unit_of(rows)
        rows = rows if unit == 1.0 else rows * unit
        return _search_of(rows, self.space.metric, self.space.p), unit

    @lazy_property
    def _centre(self) -> Array | None:
        """Of unit rows made from rows that float32 would round, which lie close together."""
        if is_sparse(self.rows) or not may_round(self.rows):
            return None
        return medians_of(some_units(some_rows(self.rows), str(self.space.metric)))

    def _prepared(self, X: Any) -> Any:
        """The rows that the metric compares, as their search takes them."""
        metric = self.space.metric
        if is_sparse(X):
            return prepared_sparse(X, str(metric))
        if metric not in UNIT_METRICS:
            return to_float32(X) if metric in NATIVE_METRICS else to_numpy(X)
        return centred(unit_rows(share(X).contiguous(), str(metric)), self._centre)

    def __getstate__(self) -> dict[str, Any]:
        return {"rows": self.rows, "space": self.space}

    def nearest(self, queries: Any, k: int) -> Found:
        """The k nearest rows of the fit to each query, nearest first.

        For the metric ``"precomputed"``, those that are no neighbours are at infinite distances.
        """
        if self.space.metric == "precomputed":
            return nearest_given(queries, k)
        search, unit = self._ready
        queries = self._prepared(self.space.rows(queries))
        queries = queries if unit == 1.0 else queries * unit
        held = not isinstance(search, (_ProductSearch, TreeQueries, Unheld))
        step = max(1, _BLOCK_BYTES // (8 * self.rows.shape[0])) if held else _QUERIES
        blocks = range(0, max(1, queries.shape[0]), step)
        with memory_for("the search of new rows", "give fewer at a time, or fit on the CPU"):
            found = [search(queries[start : start + step], k) for start in blocks]
        indices, distances = (torch.cat(part) for part in zip(*found, strict=True))
        if self.space.metric in UNIT_METRICS and not isinstance(search, CorrelationSearch):
            distances = unit_distances(distances, self.space.metric)
        distances = true_distances(distances, unit, self.space.metric)
        if not bool(torch.isfinite(distances).all()):
            row = int(torch.isfinite(distances).all(dim=1).int().argmin())
            reason = INFINITE.get(str(self.space.metric), "float32 does not hold the distance")
            raise ValueError(f"row {row} of X is too far from those of the fit: {reason}")
        return indices, distances


def _search_of(rows: Any, metric: Metric, p: float) -> Callable[[Any, int], Found]:
    special: Callable[[Any, int], Found] | None = special_search(rows, metric, p)
    if special is not None:
        return special
    if rows.is_cuda:
        return TileSearch(rows, "euclidean" if metric in UNIT_METRICS else str(metric), p)
    by_tree = TreeQueries.of(rows, "euclidean" if metric in UNIT_METRICS else metric, p)
    if by_tree is not None:
        return by_tree
    if metric in _PRODUCT_METRICS or metric in UNIT_METRICS:
        return _ProductSearch(rows, "euclidean" if metric in UNIT_METRICS else str(metric))
    return _DirectSearch(rows, str(metric), p)


class _DirectSearch:
    """Manhattan's candidates by distances in torch, all rows of others; then `ops.rerank`."""

    def __init__(self, rows: torch.Tensor, metric: str, p: float) -> None:
        self.rows, self.metric, self.p = rows, metric, p

    def __call__(self, queries: torch.Tensor, k: int) -> Found:
        if self.metric == "manhattan":
            count = min(len(self.rows), k + _SPARE)
            scores = torch.cdist(queries, self.rows, p=1.0)
            candidates = scores.topk(count, dim=1, largest=False).indices
        else:
            candidates = torch.arange(len(self.rows)).expand(len(queries), -1)
        return ops.rerank(self.rows, candidates, k, self.metric, p=self.p, queries=queries)


class _ProductSearch:
    """Candidates by products, or by their lower bounds; then as above."""

    def __init__(self, rows: torch.Tensor, metric: str) -> None:
        self.rows, self.metric = rows, metric
        self.mean, spread = near_origin_centre(self.rows)
        self.scale = scale_of(spread)
        self.table = ops.ProductTable(self.rows, self.mean, self.scale)
        self._asked = 0

    @lazy_property
    def projection(self) -> Projection | None:
        return Projection.of(self.rows, self.mean, self.scale)

    def __call__(self, queries: torch.Tensor, k: int) -> Found:
        self._asked += len(queries)
        projection = self.projection if self._asked >= _FROM_QUERIES else None
        if projection is None:
            return self._by_products(queries, k)
        found = torch.empty((len(queries), k), dtype=torch.int32), torch.empty((len(queries), k))
        left, within = torch.arange(len(queries)), None
        for count in projection.counts(k):
            nearest, proven = self._by_bounds(projection, queries[left], k, count, within)
            _put(found, left, nearest)
            left, within = left[~proven], self._squares(nearest[1][~proven, -1])
            if not len(left):
                return found
        _put(found, left, self._by_products(queries[left], k))
        return found

    def _by_bounds(
        self,
        projection: Projection,
        queries: torch.Tensor,
        k: int,
        count: int,
        within: torch.Tensor | None,
    ) -> tuple[Found, torch.Tensor]:
        """The nearest of `count` candidates, and whether they are known to be the nearest of all.

        `within` are squares (m,), not below those of the k nearest rows, where some are known.
        """
        candidates, bounds = projection.candidates(queries, count, within)
        some = ops.rerank(self.rows, candidates[:, : _FIRST * k], k, self.metric, queries=queries)
        candidates.masked_fill_(bounds > self._squares(some[1][:, -1:]), -1)
        found = ops.rerank(self.rows, candidates, k, self.metric, queries=queries)
        return found, self._squares(found[1][:, -1]) < bounds[:, -1]

    def _squares(self, distances: torch.Tensor) -> torch.Tensor:
        """Of scaled rows."""
        squared = self.metric == "sqeuclidean"
        return distances * self.scale**2 if squared else (distances * self.scale).square()

    def _by_products(self, queries: torch.Tensor, k: int) -> Found:
        candidates, _ = self.table.nearest_to(queries, min(len(self.rows), k + _SPARE))
        found = ops.rerank(self.rows, candidates, k, self.metric, queries=queries)
        reach = self._squares(found[1][:, -1])
        norms = ((queries - self.mean) * self.scale).square().sum(dim=1)
        # Where k rows are equal to a query, none is nearer.
        doubtful = ((reach > 0) & (reach < CANCELLED * norms)).nonzero().flatten()
        if len(doubtful):
            within = (reach + _ROUNDING * (norms + reach))[doubtful]
            _put(found, doubtful, self._by_differences(queries[doubtful], k, within))
        return found

    def _by_differences(self, queries: torch.Tensor, k: int, within: torch.Tensor) -> Found:
        """The nearest of all rows within squares (m,) by products, or of all rows if they are many."""
        candidates, squares = self.table.nearest_to(
            queries, min(_MANY, len(self.rows)), within=within
        )
        found = ops.rerank(self.rows, candidates, k, self.metric, queries=queries)
        left = squares[:, -1].isfinite().nonzero().flatten()
        for part in left.split(max(1, _BLOCK_BYTES // (4 * len(self.rows)))):
            some = queries[part]
            scores = torch.cdist(some, self.rows, compute_mode="donot_use_mm_for_euclid_dist")
            nearest = scores.topk(min(len(self.rows), k + _SPARE), dim=1, largest=False).indices
            _put(found, part, ops.rerank(self.rows, nearest, k, self.metric, queries=some))
        return found


def _put(found: Found, at: torch.Tensor, better: Found) -> None:
    for part, piece in zip(found, better, strict=True):
        part[at] = piece
