"""What scikit-learn's tags say of the estimators."""

from __future__ import annotations

from typing import Any

from fastparadime.estimators._rows import POSITIVE_METRICS
from fastparadime.neighbors.metric_space import SPARSE_METRICS, metric_named
from fastparadime.neighbors.metrics import PRECOMPUTED
from fastparadime.neighbors.table import MISSING_METRICS


def set_input_tags(tags: Any, metric: Any) -> None:
    """What scikit-learn's tags say of the data that a metric takes."""
    try:
        known = metric_named(metric, "metric") if isinstance(metric, str) else None
    except ValueError:
        known = None
    tags.input_tags.pairwise = known == PRECOMPUTED
    tags.input_tags.sparse = known in (*SPARSE_METRICS, PRECOMPUTED)
    tags.input_tags.allow_nan = known in MISSING_METRICS
    tags.input_tags.positive_only = known in POSITIVE_METRICS
