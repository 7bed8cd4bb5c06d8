"""Labels in the graph: supervised and semi-supervised UMAP."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from fastparadime import neighbors, ops
from fastparadime.graph.edges import ends_of
from fastparadime.graph.label_metrics import LabelMetric
from fastparadime.graph.set_operations import AlignedGraphs, intersection, reset_local_connectivity
from fastparadime.neighbors.metric_space import RowMetric
from fastparadime.types import Array

_UNKNOWN_FACTOR = math.exp(-1.0)  # of an edge at whose ends a label is missing
_INFINITE_SCALE = 1e12  # of distances that are 0 or count as infinite
_SHIFT_FREE = ("euclidean", "sqeuclidean", "manhattan", "chebyshev", "minkowski")


@dataclass(frozen=True)
class Target:
    """How labels join the graph; without `metric` they are categories."""

    metric: RowMetric | LabelMetric | None
    weight: float
    n_neighbors: int | None  # as many as of the rows by default


@dataclass(frozen=True)
class Labels:
    """Labels as a target's metric takes them, and which of them are known."""

    values: Array  # (n,) or (n, q), of any value where they are unknown
    known: Array  # bool (n,)

    def __getitem__(self, rows: Array) -> Labels:
        return Labels(self.values[rows], self.known[rows])


def intersect_with_target(
    edges: ops.Edges, y: Labels, target: Target, n_neighbors: int, recall: float
) -> ops.Edges:
    """The graph's intersection with the labels of a target.

    `n_neighbors` is that of the rows, itself counted; `recall` that of a search among y's rows.
    """
    if target.metric is None:
        return intersect_with_categories(edges, y, target.weight)
    if isinstance(target.metric, LabelMetric):
        return intersect_with_label_distances(edges, y, target.metric, target.weight)
    wanted, device = target.n_neighbors or n_neighbors, edges.weights.device
    own = _target_graph(y, wanted, target.metric, recall, device)
    return intersect_with_graph(edges, own, target.weight, y.known)


def intersect_with_categories(edges: ops.Edges, y: Labels, target_weight: float) -> ops.Edges:
    """The graph's intersection with categories, as in umap-learn.

    Edges between different labels are weakened by exp(-2.5 / (1 - target_weight)), edges with an
    unknown label by exp(-1); then each point's strongest edge counts 1 again.
    """
    heads, tails = ends_of(edges)
    far = 2.5 / (1 - target_weight) if target_weight < 1 else math.inf
    codes = torch.from_numpy(y.values).to(heads.device)
    one = torch.ones((), dtype=torch.float64, device=heads.device)
    factors = torch.where(codes[heads] == codes[tails], one, math.exp(-far))
    return _weakened(edges, factors, y.known)


def intersect_with_label_distances(
    edges: ops.Edges, y: Labels, metric: LabelMetric, target_weight: float
) -> ops.Edges:
    """The graph's intersection with labels that have distances, as in umap-learn.

    Edges are weakened by exp(-2.5 distance / (1 - target_weight)), edges with an unknown label by
    exp(-1); then each point's strongest edge counts 1 again.
    """
    heads, tails = (end.numpy() for end in ends_of(edges))
    both = y.known[heads] & y.known[tails]
    factors = np.ones(len(heads))
    if both.any():
        places = y.known.cumsum() - 1
        ends = (places[heads[both]], places[tails[both]])
        scale = 2.5 / (1 - target_weight) if target_weight < 1 else _INFINITE_SCALE
        factors[both] = np.exp(-scale * metric.distances(y.values[y.known], *ends))
    return _weakened(edges, torch.from_numpy(factors), y.known)


def _weakened(edges: ops.Edges, factors: torch.Tensor, known: Array) -> ops.Edges:
    """The graph with weaker edges, those of points with unknown labels by exp(-1)."""
    factors = torch.where(_both_known(edges, known), factors, _UNKNOWN_FACTOR)
    strengths = edges.weights.double() * factors
    return reset_local_connectivity(edges.indptr, *ends_of(edges), strengths)


def _both_known(ends: ops.Edges | AlignedGraphs, known: Array) -> torch.Tensor:
    """Whether the labels of both ends of edges are known."""
    there = torch.from_numpy(known).to(ends.heads.device)
    return there[ends.heads] & there[ends.tails]


def intersect_with_graph(
    edges: ops.Edges, target: ops.Edges, target_weight: float, known: Array
) -> ops.Edges:
    """The graph's intersection with a directed graph of the target, as in umap-learn.

    Edges with an unknown target are weakened by exp(-1); then each point's strongest edge counts 1
    again.
    """
    graphs = AlignedGraphs.of(edges, target)
    strengths = intersection(graphs, target_weight)
    known_both = _both_known(graphs, known)
    strengths = torch.where(known_both, strengths, _UNKNOWN_FACTOR * graphs.first)
    return reset_local_connectivity(graphs.indptr, graphs.heads, graphs.tails, strengths)


def _target_graph(
    y: Labels, n_neighbors: int, metric: RowMetric, recall: float, device: torch.device
) -> ops.Edges:
    """The directed fuzzy set of the target's rows; those that are unknown have no edges."""
    n, points = len(y.known), torch.from_numpy(np.flatnonzero(y.known).astype(np.int32)).to(device)
    known = y.values[y.known]
    k = min(n_neighbors, len(known)) - 1
    if k < 1:
        none = points[:0]
        starts = torch.zeros(n + 1, dtype=torch.int64, device=device)
        return ops.Edges(starts, none, none, none.float())
    if metric.name in _SHIFT_FREE:
        known = known - known.mean(axis=0)  # in float64: float32 loses what is far from zero
    space = metric.space(known)
    rows = space.rows(known).astype(np.float32)
    there = None if device.type == "cpu" else device
    indices, distances = neighbors.knn(
        rows, k, space.metric, p=space.p, recall=recall, device=there
    )
    weights = ops.smooth_knn(distances, "umap").weights
    order = indices.argsort(dim=1)
    indices, weights = indices.gather(1, order), weights.gather(1, order)
    kept = weights > 0
    indptr = torch.zeros(n + 1, dtype=torch.int64, device=device)
    indptr[points.long() + 1] = kept.sum(dim=1)
    heads = points[:, None].expand(-1, k)
    return ops.Edges(indptr.cumsum(0), heads[kept], points[indices[kept].long()], weights[kept])
