"""A metric with its options, and the space in which neighbours by it are searched."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse

from fastparadime.neighbors import sparse
from fastparadime.neighbors.metrics import Metric, check_metric
from fastparadime.neighbors.sparse_table import variances
from fastparadime.types import Array
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.masks import without_mask
from fastparadime.utils.validate import check_positive

# 1 - <x, y> may be negative, and is no distance.
SPARSE_METRICS = tuple(name for name in sparse.METRICS if name != "inner_product")
# Those that are searched on a device without a step on the host.
DEVICE_METRICS = (
    "euclidean", "sqeuclidean", "manhattan", "chebyshev", "minkowski", "nan_euclidean", "cosine",
    "correlation", "hellinger", "seuclidean", "mahalanobis",
)  # fmt: skip
_WEIGHTED = ("wminkowski", "weighted_minkowski")  # umap-learn's names of minkowski with weights
_OPTIONS = {"minkowski": {"p", "w"}, "seuclidean": {"V"}, "mahalanobis": {"V", "VI"}}


@dataclass(frozen=True)
class RowMetric:
    """A checked metric with its options; what they leave open comes from the rows of the fit."""

    name: Metric
    p: float = 2.0
    options: dict[str, Array] = field(default_factory=dict)
    argument: str = "metric_kwds"  # that the options came in

    def space(self, rows: Any) -> Space:
        """The space of rows (n, d): dense, or CSR for one of `SPARSE_METRICS`.

        Raises
        ------
        ValueError
            For options that do not suit the number of columns.
        """
        if self.name in ("seuclidean", "mahalanobis", "minkowski"):
            scale = _scale_of(self, rows)
            name = "minkowski" if self.name == "minkowski" else "euclidean"
            return Space(name, self.p, scale)
        return Space(self.name, self.p)


@dataclass(frozen=True)
class Space:
    """Where neighbours are searched: a metric, and the linear map that comes before it."""

    metric: Metric
    p: float = 2.0
    scale: Array | None = None  # (d,) of the columns, or a matrix (d, d)

    def rows(self, X: Any) -> Any:
        if self.scale is None:
            return X
        if issparse(X):
            return X.multiply(self.scale).tocsr().astype(np.float32)
        if isinstance(X, torch.Tensor):
            return self._mapped(X) if X.is_cuda else torch.from_numpy(self.rows(X.numpy()))
        mapped: Array = X * self.scale if self.scale.ndim == 1 else X @ self.scale
        return np.ascontiguousarray(mapped, dtype=np.float32)

    def _mapped(self, X: torch.Tensor) -> torch.Tensor:
        scale, wide = torch.from_numpy(self.scale).to(X.device), X.double()
        return (wide * scale if scale.ndim == 1 else wide @ scale).float()


def check_row_metric(
    metric: Any,
    given: Any,
    name: str = "metric",
    argument: str | None = None,
    owner: str = "UMAP",
) -> RowMetric:
    """The metric of an argument called `name` of `owner`, with its options, checked.

    The options were given in `argument`, by default what `name` and ``_kwds`` make.

    Raises
    ------
    NotImplementedError
        For a metric or options that are not taken.
    TypeError, ValueError
        For what is no metric, and options out of range.
    """
    argument = f"{name}_kwds" if argument is None else argument
    if given is not None and not isinstance(given, dict):
        raise TypeError(f"{argument} must be a dictionary or None, not {given!r}")
    options = dict(given or {})
    if not isinstance(metric, str):
        if not callable(metric):
            raise TypeError(f"{name} must be a name or a function of two rows, not {metric!r}")
        return RowMetric(functools.partial(metric, **options) if options else metric)
    known: Metric = "precomputed" if metric == "precomputed" else metric_named(metric, name)
    if known == "inner_product":  # 1 - <x, y> may be negative
        raise NotImplementedError(
            f"{name}='inner_product' is not supported by {owner}, which takes distances: use "
            "'cosine'"
        )
    unknown = sorted(set(options) - _OPTIONS.get(str(known), set()))
    if unknown:
        raise NotImplementedError(
            f"{argument} {unknown} are not supported for {name} {metric!r}: taken are 'p' and 'w' "
            "of 'minkowski', 'V' of 'seuclidean', 'V' or 'VI' of 'mahalanobis', and what a "
            "function of two rows takes"
        )
    p = check_positive(options.pop("p", 2.0), f"{argument}['p']")
    arrays = {key: _finite(value, f"{argument}[{key!r}]") for key, value in options.items()}
    return RowMetric(known, p, arrays, argument)


def metric_named(metric: str, name: str) -> Metric:
    try:
        return check_metric("minkowski" if metric in _WEIGHTED else metric)
    except ValueError as error:
        raise ValueError(str(error).replace("metric", name, 1)) from None


def _finite(value: Any, name: str) -> Array:
    value = without_mask(value, name)
    try:
        array: Array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be an array of numbers, not {value!r}") from None
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must hold finite numbers")
    return array


def _scale_of(metric: RowMetric, rows: Any) -> Array | None:
    d = rows.shape[1]
    if metric.name == "mahalanobis":
        return _root(_inverse_covariance(metric, rows), metric.argument)
    key = "w" if metric.name == "minkowski" else "V"
    given = metric.options.get(key)
    if given is None:
        if metric.name == "minkowski":
            return None
        given = _variances(rows)
    if given.shape != (d,) or (given < 0).any():
        raise ValueError(
            f"{metric.argument}[{key!r}] must hold {d} numbers that are not negative, one a column, not "
            f"an array of shape {given.shape} with a least entry of {given.min(initial=0)}"
        )
    if metric.name == "minkowski":
        return given ** (1 / metric.p)
    # A column that does not vary says nothing.
    return np.divide(1, np.sqrt(given), out=np.zeros(d), where=given > 0)


def _variances(rows: Any) -> Array:
    if isinstance(rows, torch.Tensor) and rows.is_cuda:
        return to_numpy(rows.double().var(dim=0))
    if issparse(rows):
        return variances(rows.astype(np.float64))
    return np.asarray(to_numpy(rows).astype(np.float64).var(axis=0, ddof=1))


def _covariance(rows: Any) -> Array:
    if isinstance(rows, torch.Tensor) and rows.is_cuda:
        return to_numpy(torch.cov(rows.double().T))
    return np.cov(to_numpy(rows).astype(np.float64).T)


def _inverse_covariance(metric: RowMetric, rows: Any) -> Array:
    d = rows.shape[1]
    for key, given in metric.options.items():
        if given.shape != (d, d) or not np.allclose(given, given.T):
            raise ValueError(
                f"{metric.argument}[{key!r}] must be a symmetric matrix of shape {(d, d)}, not of shape "
                f"{given.shape}"
            )
    if "VI" in metric.options:
        return metric.options["VI"]
    covariance = metric.options.get("V")
    if covariance is None:
        covariance = np.atleast_2d(_covariance(rows))
    inverse: Array = np.linalg.pinv(covariance, hermitian=True)
    return inverse


def _root(matrix: Array, argument: str) -> Array:
    """L with L L^T = matrix: distances of X L are those by the matrix."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    if values[0] < -1e-8 * max(values[-1], 0):
        raise ValueError(
            f"{argument} of 'mahalanobis' must be positive semi-definite, but an eigenvalue is "
            f"{values[0]:.3g}"
        )
    root: Array = vectors * np.sqrt(np.maximum(values, 0))
    return root
