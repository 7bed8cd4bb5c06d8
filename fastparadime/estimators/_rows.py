"""Rows of a table, dense or CSR: what UMAP asks of both."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fastparadime.neighbors.graph import PRECOMPUTED
from fastparadime.neighbors.metric_space import SPARSE_METRICS
from fastparadime.neighbors.table import MISSING_METRICS
from fastparadime.types import Array
from fastparadime.utils import sources
from fastparadime.utils.convert import is_sparse, to_numpy
from fastparadime.utils.masks import without_mask
from fastparadime.utils.validate import check_finite, check_no_times

_BLOCK_BYTES = 64 * 2**20  # of hashes held at a time
_KEPT = (np.float32, np.float64, np.int32, np.int64, np.uint32, np.uint64)


def validated(estimator: Any, X: Any, metric: Any, **options: Any) -> Any:
    """The data of an estimator as scikit-learn checks it for a metric: a table, or CSR.

    Wide integers and floats stay as they are, what float32 holds in any case becomes float32, and
    what has no dtype float64; for a function of two rows all dtypes stay. Masked values are
    refused. Values of ``"precomputed"`` distances are not checked: infinite ones stand for no
    neighbours. NaN stands for what is missing to those of `MISSING_METRICS`.
    """
    X = without_mask(X, "X")
    if sources.is_source(X) and X.ndim == 2:
        X = sources.load(X, "X")
    if isinstance(X, torch.Tensor):
        if X.device.type != "cpu":
            raise ValueError(f"X must be on the CPU, where estimators work, not on {X.device}")
        X = to_numpy(X)  # scikit-learn would not know its dtype
    check_no_times(X, "X")
    finite: bool | str = not is_precomputed(metric)
    if isinstance(metric, str) and metric in MISSING_METRICS:
        finite = "allow-nan"
    plain = isinstance(getattr(X, "dtype", None), np.dtype) and X.dtype.kind in "biuf"
    first = np.float32 if plain and X.dtype.itemsize <= 4 else np.float64
    dtype = "numeric" if callable(metric) else (first, *_KEPT)
    options = {"dtype": dtype, "accept_sparse": "csr", **options}
    try:
        from sklearn.utils.validation import validate_data
    except ImportError:  # scikit-learn before 1.6
        return estimator._validate_data(X, force_all_finite=finite, **options)
    return validate_data(estimator, X, ensure_all_finite=finite, **options)


def is_precomputed(metric: Any) -> bool:
    return isinstance(metric, str) and metric == PRECOMPUTED


def dtype_of_results(X: Any) -> Any:
    """The dtype of what an estimator gives for `X`: float64 for such an array, else float32."""
    kinds = getattr(X, "dtypes", None)  # of data frames
    if kinds is None:
        name = str(getattr(X, "dtype", ""))
        return np.float64 if name.removeprefix("torch.") == "float64" else np.float32
    plain = all(isinstance(kind, np.dtype) for kind in kinds)
    return np.float64 if plain and np.result_type(*kinds) == np.float64 else np.float32


def check_sparse_metric(rows: Any, metric: Any, *others: str) -> None:
    """Raises for sparse rows and a metric that is neither one of theirs nor among `others`."""
    if is_sparse(rows) and metric not in (*SPARSE_METRICS, *others):
        known = ", ".join(repr(name) for name in (*SPARSE_METRICS, *others))
        raise ValueError(
            f"metric must be one of {known} for sparse data, not {metric!r}: make X dense with "
            "X.toarray() for others"
        )


def as_rows(table: Any, metric: Any) -> Any:
    """A checked table as the rows of a metric: contiguous float32, or CSR with sorted entries.

    A function of two rows has them in their own dtype. Of CSR for ``"precomputed"``, stored zeros
    stay: distances may be zero. Values that float32 does not hold raise ValueError, distances but
    for those that are infinite already.
    """
    distances = is_precomputed(metric)
    if callable(metric) and not is_sparse(table):
        return np.ascontiguousarray(table)
    with np.errstate(over="ignore"):
        if not is_sparse(table):
            rows = np.ascontiguousarray(table, dtype=np.float32)
            if table.dtype != np.float32:
                known = rows[np.isfinite(table)] if distances else rows
                check_finite(known, "X", missing_ok=metric in MISSING_METRICS)
            return rows
        rows = table.astype(np.float32)  # a copy: what follows changes it
    if not np.isfinite(rows.data[np.isfinite(table.data)] if distances else rows.data).all():
        raise ValueError("X must hold finite float32 values, but stores larger ones")
    rows.sum_duplicates()
    if not distances:
        rows.eliminate_zeros()
    return rows


def like(rows: Any, table: Any) -> Any:
    """Rows in the format of another table: dense or CSR."""
    if is_sparse(table) == is_sparse(rows):
        return rows
    if is_sparse(rows):
        return rows.toarray()
    import scipy.sparse

    return scipy.sparse.csr_matrix(rows)


def stacked(first: Any, second: Any) -> Any:
    """The rows of one table above those of another of its format."""
    if not is_sparse(first):
        return np.concatenate([first, second])
    import scipy.sparse

    return scipy.sparse.vstack([first, second], format="csr")


def distinct(rows: Any) -> tuple[Array, Array]:
    """First places of the distinct rows, and which of them each row is."""
    if is_sparse(rows):
        spans = zip(rows.indptr[:-1], rows.indptr[1:], strict=True)
        table = np.empty(rows.shape[0], dtype=object)
        table[:] = [rows.indices[a:b].tobytes() + rows.data[a:b].tobytes() for a, b in spans]
        _, first, inverse = np.unique(table, return_index=True, return_inverse=True)
    else:
        # As bits, what is missing is equal to what is missing.
        values = _bits(rows) if np.isnan(rows).any() else rows
        _, first, inverse = np.unique(values, axis=0, return_index=True, return_inverse=True)
    return first, inverse.ravel()


def equal_rows(first: Any, second: Any) -> Array:
    """Which rows of two tables of one shape are equal, bool (m,)."""
    if is_sparse(first):
        same: Array = np.asarray((first != second).sum(axis=1)).ravel() == 0
    else:
        same = ((first == second) | (np.isnan(first) & np.isnan(second))).all(axis=1)
    return same


def row_streams(X: Any) -> Array:
    """An int64 in [0, 2^31) for each row, a function of its values in float32 alone."""
    keys = np.random.default_rng(0).integers(1, 2**63, X.shape[1], dtype=np.uint64) | np.uint64(1)
    if is_sparse(X):
        products = _bits(X.data) * keys[X.indices]
        running = np.concatenate([[np.uint64(0)], products.cumsum(dtype=np.uint64)])
        sums = running[X.indptr[1:]] - running[X.indptr[:-1]]
    else:
        sums = np.empty(len(X), dtype=np.uint64)
        rows = max(1, _BLOCK_BYTES // (8 * X.shape[1]))
        for start in range(0, len(X), rows):
            block = _bits(X[start : start + rows])
            sums[start : start + rows] = (block * keys).sum(axis=1, dtype=np.uint64)
    mixed = (sums ^ (sums >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    streams: Array = (mixed >> np.uint64(33)).astype(np.int64)
    return streams


def _bits(values: Array) -> Array:
    values = values.astype(np.float32, copy=False)
    bits: Array = (values + np.float32(0)).view(np.uint32).astype(np.uint64)  # -0 becomes 0
    return bits
