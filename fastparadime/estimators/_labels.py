"""Checks of the labels that a fit is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length, column_or_1d

from fastparadime.estimators._kinds import as_known
from fastparadime.graph.label_metrics import LabelMetric
from fastparadime.graph.supervised import Labels, Target
from fastparadime.types import Array
from fastparadime.utils.labels import known_labels

_UNKNOWN_LABEL = -1


def check_labels(y: Any, n: int, target: Target) -> Labels:
    """Codes (n,) of categories, what `LabelMetric.check` gives, or rows of numbers (n, q).

    Raises
    ------
    ValueError
        For another number of rows, and for values that are infinite or not of the metric's kind.
    """
    values, known = known_labels(as_known(y))
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
