"""From a sparse matrix to the rows that a metric compares."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime.utils import centring
from fastparadime.utils.centring import compared_rows, may_round
from fastparadime.utils.convert import row_sums


def canonical(X: Any) -> Any:
    """A sparse matrix as CSR of float32, columns ascending, none twice and no stored zeros.

    Raises
    ------
    ValueError
        For values that are not finite in float32, naming the first row.
    """
    import scipy.sparse

    rows = X.tocsr()
    with np.errstate(over="ignore"):
        values = rows.data.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        row = int(np.searchsorted(rows.indptr, bad[0], side="right")) - 1
        raise ValueError(
            f"X must hold finite float32 values, but row {row} has {rows.data[bad[0]]} in column "
            f"{rows.indices[bad[0]]}: remove or replace such rows"
        )
    rows = scipy.sparse.csr_matrix((values, rows.indices, rows.indptr), shape=rows.shape)
    if not rows.has_canonical_format or not values.all():
        rows = rows.copy()
        rows.sum_duplicates()
        rows.eliminate_zeros()
    return rows


def table_of(rows: Any) -> ops.SparseTable:
    return ops.SparseTable(rows.indptr, rows.indices, rows.data, rows.shape[1])


def variances(rows: Any) -> np.ndarray[Any, Any]:
    """Of the columns of a sparse matrix, float64 (d,), with n - 1 for the number of rows."""
    n, columns = rows.shape[0], rows.tocsc()
    values = columns.data.astype(np.float64)
    counts = np.diff(columns.indptr)
    means = row_sums(values, columns.indptr) / n
    about = row_sums(np.square(values - np.repeat(means, counts)), columns.indptr)
    found: np.ndarray[Any, Any] = (about + (n - counts) * means**2) / (n - 1)
    return found


def scaled_by_deviation(rows: Any) -> Any:
    """A CSR matrix whose columns are divided by their standard deviations."""
    deviations = np.sqrt(np.maximum(variances(rows), np.finfo(float).tiny))
    return _with_values(rows, rows.data / deviations[rows.indices])


def prepared(rows: Any, metric: str, dtype: Any = np.float32) -> Any:
    """The rows that are compared for those of a CSR matrix, as of `table.Table`; made in a dtype.

    Raises
    ------
    ValueError
        For rows that the metric does not take.
    """
    if metric in ("cosine", "hellinger"):  # rows less their means would be dense
        return unit_rows(rows, metric, dtype)
    if metric != "jensenshannon":
        return rows
    sums = row_sums(rows.data.astype(np.float64), rows.indptr)
    bad = np.flatnonzero(_has_negative(rows) | (sums <= 0))
    if len(bad):
        raise ValueError(
            "Negative values in data or a row of zeros: X must hold rows of non-negative values "
            f"with a positive sum for 'jensenshannon', but row {bad[0]} does not"
        )
    return _with_values(rows, rows.data / np.repeat(sums, np.diff(rows.indptr)), dtype)


def warn_of_rounding(X: Any, last: torch.Tensor, metric: str) -> None:
    """Warns if float32 holds too few digits of sparse rows and of those of the numbers `last` (n,).

    They are not centred: what is not stored would be stored then.
    """
    if metric in ops.BINARY_METRICS or not may_round(X):
        return
    rows, numbers = X.tocsr(), compared_rows(len(last))

    def exact_and_held(numbers: Any) -> tuple[Any, Any]:
        exact = rows[numbers].astype(np.float64)
        held = exact.astype(np.float32)
        return prepared(exact, metric, np.float64), prepared(held, metric)

    ends = last.numpy()[numbers]
    centring.warn_of_rounding(exact_and_held(numbers), exact_and_held(ends), metric)


def unit_rows(rows: Any, metric: str, dtype: Any = np.float32) -> Any:
    """Rows of length 1 of a CSR matrix (n, d), and the marks of those of zeros: (n, d + 1).

    As of `fastparadime.neighbors.table.unit_rows`.
    """
    import scipy.sparse

    values = rows.data.astype(np.float64)  # in which squares of float32 are exact
    if metric == "hellinger":
        bad = np.flatnonzero(_has_negative(rows))
        if len(bad):
            raise ValueError(
                f"Negative values in data: X must hold none for 'hellinger', but row {bad[0]} does"
            )
        values = np.sqrt(values)
    norms = np.sqrt(row_sums(np.square(values), rows.indptr))
    lengths = np.repeat(norms, np.diff(rows.indptr))
    units = np.divide(values, lengths, out=np.zeros_like(values), where=lengths > 0)
    marks = scipy.sparse.csr_matrix((norms == 0)[:, None].astype(dtype))
    return scipy.sparse.hstack((_with_values(rows, units, dtype), marks), "csr")


def _has_negative(rows: Any) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = row_sums((rows.data < 0).astype(np.float64), rows.indptr) > 0
    return found


def _with_values(rows: Any, values: np.ndarray[Any, Any], dtype: Any = np.float32) -> Any:
    import scipy.sparse

    parts = (values.astype(dtype), rows.indices, rows.indptr)
    return scipy.sparse.csr_matrix(parts, shape=rows.shape)
