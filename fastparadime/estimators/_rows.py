"""Rows of a table, dense or CSR: what UMAP asks of both."""

from __future__ import annotations

import inspect
from typing import Any, cast

import numpy as np
import torch
from sklearn.utils.validation import check_array

from fastparadime.estimators._names import check_names, warn_of_names
from fastparadime.neighbors.metric_space import DEVICE_METRICS, SPARSE_METRICS
from fastparadime.neighbors.metrics import PRECOMPUTED
from fastparadime.neighbors.table import MISSING_METRICS, rows_of_frame
from fastparadime.types import Array
from fastparadime.utils import frames, sources
from fastparadime.utils.convert import is_sparse, share, to_float32, to_numpy
from fastparadime.utils.frames import NamedRows
from fastparadime.utils.masks import without_mask
from fastparadime.utils.shards import held_within, stays
from fastparadime.utils.validate import check_data, check_finite, check_no_times

# scikit-learn's before 1.6 has another name.
_FINITE = (
    "ensure_all_finite"
    if "ensure_all_finite" in inspect.signature(check_array).parameters
    else "force_all_finite"
)
POSITIVE_METRICS = ("hellinger", "jensenshannon")
_BLOCK_BYTES = 64 * 2**20  # of hashes held at a time
_MIXER = 0xBF58476D1CE4E5B9 - 2**64  # of splitmix64, as int64
_KEPT = (np.float32, np.float64, np.int32, np.int64, np.uint32, np.uint64)


def named(X: Any, metric: Any) -> Any:
    """A data frame as `NamedRows`, checked for a metric; anything else as it is."""
    frames.check_not_annotated(X, "X")
    return rows_of_frame(X, metric) if frames.is_frame(X) else X


def validated(
    estimator: Any, X: Any, metric: Any, *, all_finite: bool | str = True, **options: Any
) -> Any:
    """The data of an estimator as scikit-learn checks it for a metric: a table, or CSR.

    Wide integers and floats stay as they are, what float32 holds in any case becomes float32, and
    what has no dtype float64; for a function of two rows all dtypes stay. Masked values are
    refused. Rows that the estimator's `max_memory` leaves as they are become a tensor over their memory. Values of ``"precomputed"`` distances are not checked: infinite ones stand for no
    neighbours. NaN stands for what is missing to those of `MISSING_METRICS`; functions get what
    `all_finite` lets through: True, "allow-nan" or False.
    """
    if isinstance(X, NamedRows):
        return _validated_named(estimator, X, metric, all_finite=all_finite, **options)
    max_memory = getattr(estimator, "max_memory", None)
    X = held_within(without_mask(X, "X"), max_memory, "X")
    if sources.is_source(X) and X.ndim == 2:
        X = sources.load(X, "X")
    if isinstance(X, np.ndarray) and stays(X, max_memory):
        X = share(X)
        options.pop("accept_sparse", None)  # of scikit-learn's check, which it does without
    if isinstance(X, torch.Tensor):
        if not (callable(metric) or is_precomputed(metric)):
            return _validated_tensor(estimator, X, metric, **options)
        X = to_numpy(X)  # scikit-learn would not know its dtype
    check_no_times(X, "X")
    finite, options = _check_options(X, metric, all_finite, options)
    try:
        from sklearn.utils.validation import validate_data
    except ImportError:  # scikit-learn before 1.6
        return estimator._validate_data(X, force_all_finite=finite, **options)
    return validate_data(estimator, X, ensure_all_finite=finite, **options)


def _check_options(
    X: Any, metric: Any, all_finite: bool | str, options: dict[str, Any]
) -> tuple[bool | str, dict[str, Any]]:
    """What of `X` has to be finite, and what else scikit-learn's check is told."""
    finite: bool | str = not is_precomputed(metric)
    if isinstance(metric, str) and metric in MISSING_METRICS:
        finite = "allow-nan"
    elif callable(metric):
        finite = all_finite
    plain = isinstance(getattr(X, "dtype", None), np.dtype) and X.dtype.kind in "biuf"
    first = np.float32 if plain and X.dtype.itemsize <= 4 else np.float64
    dtype = "numeric" if callable(metric) else (first, *_KEPT)
    return finite, {"dtype": dtype, "accept_sparse": "csr", **options}


