"""What a search returns, and the names of metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

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
DEFAULT_RECALL = 0.95  # the share of true neighbours that every search promises unless told another
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


@dataclass(frozen=True)
class NeighborGraph:
    """Neighbours of each point, itself excluded, nearest first.

    Attributes
    ----------
    indices : int32 tensor (n, k)
    distances : float32 tensor (n, k)
        Of given neighbours, fewer than k in a row are filled up with -1 at an infinite distance.
    engine : str
        What found them, for reports.
    recall_estimate : float
        The share of true neighbours found: 1 of an exact search, measured on some rows of an
        approximate one. A neighbour as near as the k-th counts as found.
    recall_bound : float
        What the share of all rows reaches with 95 % confidence.
    """

    indices: torch.Tensor
    distances: torch.Tensor
    engine: str
    recall_estimate: float = 1.0
    recall_bound: float = 1.0

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter((self.indices, self.distances))


def check_metric(metric: Metric) -> Metric:
    """The metric under its own name, if it is one that `knn` knows."""
    if callable(metric):
        return metric
    name = _ALIASES.get(metric, metric)
    known = (*NATIVE_METRICS, *WHOLE_METRICS, *_ALIASES, PRECOMPUTED)
    return check_option(name, known, "metric")
