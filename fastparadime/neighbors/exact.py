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
from fastparadime.neighbors.blocks import PAIRED, SPARE, Nearest, Tile, distance_block
from fastparadime.neighbors.functions import function_distances
from fastparadime.neighbors.graph import Metric, NeighborGraph
from fastparadime.neighbors.keys import smallest
from fastparadime.neighbors.tree import TreeSearch
from fastparadime.neighbors.tree import needed_bytes as tree_bytes
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.logging import log

_FAR = 10.0  # times its variance that the squared centre may be before the data is centred
_SOME = 1024  # rows that show it
_SMALLEST = 1e-20  # of a mean square, that keeps its digits beside it in float32
_BLOCK_BYTES = 64 * 2**20  # of distances held at a time
_ROWS = 8192  # compared with some queries at a time
_PIECE = 512  # of these queries
_COORDINATES = 2e8  # of pairs compared between two looks for Ctrl-C
_DIFFERENCES = 5e8  # of coordinates: that some rows in doubt are simply searched by
_CENTRES = 8  # that rows in doubt are searched from at the most
_NOTHING = 1e-30  # of a squared norm in float32
CANCELLED = 1e-4  # of the largest squared norm, below which products lose a squared distance


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


def near_origin_centre(X: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean or the median of some rows, float32 (d,), and their root mean squared distance from it.

    Whichever is nearer to the usual row: few rows far out move a mean away from all others. If they
    are so far that squares in float32 hold either them or the others, it is the mean all the same.
    """
    some = X[:: -(-len(X) // _SOME)].double()
    mean, median = some.mean(dim=0), some.median(dim=0).values
    squares = [(some - centre).square().sum(dim=1) for centre in (mean, median)]
    usual, spread = squares[1].median(), squares[1].mean()
    if usual < squares[0].median() and usual > _SMALLEST * spread:
        return median.float(), spread.sqrt()
    return mean.float(), squares[0].mean().sqrt()


def _near_origin(X: torch.Tensor, metric: str) -> torch.Tensor:
    # Engines take d^2 from norms and products, which cancel where the data lies far out.
    if metric not in ("euclidean", "sqeuclidean"):
        return X
    centre, spread = near_origin_centre(X)
    far = float(centre.double().square().sum()) > _FAR * float(spread) ** 2
    return X - centre if far else X


def scale_of(spread: torch.Tensor) -> float:
    """A power of two that brings distances of such a root mean square near 1.

    Norms are squared in float32, and data may be of any size.
    """
    return float(2.0 ** -round(torch.log2(spread).item())) if spread > 0 else 1.0


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
    doubtful = _cancelled(distances, table.norms, scale).nonzero().flatten()
    del table, candidates
    differed = _solve_doubtful(X, torch.arange(len(X)), k, (indices, distances), doubtful)
    if metric == "sqeuclidean":
        distances.square_()
    redone = f", {differed} rows by differences" if differed else ""
    return NeighborGraph(indices, distances, f"products, exact{redone}")


def _solve_doubtful(
    X: torch.Tensor,
    rows: torch.Tensor,
    k: int,
    found: tuple[torch.Tensor, torch.Tensor],
    doubtful: torch.Tensor,
) -> int:
    """Searches rows in doubt again, on the CPU; how many of them by differences.

    `found`, the neighbours and distances of `rows`, take what is found at the places `doubtful`.
    """
    if len(doubtful):
        doubtful = _solve_nearer(X, rows, k, found, doubtful)
    if len(doubtful):
        found[0][doubtful], found[1][doubtful] = TreeSearch(X, k).of_rows(rows[doubtful])
    return len(doubtful)


def _solve_nearer(
    X: torch.Tensor,
    rows: torch.Tensor,
    k: int,
    found: tuple[torch.Tensor, torch.Tensor],
    doubtful: torch.Tensor,
) -> torch.Tensor:
    """Searches rows in doubt again from centres of their own; those that are in doubt still."""
    indices, distances = found
    for _ in range(_CENTRES):
        points = rows[doubtful]
        centre, spread = near_origin_centre(X[points[:: -(-len(points) // _SOME)]])
        scale = scale_of(spread)
        norms = _norms(X, points, centre, scale)
        if 2 * int(_cancelled(distances[doubtful], norms, scale).sum()) > len(doubtful):
            break
        table = ops.ProductTable(X, centre, scale)
        for part in doubtful.split(_ROWS):
            some = rows[part]
            candidates, _ = table.nearest_to(X[some], min(len(X), k + 1 + SPARE))
            indices[part], distances[part] = ops.rerank(X, candidates, k, points=some)
        doubtful = doubtful[_cancelled(distances[doubtful], norms, scale)]
        if not len(doubtful):
            break
    return doubtful


def _cancelled(distances: torch.Tensor, norms: torch.Tensor, scale: float) -> torch.Tensor:
    """Which rows have their k-th neighbour so near that products may have lost it."""
    reach = (distances[:, -1].double() * scale).square()
    # Where k rows are equal to a point, none is nearer. Squares of next to nothing have no digits.
    return (reach > 0) & ((reach < CANCELLED * norms) | (norms < _NOTHING))


def _norms(X: torch.Tensor, rows: torch.Tensor, centre: torch.Tensor, scale: float) -> torch.Tensor:
    parts = [((X[part] - centre) * scale).square().sum(dim=1) for part in rows.split(_ROWS)]
    return torch.cat(parts)


def takes_products(metric: Metric) -> bool:
    """Whether `product_knn` searches by this metric."""
    return metric in ("euclidean", "sqeuclidean")


def product_memory(n: int, d: int, k: int) -> int:
    """Bytes that `product_knn` takes beside `X` and the result."""
    products = ops.product_bytes(n, d, min(n - 1, k + SPARE)) + 8 * d
    # Some rows in float64 for a centre; blocks of rows in doubt, whose marks and places are 48 n; their tree.
    centre, blocks = 40 * d * min(n, _SOME), 16 * d * min(n, _ROWS)
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


def exact_rows(X: torch.Tensor, rows: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k nearest others of some rows by Euclidean distance.

    Parameters
    ----------
    X : float32 tensor (n, d)
    rows : int64 tensor (m,)
    k : int

    Returns
    -------
    indices, distances : int32 and float32 tensors (m, k)
        Ascending.
    """
    *found, marks = _rows_in_tiles(X, rows, k) if X.is_cuda else _rows(X, rows, k)
    indices, distances = found
    doubtful = marks.nonzero().flatten()
    if not X.is_cuda and len(doubtful) * X.numel() > _DIFFERENCES:
        _solve_doubtful(X, rows, k, (indices, distances), doubtful)
    elif len(doubtful):
        indices[doubtful], distances[doubtful] = differing_rows(X, rows[doubtful], k)
    return indices, distances


def _rows(
    X: torch.Tensor, rows: torch.Tensor, k: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """By products, and which rows these may have lost digits of."""
    centre, spread = near_origin_centre(X)
    scale = scale_of(spread)
    table = ops.ProductTable(X, centre, scale)
    candidates, _ = table.nearest_to(X[rows], min(len(X), k + 1 + SPARE))
    indices, distances = ops.rerank(X, candidates, k, points=rows)
    return indices, distances, _cancelled(distances, _norms(X, rows, centre, scale), scale)


def _rows_in_tiles(
    X: torch.Tensor, rows: torch.Tensor, k: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same in bounded memory on a device."""
    n, queries = len(X), X[rows]
    found, largest = Nearest(len(rows), k, X.device), 0.0
    held = torch.empty((len(rows) + _ROWS, X.shape[1]), device=X.device)
    held[: len(rows)] = queries
    for start in range(0, n, _ROWS):  # a centred copy of all rows would be as large as X
        block = X[start : start + _ROWS]
        held[len(rows) : len(rows) + len(block)] = block
        tile = Tile(held[: len(rows) + len(block)], rows, start)
        largest = max(largest, float(tile.norms.max()))
        for first in range(0, len(rows), _PIECE):
            last = min(len(rows), first + _PIECE)
            found.take(first, *tile.nearest(first, last, k))
    norms = torch.full((len(rows),), largest, device=X.device)
    return found.indices, found.distances, _cancelled(found.distances, norms, 1.0)


def rows_bytes(n: int, d: int, k: int, queries: int) -> int:
    """What `exact_rows` takes on a device: two copies of queries and of a block, a piece's distances, lists."""
    return 8 * d * (queries + min(n, _ROWS)) + 4 * _PIECE * min(n, _ROWS) + 24 * queries * (k + 9)


def differing_rows(
    X: torch.Tensor, rows: torch.Tensor, k: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Neighbours of some rows from the differences of coordinates, which cancel no digits.

    Parameters
    ----------
    X : float32 tensor (n, d)
    rows : int64 tensor (m,)
    k : int

    Returns
    -------
    indices, distances : int32 and float32 tensors (m, k)
    """
    count = min(len(X), k + 1 + SPARE)
    found = []
    for chunk in rows.split(max(1, _BLOCK_BYTES // (4 * len(X)))):
        block = torch.cdist(X[chunk], X, compute_mode="donot_use_mm_for_euclid_dist")
        candidates = block.topk(count, dim=1, largest=False).indices
        found.append(ops.rerank(X, candidates, k, points=chunk))
    indices, distances = (torch.cat(parts) for parts in zip(*found, strict=True))
    return indices, distances
