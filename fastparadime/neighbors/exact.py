"""Exact search: own products and pairs, FAISS where it is there, torch in bounded memory, SciPy."""

from __future__ import annotations

import functools
import importlib
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime.neighbors import read_rows
from fastparadime.neighbors.blocks import PAIRED, SPARE, distance_block
from fastparadime.neighbors.doubtful_rows import (
    SHOWN_ROWS,
    Found,
    cancelled,
    differing_rows,
    near_origin_centre,
    norms_of,
    rows_by_tree,
    scale_of,
    solve_nearer,
)
from fastparadime.neighbors.functions import function_distances
from fastparadime.neighbors.metrics import Metric
from fastparadime.neighbors.neighbor_graph import NeighborGraph
from fastparadime.neighbors.read_rows import Rows
from fastparadime.neighbors.smallest import smallest
from fastparadime.neighbors.tree import needed_bytes as tree_bytes
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.logging import log

_FAR = 10.0  # times its variance that the squared centre may be before the data is centred
_BLOCK_BYTES = 64 * 2**20  # of distances held at a time
_ROWS = 8192  # searched by products of their own at a time
_COORDINATES = 2e8  # of pairs compared between two looks for Ctrl-C
_DIFFERENCES = 5e8  # of coordinates: that some rows in doubt are simply searched by


@functools.cache
def find_faiss() -> ModuleType | None:
    """The installed faiss, whichever flavour, or None."""
    try:
        with warnings.catch_warnings():
            # SWIG's type objects warn on import in recent Pythons; faiss users can do nothing.
            warnings.simplefilter("ignore", DeprecationWarning)
            return importlib.import_module("faiss")
    except ImportError:
        return None


def _near_origin(X: torch.Tensor, metric: str) -> torch.Tensor:
    # Engines take d^2 from norms and products, which cancel where the data lies far out.
    if metric not in ("euclidean", "sqeuclidean"):
        return X
    centre, spread = near_origin_centre(X)
    far = float(centre.double().square().sum()) > _FAR * float(spread) ** 2
    return X - centre if far else X


def product_knn(X: torch.Tensor, k: int, metric: str) -> NeighborGraph:
    """Exact neighbours of all rows of `X`, on the CPU, by Euclidean distance.

    Rows whose neighbours are too close for products around the centre of all rows go by products
    around a centre of their own while that is one for most of them, and then by differences.

    Parameters
    ----------
    X : float32 tensor (n, d)
    k : int
    metric : {"euclidean", "sqeuclidean"}
    """
    centre, spread = near_origin_centre(X)
    scale = scale_of(spread)
    table = ops.ProductTable(X, centre, scale)
    candidates, _ = table.nearest(min(len(X) - 1, k + SPARE))
    indices, distances = ops.rerank(X, candidates, k)
    doubtful = cancelled(distances, table.norms, scale).nonzero().flatten()
    del table, candidates
    differed = _solve_doubtful(X, torch.arange(len(X)), k, (indices, distances), doubtful)
    if metric == "sqeuclidean":
        distances.square_()
    redone = f", {differed} rows by differences" if differed else ""
    return NeighborGraph(indices, distances, f"products, exact{redone}")


def _solve_doubtful(
    X: Rows,
    rows: torch.Tensor,
    k: int,
    found: tuple[torch.Tensor, torch.Tensor],
    doubtful: torch.Tensor,
) -> int:
    """Searches rows in doubt again, on the CPU; how many of them by differences.

    `found`, the neighbours and distances of `rows`, take what is found at the places `doubtful`.
    """

    def by_products(points: torch.Tensor, centre: torch.Tensor, scale: float) -> Found:
        return _by_products(X, points, k, centre, scale)

    if len(doubtful):
        doubtful = solve_nearer(X, rows, found, doubtful, by_products)
    if len(doubtful):
        left = rows[doubtful]
        if isinstance(X, torch.Tensor):
            again = rows_by_tree(X, left, k)
        else:
            again = read_rows.differing_rows(X, left, k)
        found[0][doubtful], found[1][doubtful] = again
    return len(doubtful)


