"""Labels in the graph: supervised and semi-supervised UMAP."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_consistent_length, column_or_1d

from fastparadime import neighbors, ops
from fastparadime.estimators._graph import ends_of
from fastparadime.estimators._joining import Joined, intersection, locally_connected
from fastparadime.estimators._label_metrics import LabelMetric
from fastparadime.estimators._parameters import Target
from fastparadime.neighbors.metric_space import RowMetric
from fastparadime.types import Array
from fastparadime.utils.labels import known_labels

_UNKNOWN_LABEL = -1
_UNKNOWN_FACTOR = math.exp(-1.0)  # of an edge at whose ends a label is missing
_INFINITE_SCALE = 1e12  # of distances that are 0 or count as infinite
_SHIFT_FREE = ("euclidean", "sqeuclidean", "manhattan", "chebyshev", "minkowski")


@dataclass(frozen=True)
class Labels:
    """Labels as a target's metric takes them, and which of them are known."""

    values: Array  # (n,) or (n, q), of any value where they are unknown
    known: Array  # bool (n,)

    def __getitem__(self, rows: Array) -> Labels:
        return Labels(self.values[rows], self.known[rows])


def check_target(y: Any, n: int, target: Target) -> Labels:
    """Codes (n,) of categories, what `LabelMetric.check` gives, or rows of numbers (n, q).

    Raises
    ------
    ValueError
        For another number of rows, and for values that are infinite or not of the metric's kind.
    """
    values, known = known_labels(y)
    check: Callable[[Array], Array]
    if target.metric is None or isinstance(target.metric, LabelMetric):
        values, known = (column_or_1d(part) for part in (values, known))
    if target.metric is None:
        known = known & ~_is_unknown(values)
        check = _codes
    elif isinstance(target.metric, LabelMetric):
        check = target.metric.check
    else:
        if not known.any():  # of no kind then
            values = np.zeros(values.shape)
        if values.dtype.kind not in "biuf" or values.ndim not in (1, 2):
            raise ValueError(
                "y must hold numbers, in one column or several, for a target_metric between "
                f"them, not {values.dtype} of shape {values.shape}"
            )
        values = values.reshape(len(values), -1).astype(np.float64)
        known = np.all(known.reshape(len(values), -1), axis=1, keepdims=True)[:, 0]
        check = _finite
    check_consistent_length(np.empty(n), values)
    if not known.any():
        return Labels(np.zeros(n), known)
    checked = check(values[known])
    filled = np.zeros((n, *checked.shape[1:]), checked.dtype)
    filled[known] = checked
    return Labels(filled, known)


def _finite(rows: Array) -> Array:
    if not np.isfinite(rows).all():
        raise ValueError("y must hold finite numbers, NaN where unknown, but has infinite values")
    return rows


def _is_unknown(labels: Array) -> Array:
    """Where labels are -1, as a number or as text."""
    if labels.dtype.kind in "biuf":
        return np.asarray(labels == _UNKNOWN_LABEL)
    if labels.dtype.kind == "U":
        return np.asarray(labels == str(_UNKNOWN_LABEL))
    return np.array([bool(label == _UNKNOWN_LABEL) for label in labels.tolist()], bool)


def _codes(labels: Array) -> Array:
    if labels.dtype.kind == "f" and np.isinf(labels).any():
        raise ValueError("y must hold categories, -1 or NaN where unknown, but has infinite values")
    try:
        codes: Array = np.unique(labels, return_inverse=True)[1]
    except TypeError:  # kinds that have no order among them
        kinds = ", ".join(sorted({type(label).__name__ for label in labels}))
        raise ValueError(
            f"y must hold categories of one kind, -1 where unknown, but has {kinds}"
        ) from None
    return codes


def with_target(
    edges: ops.Edges, y: Labels, target: Target, n_neighbors: int, recall: float
) -> ops.Edges:
    """The graph's intersection with what `check_target` returned.

    `n_neighbors` is that of the rows, itself counted; `recall` that of a search among y's rows.
    """
    if target.metric is None:
        return with_labels(edges, y, target.weight)
    if isinstance(target.metric, LabelMetric):
        return with_distant_labels(edges, y, target.metric, target.weight)
    own = _graph_of(y, target.n_neighbors or n_neighbors, target.metric, recall)
    return with_graph(edges, own, target.weight, y.known)


