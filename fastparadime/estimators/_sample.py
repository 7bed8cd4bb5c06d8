"""Fits on a sample of the rows, which place all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils import _safe_indexing, check_consistent_length

from fastparadime.estimators import _rows
from fastparadime.estimators._fitted import OF_A_FIT_BEFORE
from fastparadime.estimators._inputs import check_weights
from fastparadime.estimators._kinds import Kind, as_known
from fastparadime.estimators._neighbors import neighbors_given
from fastparadime.estimators._parameters import checked_init, seed_of
from fastparadime.layout.initialization import check_init
from fastparadime.neighbors import stratified_sample
from fastparadime.neighbors.stratified import sample_size
from fastparadime.utils import sources
from fastparadime.utils.convert import is_sparse, to_numpy
from fastparadime.utils.frames import NamedRows
from fastparadime.utils.resumable import results_into
from fastparadime.utils.seed import derive
from fastparadime.utils.shards import stays


def fit_on_sample(
    estimator: Any, X: Any, y: Any = None, sample_weight: Any = None, **options: Any
) -> Any:
    """What `fit` of an estimator does where its `sample` is given.

    A copy is fitted to rows of each cluster, and all rows are placed by it, block by block.

    Raises
    ------
    TypeError, ValueError
        For a sample that is none, parameters that need all rows, and as of the fit.
    """
    _check(estimator, **options)
    metric, placing = estimator.metric, {}
    if "ensure_all_finite" in options:
        placing["ensure_all_finite"] = options["ensure_all_finite"]
    named = _rows.named(X, "euclidean" if callable(metric) else metric)
    columns = named.columns if isinstance(named, NamedRows) else ()
    rows = _checked(estimator, as_known(named), **placing)
    n = rows.shape[0]
    _check_held(estimator, rows, sample_size(estimator.sample, n))
    seed, parameters = seed_of(estimator.random_state), estimator.get_params(deep=False)
    fitted = type(estimator)(**{**parameters, "sample": None, "random_state": seed})
    if y is not None:
        y = y if isinstance(y, (list, torch.Tensor)) or hasattr(y, "iloc") else np.asarray(y)
        check_consistent_length(rows, y)
    if sample_weight is not None:
        sample_weight = check_weights(sample_weight, n)
    init = checked_init(estimator.init)
    if not isinstance(init, str):
        check_init(init, rows, estimator.n_components)
    chosen = stratified_sample(
        rows,
        estimator.sample,
        n_neighbors=estimator.n_neighbors,
        metric=metric,
        seed=derive(seed, "sample"),
    )
    some = _taken(rows, chosen)
    if not isinstance(init, str):
        fitted.init = init[chosen]
    if sample_weight is not None:
        options["sample_weight"] = sample_weight[chosen]
    labels = None if y is None else _safe_indexing(y, chosen)
    fitted.fit(NamedRows(some, columns) if columns else some, labels, **options)

    def place(part: Any) -> Any:
        given = NamedRows(part, columns) if columns else part
        return to_numpy(fitted.transform(given, **placing))

    dtype = _rows.dtype_of_results(X)
    found = np.empty((n, fitted._n_features_out), dtype)
    results_into(found, rows, place, lambda: "")
    kept = {name: value for name, value in vars(fitted).items() if name not in parameters}
    for name in OF_A_FIT_BEFORE:
        vars(estimator).pop(name, None)
    vars(estimator).update(kept)
    estimator.sample_indices_ = chosen
    kind = Kind.of(X, getattr(estimator, "output_type", None))
    estimator.embedding_ = kind.array(torch.from_numpy(found), dtype)
    return estimator


def _checked(estimator: Any, X: Any, *, ensure_all_finite: bool | str = True) -> Any:
    """The rows as `fit` checks them; those of files are checked block by block, as they are read."""
    vars(estimator).pop("feature_names_in_", None)  # of a fit before
    if (isinstance(X, np.memmap) or sources.is_source(X)) and X.ndim == 2:
        return X
    if hasattr(estimator, "_validated"):
        return estimator._validated(X, ensure_min_samples=2)
    return _rows.validated(
        estimator, X, estimator.metric, all_finite=ensure_all_finite, ensure_min_samples=2
    )


def _check(estimator: Any, knn_graph: Any = None, checkpoint: Any = None, **_: Any) -> None:
    """Raises ValueError for what a fit of some rows does not give for all."""
    epochs = estimator.n_epochs
    refused = {
        "metric='precomputed'": _rows.is_precomputed(estimator.metric),
        "precomputed_knn": neighbors_given(estimator.precomputed_knn) or knn_graph is not None,
        "a list of n_epochs": isinstance(epochs, (list, tuple, np.ndarray)),
        "output_dens=True": getattr(estimator, "output_dens", False),
        "unique=True": getattr(estimator, "unique", False),
        "transform_mode='graph'": getattr(estimator, "transform_mode", "") == "graph",
    }
    for name, is_so in refused.items():
        if is_so:
            raise ValueError(f"sample must be None with {name}, which is about all rows")
    if checkpoint is not None and estimator.random_state is None:
        raise ValueError(
            "random_state must be given for a checkpoint of a sample, which another seed would draw "
            "differently, not None"
        )


def _check_held(estimator: Any, rows: Any, size: int) -> None:
    """Raises ValueError where `max_memory` leaves a sample as it is, and it has to place the others."""
    memory = getattr(estimator, "max_memory", None)
    if estimator.placement != "network" and not is_sparse(rows) and stays(rows, memory, size):
        raise ValueError(
            f"max_memory={memory:.4g} bytes is less than a table in float32 of the sample's {size} "
            f"rows, by which {type(estimator).__name__} places all others: give more, or a smaller sample"
        )


def _taken(rows: Any, chosen: Any) -> Any:
    """Some rows, by their numbers in ascending order."""
    if not sources.is_source(rows):
        return _rows.taken(rows, torch.from_numpy(chosen).to(getattr(rows, "device", "cpu")))
    parts = []
    for first, block in sources.row_blocks(rows, "X"):
        begin, end = np.searchsorted(chosen, (first, first + len(block)))
        parts.append(block[chosen[begin:end] - first])
    return np.concatenate(parts)