def _by_products(
    X: Rows, points: torch.Tensor, k: int, centre: torch.Tensor, scale: float
) -> Found:
    """Neighbours and distances of some rows, on the CPU, and which of them may have lost digits."""
    parts = []
    for some in points.split(_ROWS):
        width = min(len(X), k + 1 + SPARE)
        candidates = read_rows.nearest_to(X, centre, scale, X[some], width)
        parts.append(read_rows.rerank(X, candidates, k, points=some))
    indices, distances = (torch.cat(part) for part in zip(*parts, strict=True))
    return indices, distances, cancelled(distances, norms_of(X, points, centre, scale), scale)


def takes_products(metric: Metric) -> bool:
    """Whether `product_knn` searches by this metric."""
    return metric in ("euclidean", "sqeuclidean")


def product_memory(n: int, d: int, k: int) -> int:
    """Bytes that `product_knn` takes beside `X` and the result."""
    products = ops.product_bytes(n, d, min(n - 1, k + SPARE)) + 8 * d
    # Some rows in float64 for a centre; blocks of rows in doubt, whose marks and places are 48 n; their tree.
    centre, blocks = 40 * d * min(n, SHOWN_ROWS), 16 * d * min(n, _ROWS)
    return max(products, 48 * n + max(centre, blocks, tree_bytes(n, d, k)))


def takes_pairs(metric: Metric) -> bool:
    """Whether `paired_knn` searches by this metric."""
    return metric in PAIRED


def paired_knn(X: torch.Tensor, k: int, metric: str, p: float) -> NeighborGraph:
    """Exact neighbours of all rows of `X`, on the CPU, by the true distances of all pairs."""
    n, d = X.shape
    points = torch.arange(n, dtype=torch.int32)
    rows = max(1, int(min(_BLOCK_BYTES / (4 * n), _COORDINATES / (n * d))))
    found = [
        ops.rerank(X, points.expand(len(part), n), k, metric, p=p, points=part)
        for part in points.split(rows)
    ]
    indices, distances = (torch.cat(parts) for parts in zip(*found, strict=True))
    return NeighborGraph(indices, distances, "pairs, exact")


def block_bytes(n: int, itemsize: int) -> int:
    """Bytes of the distances to n points that are held at a time: those of one row at least."""
    return max(_BLOCK_BYTES, itemsize * n)


