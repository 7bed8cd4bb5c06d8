"""Nearest neighbours: from a data table to (indices, distances), exact or with a promised recall.

Every engine proposes candidates; `fastparadime.ops.rerank` then computes their true float32
distances from the data, drops the point itself and repeated candidates, and sorts.
"""

from fastparadime.neighbors.exact import find_faiss
from fastparadime.neighbors.memory import estimate_memory
from fastparadime.neighbors.metrics import (
    BINARY_METRICS,
    NATIVE_METRICS,
    SCIPY_METRICS,
    Metric,
    check_metric,
)
from fastparadime.neighbors.neighbor_graph import DEFAULT_RECALL, NeighborGraph
from fastparadime.neighbors.search import check_recall, count_points, knn
from fastparadime.neighbors.stratified import stratified_sample

__all__ = [
    "BINARY_METRICS",
    "DEFAULT_RECALL",
    "NATIVE_METRICS",
    "SCIPY_METRICS",
    "Metric",
    "NeighborGraph",
    "check_metric",
    "check_recall",
    "count_points",
    "estimate_memory",
    "find_faiss",
    "knn",
    "stratified_sample",
]
