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
    "ip": "inner_product",
    "dot": "inner_product",
}
PRECOMPUTED = "precomputed"
DEFAULT_RECALL = 0.95  # the share of true neighbours that every search promises unless told another
# cosine and correlation are euclidean on prepared rows.
NATIVE_METRICS = (*ops.METRICS, "cosine", "correlation")
SCIPY_METRICS = (
    "dice", "hamming", "jaccard", "mahalanobis", "rogerstanimoto", "russellrao", "seuclidean",
    "sokalsneath", "yule",
)  # fmt: skip


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
    return check_option(name, (*NATIVE_METRICS, *SCIPY_METRICS, *_ALIASES, PRECOMPUTED), "metric")
