"""New rows among the positions of a fit."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime.estimators._neighbors import find_neighbors
from fastparadime.estimators._parameters import Settings
from fastparadime.estimators._row_format import RowFormat
from fastparadime.estimators._rows import equal_rows, like, row_streams, taken
from fastparadime.graph import query_strengths
from fastparadime.neighbors import DEFAULT_RECALL
from fastparadime.neighbors.metric_space import Space
from fastparadime.neighbors.query_index import QueryIndex
from fastparadime.types import Array
from fastparadime.utils.convert import is_sparse, to_numpy
from fastparadime.utils.lazy import lazy_property
from fastparadime.utils.medians import weighted_means, weighted_medians
from fastparadime.utils.seed import derive

_DEFAULT_EPOCHS = 100
_PER_MEDIAN = 3  # of its neighbours, one has a say where a row is placed by a median
# Of the repulsion, on a new row: an edge of a fit draws both of its ends, here the one that moves.
_REPULSION_SHARE = 0.5
STEPS = 2  # of an epoch: fixed, so that it does not depend on the other new rows


def transform_epochs(settings: Settings) -> int:
    """Epochs of a layout that starts close to its end, as umap-learn counts them."""
    return _DEFAULT_EPOCHS if settings.n_epochs is None else settings.n_epochs // 3


@dataclass(frozen=True)
class FittedRows:
    """The rows of a fit with their positions.

    `rows` is a float32 tensor (n, d), CSR, or an array of what functions and distances take;
    `positions` a float32 tensor (n, dim) as the layout has them, NaN for a row that has none, or
    None where the fit made the graph alone. `space` is where distances between rows are taken, and
    `row_format` how the data became rows, and on which device.
    """

    rows: Any
    positions: torch.Tensor | None
    settings: Settings
    space: Space
    row_format: RowFormat

    @property
    def data(self) -> Any:
        """The rows where the data lies."""
        rows, centre = self.rows, self.row_format.centre
        rows = rows if is_sparse(rows) else to_numpy(rows)
        return rows if centre is None else rows + centre

    @lazy_property
    def index(self) -> QueryIndex:
        """Of all rows."""
        return QueryIndex(self.rows, self.space)

    @lazy_property
    def reached(self) -> FittedRows:
        """The rows that have positions."""
        assert self.positions is not None
        there = self.positions[:, 0].isfinite()
        if bool(there.all()):
            return self
        rows = taken(self.rows, there)
        if self.settings.metric == "precomputed":  # their distances from one another
            rows = rows[:, to_numpy(there) if is_sparse(rows) else there]
        return replace(self, rows=rows, positions=self.positions[there])

    @lazy_property
    def scales(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Offsets and widths of the rows' own ties: of the rows alone, so that a file has them too."""
        k = min(self.settings.n_neighbors, self.rows.shape[0]) - 1
        found = find_neighbors(self.rows, k, self.space, DEFAULT_RECALL)
        connectivity = self.settings.local_connectivity
        _, *scales = ops.smooth_knn(found.distances, "umap", local_connectivity=connectivity)
        return scales[0], scales[1]

    def __getstate__(self) -> dict[str, Any]:
        cached = ("index", "reached", "scales")
        return {name: value for name, value in self.__dict__.items() if name not in cached}

    def query(self, rows: Any, k: int) -> tuple[Array, Array]:
        """Indices and distances (m, k) of the nearest rows of the fit, as umap.plot asks."""
        rows = rows if is_sparse(rows) else self.row_format.rows(np.asarray(rows))
        indices, distances = self.index.nearest(self._queries(rows), k)
        return to_numpy(indices), to_numpy(distances)

    def _queries(self, rows: Any) -> Any:
        # Distances that a sparse matrix does not store are not zero.
        return rows if self.settings.metric == "precomputed" else like(rows, self.rows)

    def strengths(self, distances: torch.Tensor) -> torch.Tensor:
        """How strongly new rows are tied to neighbours at distances (m, k)."""
        return query_strengths(
            distances,
            local_connectivity=self.settings.local_connectivity,
            disconnection_distance=self.settings.disconnection_distance,
        )

    def memberships(self, rows: Any) -> Any:
        """The strengths that tie new rows to those of the fit: CSR float32 (m, n)."""
        import scipy.sparse

        k = min(self.settings.n_neighbors, self.rows.shape[0])
        indices, distances = self.index.nearest(self._queries(rows), k)
        weights = self.strengths(distances)
        starts = np.arange(len(indices) + 1) * k
        entries = (to_numpy(weights).ravel(), to_numpy(indices).ravel(), starts)
        graph = scipy.sparse.csr_matrix(entries, shape=(len(indices), self.rows.shape[0]))
        graph.eliminate_zeros()
        graph.sort_indices()
        return graph

    def embed(self, rows: Any) -> torch.Tensor:
        """Positions of new rows in the layout, float32 (m, dim); NaN where no neighbour is."""
        assert self.positions is not None
        queries = self._queries(rows)
        reached = self.reached
        if reached is not self and self.settings.metric == "precomputed":
            queries = queries[:, to_numpy(self.positions[:, 0].isfinite())]
        if reached.rows.shape[0] == 0:
            return self.positions.new_full((rows.shape[0], self.positions.shape[1]), torch.nan)
        return reached._embed(queries)

    def _embed(self, rows: Any) -> torch.Tensor:
        anchors = self.positions
        assert anchors is not None
        k = min(self.settings.n_neighbors, len(anchors))
        indices, distances = self.index.nearest(rows, k)
        weights = self.strengths(distances)
        output, by_median = self.settings.output, self.settings.placement != "layout"
        if by_median:
            chosen = self._chosen(indices, distances, weights)
            places = weighted_medians(weights.gather(1, chosen), indices.gather(1, chosen), anchors)
        else:
            places = weighted_means(weights, indices, anchors)
        positions = output.means(places).float()
        related = (weights != 0).any(dim=1).nonzero()[:, 0]
        if len(related) and not by_median:
            graph = edges_to(indices[related], weights[related])
            streams = row_streams(taken(rows, related)).to(anchors.device)
            positions[related] = self._layout(positions[related], graph, anchors, streams)
        same = distances == 0
        for slot in range(k - 1, -1, -1):  # the nearest of several equal rows is written last
            at = same[:, slot].nonzero()[:, 0]
            found = indices[at, slot].long()
            if self.settings.metric != "precomputed":
                equal = equal_rows(taken(rows, at), taken(self.rows, found)).to(at.device)
                at, found = at[equal], found[equal]
            positions[at] = anchors[found]
        return positions

    def _chosen(
        self, indices: torch.Tensor, distances: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        """The places (m, c) of the neighbours between which a median lies."""
        count = math.ceil(indices.shape[1] / _PER_MEDIAN)
        if self.settings.placement == "median":
            return torch.arange(count, device=indices.device).repeat(len(indices), 1)
        rho, sigma = (part[indices.long()] for part in self.scales)
        back = torch.exp(-(distances - rho).clamp_min(0.0) / sigma)
        ties = weights * (1 + back)
        return ties.argsort(dim=1, descending=True, stable=True)[:, :count]

    def _layout(
        self, start: torch.Tensor, edges: ops.Edges, anchors: torch.Tensor, streams: torch.Tensor
    ) -> torch.Tensor:
        settings = self.settings
        return ops.sgd_layout(
            start,
            edges,
            settings.a,
            settings.b,
            transform_epochs(settings),
            learning_rate=settings.learning_rate / 4,  # as in umap-learn: the start is close
            repulsion_strength=_REPULSION_SHARE * settings.repulsion_strength,
            negative_sample_rate=settings.negative_sample_rate,
            seed=derive(settings.transform_seed, "transform"),
            anchors=anchors,
            streams=streams,
            largest_weight=1.0,
            steps_per_epoch=STEPS,
            metric=settings.output.layout_metric(),
        )


def edges_to(indices: torch.Tensor, weights: torch.Tensor) -> ops.Edges:
    """The edges from each of m rows to its neighbours, by their indices and weights (m, k)."""
    m, k = weights.shape
    heads = torch.arange(m, dtype=torch.int32, device=weights.device)
    return ops.Edges(
        torch.arange(m + 1, device=weights.device) * k,
        heads.repeat_interleave(k),
        indices.flatten(),
        weights.flatten(),
    )