def with_labels(edges: ops.Edges, y: Labels, target_weight: float) -> ops.Edges:
    """The graph's intersection with categories, as in umap-learn.

    Edges between different labels are weakened by exp(-2.5 / (1 - target_weight)), edges with an
    unknown label by exp(-1); then each point's strongest edge counts 1 again.
    """
    heads, tails = ends_of(edges)
    far = 2.5 / (1 - target_weight) if target_weight < 1 else math.inf
    factors = np.where(y.values[heads] == y.values[tails], 1.0, math.exp(-far))
    return _weakened(edges, factors, y.known)


def with_distant_labels(
    edges: ops.Edges, y: Labels, metric: LabelMetric, target_weight: float
) -> ops.Edges:
    """The graph's intersection with labels that have distances, as in umap-learn.

    Edges are weakened by exp(-2.5 distance / (1 - target_weight)), edges with an unknown label by
    exp(-1); then each point's strongest edge counts 1 again.
    """
    heads, tails = ends_of(edges)
    both = y.known[heads] & y.known[tails]
    factors = np.ones(len(heads))
    if both.any():
        places = y.known.cumsum() - 1
        ends = (places[heads[both]], places[tails[both]])
        scale = 2.5 / (1 - target_weight) if target_weight < 1 else _INFINITE_SCALE
        factors[both] = np.exp(-scale * metric.distances(y.values[y.known], *ends))
    return _weakened(edges, factors, y.known)


def _weakened(edges: ops.Edges, factors: Array, known: Array) -> ops.Edges:
    """The graph with weaker edges, those of points with unknown labels by exp(-1)."""
    heads, tails = ends_of(edges)
    factors = np.where(known[heads] & known[tails], factors, _UNKNOWN_FACTOR)
    strengths = edges.weights.double().numpy() * factors
    return locally_connected(edges.indptr, heads, tails, strengths)


def with_graph(
    edges: ops.Edges, target: ops.Edges, target_weight: float, known: Array
) -> ops.Edges:
    """The graph's intersection with a directed graph of the target, as in umap-learn.

    Edges with an unknown target are weakened by exp(-1); then each point's strongest edge counts 1
    again.
    """
    joined = Joined.of(edges, target)
    strengths = intersection(joined, target_weight)
    unknown = ~(known[joined.heads] & known[joined.tails])
    strengths[unknown] = _UNKNOWN_FACTOR * joined.first[unknown]
    return locally_connected(joined.indptr, joined.heads, joined.tails, strengths)


def _graph_of(y: Labels, n_neighbors: int, metric: RowMetric, recall: float) -> ops.Edges:
    """The directed fuzzy set of the target's rows; those that are unknown have no edges."""
    n, points = len(y.known), torch.from_numpy(np.flatnonzero(y.known).astype(np.int32))
    known = y.values[y.known]
    k = min(n_neighbors, len(known)) - 1
    if k < 1:
        none = torch.empty(0, dtype=torch.int32)
        return ops.Edges(torch.zeros(n + 1, dtype=torch.int64), none, none, none.float())
    if metric.name in _SHIFT_FREE:
        known = known - known.mean(axis=0)  # in float64: float32 loses what is far from zero
    space = metric.space(known)
    rows = space.rows(known).astype(np.float32)
    indices, distances = neighbors.knn(rows, k, space.metric, p=space.p, recall=recall)
    weights = ops.smooth_knn(distances, "umap").weights
    order = indices.argsort(dim=1)
    indices, weights = indices.gather(1, order), weights.gather(1, order)
    kept = weights > 0
    indptr = torch.zeros(n + 1, dtype=torch.int64)
    indptr[points.long() + 1] = kept.sum(dim=1)
    heads = points[:, None].expand(-1, k)
    return ops.Edges(indptr.cumsum(0), heads[kept], points[indices[kept].long()], weights[kept])
