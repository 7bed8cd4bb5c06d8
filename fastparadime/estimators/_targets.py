"""Labels in the graph: supervised and semi-supervised UMAP."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_consistent_length, column_or_1d

from fastparadime import neighbors, ops
from fastparadime.estimators._graph import ends_of
from fastparadime.estimators._joining import Joined, intersection, locally_connected
from fastparadime.estimators._label_metrics import LabelMetric
from fastparadime.estimators._metrics import RowMetric
from fastparadime.estimators._parameters import Target
from fastparadime.types import Array
from fastparadime.utils.masks import without_mask

_UNKNOWN_LABEL = -1
_UNKNOWN_FACTOR = math.exp(-1.0)  # of an edge at whose ends a label is missing
_INFINITE_SCALE = 1e12  # of distances that are 0 or count as infinite
_SHIFT_FREE = ("euclidean", "sqeuclidean", "manhattan", "chebyshev", "minkowski")


def check_target(y: Any, n: int, target: Target) -> Array:
    """Labels (n,), what `LabelMetric.check` gives, or rows of numbers (n, q).

    Raises
    ------
    TypeError
        For masked values.
    ValueError
        For another number of rows, and for values that are not finite or not of the metric's kind.
    """
    y = without_mask(y, "y")
    if isinstance(target.metric, LabelMetric):
        checked = target.metric.check(y)
        check_consistent_length(np.empty(n), checked)
        return checked
    if target.metric is None:
        labels: Array = _categories(y)
    else:
        labels = np.asarray(y)
        if labels.dtype.kind not in "biuf" or labels.ndim not in (1, 2):
            raise ValueError(
                "y must hold numbers, in one column or several, for a target_metric between "
                f"them, not {labels.dtype} of shape {labels.shape}"
            )
        labels = labels.reshape(len(labels), -1).astype(np.float64)
    check_consistent_length(np.empty(n), labels)
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        kind = "categories, -1 where unknown" if target.metric is None else "finite numbers"
        raise ValueError(f"y must hold {kind}, but has NaN or infinite values")
    return labels


def _categories(y: Any) -> Array:
    """Labels (n,); of an array of objects their numbers, so that -1 may stand among strings."""
    labels: Array = column_or_1d(y)
    if labels.dtype != object:
        return labels
    numbers = np.full(len(labels), _UNKNOWN_LABEL)
    try:
        known = np.array([bool(label != _UNKNOWN_LABEL) for label in labels])
        _, numbers[known] = np.unique(labels[known], return_inverse=True)
    except TypeError:  # kinds that have no order among them
        kinds = ", ".join(sorted({type(label).__name__ for label in labels}))
        raise ValueError(
            f"y must hold categories of one kind, -1 where unknown, but has {kinds}"
        ) from None
    return numbers


def with_target(edges: ops.Edges, y: Array, target: Target, n_neighbors: int) -> ops.Edges:
    """The graph's intersection with what `check_target` returned.

    `n_neighbors` is that of the rows, itself counted.
    """
    if target.metric is None:
        return with_labels(edges, y, target.weight)
    if isinstance(target.metric, LabelMetric):
        return with_distant_labels(edges, y, target.metric, target.weight)
    wanted = min(target.n_neighbors or n_neighbors, len(y))
    own = _graph_of(y, wanted, target.metric)
    return with_graph(edges, own, target.weight)


def with_labels(edges: ops.Edges, y: Array, target_weight: float) -> ops.Edges:
    """The graph's intersection with categorical labels, -1 for unknown ones, as in umap-learn.

    Edges between different labels are weakened by exp(-2.5 / (1 - target_weight)), edges with an
    unknown label by exp(-1); then each point's strongest edge counts 1 again.
    """
    heads, tails = ends_of(edges)
    far = 2.5 / (1 - target_weight) if target_weight < 1 else math.inf
    _, codes = np.unique(y, return_inverse=True)
    factors = np.where(codes[heads] == codes[tails], 1.0, math.exp(-far))
    if y.dtype.kind in "if":
        unknown = y == _UNKNOWN_LABEL
        factors[unknown[heads] | unknown[tails]] = _UNKNOWN_FACTOR
    strengths = edges.weights.double().numpy() * factors
    return locally_connected(edges.indptr, heads, tails, strengths)


def with_distant_labels(
    edges: ops.Edges, labels: Array, metric: LabelMetric, target_weight: float
) -> ops.Edges:
    """The graph's intersection with labels that have distances, as in umap-learn.

    Edges are weakened by exp(-2.5 distance / (1 - target_weight)); then each point's strongest edge
    counts 1 again.
    """
    heads, tails = ends_of(edges)
    distances = metric.distances(labels, heads, tails)
    scale = 2.5 / (1 - target_weight) if target_weight < 1 else _INFINITE_SCALE
    strengths = edges.weights.double().numpy() * np.exp(-scale * distances)
    return locally_connected(edges.indptr, heads, tails, strengths)


def with_graph(edges: ops.Edges, target: ops.Edges, target_weight: float) -> ops.Edges:
    """The graph's intersection with a directed graph of the target, as in umap-learn.

    Then each point's strongest edge counts 1 again.
    """
    joined = Joined.of(edges, target)
    strengths = intersection(joined, target_weight)
    return locally_connected(joined.indptr, joined.heads, joined.tails, strengths)


def _graph_of(y: Array, n_neighbors: int, metric: RowMetric) -> ops.Edges:
    """The directed fuzzy set of the target's rows."""
    if metric.name in _SHIFT_FREE:
        y = y - y.mean(axis=0)  # in float64: float32 loses what is far from zero
    space = metric.space(y)
    k = n_neighbors - 1
    indices, distances = neighbors.knn(space.rows(y).astype(np.float32), k, space.metric, p=space.p)
    weights = ops.smooth_knn(distances, "umap").weights
    n = len(y)
    order = indices.argsort(dim=1)
    indices, weights = indices.gather(1, order), weights.gather(1, order)
    kept = weights > 0
    indptr = torch.zeros(n + 1, dtype=torch.int64)
    indptr[1:] = kept.sum(dim=1).cumsum(0)
    heads = torch.arange(n, dtype=torch.int32)[:, None].expand(n, k)
    return ops.Edges(indptr, heads[kept], indices[kept], weights[kept])
