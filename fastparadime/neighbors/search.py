"""`knn`: the metric's preparation of the data and the choice of an engine."""

from __future__ import annotations

import dataclasses

import torch

from fastparadime import ops
from fastparadime.neighbors import approximate, clustered, exact, memory, tiled
from fastparadime.neighbors.graph import SCIPY_METRICS, Metric, NeighborGraph, check_metric
from fastparadime.types import Device, TensorLike
from fastparadime.utils.convert import to_numpy, to_torch
from fastparadime.utils.validate import check_data, check_integer, check_positive


def knn(
    X: TensorLike,
    k: int,
    metric: Metric = "euclidean",
    *,
    p: float = 2.0,
    recall: float = 0.95,
    seed: int = 0,
    max_memory: float | None = None,
    device: Device | None = None,
) -> NeighborGraph:
    """The k nearest other points of each row of `X`.

    Exact while that takes a second, which is while n^2 d is at most 1e11, and on a GPU up to three
    million rows. Beyond, for the metrics that come down to Euclidean distance (``"euclidean"``,
    ``"sqeuclidean"``, ``"cosine"``, ``"correlation"``), by neighbour descent, on a GPU by exact
    search within overlapping clusters: some rows are solved exactly and the search goes on until it
    finds `recall` of their neighbours. Other metrics are always exact.
    `engine`, `recall_estimate` and `recall_bound` of the result say what was done.

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
    recall : float
        In (0, 1]: the share of true neighbours that must be found, with 95 % confidence by the
        rows that were solved exactly. Above 0.999 the search is exact.
    seed : int
        Of neighbour descent and its sample of rows, in [0, 2^63).
    max_memory : float, optional
        Most bytes that the search may take beside `X`, as `estimate_memory` counts them. On a GPU,
        blocks get smaller to keep it; without it, they may take nine tenths of what is free.
    device : torch.device or str, optional
        Where to search and where the result lies, if not where `X` is. An `X` that the GPU cannot
        hold is moved there block by block, for Euclidean distance and what comes down to it.

    Returns
    -------
    NeighborGraph
        Distances are true (not squared) and computed in float32 from `X`; ties go to the smaller
        index among those found. Another row equal to a point is a neighbour at distance 0.

    Raises
    ------
    TypeError, ValueError
        For data that is not a finite table of numbers, k outside [1, n), an unknown metric, a
        recall outside (0, 1], or if `max_memory` is too little; no work is begun then.
    CUDANotAvailableError
        If `device` asks for CUDA where there is none that this build supports.
    DeviceMemoryError
        If a GPU runs out of memory.

    Warns
    -----
    UserWarning
        If the promised recall was not reached, with what was.
    """
    X = check_data(X)
    n, d = X.shape
    k = check_integer(k, "k", minimum=1, maximum=n - 1)
    metric = check_metric(metric)
    recall = check_recall(recall)
    seed = check_integer(seed, "seed", minimum=0, maximum=2**63 - 1)
    where = X.device if isinstance(X, torch.Tensor) else torch.device("cpu")
    where = where if device is None else ops.resolve_device(device)
    on_gpu = where.type == "cuda"
    if max_memory is not None:
        memory.check_memory(max_memory, n, d, k, metric, recall=recall, on_gpu=on_gpu)
    if callable(metric) or metric in SCIPY_METRICS:
        return _moved(exact.scipy_knn(to_numpy(X), k, metric), where)
    table = to_torch(X).to(torch.float32).contiguous()
    searched = table
    if metric in ("cosine", "correlation"):
        searched = _unit_rows(table, metric)
    elif metric == "jensenshannon":
        searched = _distributions(table)
    found = _native_knn(searched, k, metric, p, recall, seed, where, max_memory)
    graph = _moved(found, where)
    if metric in ("cosine", "correlation"):
        # 1 - cos is half the squared distance of unit rows, and keeps its digits for close ones.
        return dataclasses.replace(graph, distances=graph.distances.square() / 2)
    return graph


def _moved(graph: NeighborGraph, device: torch.device) -> NeighborGraph:
    indices, distances = (part.to(device) for part in graph)
    return dataclasses.replace(graph, indices=indices, distances=distances)


def check_recall(recall: float) -> float:
    """The recall, if it lies in (0, 1]."""
    if check_positive(recall, "recall") > 1:
        raise ValueError(f"recall must lie in (0, 1], not {recall}")
    return float(recall)


def _native_knn(
    X: torch.Tensor,
    k: int,
    metric: str,
    p: float,
    recall: float,
    seed: int,
    device: torch.device,
    max_memory: float | None,
) -> NeighborGraph:
    n, d = X.shape
    on_gpu = device.type == "cuda"
    if not on_gpu and approximate.is_wanted(n, d, k, metric, recall):
        return approximate.descent_knn(X.to(device), k, metric, recall, seed)
    metric = "euclidean" if metric in ("cosine", "correlation") else metric
    faiss = None if on_gpu else exact.find_faiss()
    if faiss is not None:
        return exact.faiss_knn(faiss, X.to(device), k, metric, p)
    if not on_gpu:
        exact.say_what_is_missing()
    advice = "Set max_memory to less than what is free, or use device='cpu'."
    needed = memory.estimate_memory(n, d, k, metric, recall=recall, on_gpu=on_gpu)
    with ops.memory_for("the neighbour search", device, needed, advice):
        if not tiled.takes(k, metric):
            return exact.torch_knn(X.to(device), k, metric, p)
        X, limit = memory.placed(X, k, device, max_memory)
        if on_gpu and clustered.is_wanted(n, recall):
            return clustered.clustered_knn(X, k, metric, recall, seed, device=device, limit=limit)
        return tiled.tiled_knn(X, k, metric, device=device, limit=limit)


def _unit_rows(X: torch.Tensor, metric: str) -> torch.Tensor:
    if metric == "correlation":
        X = X - X.mean(dim=1, keepdim=True)
    return torch.nn.functional.normalize(X, dim=1)


def _distributions(X: torch.Tensor) -> torch.Tensor:
    sums = X.sum(dim=1, keepdim=True)
    bad = ((X < 0).any(dim=1) | (sums[:, 0] <= 0)).nonzero()
    if len(bad):
        raise ValueError(
            f"X must hold rows of non-negative values with a positive sum for 'jensenshannon', "
            f"but row {int(bad[0])} does not"
        )
    return X / sums
