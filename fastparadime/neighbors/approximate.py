"""Approximate search on the CPU: by overlapping clusters, unless an exact search is faster."""

from __future__ import annotations

import dataclasses

import torch

from fastparadime.neighbors import clusters_on_disk
from fastparadime.neighbors.cluster_plan import Plan, make_plan
from fastparadime.neighbors.cluster_search import Search, overlapping_knn
from fastparadime.neighbors.clusters_on_disk import SearchOnDisk
from fastparadime.neighbors.exact import product_knn
from fastparadime.neighbors.metrics import Metric
from fastparadime.neighbors.neighbor_graph import NeighborGraph
from fastparadime.neighbors.read_rows import ReadRows, Rows, UnitRows
from fastparadime.neighbors.recall_sample import EXACT_RECALL, Sample
from fastparadime.neighbors.table import UNIT_METRICS, Table

METRICS = ("euclidean", "sqeuclidean", *UNIT_METRICS)
_EXACT_COST = 1e11  # n^2 d up to which exact search takes about a second on two cores
_LEAST_ROWS = 16_000  # with fewer, exact search is hardly slower than planning another
_MOST_WORK = 0.9  # of an exact search's, that another may be predicted to take


def is_wanted(n: int, d: int, metric: Metric, recall: float) -> bool:
    """Whether `knn` on the CPU may search approximately."""
    wanted = metric in METRICS and recall <= EXACT_RECALL
    return wanted and n > _LEAST_ROWS and float(n) * n * d > _EXACT_COST


def reads(table: Table, max_memory: float) -> bool:
    """Whether a search on the disk takes the rows of a table, in so many bytes.

    Its clusters are of rows as they are stored: in memory, or memory-mapped, of float32 or a narrower
    dtype.
    """
    needed = clusters_on_disk.needed_bytes(table.shape[0], table.columns)
    return table.stored() is not None and needed <= max_memory


def rows_on_disk(table: Table, metric: str) -> ReadRows:
    """The rows of such a table as the search reads them; all are read once for unit rows.

    Raises
    ------
    ValueError
        As of `Table.rows`.
    """
    stored = table.stored()
    assert stored is not None
    rows = ReadRows(stored)
    return UnitRows.of(rows, metric) if metric in UNIT_METRICS else rows


def approximate_knn(X: Rows, k: int, metric: str, recall: float, seed: int) -> NeighborGraph | None:
    """Neighbours of all rows of `X` by Euclidean distance, at least the share `recall` of them.

    Parameters
    ----------
    X : float32 tensor (n, d) or rows that are read
        On the CPU; unit rows for ``"cosine"``, ``"correlation"`` and ``"hellinger"``.
    k : int
    metric : str
        One of `METRICS`.
    recall : float
    seed : int

    Returns
    -------
    NeighborGraph or None
        None where rows that are read are to be searched exactly.

    Warns
    -----
    RecallWarning
        If the recall was not reached by about the work of an exact search.
    """
    metric = "sqeuclidean" if metric == "sqeuclidean" else "euclidean"
    sample = Sample.of(X, k, recall, seed)
    plan = make_plan(X, k, recall, seed, sample)
    if is_cheaper(plan):
        kind = Search if isinstance(X, torch.Tensor) else SearchOnDisk
        graph = overlapping_knn(X, k, metric, recall, sample, plan, kind)
    elif isinstance(X, torch.Tensor):
        graph = product_knn(X, k, metric)
    else:
        return None
    return dataclasses.replace(graph, engine=described(graph.engine, plan))


def is_cheaper(plan: Plan) -> bool:
    """Whether clusters are predicted to be faster than an exact search."""
    return plan.work < _MOST_WORK


def described(engine: str, plan: Plan) -> str:
    """An engine, and what decided for it."""
    return f"{engine} (clusters were predicted at {plan.work:.2g} of an exact search's work)"
