"""The rows of several processes, dealt out evenly, as a metric compares them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import torch

from fastparadime.distributed import Ranks, gathered
from fastparadime.neighbors.memory import compared
from fastparadime.neighbors.metrics import NATIVE_METRICS, Metric
from fastparadime.neighbors.neighbor_graph import NeighborGraph, with_finite_distances
from fastparadime.neighbors.table import (
    SCALED_METRICS,
    UNIT_METRICS,
    Table,
    shown_step,
    true_distances,
    unit_distances,
    unit_of,
)
from fastparadime.utils.centring import centred, some_numbers
from fastparadime.utils.convert import to_numpy

# What a rank has of some of the rows that it was dealt, by their places among these.
Read: TypeAlias = Callable[[torch.Tensor], torch.Tensor]


class SharedRows:
    """The rows of all ranks, dealt out in slices.

    Collective, as all methods are.

    Parameters
    ----------
    X : (n_local, d) array, tensor, list or source of rows
        The rank's own rows, none too; of one width and dtype on all ranks.
    metric : str
        A native one.
    p : float
        Exponent of ``"minkowski"``.
    ranks : Ranks

    Attributes
    ----------
    ranks : Ranks
    shards : Shards
    metric : str
    p : float
    n, d : int
        Rows of all ranks, and columns of the data.
    rows : float32 tensor (shards.count, columns)
        Those that the rank was dealt, as the metric compares them.

    Raises
    ------
    TypeError, ValueError
        On all ranks: for rows that are not as described on any, for other metrics, and for more
        than 2^31 - 1 rows.
    """

    def __init__(self, X: Any, metric: Metric, p: float, ranks: Ranks) -> None:
        with ranks.together():
            self.metric, self.p = _native(metric), p
            table = Table(X, self.metric, min_rows=0)
            if table.home.type != "cpu":
                raise ValueError(f"X must be on the CPU with process_group, not on {table.home}")
        self.ranks, self.shards = ranks, ranks.shards(table.data)
        self.n, self.d = self.shards.n, table.shape[1]
        self._unit = self._compare_alike(table)
        with ranks.together():
            local = _compared_rows(table, self.metric)
            bare = table.centre is None and not bool(local[:, -1:].any())
        if self.metric in UNIT_METRICS and all(ranks.told(bare)):
            local = local[:, :-1]  # of marks of rows without a direction: there are none
        self.rows = ranks.moved(local, self.shards.given, self.shards.dealt)

    @property
    def compared(self) -> str:
        """The metric that orders `rows`."""
        return compared(self.metric)

    def _compare_alike(self, table: Table) -> float:
        """Has own rows centred and scaled as the table of all rows would be; its factor."""
        n, given, ranks = self.shards.n, self.shards.given, self.ranks

        def read(places: Any) -> Any:
            return to_numpy(table.some(places))

        spread = ranks.rows_at(some_numbers(n), given, read)
        strided = ranks.rows_at(np.arange(0, n, shown_step(n)), given, read)
        some = Table(spread, self.metric, min_rows=1)
        scaled = self.metric in SCALED_METRICS
        unit = unit_of(centred(strided, some.centre)) if scaled else 1.0
        table.compare_as(some, unit)
        return unit

    def at(self, numbers: torch.Tensor, read: Read) -> torch.Tensor:
        """What ranks have of some rows, on all ranks.

        Parameters
        ----------
        numbers : int64 tensor (m,)
            Of rows, in any order.
        read : callable (places) -> tensor (len(places), ...)
            Gives what this rank has of rows that it was dealt, by their places among these.

        Returns
        -------
        tensor (m, ...)
        """
        order, place = torch.unique(numbers, return_inverse=True)
        cuts = torch.searchsorted(order, torch.tensor(self.shards.dealt)).tolist()
        counts = [last - first for first, last in itertools.pairwise(cuts)]
        with self.ranks.together():
            own = read(order.split(counts)[self.ranks.rank] - self.shards.first)
        found = gathered(self.ranks, own, counts)
        return found if torch.equal(place, torch.arange(len(order))) else found[place]

    def strided(self, most: int, read: Read) -> torch.Tensor:
        """The same of up to so many rows at even steps, as a table of all would be strided."""
        return self.at(torch.arange(0, self.n, -(-self.n // most)), read)

    def finished(self, graph: NeighborGraph) -> NeighborGraph:
        """The neighbours of rows that were dealt, with distances of the data from those of `rows`."""
        distances = graph.distances
        squares = self.metric == "sqeuclidean"
        distances = distances.square() if squares else distances
        distances = true_distances(distances, self._unit, self.metric)
        if self.metric in UNIT_METRICS:
            distances = unit_distances(distances, self.metric)
        with self.ranks.together():
            graph = replace(graph, distances=distances)
            return with_finite_distances(graph, self.metric, self.shards.first)

    def given_back(self, graph: NeighborGraph) -> NeighborGraph:
        """Of the rows that were dealt, as ranks gave them."""
        indices, distances = (
            self.ranks.moved(part, self.shards.dealt, self.shards.given) for part in graph
        )
        return replace(graph, indices=indices, distances=distances)


def _native(metric: Metric) -> str:
    if metric not in NATIVE_METRICS:
        raise ValueError(
            f"metric must be one of {', '.join(map(repr, NATIVE_METRICS))} with process_group, not "
            f"{metric!r}"
        )
    return str(metric)


def _compared_rows(table: Table, metric: str) -> torch.Tensor:
    """All own rows; of unit rows with the column of marks."""
    if metric not in UNIT_METRICS:
        return table.whole().contiguous()
    rows = torch.empty((table.shape[0], table.columns))
    table.fill(rows, 0)
    return rows
