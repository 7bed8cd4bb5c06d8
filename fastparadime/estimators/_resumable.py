"""Rows placed block by block into an array or a file, by any estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from fastparadime.estimators._transform import FittedRows
from fastparadime.types import Array
from fastparadime.utils import sources
from fastparadime.utils.convert import is_sparse, share, to_numpy
from fastparadime.utils.digests import digest_of
from fastparadime.utils.frames import NamedRows
from fastparadime.utils.progress import shows_bars
from fastparadime.utils.resumable import results_into

# What a new row's position depends on, beside the rows of the fit and their positions.
_SETTINGS = (
    "n_neighbors", "row_metric", "a", "b", "n_epochs", "learning_rate", "repulsion_strength",
    "negative_sample_rate", "local_connectivity", "disconnection_distance", "transform_seed",
    "placement", "output",
)  # fmt: skip


def transform_into(estimator: Any, X: Any, out: Any, **options: Any) -> Any:
    """`transform` of rows with results in `out`; see `fastparadime.utils.resumable.results_into`.

    Raises
    ------
    TypeError
        For rows that are neither an array nor a source.
    ValueError
        For a fit of the graph alone, which gives no positions.
    """
    check_is_fitted(estimator, "seed_")
    rows, columns = (X.values, X.columns) if isinstance(X, NamedRows) else (X, ())
    known = isinstance(rows, (np.ndarray, torch.Tensor)) or sources.is_source(rows)
    if not known or rows.ndim != 2:
        raise TypeError(
            "X must be an array or a source of rows with two dimensions where out is given, not "
            f"{type(X).__name__}"
        )
    settings = getattr(estimator, "_settings", None)  # of a network there are none
    if settings is not None and settings.graph_alone:
        raise ValueError("out must be None with transform_mode='graph', which gives no positions")

    def place(part: Any) -> Array:
        given = NamedRows(part, columns) if columns else part
        return to_numpy(estimator.transform(given, **options))

    bar = shows_bars(None, verbose=bool(estimator.verbose))
    return results_into(out, rows, place, lambda: _digest(estimator), bar=bar)


def _digest(estimator: Any) -> str:
    """Tells what a fitted estimator's `transform` gives from what others' do."""
    if estimator.placement == "network":
        state = {k: v.detach().cpu() for k, v in estimator.model_.state_dict().items()}
        return digest_of({"model": type(estimator.model_).__qualname__}, state)
    fitted: FittedRows = estimator._of_rows("transform")
    assert fitted.positions is not None
    settings = fitted.settings
    about = {name: repr(getattr(settings, name)) for name in _SETTINGS}
    rows = fitted.rows
    parts = [rows.data, rows.indices, rows.indptr] if is_sparse(rows) else [rows]
    tensors = {f"rows {i}": share(part).cpu() for i, part in enumerate(parts)}
    return digest_of(about, {**tensors, "positions": fitted.positions.cpu()})
