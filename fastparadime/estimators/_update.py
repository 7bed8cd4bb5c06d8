"""More rows for a fit of UMAP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastparadime.estimators import _rows
from fastparadime.estimators._cuml import check_data_options
from fastparadime.estimators._fit import embed_graph, epochs_of, fit_graph
from fastparadime.estimators._fitted import FittedUmap
from fastparadime.estimators._kinds import Kind, Results, as_known
from fastparadime.estimators._reporting import Report, epoch_callback
from fastparadime.layout import Drift, Landmarks
from fastparadime.layout.landmarks import check_drift

_SHARE = 0.6  # of a fit's epochs: the layout starts near its end


def add_rows(fit: FittedUmap, X: Any, ensure_all_finite: Any, max_drift: float | None) -> None:
    """What `UMAP.update` does, which says what it raises."""
    fitted_rows, settings = fit._of_rows("update"), fit._settings
    refused = {
        "metric='precomputed'": settings.metric == "precomputed",
        "labels": fit._supervised,
        "sample_weight": fit._weighted,
        "unique=True": settings.unique,
        "transform_mode='graph'": settings.graph_alone,
        "sample": fit.sample is not None or hasattr(fit, "sample_indices_"),
    }
    for name, is_so in refused.items():
        if is_so:
            raise ValueError(f"update is not available for a fit with {name}: fit all rows")
    check_drift(max_drift)
    check_data_options(ensure_all_finite=ensure_all_finite, convert_dtype=True)
    X = as_known(_rows.named(X, fitted_rows.row_format.metric))
    table = _rows.validated(
        fit, X, fitted_rows.row_format.metric, all_finite=ensure_all_finite, reset=False
    )
    added = _rows.like(fitted_rows.row_format.rows(table), fitted_rows.rows)
    before = fitted_rows.positions
    assert before is not None  # but of the graph alone
    start = _rows.stacked(before, fitted_rows.embed(added))
    start.masked_fill_(~start.isfinite(), 0.0)  # points without neighbours until now
    rows = _rows.stacked(fitted_rows.rows, added)
    report = Report(fit.verbose, fit.tqdm_kwds)
    fitted = fit_graph(rows, None, None, fitted_rows.space, settings, report)
    kind, dtype = Kind.of(fit.embedding_), _rows.dtype_of_results(fit.embedding_)
    results = Results(kind, dtype, None, settings.output)
    found = embed_graph(
        start,
        fitted,
        replace(settings, kept_epochs=None),
        report,
        n_epochs=int(_SHARE * epochs_of(settings, len(start))),
        learning_rate=settings.learning_rate / 4,
        landmarks=None if max_drift is None else Landmarks(before, max_drift),
        callback=epoch_callback(fit.callback, results.positions),
    )
    fit._keep_graph(fitted, settings)
    fit._keep_rows(replace(fitted_rows, rows=rows, positions=found.final))
    fit._keep_positions(found, results)
    fit.drift_ = Drift.between(before, found.final[: len(before)])
