"""New rows among the positions of a fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime.estimators._form import Form
from fastparadime.estimators._parameters import Settings
from fastparadime.estimators._rows import equal_rows, like, row_streams
from fastparadime.neighbors.metric_space import Space
from fastparadime.neighbors.query_index import QueryIndex
from fastparadime.types import Array
from fastparadime.utils.convert import is_sparse
from fastparadime.utils.seed import derive

_EPOCHS = 100
_STEPS = 2  # of an epoch: fixed, so that it does not depend on the other new rows


def later_epochs(settings: Settings) -> int:
    """Epochs of a layout that starts close to its end, as umap-learn counts them."""
    return _EPOCHS if settings.n_epochs is None else settings.n_epochs // 3


@dataclass(frozen=True)
class Placed:
    """The rows of a fit with their positions.

    `rows` is float32 (n, d) or CSR, `positions` float32 (n, dim), NaN for a row that has none, or
    None where the fit made the graph alone. `space` is where distances between rows are taken,
    and `form` how the data became rows.
    """

    rows: Any
    positions: Array | None
    settings: Settings
    space: Space
    form: Form

    @property
    def data(self) -> Any:
        """The rows where the data lies."""
        return self.rows if self.form.centre is None else self.rows + self.form.centre

    @cached_property
    def index(self) -> QueryIndex:
        """Of all rows."""
        return QueryIndex(self.rows, self.space)

    @cached_property
    def _reached(self) -> Placed:
        """The rows that have positions."""
        assert self.positions is not None
        there = np.isfinite(self.positions[:, 0])
        if there.all():
            return self
        return replace(self, rows=self.rows[there], positions=self.positions[there])

    def __getstate__(self) -> dict[str, Any]:
        cached = ("index", "_reached")
        return {name: value for name, value in self.__dict__.items() if name not in cached}

    def query(self, rows: Any, k: int) -> tuple[Array, Array]:
        """Indices and distances (m, k) of the nearest rows of the fit, as umap.plot asks."""
        rows = rows if is_sparse(rows) else self.form.rows(np.asarray(rows))
        indices, distances = self.index.nearest(self._queries(rows), k)
        return indices.numpy(), distances.numpy()

    def _queries(self, rows: Any) -> Any:
        # Distances that a sparse matrix does not store are not zero.
        return rows if self.settings.metric == "precomputed" else like(rows, self.rows)

    def memberships(self, rows: Any) -> Any:
        """The strengths that tie new rows to those of the fit: CSR float32 (m, n)."""
        import scipy.sparse

        k = min(self.settings.n_neighbors, self.rows.shape[0])
        indices, distances = self.index.nearest(self._queries(rows), k)
        weights = query_strengths(distances, self.settings)
        starts = np.arange(len(indices) + 1) * k
        entries = (weights.numpy().ravel(), indices.numpy().ravel(), starts)
        graph = scipy.sparse.csr_matrix(entries, shape=(len(indices), self.rows.shape[0]))
        graph.eliminate_zeros()
        graph.sort_indices()
        return graph

    def place(self, rows: Any) -> Array:
        """Positions of new rows, float32 (m, dim); NaN for rows without any neighbour."""
        assert self.positions is not None
        queries = self._queries(rows)
        reached = self._reached
        if reached is not self and self.settings.metric == "precomputed":
            queries = queries[:, np.isfinite(self.positions[:, 0])]
        if reached.rows.shape[0] == 0:
            return np.full((rows.shape[0], self.positions.shape[1]), np.nan, np.float32)
        return reached._place(queries)

    def _place(self, rows: Any) -> Array:
        anchors = self.positions
        assert anchors is not None
        k = min(self.settings.n_neighbors, len(anchors))
        indices, distances = self.index.nearest(rows, k)
        weights = query_strengths(distances, self.settings)
        positions = weighted_means(weights, indices, anchors).astype(np.float32)
        related = np.flatnonzero(weights.numpy().any(axis=1))
        if len(related):
            graph = _edges_to(indices[related], weights[related])
            streams = row_streams(rows[related])
            positions[related] = self._laid_out(positions[related], graph, anchors, streams)
        same = distances.numpy() == 0
        for slot in range(k - 1, -1, -1):  # the nearest of several equal rows is written last
            at = np.flatnonzero(same[:, slot])
            found = indices[at, slot].numpy()
            if self.settings.metric != "precomputed":
                equal = equal_rows(rows[at], self.rows[found])
                at, found = at[equal], found[equal]
            positions[at] = anchors[found]
        return positions

    def _laid_out(self, start: Array, edges: ops.Edges, anchors: Array, streams: Array) -> Array:
        settings = self.settings
        positions = ops.sgd_layout(
            start,
            edges,
            settings.a,
            settings.b,
            later_epochs(settings),
            learning_rate=settings.learning_rate / 4,  # as in umap-learn: the start is close
            repulsion_strength=settings.repulsion_strength,
            negative_sample_rate=settings.negative_sample_rate,
            seed=derive(settings.transform_seed, "transform"),
            anchors=anchors,
            streams=streams,
            largest_weight=1.0,
            steps_per_epoch=_STEPS,
        )
        moved: Array = positions.numpy()
        return moved


def query_strengths(distances: torch.Tensor, settings: Settings) -> torch.Tensor:
    """Membership strengths (m, k) of the neighbours of new rows; all but the first's sum to log2(k).

    Offsets count from zero, not from the nearest one: a new row need not be connected. A
    `local_connectivity` above 1 leaves what is above 1. Neighbours too far to be related have 0.
    """
    k = distances.shape[1]
    mean = torch.zeros(len(distances), dtype=torch.float64)
    for j in range(k):  # in one order, whatever the number of rows
        mean += distances[:, j].nan_to_num(posinf=0.0) / k
    # A neighbour next to nothing away stands for the row itself. It adds 1 to the sum, and
    # log2(2 k) is 1 more than log2(k); with its offset above zero, a result depends on its own row
    # alone.
    itself = (1e-6 * mean).float()[:, None]
    offsets = distances
    if settings.local_connectivity > 1:
        rho = ops.smooth_knn(
            torch.cat([itself, distances], dim=1),
            "umap",
            local_connectivity=settings.local_connectivity,
        ).rho
        offsets = (distances - rho[:, None]).clamp_min(0.0)
    extended = torch.cat([itself, offsets[:, 1:]], dim=1)
    strengths, _, sigma = ops.smooth_knn(extended, "umap", n_neighbors=2 * k)
    nearest = offsets[:, 0]
    strengths[:, 0] = torch.where(nearest > 0, torch.exp(-nearest / sigma), 1.0)
    if k == 1:  # nothing to tell a scale by
        strengths.fill_(1.0)
    related = distances < settings.unrelated_distance
    return strengths.masked_fill(~related, 0.0)


def weighted_means(weights: torch.Tensor, indices: torch.Tensor, anchors: Array) -> Array:
    """Means of the anchors (m, dim) by their weights, float64; NaN where all weights are 0."""
    shares = weights.double().numpy()[:, :, None]
    places = anchors[indices.numpy()].astype(np.float64)
    with np.errstate(invalid="ignore"):
        means: Array = (shares * places).sum(axis=1) / shares.sum(axis=1)
    return means


def _edges_to(indices: torch.Tensor, weights: torch.Tensor) -> ops.Edges:
    m, k = weights.shape
    return ops.Edges(
        torch.arange(m + 1) * k,
        torch.arange(m, dtype=torch.int32).repeat_interleave(k),
        indices.flatten(),
        weights.flatten(),
    )