def _validated_named(
    estimator: Any,
    X: NamedRows,
    metric: Any,
    *,
    all_finite: bool | str,
    reset: bool = True,
    **options: Any,
) -> Any:
    """The same of the rows of a frame, whose names follow scikit-learn's contract."""
    fitted = None if reset else getattr(estimator, "feature_names_in_", None)
    if not X.columns or fitted is None:
        table = validated(
            estimator, X.values, metric, all_finite=all_finite, reset=reset, **options
        )
        if X.columns and reset:
            estimator.feature_names_in_ = np.array(X.columns, dtype=object)
        elif X.columns:
            warn_of_names(estimator)
        return table
    check_names(X.columns, fitted)
    finite, options = _check_options(X.values, metric, all_finite, options)
    options[_FINITE] = finite
    return check_array(X.values, estimator=estimator, input_name="X", **options)


def _validated_tensor(
    estimator: Any, X: torch.Tensor, metric: Any, *, reset: bool = True, ensure_min_samples: int = 1
) -> torch.Tensor:
    """The same of a tensor, where it is; all dtypes stay."""
    missing_ok = isinstance(metric, str) and metric in MISSING_METRICS
    table = check_data(X.detach(), min_rows=ensure_min_samples, missing_ok=missing_ok)
    try:
        from sklearn.utils.validation import validate_data
    except ImportError:  # scikit-learn before 1.6
        estimator._check_n_features(table, reset=reset)
    else:
        validate_data(estimator, table, reset=reset, skip_check_array=True)
    return cast(torch.Tensor, table)


def is_precomputed(metric: Any) -> bool:
    return isinstance(metric, str) and metric == PRECOMPUTED


def dtype_of_results(X: Any) -> Any:
    """The dtype of what an estimator gives for `X`: float64 for such an array, else float32."""
    name = str(getattr(X.values if isinstance(X, NamedRows) else X, "dtype", ""))
    return np.float64 if name.removeprefix("torch.") == "float64" else np.float32


def check_sparse_metric(rows: Any, metric: Any, *others: str) -> None:
    """Raises for sparse rows and a metric that is neither one of theirs nor among `others`."""
    if is_sparse(rows) and metric not in (*SPARSE_METRICS, *others):
        known = ", ".join(repr(name) for name in (*SPARSE_METRICS, *others))
        raise ValueError(
            f"metric must be one of {known} for sparse data, not {metric!r}: make X dense with "
            "X.toarray() for others"
        )


def check_not_negative(rows: Any, metric: Any) -> None:
    """Raises for negative values by a metric of distributions, which a fit that only keeps rows meets late."""
    if not isinstance(metric, str) or metric not in POSITIVE_METRICS:
        return
    values = rows.data if is_sparse(rows) else rows
    if values.size if isinstance(values, np.ndarray) else values.numel():
        least = float(values.min())
        if least < 0:
            raise ValueError(
                f"Negative values in data: X must hold none for {metric!r}, but has {least}"
            )


def check_device(device: torch.device, X: Any, metric: Any, name: str = "metric") -> None:
    """Raises for data and metrics that only the CPU searches, where another device is asked for."""
    if device.type == "cpu":
        return
    if is_sparse(X.values if isinstance(X, NamedRows) else X):
        raise ValueError(
            f"X is sparse, and sparse rows are searched on the CPU: device must be 'cpu', not "
            f"{str(device)!r}, or X dense"
        )
    if metric not in DEVICE_METRICS:
        raise ValueError(
            f"{name} must be one of {', '.join(map(repr, DEVICE_METRICS))} on {str(device)!r}, not "
            f"{metric!r}: device='cpu' takes all metrics"
        )


def as_rows(table: Any, metric: Any) -> Any:
    """A checked table as the rows of a metric: a float32 tensor, or CSR with sorted entries.

    A function of two rows has them as an array of their own dtype, and distances are an array. Of
    CSR for ``"precomputed"``, stored zeros stay: distances may be zero. Values that float32 does not
    hold raise ValueError, distances but for those that are infinite already.
    """
    distances = is_precomputed(metric)
    if callable(metric) and not is_sparse(table):
        return np.ascontiguousarray(table)
    if isinstance(table, torch.Tensor):  # checked as float32
        return to_float32(table)
    with np.errstate(over="ignore"):
        if not is_sparse(table):
            rows = np.ascontiguousarray(table, dtype=np.float32)
            if table.dtype != np.float32:
                known = rows[np.isfinite(table)] if distances else rows
                check_finite(known, "X", missing_ok=metric in MISSING_METRICS)
            return rows if distances else share(rows)
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
        dense = rows.toarray()
        return (
            torch.from_numpy(dense).to(table.device) if isinstance(table, torch.Tensor) else dense
        )
    import scipy.sparse

    return scipy.sparse.csr_matrix(to_numpy(rows))


