"""What scikit-learn's tags say of the estimators."""

from __future__ import annotations

from typing import Any

from fastparadime.estimators._rows import POSITIVE_METRICS
from fastparadime.neighbors.metric_space import SPARSE_METRICS, metric_named
from fastparadime.neighbors.metrics import PRECOMPUTED
from fastparadime.neighbors.table import MISSING_METRICS


class FloatTags:
    """Tags of a transformer whose results are of the dtype of what it is given."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _more_tags(self) -> dict[str, Any]:  # scikit-learn before 1.6
        return {"preserves_dtype": ["float64", "float32"]}


class MetricTags(FloatTags):
    """Those of one that takes the data which its metric takes."""

    metric: Any

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        known = _known(self.metric)
        tags.input_tags.pairwise = known == PRECOMPUTED
        tags.input_tags.sparse = known in (*SPARSE_METRICS, PRECOMPUTED)
        tags.input_tags.allow_nan = known in MISSING_METRICS
        tags.input_tags.positive_only = known in POSITIVE_METRICS
        return tags

    def _more_tags(self) -> dict[str, Any]:
        known = _known(self.metric)
        sparse = known in (*SPARSE_METRICS, PRECOMPUTED)
        return {
            **super()._more_tags(),
            "pairwise": known == PRECOMPUTED,
            "X_types": ["2darray", "sparse"] if sparse else ["2darray"],
            "allow_nan": known in MISSING_METRICS,
            "requires_positive_X": known in POSITIVE_METRICS,
        }


def _known(metric: Any) -> Any:
    try:
        return metric_named(metric, "metric") if isinstance(metric, str) else None
    except ValueError:
        return None
