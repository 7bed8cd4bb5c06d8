"""What a fit of UMAP is given, checked before any work begins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import _check_sample_weight

from fastparadime.estimators import _rows
from fastparadime.estimators._constructor import UmapParameters
from fastparadime.estimators._cuml import check_data_options
from fastparadime.estimators._kinds import Kind, Results, as_known
from fastparadime.estimators._labels import check_labels
from fastparadime.estimators._neighbors import neighbors_given
from fastparadime.estimators._parameters import Settings, check_parameters, check_places
from fastparadime.estimators._row_format import RowFormat
from fastparadime.graph.supervised import Labels
from fastparadime.layout.initialization import check_init
from fastparadime.neighbors import NATIVE_METRICS
from fastparadime.types import Array
from fastparadime.utils.convert import to_numpy


@dataclass(frozen=True)
class Inputs:
    """The data of a fit, distinct rows alone where the settings ask for them."""

    table: Any  # as it came
    rows: Any  # as the fit takes them
    row_format: RowFormat
    settings: Settings
    target: Labels | None
    knn: Any
    weights: Array | None  # of rows, float64 (n,)
    results: Results

    @staticmethod
    def checked(
        estimator: UmapParameters,
        X: Any,
        y: Any,
        *,
        ensure_all_finite: Any,
        knn_graph: Any,
        convert_dtype: Any,
        sample_weight: Any,
    ) -> Inputs:
        """Of the arguments of `UMAP.fit`, which says what it raises."""
        check_data_options(ensure_all_finite=ensure_all_finite, convert_dtype=convert_dtype)
        X = _rows.named(X, estimator.metric)
        kind, X = Kind.of(X, estimator.output_type), as_known(X)
        settings = check_parameters(estimator, X)
        weighted = sample_weight is not None
        check_places(settings, X, supervised=y is not None, weighted=weighted)
        table = _rows.validated(
            estimator, X, estimator.metric, all_finite=ensure_all_finite, ensure_min_samples=2
        )
        row_format = RowFormat.of(table, settings.metric, settings.device, settings.max_memory)
        if row_format.narrow:
            _check_narrow(settings)
        rows = row_format.rows(table)
        _rows.check_sparse_metric(rows, settings.metric, "precomputed")
        n = rows.shape[0]
        inputs = Inputs(
            table,
            rows,
            row_format,
            settings,
            target=None if y is None else check_labels(y, n, settings.target),
            knn=estimator.precomputed_knn if knn_graph is None else knn_graph,
            weights=check_weights(sample_weight, n) if weighted else None,
            results=Results(kind, _rows.dtype_of_results(X), None, settings.output),
        )
        check_init(settings.init, rows, settings.n_components)
        return inputs._distinct() if settings.unique else inputs

    def _distinct(self) -> Inputs:
        """Each row once; weights of equal ones are added."""
        if neighbors_given(self.knn):
            raise ValueError("unique=True cannot be combined with precomputed_knn")
        first, inverse = _rows.distinct(self.rows)
        places, settings = torch.from_numpy(first), self.settings
        if not isinstance(settings.init, str):
            settings = replace(settings, init=settings.init[first])
        return replace(
            self,
            rows=_rows.taken(self.rows, places),
            table=_rows.taken(self.table, places),
            settings=settings,
            target=None if self.target is None else self.target[first],
            weights=None if self.weights is None else np.bincount(inverse, self.weights),
            results=replace(self.results, inverse=inverse),
        )


def _check_narrow(settings: Settings) -> None:
    """Raises for what needs all rows in float32 at once, where `max_memory` leaves them as they are."""
    metric = settings.row_metric
    if settings.metric not in NATIVE_METRICS or metric.options:
        asked = f"metric={settings.metric!r}"
        asked += f" with {sorted(metric.options)}" if metric.options else ""
    elif settings.unique:
        asked = "unique=True"
    elif isinstance(settings.init, str) and settings.init == "pca":
        asked = "init='pca'"
    elif settings.device.type != "cpu":
        asked = f"device={str(settings.device)!r}"
    else:
        return
    raise ValueError(
        f"max_memory={settings.max_memory:.4g} bytes is less than a table of X in float32, which "
        f"{asked} needs: give more, or another value for it"
    )


def check_weights(sample_weight: Any, n: int) -> Array:
    """Weights of n rows, float64 (n,).

    Raises
    ------
    ValueError
        For another number of them, and for those that are negative, not finite or all zero.
    """
    given = as_known(sample_weight)
    given = to_numpy(given) if isinstance(given, torch.Tensor) else given
    weights: Array = _check_sample_weight(given, np.empty((n, 1)), dtype=np.float64)
    if (weights < 0).any():
        raise ValueError(f"sample_weight must not be negative, but has {weights.min()}")
    if not weights.any():
        raise ValueError("sample_weight must not be zero for all rows")
    return weights
