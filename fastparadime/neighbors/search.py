"""`knn`: what `X` is, what it takes, and which engine searches it."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime.distributed import Ranks
from fastparadime.neighbors import (
    approximate,
    binary,
    costs,
    device_clusters,
    exact,
    given_index,
    memory,
    precomputed,
    sparse,
    sphere,
    tiled,
    tree,
)
from fastparadime.neighbors.metrics import (
    BINARY_METRICS,
    PRECOMPUTED,
    WHOLE_METRICS,
    Metric,
    check_metric,
)
from fastparadime.neighbors.neighbor_graph import (
    DEFAULT_RECALL,
    NeighborGraph,
    with_finite_distances,
)
from fastparadime.neighbors.shared_search import shared_knn
from fastparadime.neighbors.sparse_table import warn_of_rounding as warn_of_sparse_rounding
from fastparadime.neighbors.streamed import Tiles, streamed_knn
from fastparadime.neighbors.table import (
    UNIT_METRICS,
    Table,
    rows_of_frame,
    true_distances,
    unit_distances,
)
from fastparadime.types import Device
from fastparadime.utils import disk, frames
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.masks import without_mask
from fastparadime.utils.progress import memory_for
from fastparadime.utils.validate import check_data, check_integer, check_positive

_MOST_ROWS = torch.iinfo(torch.int32).max


def knn(
    X: Any,
    k: int,
    metric: Metric = "euclidean",
    *,
    p: float = 2.0,
    recall: float = DEFAULT_RECALL,
    seed: int = 0,
    max_memory: float | None = None,
    index: Any = None,
    device: Device | None = None,
    process_group: Any = None,
) -> NeighborGraph:
    """The k nearest other points of each row of `X`.

    Exact while that takes a second, which is while n^2 d is at most 1e11, for data of few
    dimensions whatever its size, and on a GPU up to three million rows. Beyond, for the metrics
    that come down to Euclidean distance (``"euclidean"``, ``"sqeuclidean"``, ``"cosine"``,
    ``"correlation"``, ``"hellinger"``), within overlapping clusters, where that is predicted to be
    faster: some rows are solved exactly, points join as many clusters as these rows ask for, and
    the rows show that `recall` of the neighbours is found. Other metrics are always exact.
    `engine`, `recall_estimate` and `recall_bound` of the result say what was done.

    Parameters
    ----------
    X : table, sparse matrix or what is known of neighbours
        - an array or tensor (n, d) of finite numbers of any real dtype, NaN where a value is
          missing for ``"nan_euclidean"``. Tensors on a device are searched there. Float32 rows,
          memory-mapped ones included, are not copied;
        - a data frame of pandas, polars or pyarrow, or a column of vectors;
        - a source of rows, such as a dataset of HDF5 or Zarr: anything with `shape`, `dtype`,
          `ndim` and slices that become arrays. It is read once, block by block;
        - a sparse matrix of SciPy, for all metrics but ``"haversine"``, ``"mahalanobis"``,
          ``"nan_euclidean"`` and functions; what is not stored is zero;
        - a pair (indices, distances) of arrays (n, w): the nearest k of each list are taken;
        - with ``metric="precomputed"``, a square table of distances, or a sparse matrix of SciPy
          whose stored entries are distances.

        Entries of distances and lists that are infinite, or of index -1, are no neighbours.
        Distances are negative by rounding alone, by 1e-5 of the largest of their row or of 1.
    k : int
        In [1, n).
    metric : str or callable
        One of `NATIVE_METRICS`, `BINARY_METRICS` (of which columns are not zero),
        ``"haversine"`` (latitude and longitude in radians), `SCIPY_METRICS`, their usual aliases,
        ``"precomputed"`` or a function of two rows, which are in the dtype of `X`. It gives a
        number, or a pair (distance, gradient).
    p : float
        Exponent of ``"minkowski"``.
    recall : float
        In (0, 1]: the share of true neighbours that must be found, with 95 % confidence by the
        rows that were solved exactly. Above 0.999 the search is exact.
    seed : int
        Of the clusters and of the rows that are solved exactly, in [0, 2^63).
    max_memory : float, optional
        Most bytes that the search may take beside `X`, as `estimate_memory` counts them. Where
        they are too few for the usual engine, clusters are read from the disk, and hold their
        lists there, by the metrics that come down to Euclidean distance among rows of float32 or
        narrower; else a native metric is searched exactly in blocks that are read again and again.
        On a GPU, blocks may take nine tenths of what is free without it.
    index : faiss.Index, optional
        Of the rows of `X`, in order (of unit rows for ``"cosine"``): it proposes candidates, whose
        true distances are taken from `X`, and its recall is measured. With `X` on a GPU, an index
        there takes its rows as they are; one on the CPU is asked through the host.
    device : torch.device or str, optional
        Where to search and where the result lies, if not where `X` is. An `X` that the GPU cannot
        hold is moved there block by block, for Euclidean distance and what comes down to it. Sparse
        matrices are searched on the CPU.
    process_group : torch.distributed.ProcessGroup, optional
        Of processes that each give their own rows as `X`, none too: the rows of rank 0 come first,
        then those of rank 1. Neighbours of the own rows among all of them are found, by native
        metrics on the CPU, without `index` and `max_memory`; indices are those of the whole. The
        search is exact or among clusters as without a group, but by neither a tree nor neighbours
        of neighbours, and the same for any number of processes.

    Returns
    -------
    NeighborGraph
        Distances are true (not squared) and computed in float32 from `X`, of which columns far
        from zero are centred in float64 before where the metric bears that; ties go to the smaller
        index among those found. Another row equal to a point is a neighbour at distance 0.
        Where distances or lists are given, a row of fewer than k others ends with the index -1 at
        an infinite distance.

    Raises
    ------
    TypeError, ValueError
        For data that is not as described, k outside [1, n), an unknown metric, a recall outside
        (0, 1], an index of other data, a GPU where the search has to be on the CPU, or if
        `max_memory` is too little even in blocks; no work is begun then. For a source that ends
        before its shape says, or values in it that are not finite, when they are read.
    OSError
        For a source that cannot be read.
    Exception
        With `process_group`, that of any process on all of them, "rank 1: ..." in its message.
    CUDANotAvailableError
        If `device` asks for CUDA where there is none that this build supports.
    DeviceMemoryError
        If a GPU runs out of memory.

    Warns
    -----
    RecallWarning
        If the promised recall was not reached, with what was. Python's filters make it an error.
    UserWarning
        If rows of given distances or lists have fewer than k others.
    SlowSearchWarning
        Before an exact search that is going to take more than ten minutes.
    PrecisionWarning
        If float32 holds too few digits of `X`, centred where the metric bears a shift, to tell
        neighbours apart.
    """
    ranks = None if process_group is None else Ranks(process_group)
    with contextlib.nullcontext() if ranks is None else ranks.together():
        X, metric = without_mask(X, "X"), check_metric(metric)
        X = rows_of_frame(X, metric).values if frames.is_frame(X) else X
        options = _Options.of(p, recall, seed, max_memory, index, device)
        if ranks is not None:
            _refuse_options(options, "the rows are those of a process_group")
    if ranks is not None:
        return shared_knn(X, k, metric, options.p, options.recall, options.seed, ranks)
    if metric == PRECOMPUTED or _is_lists(X):
        _refuse_options(options, "X holds neighbors or distances already")
        return _precomputed(X, k)
    if precomputed.is_graph(X):
        return _sparse_knn(X, k, metric, options)
    if callable(metric) or metric in WHOLE_METRICS:
        return _by_whole_rows(X, k, metric, options)
    return _native_knn(X, k, metric, options)


@dataclasses.dataclass(frozen=True)
class _Options:
    p: float
    recall: float
    seed: int
    max_memory: float | None
    index: Any
    device: torch.device | None

    @staticmethod
    def of(p: Any, recall: Any, seed: Any, max_memory: Any, index: Any, device: Any) -> _Options:
        """Of the arguments of `knn`, which are checked."""
        return _Options(
            p=check_positive(p, "p"),
            recall=check_recall(recall),
            seed=check_integer(seed, "seed", minimum=0, maximum=2**63 - 1),
            max_memory=None if max_memory is None else check_positive(max_memory, "max_memory"),
            index=index,
            device=None if device is None else ops.resolve_device(device),
        )


def _refuse_options(options: _Options, reason: str) -> None:
    for name in ("index", "max_memory", "device"):
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


def function_knn(X: Any, k: int, metric: Metric) -> NeighborGraph:
    """The k nearest other rows by a function, which gets numbers that are not finite too."""
    n, d = X.shape
    costs.warn_if_slow(n, d, metric)
    return exact.scipy_knn(X, k, metric)


def _by_whole_rows(X: Any, k: int, metric: Metric, options: _Options) -> NeighborGraph:
    """By metrics that are searched on the CPU, all rows at once."""
    is_binary = metric in BINARY_METRICS
    table = Table(X, str(metric), torch.device("cpu")) if is_binary else check_data(X)
    n, d = table.shape
    k = check_integer(k, "k", minimum=1, maximum=n - 1)
    if options.index is not None:
        given_index.check_index(options.index, n, d, metric)
    if options.max_memory is not None:
        memory.choose_tiles(options.max_memory, n, d, k, metric)
    if isinstance(table, Table):
        home = table.home
        graph = binary.binary_knn(binary.packed_table(table), k, str(metric), "bits")
    else:
        home = table.device if isinstance(table, torch.Tensor) else torch.device("cpu")
        if metric == "haversine":
            graph = sphere.sphere_knn(to_numpy(table), k)
        else:
            costs.warn_if_slow(n, d, metric)
            graph = exact.scipy_knn(to_numpy(table), k, metric)
    return _moved(graph, home if options.device is None else options.device)


def _sparse_knn(X: Any, k: int, metric: Metric, options: _Options) -> NeighborGraph:
    sparse.check_sparse(X, metric)
    n, d = X.shape
    k = check_integer(k, "k", minimum=1, maximum=n - 1)
    if options.index is not None:
        raise ValueError("index must be None where X is sparse")
    if options.device is not None and options.device.type != "cpu":
        raise ValueError(
            f"sparse X is searched on the CPU: device must be it, not {options.device}"
        )
    if options.max_memory is not None:
        memory.check_sparse_memory(options.max_memory, n, d, k, X.nnz, metric, options.recall)
    graph = sparse.find(X, k, str(metric), options.p, options.recall, options.seed)
    warn_of_sparse_rounding(X, graph.indices[:, -1], str(metric))
    return with_finite_distances(graph, str(metric))


def _native_knn(X: Any, k: int, metric: str, options: _Options) -> NeighborGraph:
    table = Table(X, metric, options.device, as_they_are=options.index is not None)
    n, d = table.shape
    if n > _MOST_ROWS:
        raise ValueError(f"X may have at most {_MOST_ROWS} rows, whose indices are int32, not {n}")
    k = check_integer(k, "k", minimum=1, maximum=n - 1)
    needed = memory.estimate_memory(
        n, d, k, metric, recall=options.recall, on_gpu=table.on_gpu, ready=table.ready
    )
    advice = "set max_memory to less than what is free, or use device='cpu'"
    with memory_for("the neighbour search", advice, total=needed):
        graph = _moved(_search(table, k, metric, options), table.device)
        table.warn_of_rounding(graph.indices[:, -1])
    distances = true_distances(graph.distances, table.unit, metric)
    if metric in UNIT_METRICS:
        distances = unit_distances(distances, metric)
    return with_finite_distances(dataclasses.replace(graph, distances=distances), metric)


def _moved(graph: NeighborGraph, device: torch.device) -> NeighborGraph:
    indices, distances = (part.to(device) for part in graph)
    return dataclasses.replace(graph, indices=indices, distances=distances)


def _search(table: Table, k: int, metric: str, options: _Options) -> NeighborGraph:
    n, d = table.shape
    recall, on_gpu, most = options.recall, table.on_gpu, options.max_memory
    if options.index is not None:
        return given_index.table_knn(options.index, table, k, metric, recall, options.seed, most)
    compared = memory.compared(metric)
    approximates = not on_gpu and approximate.is_wanted(n, d, metric, recall)
    tiles, reads = None, False
    if most is not None and not memory.holds_tiles(most, table, k, compared, recall):
        reads = approximates and approximate.reads(table, most)
        tiles = memory.choose_tiles(
            most, n, d, k, metric,
            recall=recall, on_gpu=on_gpu, ready=table.ready, on_disk=reads,
        )  # fmt: skip
    rows = None if on_gpu or tiles is not None else table.whole()
    if rows is not None and tree.may_serve(rows.shape[1], compared):
        graph = tree.tree_knn(rows, k, compared, options.p, approximates=approximates)
        if graph is not None:
            return graph
    if approximates and rows is not None:
        graph = approximate.approximate_knn(rows, k, metric, recall, options.seed)
        assert graph is not None  # of rows in memory
        return graph
    if reads and tiles is not None:  # what fits is not read
        return _on_disk(table, k, metric, options, tiles)
    if not on_gpu:
        costs.warn_if_slow(n, d, metric)
    if tiles is not None:
        return streamed_knn(table, k, compared, options.p, tiles)
    if on_gpu and tiled.takes(k, compared):
        return _by_products(table, k, compared, options)
    return _exact(table.whole() if rows is None else rows, k, compared, options.p)


def _on_disk(table: Table, k: int, metric: str, options: _Options, tiles: Tiles) -> NeighborGraph:
    """By clusters that are read, or where they are too dear by blocks; lists may lie on the disk too."""
    with disk.arrays_within(options.max_memory):
        stored = approximate.rows_on_disk(table, metric)
        graph = approximate.approximate_knn(stored, k, metric, options.recall, options.seed)
        if graph is not None:
            return graph
        costs.warn_if_slow(*table.shape, metric)
        return streamed_knn(table, k, memory.compared(metric), options.p, tiles)


def _exact(rows: torch.Tensor, k: int, metric: str, p: float) -> NeighborGraph:
    if rows.is_cuda:
        return exact.torch_knn(rows, k, metric, p)
    if exact.takes_products(metric):
        return exact.product_knn(rows, k, metric)
    if exact.takes_pairs(metric):
        return exact.paired_knn(rows, k, metric, p)
    faiss = exact.find_faiss()
    if faiss is not None:
        return exact.faiss_knn(faiss, rows, k, metric)
    exact.say_what_is_missing()
    return exact.torch_knn(rows, k, metric, p)


def _by_products(table: Table, k: int, metric: str, options: _Options) -> NeighborGraph:
    """Euclidean neighbours on a GPU, whose rows may be beside it."""
    recall = options.recall
    rows, limit = memory.placed(table, k, recall, options.max_memory)
    if device_clusters.is_wanted(len(rows), recall):
        seed, device = options.seed, table.device
        return device_clusters.clustered_knn(
            rows, k, metric, recall, seed, device=device, limit=limit
        )
    return tiled.tiled_knn(rows, k, metric, device=table.device, limit=limit)
