"""Layouts of several graphs whose points are related: each is drawn towards the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
import torch

from fastparadime import ops
from fastparadime.layout.optimize import LayoutParameters
from fastparadime.types import Array
from fastparadime.utils.convert import sums_over, to_numpy
from fastparadime.utils.seed import derive


def related_rows(relations: Sequence[Mapping[int, int]], sizes: Sequence[int]) -> list[Array]:
    """For each table but the last, which row of the next each row is, or -1: int64 (n,)."""
    found = []
    for relation, n in zip(relations, sizes[:-1], strict=True):
        rows = np.full(n, -1)
        rows[list(relation)] = list(relation.values())
        found.append(rows)
    return found


def inverse_rows(rows: Array, n: int) -> Array:
    """Which row of the one table each of the n rows of the next is, or -1."""
    back = np.full(n, -1)
    known = rows >= 0
    back[rows[known]] = np.flatnonzero(known)
    return back


def _chained(rows: Array, following: Array) -> Array:
    return np.where(rows >= 0, following[rows], -1)


def relations_within(
    relations: Sequence[Array], sizes: Sequence[int], table: int, window: int
) -> dict[int, Array]:
    """Which rows of the tables around it the rows of a table are, by the offset to those."""
    found = {}
    for step in (1, -1):
        rows = np.arange(sizes[table])
        for offset in range(1, window + 1):
            other = table + step * offset
            if not 0 <= other < len(sizes):
                break
            if step == 1:
                link = relations[other - 1]
            else:
                link = inverse_rows(relations[other], sizes[other + 1])
            rows = _chained(rows, link)
            found[step * offset] = rows
    return found


def shared_neighborhoods(first: Any, second: Any, rows: Array) -> Array:
    """The share of neighbours that related rows have in common, float64 (n,).

    Parameters
    ----------
    first, second : CSR (n, n) and (m, m)
        The tables' graphs.
    rows : integer array (n,)
        Which row of the second each of the first is, or -1.

    Returns
    -------
    array
        Jaccard's index of the neighbours that both tables have; 1 where neither has any, 0 for rows
        without a relation or without any neighbour.
    """
    known = np.flatnonzero(rows >= 0)
    links = scipy.sparse.csr_matrix(
        (np.ones(len(known)), (known, rows[known])), shape=(first.shape[0], second.shape[0])
    )
    image = scipy.sparse.diags(np.asarray(links.max(axis=0).todense()).ravel())
    own = (_pattern(first) @ links).astype(bool).astype(float)
    other = (links @ _pattern(second) @ image).astype(bool).astype(float)
    common = np.asarray(own.multiply(other).sum(axis=1)).ravel()
    either = np.asarray((own + other).sum(axis=1)).ravel() - common
    shares: Array = np.divide(common, either, out=np.ones(len(rows)), where=either > 0)
    shares[rows < 0] = 0
    shares[np.diff(first.indptr) == 0] = 0
    alone = np.diff(second.indptr) == 0
    shares[known[alone[rows[known]]]] = 0
    return shares


def _pattern(graph: Any) -> Any:
    return scipy.sparse.csr_matrix(
        (np.ones(graph.nnz), graph.indices, graph.indptr), shape=graph.shape
    )


@dataclass(frozen=True)
class Pull:
    """What draws a table's rows towards those they are in other tables.

    Attributes
    ----------
    rows : int64 tensor (n, tables)
        0 where there is none.
    others : list of int
        Numbers of those tables.
    weights : float64 tensor (n, tables)
        Of an epoch at a step size of 1; 0 where there is none.
    """

    rows: torch.Tensor
    others: list[int]
    weights: torch.Tensor

    def moved(
        self, positions: torch.Tensor, tables: Sequence[torch.Tensor], size: float
    ) -> torch.Tensor:
        """Positions after an epoch of steps of a size: they decay to the mean of their images."""
        if not self.others:
            return positions
        # Points without an edge have no position, and no weight.
        images = [
            tables[t][self.rows[:, i]].double().nan_to_num() for i, t in enumerate(self.others)
        ]
        total = sums_over(self.weights, 1)
        sums = sums_over(torch.stack(images, 1) * self.weights[:, :, None], 1)
        means = sums / total.clamp_min(1e-300)[:, None]
        share = -torch.expm1(-size * total)[:, None]
        wide = positions.double()
        return torch.where(total[:, None] > 0, wide + share * (means - wide), wide).float()


def pull_of(
    table: int,
    graphs: Sequence[Any],
    relations: Sequence[Array],
    window: int,
    strength: float,
    negatives: int,
    device: torch.device,
) -> Pull:
    """The pull on a table within a window of others.

    As in umap-learn, a row is drawn at each of its moves, to tables t away by a factor exp(1 - t).
    """
    graph, sizes = graphs[table], [part.shape[0] for part in graphs]
    largest = graph.data.max(initial=0)
    # An edge's head moves with it and with each negative, and its tail once.
    moves = np.asarray(graph.sum(axis=1)).ravel() / (largest or 1) * (2 + negatives)
    rows, others, weights = [], [], []
    for offset, images in sorted(relations_within(relations, sizes, table, window).items()):
        shares = shared_neighborhoods(graph, graphs[table + offset], images)
        others.append(table + offset)
        rows.append(np.maximum(images, 0))
        weights.append(strength * np.exp(1.0 - abs(offset)) * shares * moves)
    shape = (len(others), sizes[table])
    columns = np.reshape(rows, shape).astype(np.int64), np.reshape(weights, shape)
    at, by = (torch.from_numpy(np.ascontiguousarray(part.T)).to(device) for part in columns)
    return Pull(at, others, by)


def aligned_layouts(
    tables: Sequence[torch.Tensor],
    edges: Sequence[ops.Edges],
    parameters: Sequence[LayoutParameters],
    pulls: Mapping[int, Pull],
    n_epochs: int,
) -> list[torch.Tensor]:
    """The layouts of some of the tables, from where all are; the others stay.

    Parameters
    ----------
    tables : positions float32 (n, dim) of each table
    edges, parameters : of each table
    pulls : Pull of each table that is laid out, by its number
    n_epochs : int
    """
    found = list(tables)
    runs = {
        table: ops.layout_epochs(
            tables[table],
            edges[table],
            parameters[table].a,
            parameters[table].b,
            n_epochs,
            learning_rate=parameters[table].learning_rate,
            repulsion_strength=parameters[table].repulsion_strength,
            negative_sample_rate=parameters[table].negative_sample_rate,
            seed=derive(parameters[table].seed, f"layout {table}"),
        )
        for table in pulls
    }
    for epoch in range(n_epochs):
        for table, run in runs.items():
            found[table] = next(run)[1]
        left = 1 - epoch / n_epochs
        moved = {
            table: pull.moved(found[table], found, parameters[table].learning_rate * left)
            for table, pull in pulls.items()
        }
        for table, positions in moved.items():  # in place: the runs go on from there
            found[table].copy_(positions)
    return found


def rotated_onto(positions: torch.Tensor, others: torch.Tensor, rows: Array) -> torch.Tensor:
    """Positions turned, mirrored and moved to lie on those that their rows are in another table."""
    known = np.flatnonzero(rows >= 0)
    if not len(known):
        return positions
    own, wanted = to_numpy(positions).astype(np.float64), to_numpy(others).astype(np.float64)
    start, end = own[known], wanted[rows[known]]
    u, _, v = np.linalg.svd((start - start.mean(axis=0)).T @ (end - end.mean(axis=0)))
    turned = (own - start.mean(axis=0)) @ (u @ v) + end.mean(axis=0)
    return torch.from_numpy(turned).to(positions)


def placed_by_relations(others: torch.Tensor, graph: Any, rows: Array, seed: int) -> torch.Tensor:
    """Where a table starts: rows at their images, others amid those of their neighbours.

    Parameters
    ----------
    others : tensor (m, dim)
        Positions of the other table, NaN where a row has none.
    graph : CSR (n, n)
    rows : integer array (n,)
        Which row of the other table each is, or -1.
    seed : int
        Of those that have neither.
    """
    known = to_numpy(others).astype(np.float64)
    there = (rows >= 0) & np.isfinite(known[np.maximum(rows, 0), 0])
    images = np.where(there[:, None], known[np.maximum(rows, 0)], 0.0)
    totals = graph @ there.astype(np.float64)
    means = graph @ images / np.where(totals > 0, totals, 1.0)[:, None]
    spread = np.random.default_rng(derive(seed, "aligned")).uniform(-10, 10, images.shape)
    amid = np.where((totals > 0)[:, None], means, spread)
    return torch.from_numpy(np.where(there[:, None], images, amid)).to(others)
