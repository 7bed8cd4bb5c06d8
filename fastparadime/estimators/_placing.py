"""New rows among the positions of a fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from fastparadime import ops
from fastparadime.estimators._parameters import Settings
from fastparadime.estimators._queries import nearest_rows, row_streams
from fastparadime.types import Array
from fastparadime.utils.seed import derive

_EPOCHS = 100
_STEPS = 2  # of an epoch: fixed, so that it does not depend on the other new rows


@dataclass(frozen=True)
class Placed:
    """The rows of a fit, float32 (n, d), with their positions, float32 (n, dim) or NaN."""

    rows: Array
    positions: Array
    settings: Settings

    def place(self, rows: Array) -> Array:
        """Positions of new rows, float32 (m, dim); NaN for rows without any neighbour."""
        settings, anchors = self.settings, self.positions
        train, queries = self.rows, rows
        reached = np.isfinite(anchors[:, 0])
        if not reached.all():
            train, anchors = train[reached], anchors[reached]
            if settings.metric == "precomputed":
                queries = np.ascontiguousarray(rows[:, reached])
        if len(train) == 0:
            return np.full((len(rows), anchors.shape[1]), np.nan, np.float32)
        k = min(settings.n_neighbors, len(train))
        indices, distances = nearest_rows(train, queries, k, settings.metric, settings.p)
        weights = query_strengths(distances)
        weights[~(distances < settings.unrelated_distance)] = 0.0
        positions = weighted_means(weights, indices, anchors)
        related = np.flatnonzero(weights.numpy().any(axis=1))
        if len(related):
            graph = _edges_to(indices[related], weights[related])
            streams = row_streams(rows[related])
            positions[related] = self._laid_out(positions[related], graph, anchors, streams)
        same = distances.numpy() == 0
        for slot in range(k - 1, -1, -1):  # the nearest of several equal rows is written last
            at = np.flatnonzero(same[:, slot])
            found = indices[at, slot].numpy()
            if settings.metric != "precomputed":
                equal = (rows[at] == train[found]).all(axis=1)
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
            _EPOCHS if settings.n_epochs is None else settings.n_epochs // 3,
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


def query_strengths(distances: torch.Tensor) -> torch.Tensor:
    """Membership strengths (m, k) of the neighbours of new rows, which sum to log2(k).

    Their offsets count from zero, not from the nearest one: a new row need not be connected.
    """
    k = distances.shape[1]
    mean = torch.zeros(len(distances), dtype=torch.float64)
    for j in range(k):  # in one order, whatever the number of rows
        mean += distances[:, j] / k
    # A neighbour next to nothing away becomes the nearest one. It adds 1 to the sum, and log2(2 k)
    # is 1 more than log2(k); with its offset above zero, sigma depends on its own row alone.
    nearest = (1e-6 * mean).float()[:, None]
    extended = torch.cat([nearest, distances], dim=1)
    return ops.smooth_knn(extended, "umap", n_neighbors=2 * k).weights[:, 1:].contiguous()


def weighted_means(weights: torch.Tensor, indices: torch.Tensor, anchors: Array) -> Array:
    """Means of the anchors (m, dim) by their weights, float32; NaN where all weights are 0."""
    shares = weights.double().numpy()[:, :, None]
    places = anchors[indices.numpy()].astype(np.float64)
    with np.errstate(invalid="ignore"):
        means: Array = (shares * places).sum(axis=1) / shares.sum(axis=1)
    return means.astype(np.float32)


def _edges_to(indices: torch.Tensor, weights: torch.Tensor) -> ops.Edges:
    m, k = weights.shape
    return ops.Edges(
        torch.arange(m + 1) * k,
        torch.arange(m, dtype=torch.int32).repeat_interleave(k),
        indices.flatten(),
        weights.flatten(),
    )
