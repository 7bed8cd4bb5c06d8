"""Approximate search on the CPU: by overlapping clusters, unless an exact search is faster."""

from __future__ import annotations

import dataclasses

import torch

from fastparadime.neighbors.cluster_plan import Plan, make_plan
from fastparadime.neighbors.cluster_search import overlapping_knn
from fastparadime.neighbors.exact import product_knn
from fastparadime.neighbors.metrics import Metric
from fastparadime.neighbors.neighbor_graph import NeighborGraph
from fastparadime.neighbors.recall_sample import EXACT_RECALL, Sample

METRICS = ("euclidean", "sqeuclidean", "cosine", "correlation", "hellinger")
_EXACT_COST = 1e11  # n^2 d up to which exact search takes about a second on two cores
_LEAST_ROWS = 16_000  # with fewer, exact search is hardly slower than planning another
_MOST_WORK = 0.9  # of an exact search's, that another may be predicted to take


def is_wanted(n: int, d: int, metric: Metric, recall: float) -> bool:
    """Whether `knn` on the CPU may search approximately."""
    wanted = metric in METRICS and recall <= EXACT_RECALL
    return wanted and n > _LEAST_ROWS and float(n) * n * d > _EXACT_COST


def approximate_knn(
    X: torch.Tensor, k: int, metric: str, recall: float, seed: int
) -> NeighborGraph:
    """Neighbours of all rows of `X` by Euclidean distance, at least the share `recall` of them.

    Parameters
    ----------
    X : float32 tensor (n, d)
        On the CPU; unit rows for ``"cosine"``, ``"correlation"`` and ``"hellinger"``.
    k : int
    metric : str
        One of `METRICS`.
    recall : float
    seed : int

    Warns
    -----
    RecallWarning
        If the recall was not reached by about the work of an exact search.
    """
    metric = "sqeuclidean" if metric == "sqeuclidean" else "euclidean"
    sample = Sample.of(X, k, recall, seed)
    plan = make_plan(X, k, recall, seed, sample)
    if is_cheaper(plan):
        graph = overlapping_knn(X, k, metric, recall, sample, plan)
    else:
        graph = product_knn(X, k, metric)
    return dataclasses.replace(graph, engine=described(graph.engine, plan))


def is_cheaper(plan: Plan) -> bool:
    """Whether clusters are predicted to be faster than an exact search."""
    return plan.work < _MOST_WORK


def described(engine: str, plan: Plan) -> str:
    """An engine, and what decided for it."""
    return f"{engine} (clusters were predicted at {plan.work:.2g} of an exact search's work)"
