"""`knn`: what `X` is, what it takes, and which engine searches it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from fastparadime.neighbors import (
    approximate,
    costs,
    exact,
    given_index,
    memory,
    precomputed,
    sparse,
)
from fastparadime.neighbors.graph import (
    PRECOMPUTED,
    SCIPY_METRICS,
    Metric,
    NeighborGraph,
    check_metric,
)
from fastparadime.neighbors.streamed import streamed_knn
from fastparadime.neighbors.table import Table
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.validate import check_data, check_integer, check_positive


def knn(
    X: Any,
    k: int,
    metric: Metric = "euclidean",
    *,
    p: float = 2.0,
    recall: float = 0.95,
    seed: int = 0,
    max_memory: float | None = None,
    index: Any = None,
) -> NeighborGraph:
    """The k nearest other points of each row of `X`.

    Exact while that takes a second, which is while n^2 d is at most 1e11, and on a GPU. Beyond, for
    the metrics that come down to Euclidean distance (``"euclidean"``, ``"sqeuclidean"``,
    ``"cosine"``, ``"correlation"``), by neighbour descent: some rows are solved exactly and the
    search goes on until it finds `recall` of their neighbours. Other metrics are always exact.
    `engine`, `recall_estimate` and `recall_bound` of the result say what was done.

    Parameters
    ----------
    X : table, sparse matrix or what is known of neighbours
        - an array or tensor (n, d) of finite numbers of any real dtype. Tensors on a device are
          searched there. Float32 rows, memory-mapped ones included, are not copied;
        - a source of rows, such as a dataset of HDF5 or Zarr: anything with `shape`, `dtype`,
          `ndim` and slices that become arrays. It is read once, block by block;
        - a sparse matrix of SciPy, for ``"euclidean"``, ``"sqeuclidean"``, ``"cosine"``,
          ``"inner_product"`` and ``"manhattan"``; what is not stored is zero;
        - a pair (indices, distances) of arrays (n, w): the nearest k of each list are taken;
        - with ``metric="precomputed"``, a square table of distances, or a sparse matrix of SciPy
          whose stored entries are distances, k others or more in each row.
    k : int
        In [1, n).
    metric : str or callable
        One of `NATIVE_METRICS`, their usual aliases, `SCIPY_METRICS`, ``"precomputed"`` or a
        function of two rows.
    p : float
        Exponent of ``"minkowski"``.
    recall : float
        In (0, 1]: the share of true neighbours that must be found, with 95 % confidence by the
        rows that were solved exactly. Above 0.999 the search is exact.
    seed : int
        Of neighbour descent and its sample of rows, in [0, 2^63).
    max_memory : float, optional
        Most bytes that the search may take beside `X`, as `estimate_memory` counts them. Where
        they are too few for the usual engine, a native metric is searched exactly in blocks that
        are read again and again.
    index : faiss.Index, optional
        Of the rows of `X`, in order (of unit rows for ``"cosine"``): it proposes candidates, whose
        true distances are taken from `X`, and its recall is measured.

    Returns
    -------
    NeighborGraph
        Distances are true (not squared) and computed in float32 from `X`; ties go to the smaller
        index among those found. Another row equal to a point is a neighbour at distance 0.

    Raises
    ------
    TypeError, ValueError
        For data that is not as described, k outside [1, n), an unknown metric, a recall outside
        (0, 1], an index of other data, or if `max_memory` is too little even in blocks; no work is
        begun then. For a source that ends before its shape says, or values in it that are not
        finite, when they are read.
    OSError
        For a source that cannot be read.

    Warns
    -----
    RecallWarning
        If the promised recall was not reached, with what was. Python's filters make it an error.
    SlowSearchWarning
        Before an exact search that is going to take more than ten minutes.
    """
    metric = check_metric(metric)
    options = _Options(
        p=check_positive(p, "p"),
        recall=check_recall(recall),
        seed=check_integer(seed, "seed", minimum=0, maximum=2**63 - 1),
        max_memory=None if max_memory is None else check_positive(max_memory, "max_memory"),
        index=index,
    )
    if metric == PRECOMPUTED or _is_lists(X):
        _refuse_options(options, "X holds neighbors or distances already")
        return _precomputed(X, k)
    if precomputed.is_graph(X):
        return _sparse_knn(X, k, metric, options)
    if callable(metric) or metric in SCIPY_METRICS:
        return _by_scipy(X, k, metric, options)
    return _native_knn(X, k, metric, options)


@dataclasses.dataclass(frozen=True)
class _Options:
    p: float
    recall: float
    seed: int
    max_memory: float | None
    index: Any


def _refuse_options(options: _Options, reason: str) -> None:
    for name in ("index", "max_memory"):
        if getattr(options, name) is not None:
            raise ValueError(f"{name} must be None where {reason}")


def check_recall(recall: float) -> float:
    """The recall, if it lies in (0, 1]."""
    if check_positive(recall, "recall") > 1:
        raise ValueError(f"recall must lie in (0, 1], not {recall}")
    return float(recall)


def count_points(X: Any) -> int:
    """How many points `knn` would find neighbours of, without reading them."""
    if _is_lists(X):
        return len(X[0])
    shape = getattr(X, "shape", None)
    return int(shape[0]) if shape else len(check_data(X))


def _is_lists(X: Any) -> bool:
    """A pair of arrays, which as a table would have three dimensions."""
    if not isinstance(X, (tuple, list)) or len(X) != 2:
        return False
    return all(isinstance(part, (np.ndarray, torch.Tensor)) and part.ndim == 2 for part in X)


def _precomputed(X: Any, k: int) -> NeighborGraph:
    if _is_lists(X):
        return precomputed.from_lists(X, k)
    if precomputed.is_graph(X):
        return precomputed.from_graph(X, k)
    return precomputed.from_square(X, k)


def _by_scipy(X: Any, k: int, metric: Metric, options: _Options) -> NeighborGraph:
    X = check_data(X)
    n, d = X.shape
    k = check_integer(k, "k", minimum=1, maximum=n - 1)
    if options.index is not None:
        given_index.check_index(options.index, n, d, metric)
    if options.max_memory is not None:
        memory.choose_tiles(options.max_memory, n, d, k, metric)
    costs.warn_if_slow(n, d, metric)
    return exact.scipy_knn(to_numpy(X), k, metric)


def _sparse_knn(X: Any, k: int, metric: Metric, options: _Options) -> NeighborGraph:
    sparse.check_sparse(X, metric)
    n, d = X.shape
    k = check_integer(k, "k", minimum=1, maximum=n - 1)
    if options.index is not None:
        raise ValueError("index must be None where X is sparse")
    if options.max_memory is not None:
        memory.check_sparse_memory(options.max_memory, n, d, k, X.nnz, metric, options.recall)
    compared = "euclidean" if metric == "cosine" else str(metric)
    table = sparse.read_sparse(X, str(metric))
    graph = sparse.sparse_knn(table, k, compared, options.recall, options.seed)
    return _as_cosine(graph) if metric == "cosine" else graph


def _native_knn(X: Any, k: int, metric: str, options: _Options) -> NeighborGraph:
    table = Table(X, metric)
    k = check_integer(k, "k", minimum=1, maximum=table.shape[0] - 1)
    graph = _search(table, k, metric, options)
    return _as_cosine(graph) if metric in ("cosine", "correlation") else graph


def _as_cosine(graph: NeighborGraph) -> NeighborGraph:
    # 1 - cos is half the squared distance of unit rows, and keeps its digits for close ones.
    return dataclasses.replace(graph, distances=graph.distances.square() / 2)


def _search(table: Table, k: int, metric: str, options: _Options) -> NeighborGraph:
    n, d = table.shape
    recall, seed, p = options.recall, options.seed, options.p
    on_gpu = table.device.type == "cuda"
    if options.index is not None:
        given_index.check_index(options.index, n, d, metric)
        if options.max_memory is not None:
            raise ValueError("max_memory must be None with an index, whose memory is its own")
        return given_index.index_knn(options.index, table.whole(), k, metric, recall, seed)
    tiles = None
    if options.max_memory is not None:
        tiles = memory.choose_tiles(
            options.max_memory, n, d, k, metric, recall=recall, on_gpu=on_gpu, ready=table.ready
        )
    compared = "euclidean" if metric in ("cosine", "correlation") else metric
    descends = not on_gpu and approximate.is_wanted(n, d, k, metric, recall)
    if descends and tiles is None:
        return approximate.descent_knn(table.whole(), k, metric, recall, seed)
    if not on_gpu:
        costs.warn_if_slow(n, d, metric)
    if tiles is not None:
        return streamed_knn(table, k, compared, p, tiles)
    rows = table.whole()
    faiss = exact.faiss_for(rows, compared)
    if faiss is None:
        return exact.torch_knn(rows, k, compared, p)
    return exact.faiss_knn(faiss, rows, k, compared, p)