def may_share_memory(rows: Any, table: Any) -> bool:
    """Whether a change of one dense table may be one of the other."""
    if is_sparse(rows) or is_sparse(table):
        return False
    if any(isinstance(part, torch.Tensor) and part.is_cuda for part in (rows, table)):
        storages = {share(part).untyped_storage().data_ptr() for part in (rows, table)}
        return len(storages) == 1
    return np.may_share_memory(to_numpy(rows), to_numpy(table))


def taken(rows: Any, places: torch.Tensor) -> Any:
    """Some rows of a table, by their numbers or marks."""
    return rows[places if isinstance(rows, torch.Tensor) else to_numpy(places)]


def stacked(first: Any, second: Any) -> Any:
    """The rows of one table above those of another of its format."""
    if isinstance(first, torch.Tensor):
        return torch.cat([first, second])
    if not is_sparse(first):
        return np.concatenate([first, second])
    import scipy.sparse

    return scipy.sparse.vstack([first, second], format="csr")


def distinct(rows: Any) -> tuple[Array, Array]:
    """First places of the distinct rows, and which of them each row is."""
    if isinstance(rows, torch.Tensor) and rows.is_cuda:
        return distinct_on_device(rows)
    if is_sparse(rows):
        spans = zip(rows.indptr[:-1], rows.indptr[1:], strict=True)
        table = np.empty(rows.shape[0], dtype=object)
        table[:] = [rows.indices[a:b].tobytes() + rows.data[a:b].tobytes() for a, b in spans]
        _, first, inverse = np.unique(table, return_index=True, return_inverse=True)
    else:
        table = to_numpy(rows)
        # As bits, what is missing is equal to what is missing.
        values = to_numpy(_bits(table)) if np.isnan(table).any() else table
        _, first, inverse = np.unique(values, axis=0, return_index=True, return_inverse=True)
    return first, inverse.ravel()


def distinct_on_device(rows: torch.Tensor) -> tuple[Array, Array]:
    """The same where a tensor is."""
    values = _bits(rows) if bool(rows.isnan().any()) else rows
    found, inverse = values.unique(dim=0, return_inverse=True)
    own = torch.arange(len(rows), device=rows.device)
    first = torch.full((len(found),), len(rows), device=rows.device)
    first.scatter_reduce_(0, inverse, own, "amin")
    return to_numpy(first), to_numpy(inverse)


def equal_rows(first: Any, second: Any) -> torch.Tensor:
    """Which rows of two tables of one shape are equal, bool (m,)."""
    if is_sparse(first):
        return torch.from_numpy(np.asarray((first != second).sum(axis=1)).ravel() == 0)
    missing: Any = np.isnan if isinstance(first, np.ndarray) else torch.isnan
    return share(((first == second) | (missing(first) & missing(second))).all(axis=1))


def row_streams(X: Any) -> torch.Tensor:
    """An int64 in [0, 2^31) for each row, a function of its values in float32 alone."""
    drawn = np.random.default_rng(0).integers(1, 2**63, X.shape[1], dtype=np.uint64)
    keys = torch.from_numpy((drawn | np.uint64(1)).view(np.int64))
    if is_sparse(X):
        products = _bits(X.data) * keys[X.indices]
        running = torch.cat([products.new_zeros(1), products.cumsum(0)])
        sums = running[X.indptr[1:]] - running[X.indptr[:-1]]
    else:
        if isinstance(X, torch.Tensor):
            keys = keys.to(X.device)
        rows = max(1, _BLOCK_BYTES // (8 * X.shape[1]))
        blocks = [X[start : start + rows] for start in range(0, max(1, len(X)), rows)]
        sums = torch.cat([(_bits(block) * keys).sum(dim=1) for block in blocks])
    # The arithmetic is that of unsigned numbers: products wrap, shifts fill up with zeros.
    mixed = (sums ^ ((sums >> 29) & (2**35 - 1))) * _MIXER
    return (mixed >> 33) & (2**31 - 1)


def _bits(values: Any) -> torch.Tensor:
    """The bits of float32 values as int64, those of -0 as of 0."""
    return (to_float32(values) + 0.0).view(torch.int32).long() & 0xFFFFFFFF
