"""The names of metrics, and which engines know them."""

from __future__ import annotations

from collections.abc import Callable

from fastparadime import ops
from fastparadime.utils.validate import check_option

Metric = str | Callable[..., float]

_ALIASES = {
    "l2": "euclidean",
    "l1": "manhattan",
    "cityblock": "manhattan",
    "taxicab": "manhattan",
    "linf": "chebyshev",
    "linfinity": "chebyshev",
    "linfty": "chebyshev",
    "ip": "inner_product",
    "dot": "inner_product",
    "sokalmichener": "rogerstanimoto",
    "standardised_euclidean": "seuclidean",
}
PRECOMPUTED = "precomputed"
# cosine, correlation and hellinger are euclidean on prepared rows.
NATIVE_METRICS = (*ops.METRICS, "cosine", "correlation", "hellinger")
BINARY_METRICS = ops.BINARY_METRICS  # of which columns are not zero
SCIPY_METRICS = ("mahalanobis", "seuclidean")
# Searched on the CPU, all rows at once.
WHOLE_METRICS = (*BINARY_METRICS, "haversine", *SCIPY_METRICS)
# By which rows of any size may be infinitely far apart, and when they are.
INFINITE = {
    "braycurtis": "x and -x are infinitely far apart",
    "nan_euclidean": "rows without a column that both have are infinitely far apart",
}


def check_metric(metric: Metric) -> Metric:
    """The metric under its own name, if it is one that `knn` knows."""
    if callable(metric):
        return metric
    name = _ALIASES.get(metric, metric)
    known = (*NATIVE_METRICS, *WHOLE_METRICS, *_ALIASES, PRECOMPUTED)
    return check_option(name, known, "metric")
