"""Nearest neighbours: from a data table to (indices, distances), through FAISS where it is there.

Every engine proposes candidates; `fastparadime.ops.rerank` then computes their true float32
distances from `X`, drops the point itself and repeated candidates, and sorts. A callable or a
SciPy metric that FAISS lacks is solved exactly, chunk by chunk.
"""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime.types import TensorLike
from fastparadime.utils.convert import to_numpy, to_torch
from fastparadime.utils.logging import log
from fastparadime.utils.validate import check_data, check_integer, check_option

Metric = str | Callable[..., float]

_ALIASES = {
    "l2": "euclidean",
    "l1": "manhattan",
    "cityblock": "manhattan",
    "taxicab": "manhattan",
    "linf": "chebyshev",
    "linfinity": "chebyshev",
    "ip": "inner_product",
    "dot": "inner_product",
}
# cosine and correlation are euclidean on prepared rows.
NATIVE_METRICS = (*ops.METRICS, "cosine", "correlation")
SCIPY_METRICS = (
    "dice", "hamming", "jaccard", "mahalanobis", "rogerstanimoto", "russellrao", "seuclidean",
    "sokalsneath", "yule",
)  # fmt: skip
_EXACT_COST = 4e11  # n^2 d up to which exact search takes seconds on two cores
_FAR = 10.0  # times its variance that the squared mean may be before the data is centred
_BLOCK_BYTES = 64 * 2**20  # of distances held at a time by the exact engines
_SPARE = 3  # candidates of an approximate engine for each neighbour that is wanted


@dataclass(frozen=True)
class NeighborGraph:
    """Neighbours of each point, itself excluded, nearest first.

    Attributes
    ----------
    indices : int32 tensor (n, k)
    distances : float32 tensor (n, k)
    engine : str
        What found them, for reports.
    """

    indices: torch.Tensor
    distances: torch.Tensor
    engine: str

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter((self.indices, self.distances))


def check_metric(metric: Metric) -> Metric:
    """The metric under its own name, if it is one that `knn` knows."""
    if callable(metric):
        return metric
    name = _ALIASES.get(metric, metric)
    return check_option(name, (*NATIVE_METRICS, *SCIPY_METRICS, *_ALIASES), "metric")


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


def knn(X: TensorLike, k: int, metric: Metric = "euclidean", *, p: float = 2.0) -> NeighborGraph:
    """The k nearest other points of each row of `X`.

    Exact while n^2 d is small, through an approximate FAISS index beyond; `engine` of the result
    says which. Without faiss the search is always exact, through torch in bounded memory.

    Parameters
    ----------
    X : (n, d) array or tensor
        Finite numbers. Tensors on a device are searched there.
    k : int
        In [1, n).
    metric : str or callable
        One of `NATIVE_METRICS`, their usual aliases, `SCIPY_METRICS`, or a function of two rows.
    p : float
        Exponent of ``"minkowski"``.

    Returns
    -------
    NeighborGraph
        Distances are true (not squared) and computed in float32 from `X`; ties go to the smaller
        index among those found. Another row equal to a point is a neighbour at distance 0.

    Raises
    ------
    TypeError, ValueError
        For data that is not a finite table of numbers, k outside [1, n) or an unknown metric.
    """
    X = check_data(X)
    k = check_integer(k, "k", minimum=1, maximum=len(X) - 1)
    metric = check_metric(metric)
    if callable(metric) or metric in SCIPY_METRICS:
        return _scipy_knn(to_numpy(X), k, metric)
    table = to_torch(X).to(torch.float32).contiguous()
    if metric in ("cosine", "correlation"):
        return _angular_knn(table, k, metric)
    if metric == "jensenshannon":
        table = _distributions(table)
    faiss = find_faiss()
    if table.device.type == "cuda" or faiss is None:
        return _torch_knn(table, k, metric, p)
    return _faiss_knn(faiss, table, k, metric, p)


def _near_origin(X: torch.Tensor, metric: str) -> torch.Tensor:
    # Engines take d^2 from norms and products, which cancel where the data lies far out.
    if metric not in ("euclidean", "sqeuclidean"):
        return X
    variance, mean = torch.var_mean(X, dim=0, correction=0)
    far = float(mean.square().sum()) > _FAR * float(variance.sum())
    return X - mean if far else X


def _angular_knn(X: torch.Tensor, k: int, metric: str) -> NeighborGraph:
    # 1 - cos is half the squared distance of unit rows, and keeps its digits for close ones.
    if metric == "correlation":
        X = X - X.mean(dim=1, keepdim=True)
    unit = torch.nn.functional.normalize(X, dim=1)
    graph = knn(unit, k)
    return NeighborGraph(graph.indices, graph.distances.square() / 2, graph.engine)


def _distributions(X: torch.Tensor) -> torch.Tensor:
    sums = X.sum(dim=1, keepdim=True)
    bad = ((X < 0).any(dim=1) | (sums[:, 0] <= 0)).nonzero()
    if len(bad):
        raise ValueError(
            f"X must hold rows of non-negative values with a positive sum for 'jensenshannon', "
            f"but row {int(bad[0])} does not"
        )
    return X / sums


