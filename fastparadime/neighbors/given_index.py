"""Neighbours through an index of FAISS that the caller built and tuned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from fastparadime import ops
from fastparadime.exceptions import DeviceMemoryError
from fastparadime.neighbors.approximate import METRICS
from fastparadime.neighbors.blocks import SPARE
from fastparadime.neighbors.exact import find_faiss
from fastparadime.neighbors.metrics import Metric
from fastparadime.neighbors.neighbor_graph import NeighborGraph
from fastparadime.neighbors.recall_sample import Sample, warn_of_recall
from fastparadime.neighbors.table import Table

_QUERIES = 2**14  # asked at a time


def check_index(index: Any, n: int, d: int, metric: Metric) -> None:
    """Raises if an index cannot propose neighbours of the n rows of d columns it should hold."""
    if not all(hasattr(index, name) for name in ("ntotal", "d", "search")):
        raise TypeError(f"index must be an index of FAISS, not {type(index).__name__}")
    if (index.ntotal, index.d) != (n, d):
        raise ValueError(
            f"index must hold the rows of X, {n} of {d} columns, not {index.ntotal} of {index.d}"
        )
    if metric not in METRICS:
        known = ", ".join(map(repr, METRICS))
        raise ValueError(f"index can be given for the metrics {known}, not {metric!r}")


def check_place(index: Any, device: torch.device) -> None:
    """Raises if an index lives on another GPU than the rows that it is going to be asked for."""
    place = gpu_of(index)
    if place is None or device.type != "cuda":
        return
    if place != (torch.cuda.current_device() if device.index is None else device.index):
        raise ValueError(f"index must live where X is searched, {device}, not on cuda:{place}")


def gpu_of(index: Any) -> int | None:
    """The number of the GPU that an index lives on, None on the CPU."""
    return int(index.getDevice()) if hasattr(index, "getDevice") else None


def table_knn(
    index: Any,
    table: Table,
    k: int,
    metric: str,
    recall: float,
    seed: int,
    max_memory: float | None,
) -> NeighborGraph:
    """Neighbours of all rows of a table, among what its index proposes."""
    check_index(index, *table.shape, metric)
    if max_memory is not None:
        raise ValueError("max_memory must be None with an index, whose memory is its own")
    check_place(index, table.device)
    return index_knn(index, table.whole(), k, metric, recall, seed)


def index_knn(
    index: Any, X: torch.Tensor, k: int, metric: str, recall: float, seed: int
) -> NeighborGraph:
    """The nearest of the k + 9 rows that an index names for each row of `X`.

    Parameters
    ----------
    index : faiss.Index
        Of the rows of `X`, in order.
    X : float32 tensor (n, d)
        Unit rows for ``"cosine"``, ``"correlation"`` and ``"hellinger"``. Rows on a device are
        handed to an index there as they are, and copied to the host, some at a time, for one on the CPU.
    k : int
    metric : str
        One of `fastparadime.neighbors.approximate.METRICS`.
    recall : float
    seed : int

    Raises
    ------
    ValueError
        If the index finds fewer than k others of a row.

    Warns
    -----
    RecallWarning
        If it finds less than `recall`.
    """
    n = len(X)
    candidates = torch.empty((n, min(n, k + 1 + SPARE)), dtype=torch.int32, device=X.device)
    for start in range(0, n, _QUERIES):
        rows = X[start : start + _QUERIES, : index.d]  # without marks
        candidates[start : start + len(rows)] = _named(index, rows, candidates.shape[1])
    true = "sqeuclidean" if metric == "sqeuclidean" else "euclidean"
    indices, distances = ops.rerank(X, candidates, k, true)
    short = (indices[:, -1] < 0).nonzero()
    if len(short):
        row = int(short[0])
        raise ValueError(
            f"index found only {int((indices[row] >= 0).sum())} of k = {k} neighbors of row {row}: "
            "let it look further, as by a larger nprobe of an IVF index"
        )
    sample = Sample.of(X, k, recall, seed)
    asked = sample.rows.to(X.device)
    found = sample.recall(ops.rerank(X, candidates[asked], k, points=asked)[1])
    name = f"index {type(index).__name__}"
    if found[1] < recall:
        advice = "Let the index look further (nprobe, efSearch), or search without it"
        warn_of_recall(recall, found, name, advice)
    engine = f"{name}, recall {found[0]:.3f} >= {found[1]:.3f}"
    return NeighborGraph(indices, distances, engine, *found)


def _named(index: Any, rows: torch.Tensor, count: int) -> torch.Tensor:
    """The `count` points that an index names for each row, int64, where the rows live or beside."""
    if not rows.is_cuda or gpu_of(index) is None:
        named: torch.Tensor = torch.from_numpy(index.search(rows.cpu().numpy(), count)[1])
        return named
    with _stream_of(index, rows.device):
        return named_by_address(index, rows, count)


def named_by_address(index: Any, rows: torch.Tensor, count: int) -> torch.Tensor:
    """The `count` points that an index names for each row, through the addresses of tensors.

    faiss can teach its Python classes to take tensors, but for the whole process.
    """
    faiss: Any = find_faiss()
    rows = rows.contiguous()
    distances = rows.new_empty((len(rows), count))
    named = torch.empty((len(rows), count), dtype=torch.int64, device=rows.device)
    try:
        index.search_c(
            len(rows),
            faiss.cast_integer_to_float_ptr(rows.data_ptr()),
            count,
            faiss.cast_integer_to_float_ptr(distances.data_ptr()),
            faiss.cast_integer_to_idx_t_ptr(named.data_ptr()),
        )
    except RuntimeError as error:  # of faiss's own allocator
        if "out of memory" not in str(error):
            raise
        raise DeviceMemoryError(
            f"the search of index {type(index).__name__} ran out of the device's memory ({error}): "
            "give its resources less with setTempMemory, or free what torch holds"
        ) from None
    return named


@contextmanager
def _stream_of(index: Any, device: torch.device) -> Iterator[None]:
    """Lets an index work on torch's stream, after what is queued there."""
    faiss: Any = find_faiss()
    resources, place = index.getResources(), gpu_of(index)
    before = resources.getDefaultStream(place)
    stream = torch.cuda.current_stream(device).cuda_stream
    resources.setDefaultStream(place, faiss.cast_integer_to_cudastream_t(stream))
    try:
        yield
    finally:
        resources.setDefaultStream(place, before)