def scipy_knn(X: np.ndarray[Any, Any], k: int, metric: Metric) -> NeighborGraph:
    """Exact neighbours by a metric of SciPy or a function of two rows, chunk by chunk."""
    n = len(X)
    X = X.copy() if callable(metric) else X.astype(np.float64)  # which a function may change
    rows = max(1, _BLOCK_BYTES // (8 * n))
    indices, distances = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    options = _scipy_options(X, metric)
    for start in range(0, n, rows):
        block = row_distances(X[start : start + rows], X, metric, **options)
        own = np.arange(len(block))
        block[own, start + own] = np.inf
        if np.isnan(block).any():
            raise ValueError(f"metric {metric!r} gave a distance that is not finite")
        found = smallest(block.astype(np.float32), np.arange(n), k)
        indices[start : start + rows], distances[start : start + rows] = found
    if not np.isfinite(distances).all():
        raise ValueError(f"metric {metric!r} gave a distance that is not finite")
    engine = "function of two rows, exact" if callable(metric) else "scipy, exact"
    return NeighborGraph(torch.from_numpy(indices), torch.from_numpy(distances), engine)


def row_distances(
    queries: np.ndarray[Any, Any], X: np.ndarray[Any, Any], metric: Metric, **options: Any
) -> np.ndarray[Any, Any]:
    """Float64 distances (m, n) by a metric of SciPy with its options, or a function of two rows."""
    from scipy.spatial.distance import cdist

    if callable(metric):
        return function_distances(queries, X, metric)
    distances: np.ndarray[Any, Any] = cdist(queries, X, metric=metric, **options)
    return distances


def _scipy_options(X: np.ndarray[Any, Any], metric: Metric) -> dict[str, Any]:
    # Of all rows: SciPy would take them of each block.
    if metric == "seuclidean":
        return {"V": np.maximum(X.var(axis=0, ddof=1), np.finfo(float).tiny)}
    if metric == "mahalanobis":
        return {"VI": np.linalg.pinv(np.atleast_2d(np.cov(X.T)))}
    return {}


def torch_knn(X: torch.Tensor, k: int, metric: str, p: float) -> NeighborGraph:
    """Exact neighbours by a native metric where `X` lives, chunk by chunk."""
    n = len(X)
    rows = max(1, _BLOCK_BYTES // (4 * n))
    count = min(n, k + 1 + SPARE)
    candidates = torch.empty((n, count), dtype=torch.int32, device=X.device)
    table = _near_origin(X, metric)
    norms = table.square().sum(dim=1)
    for start in range(0, n, rows):
        block = distance_block(table[start : start + rows], table, norms, metric, p)
        candidates[start : start + rows] = block.topk(count, dim=1, largest=False).indices
    indices, distances = ops.rerank(X, candidates, k, metric, p=p)
    return NeighborGraph(indices, distances, "torch, exact")


@functools.cache
def say_what_is_missing() -> None:
    """One line in a process, where exact search on the CPU goes without faiss."""
    log(
        "faiss is not installed, so neighbors by 'manhattan' and 'inner_product' are slow: "
        "pip install 'fastparadime[cpu]'"
    )


def _faiss_metric(faiss: ModuleType, metric: str) -> Any:
    return {
        "inner_product": faiss.METRIC_INNER_PRODUCT,
        "manhattan": faiss.METRIC_L1,
    }[metric]


def faiss_knn(faiss: ModuleType, X: torch.Tensor, k: int, metric: str) -> NeighborGraph:
    """Exact neighbours of all rows of `X` by 'manhattan' or 'inner_product', by a flat index."""
    table = to_numpy(X)
    index = faiss.IndexFlat(table.shape[1], _faiss_metric(faiss, metric))
    index.add(table)
    count = min(len(table), k + 1 + SPARE)
    candidates = torch.from_numpy(index.search(table, count)[1]).to(torch.int32)
    indices, distances = ops.rerank(X, candidates, k, metric)
    return NeighborGraph(indices, distances, "faiss Flat, exact")


def exact_rows(X: Rows, rows: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k nearest others of some rows by Euclidean distance.

    Parameters
    ----------
    X : float32 tensor (n, d) or rows that are read
    rows : int64 tensor (m,)
    k : int

    Returns
    -------
    indices, distances : int32 and float32 tensors (m, k)
        Ascending.
    """
    if X.is_cuda:
        return _by_differences(X, rows, k)
    centre, spread = near_origin_centre(X)
    indices, distances, doubts = _by_products(X, rows, k, centre, scale_of(spread))
    doubtful = doubts.nonzero().flatten()
    if len(doubtful) * X.numel() > _DIFFERENCES:
        _solve_doubtful(X, rows, k, (indices, distances), doubtful)
    elif len(doubtful):
        indices[doubtful], distances[doubtful] = _by_differences(X, rows[doubtful], k)
    return indices, distances


def _by_differences(X: Rows, rows: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    if isinstance(X, torch.Tensor):
        return differing_rows(X, rows, k)
    return read_rows.differing_rows(X, rows, k)


def rows_bytes(k: int, queries: int) -> int:
    """What `exact_rows` takes on a device: candidates and their distances, and what of them is found."""
    return 2 * _BLOCK_BYTES + 16 * queries * k
