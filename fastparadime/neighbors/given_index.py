"""Neighbours through an index of FAISS that the caller built and tuned."""

from __future__ import annotations

from typing import Any

import torch

from fastparadime import ops
from fastparadime.neighbors.approximate import METRICS, Sample, warn_of_recall
from fastparadime.neighbors.blocks import SPARE
from fastparadime.neighbors.graph import Metric, NeighborGraph

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


def index_knn(
    index: Any, X: torch.Tensor, k: int, metric: str, recall: float, seed: int
) -> NeighborGraph:
    """The nearest of the k + 9 rows that an index names for each row of `X`.

    Parameters
    ----------
    index : faiss.Index
        Of the rows of `X`, in order.
    X : float32 tensor (n, d)
        On the CPU; unit rows for ``"cosine"`` and ``"correlation"``.
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
    candidates = torch.empty((n, min(n, k + 1 + SPARE)), dtype=torch.int32)
    for start in range(0, n, _QUERIES):
        rows = X[start : start + _QUERIES]
        named = index.search(rows.numpy(), candidates.shape[1])[1]
        candidates[start : start + len(rows)] = torch.from_numpy(named)
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
    found = sample.recall(ops.rerank(X, candidates[sample.rows], k, points=sample.rows)[1])
    name = f"index {type(index).__name__}"
    if found[1] < recall:
        advice = "Let the index look further (nprobe, efSearch), or search without it"
        warn_of_recall(recall, found, name, advice)
    engine = f"{name}, recall {found[0]:.3f} >= {found[1]:.3f}"
    return NeighborGraph(indices, distances, engine, *found)