def _scipy_knn(X: np.ndarray[Any, Any], k: int, metric: Metric) -> NeighborGraph:
    from scipy.spatial.distance import cdist

    n = len(X)
    X = X.astype(np.float64)
    rows = max(1, _BLOCK_BYTES // (8 * n))
    indices, distances = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    options = _scipy_options(X, metric)
    for start in range(0, n, rows):
        block = cdist(X[start : start + rows], X, metric=metric, **options)
        own = np.arange(len(block))
        block[own, start + own] = np.inf
        nearest = np.argsort(block, axis=1, kind="stable")[:, :k]
        indices[start : start + rows] = nearest
        distances[start : start + rows] = np.take_along_axis(block, nearest, axis=1)
    if not np.isfinite(distances).all():
        raise ValueError(f"metric {metric!r} gave a distance that is not finite")
    return NeighborGraph(torch.from_numpy(indices), torch.from_numpy(distances), "scipy, exact")


def _scipy_options(X: np.ndarray[Any, Any], metric: Metric) -> dict[str, Any]:
    # Of all rows: SciPy would take them of each block.
    if metric == "seuclidean":
        return {"V": np.maximum(X.var(axis=0, ddof=1), np.finfo(float).tiny)}
    if metric == "mahalanobis":
        return {"VI": np.linalg.pinv(np.atleast_2d(np.cov(X.T)))}
    return {}


def _torch_knn(X: torch.Tensor, k: int, metric: str, p: float) -> NeighborGraph:
    n = len(X)
    rows = max(1, _BLOCK_BYTES // (4 * n))
    # A few more than k, so that rounding of the products cannot drop a true neighbour.
    count = min(n, k + 1 + 8)
    candidates = torch.empty((n, count), dtype=torch.int32, device=X.device)
    table = _near_origin(X, metric)
    norms = table.square().sum(dim=1)
    for start in range(0, n, rows):
        block = _torch_block(table, norms, slice(start, start + rows), metric, p)
        candidates[start : start + rows] = block.topk(count, dim=1, largest=False).indices
    indices, distances = ops.rerank(X, candidates, k, metric, p=p)
    if not X.is_cuda:
        _say_what_is_missing()
    return NeighborGraph(indices, distances, "torch, exact")


@functools.cache
def _say_what_is_missing() -> None:
    log("faiss is not installed, so neighbors are exact and slow: pip install 'fastparadime[cpu]'")


def _torch_block(
    X: torch.Tensor, norms: torch.Tensor, rows: slice, metric: str, p: float
) -> torch.Tensor:
    if metric in ("euclidean", "sqeuclidean"):
        return torch.addmm(norms, X[rows], X.T, alpha=-2.0)  # the row's own norm orders nothing
    if metric == "inner_product":
        return -(X[rows] @ X.T)
    exponents = {"manhattan": 1.0, "chebyshev": float("inf"), "minkowski": p}
    if metric in exponents:
        return torch.cdist(X[rows], X, p=exponents[metric])
    from scipy.spatial.distance import cdist

    return torch.from_numpy(cdist(to_numpy(X[rows]), to_numpy(X), metric=metric)).to(X.device)


def _faiss_metric(faiss: ModuleType, metric: str) -> Any:
    return {
        "euclidean": faiss.METRIC_L2,
        "sqeuclidean": faiss.METRIC_L2,
        "inner_product": faiss.METRIC_INNER_PRODUCT,
        "manhattan": faiss.METRIC_L1,
        "chebyshev": faiss.METRIC_Linf,
        "minkowski": faiss.METRIC_Lp,
        "canberra": faiss.METRIC_Canberra,
        "braycurtis": faiss.METRIC_BrayCurtis,
        "jensenshannon": faiss.METRIC_JensenShannon,
    }[metric]


def _faiss_knn(faiss: ModuleType, X: torch.Tensor, k: int, metric: str, p: float) -> NeighborGraph:
    n, d = X.shape
    table = to_numpy(_near_origin(X, metric))
    approximate = float(n) * n * d > _EXACT_COST and metric in ("euclidean", "sqeuclidean")
    count = min(n, k * _SPARE + 1 if approximate else k + 1)
    if approximate:
        index, engine = _approximate_index(faiss, table)
    else:
        index, engine = faiss.IndexFlat(d, _faiss_metric(faiss, metric)), "faiss Flat, exact"
        index.metric_arg = p
    index.add(table)
    candidates = torch.from_numpy(index.search(table, count)[1]).to(torch.int32)
    indices, distances = ops.rerank(X, candidates, k, metric, p=p)
    if approximate and bool((indices[:, -1] < 0).any()):
        return _with_missing_rows(X, indices, distances, k, metric, p, engine)
    return NeighborGraph(indices, distances, engine)


def _approximate_index(faiss: ModuleType, table: np.ndarray[Any, Any]) -> tuple[Any, str]:
    n, d = table.shape
    lists = 2 ** int(np.round(np.log2(2 * n**0.5)))
    name = f"IVF{lists},Flat" if d <= 64 else f"PCA64,IVF{lists},Flat"
    index = faiss.index_factory(d, name)
    faiss.extract_index_ivf(index).nprobe = 16
    sample = table[:: max(1, n // (64 * lists))]
    index.train(np.ascontiguousarray(sample))
    return index, f"faiss {name} nprobe 16, re-ranked"


def _with_missing_rows(
    X: torch.Tensor,
    indices: torch.Tensor,
    distances: torch.Tensor,
    k: int,
    metric: str,
    p: float,
    engine: str,
) -> NeighborGraph:
    """Solves rows exactly whose lists held fewer than k candidates."""
    norms = X.square().sum(dim=1)
    for row in (indices[:, -1] < 0).nonzero().flatten().tolist():
        block = _torch_block(X, norms, slice(row, row + 1), metric, p)
        candidates = block.topk(min(len(X), k + 9), dim=1, largest=False).indices
        indices[row], distances[row] = (
            part[0] for part in ops.rerank(X, candidates, k, metric, p=p, first_row=row)
        )
    return NeighborGraph(indices, distances, engine)
