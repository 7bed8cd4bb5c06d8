"""Nearest training rows of new rows: each row's result depends on that row alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime.neighbors import Metric
from fastparadime.types import Array

_BLOCK_BYTES = 64 * 2**20  # of distances held at a time
_SPARE = 8  # candidates beyond k, so that rounding of products cannot drop a true neighbour
_PRODUCT_METRICS = ("euclidean", "sqeuclidean")
_DIRECT_METRICS = {"manhattan": 1.0, "chebyshev": float("inf")}
_OF_THE_SAMPLE = ("seuclidean", "mahalanobis")  # their scale is that of the rows together


def check_query_metric(metric: Metric) -> None:
    """Raises NotImplementedError for a metric that does not reach new rows."""
    if metric in _OF_THE_SAMPLE:
        raise NotImplementedError(
            f"transform of new rows is not supported for metric {metric!r}: scale the columns "
            "before and use 'euclidean'"
        )


def nearest_rows(
    train: Array, queries: Array, k: int, metric: Metric, p: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The k nearest rows of `train` to each query.

    Parameters
    ----------
    train : float32 array (n, d)
    queries : float32 array (m, d)
    k : int
        At most n.
    metric, p
        As for `fastparadime.neighbors.knn`, or ``"precomputed"``: `queries` then holds the
        distances (m, n).

    Returns
    -------
    indices, distances : int32 and float32 tensors (m, k)
        Nearest first.
    """
    if metric == "precomputed":
        return _nearest_of(queries, k)
    check_query_metric(metric)
    if metric in ("cosine", "correlation"):
        indices, distances = nearest_rows(
            _unit_rows(train, metric), _unit_rows(queries, metric), k, "euclidean", p
        )
        return indices, distances.square() / 2
    native = metric in (*_PRODUCT_METRICS, *_DIRECT_METRICS, "minkowski")
    rows = max(1, _BLOCK_BYTES // (8 * len(train)))
    search = _Search(train, k, metric, p, min(rows, len(queries))) if native else None
    parts = []
    for start in range(0, len(queries), rows):
        block = queries[start : start + rows]
        parts.append(_scipy_rows(train, block, k, metric) if search is None else search(block))
    indices, distances = (torch.cat(part) for part in zip(*parts, strict=True))
    return indices, distances


def _unit_rows(X: Array, metric: Metric) -> Array:
    if metric == "correlation":
        X = X - X.mean(axis=1, keepdims=True)
    norms = np.sqrt(np.square(X).sum(axis=1, keepdims=True))
    unit: Array = X / np.maximum(norms, np.finfo(np.float32).tiny)
    return unit


def _nearest_of(distances: Array, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    indices = np.argsort(distances, axis=1, kind="stable")[:, :k]
    nearest = np.take_along_axis(distances, indices, axis=1).astype(np.float32)
    return torch.from_numpy(indices.astype(np.int32)), torch.from_numpy(nearest)


def _scipy_rows(
    train: Array, queries: Array, k: int, metric: Metric
) -> tuple[torch.Tensor, torch.Tensor]:
    from scipy.spatial.distance import cdist

    return _nearest_of(cdist(queries.astype(np.float64), train.astype(np.float64), metric), k)


class _Search:
    """Candidates by products or direct distances, then their true distances and order."""

    def __init__(self, train: Array, k: int, metric: Metric, p: float, rows: int) -> None:
        n, d = train.shape
        self.n, self.k, self.metric, self.p = n, k, str(metric), p
        # `rerank` takes candidates among the rows of one table: the queries stand below.
        self.table = torch.empty((n + rows, d))
        self.table[:n] = torch.from_numpy(train)
        self.mean = self.table[:n].mean(dim=0)
        self.centred = self.table[:n] - self.mean
        self.norms = self.centred.square().sum(dim=1)

    def __call__(self, block: Array) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.from_numpy(np.ascontiguousarray(block))
        count = min(self.n, self.k + _SPARE)
        candidates = self._scores(rows).topk(count, dim=1, largest=False).indices
        table = self.table[: self.n + len(rows)]
        table[self.n :] = rows
        return ops.rerank(table, candidates, self.k, self.metric, p=self.p, first_row=self.n)

    def _scores(self, rows: torch.Tensor) -> Any:
        if self.metric in _PRODUCT_METRICS:  # a row's own norm orders nothing
            return torch.addmm(self.norms, rows - self.mean, self.centred.T, alpha=-2.0)
        return torch.cdist(rows, self.table[: self.n], p=_DIRECT_METRICS.get(self.metric, self.p))


def row_streams(X: Array) -> Array:
    """An int64 in [0, 2^31) for each row of a float32 array, a function of its values alone."""
    bits = (X + np.float32(0)).view(np.uint32)  # -0 becomes 0
    keys = np.random.default_rng(0).integers(1, 2**63, X.shape[1], dtype=np.uint64) | np.uint64(1)
    sums = np.empty(len(X), dtype=np.uint64)
    rows = max(1, _BLOCK_BYTES // (8 * X.shape[1]))
    for start in range(0, len(X), rows):
        block = bits[start : start + rows].astype(np.uint64)
        sums[start : start + rows] = (block * keys).sum(axis=1, dtype=np.uint64)
    mixed = (sums ^ (sums >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    streams: Array = (mixed >> np.uint64(33)).astype(np.int64)
    return streams
