"""`knn` of the rows of several processes: what is searched, and by which engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastparadime.distributed import Ranks
from fastparadime.neighbors import approximate
from fastparadime.neighbors.metrics import Metric
from fastparadime.neighbors.neighbor_graph import NeighborGraph
from fastparadime.neighbors.ring import ring_neighbors
from fastparadime.neighbors.shared_clusters import clusters_of_all
from fastparadime.neighbors.shared_plan import shared_plan, shared_sample
from fastparadime.neighbors.shared_rows import SharedRows
from fastparadime.utils.validate import check_integer


def shared_knn(
    X: Any, k: int, metric: Metric, p: float, recall: float, seed: int, ranks: Ranks
) -> NeighborGraph:
    """`fastparadime.neighbors.knn` of the rows of all ranks: the neighbours of the own rows."""
    with ranks.together():
        k = check_integer(k, "k", minimum=1)
    ranks.agree({"k": k, "metric": metric, "p": p, "recall": recall, "seed": seed})
    shared = SharedRows(X, metric, p, ranks)
    check_integer(k, "k", minimum=1, maximum=shared.n - 1)
    return shared.given_back(dealt_neighbors(shared, k, recall, seed))


def dealt_neighbors(shared: SharedRows, k: int, recall: float, seed: int = 0) -> NeighborGraph:
    """The k nearest other rows of each row that this rank was dealt, by their global numbers.

    The engine and its plan do not depend on the number of ranks, nor on who gave which rows, and so
    the bits do not. Collective.

    Parameters
    ----------
    shared : SharedRows
    k : int
        The same on all ranks, as all that follows.
    recall : float
    seed : int

    Warns
    -----
    RecallWarning
        If the promised recall was not reached, on all ranks.
    SlowSearchWarning
        Before an exact search that is going to take more than ten minutes.
    """
    if approximate.is_wanted(shared.n, shared.d, shared.metric, recall):
        sample = shared_sample(shared, k, recall, seed)
        plan = shared_plan(shared, k, recall, seed, sample)
        if approximate.is_cheaper(plan):
            graph = clusters_of_all(shared, k, recall, sample, plan)
        else:
            graph = ring_neighbors(shared, k)
        graph = replace(graph, engine=approximate.described(graph.engine, plan))
    else:
        graph = ring_neighbors(shared, k)
    return shared.finished(graph)
