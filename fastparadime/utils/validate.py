"""The checks of arguments that the whole package shares."""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from fastparadime.types import Array, TensorLike
from fastparadime.utils import frames, sources
from fastparadime.utils.masks import without_mask

_T = TypeVar("_T")

_CHUNK_BYTES = 8 * 2**20  # of rows checked at a time
_DEVICE_CHUNK_BYTES = 2**30  # there, each chunk is waited for
_ACCEPTED = "accepted are bool, integer and floating-point values"


def check_data(
    X: Any,
    name: str = "X",
    *,
    min_rows: int = 2,
    missing_ok: bool = False,
    columns: Sequence[str] = (),
) -> TensorLike:
    """The data table of an argument, checked.

    Parameters
    ----------
    X : (n, d) tensor, array, nested list, data frame or source of rows
        Finite bool, integer or floating-point values; memory-mapped arrays are read in chunks.
        Sources are what ``utils.sources.is_source`` says, frames what
        ``utils.frames.rows_and_names`` takes.
    name : str
        What errors call it.
    min_rows : int
        The fewest rows that are accepted.
    missing_ok : bool
        Whether NaN stands for what is missing.
    columns : sequence of str
        Names of columns, for errors, where `X` does not have them itself.

    Returns
    -------
    tensor or array
        Tensors and arrays as they are; lists, data frames and sources as arrays.

    Raises
    ------
    TypeError
        For sparse matrices, masked values, AnnData and dtypes other than those above.
    ValueError
        For other shapes, and for values that are NaN, infinite or beyond float32, naming the first
        such row and the column; for sources that end before their shape says.
    OSError
        For sources that cannot be read.
    """
    if sources.is_source(X):
        return load_source(X, name, min_rows=min_rows, missing_ok=missing_ok)
    X, own = frames.rows_and_names(X, name)
    table = _as_table(X, name)
    check_form(table, name, min_rows=min_rows)
    check_values(table, name, own or columns, missing_ok=missing_ok)
    return table


def check_values(
    table: TensorLike, name: str, columns: Sequence[str] = (), *, missing_ok: bool = False
) -> None:
    """Raises ValueError if a table (n, d), read in chunks, holds what is not finite in float32.

    Parameters
    ----------
    table : array or tensor
    name : str
        What errors call it.
    columns : sequence of str
        Names of its columns, for errors.
    missing_ok : bool
        Whether NaN stands for what is missing.
    """
    on_device = isinstance(table, torch.Tensor) and table.is_cuda
    chunk_bytes = _DEVICE_CHUNK_BYTES if on_device else _CHUNK_BYTES
    rows = max(1, chunk_bytes // (table.shape[1] * table.dtype.itemsize))
    for start in range(0, len(table), rows):
        chunk = table[start : start + rows]
        check_finite(chunk, name, start, columns=columns, missing_ok=missing_ok)


def load_source(
    X: sources.Source, name: str = "X", *, min_rows: int = 2, missing_ok: bool = False
) -> Array:
    """A source of rows as an array of its dtype, checked as `check_data` does while it is read."""
    check_form(X, name, min_rows=min_rows)
    table = np.empty(X.shape, np.dtype(X.dtype))
    for start, rows in sources.row_blocks(X, name):
        check_finite(rows, name, start, missing_ok=missing_ok)
        table[start : start + len(rows)] = rows
    return table


def check_form(table: TensorLike | sources.Source, name: str, *, min_rows: int = 2) -> None:
    """Raises for a dtype or shape that no table has; no values are read."""
    _check_dtype(table, name)
    _check_shape(table, name, min_rows)


def _as_table(X: Any, name: str) -> TensorLike:
    scipy_sparse = sys.modules.get("scipy.sparse")
    sparse_tensor = isinstance(X, torch.Tensor) and X.layout != torch.strided
    if sparse_tensor or (scipy_sparse is not None and scipy_sparse.issparse(X)):
        dense = "to_dense" if sparse_tensor else "toarray"
        raise TypeError(
            f"{name} is sparse: make it dense with .{dense}(), or reduce its columns first with "
            "sklearn.decomposition.TruncatedSVD"
        )
    X = without_mask(X, name)
    if isinstance(X, (np.ndarray, torch.Tensor)):
        return X
    if hasattr(X, "to_numpy"):  # data frames
        return np.asarray(without_mask(X.to_numpy(), name))
    if not isinstance(X, (list, tuple)):
        raise TypeError(
            f"{name} must be a tensor, numpy array or list of rows, not {type(X).__name__}"
        )
    try:
        return np.asarray(X)
    except ValueError:
        raise ValueError(f"{name} must be a table, but its rows differ in length") from None


def check_no_times(X: Any, name: str) -> None:
    """Raises TypeError for dates and durations, which numpy would convert to numbers of any unit."""
    dtypes = getattr(X, "dtypes", None)  # of data frames
    known: list[Any] = [getattr(X, "dtype", None)] if dtypes is None else list(dtypes)
    for dtype in known:
        kind = {"M": "datetime", "m": "timedelta"}.get(getattr(dtype, "kind", ""))
        if kind is not None:
            raise TypeError(
                f"{name} has dtype {dtype} (convert it to numbers of a unit, e.g. with "
                f".astype('{kind}64[s]').astype(int)), but {_ACCEPTED}"
            )


def _check_dtype(table: TensorLike | sources.Source, name: str) -> None:
    if isinstance(table, torch.Tensor):
        known = not (table.is_complex() or table.is_quantized)
    else:
        check_no_times(table, name)
        dtype: Any = table.dtype
        known = np.dtype(dtype).kind in "biuf"
    if not known:
        hint = " (convert it with .astype(float))" if str(table.dtype) == "object" else ""
        raise TypeError(f"{name} has dtype {table.dtype}{hint}, but {_ACCEPTED}")


def _check_shape(table: TensorLike | sources.Source, name: str, min_rows: int) -> None:
    shape = tuple(table.shape)
    if shape[:1] == (0,) and min_rows > 0:
        raise ValueError(f"{name} is empty (shape {shape})")
    if len(shape) != 2:
        hint = "reshape((len(X), -1)) makes one row of each item"
        if len(shape) == 1:
            hint = "reshape(-1, 1) makes it one column, reshape(1, -1) one row"
        advice = f": {hint}" if shape else ""
        raise ValueError(
            f"{name} must have two dimensions, rows and columns, but has shape {shape}{advice}"
        )
    if shape[0] < min_rows:
        raise ValueError(f"{name} must have at least {min_rows} rows, but has shape {shape}")
    if shape[1] == 0:
        raise ValueError(f"{name} must have at least 1 column, but has shape {shape}")


def check_finite(
    rows: TensorLike,
    name: str,
    first: int = 0,
    *,
    columns: Sequence[str] = (),
    missing_ok: bool = False,
) -> None:
    """Raises if rows, of which the first has number `first`, hold what is not finite in float32.

    With `missing_ok`, NaN stands for what is missing. Errors name a column as `columns` does.
    """
    if isinstance(rows, torch.Tensor):
        floating = rows.is_floating_point()
    else:
        floating = rows.dtype.kind == "f"
    if floating and missing_ok:
        if isinstance(rows, torch.Tensor):
            rows = rows.masked_fill(rows.isnan(), 0.0)
        else:
            rows = np.where(np.isnan(rows), rows.dtype.type(0), rows)
    bad = _first_bad_row(rows) if floating else None
    if bad is not None:
        values = np.asarray(rows[bad].tolist())
        with np.errstate(over="ignore"):
            column = int(np.argmin(np.isfinite(values.astype(np.float32))))
        raise ValueError(
            f"{name} must hold finite float32 values, but row {first + bad} has "
            f"{values[column]} in column {repr(columns[column]) if columns else column}: remove or "
            "replace such rows"
        )


def _first_bad_row(chunk: TensorLike) -> int | None:
    # All work is done in float32, so larger values count as infinite. A finite sum proves that all
    # are finite; sums that overflow are looked at more closely.
    if isinstance(chunk, torch.Tensor):
        values = chunk.detach().to(torch.float32)
        if bool(torch.isfinite(values.sum())):
            return None
        finite: Array = torch.isfinite(values).all(dim=1).cpu().numpy()
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            floats: Array = chunk.astype(np.float32, copy=False)
            if np.isfinite(floats.sum()):
                return None
        finite = np.asarray(np.isfinite(floats).all(axis=1))
    return None if finite.all() else int(np.argmin(finite))


def check_option(value: _T, allowed: Iterable[Any], name: str) -> _T:
    """The value, if it is one of those allowed.

    Raises
    ------
    ValueError
        If it is not, listing those that are.
    """
    options = list(allowed)
    for option in options:
        if isinstance(value, type(option)) and value == option:
            return value
    known = ", ".join(repr(option) for option in options)
    raise ValueError(f"{name} must be one of {known}, not {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))


def check_integer(value: Any, name: str, *, minimum: int, maximum: int | None = None) -> int:
    """The value as an int, if it is a whole number in [minimum, maximum].

    Raises
    ------
    TypeError
        If it is no number, or a bool.
    ValueError
        If it is not whole, or outside the range.
    """
    bounds = f">= {minimum}" if maximum is None else f"in [{minimum}, {maximum}]"
    wanted = f"{name} must be an integer {bounds}"
    if not _is_number(value):
        raise TypeError(f"{wanted}, not {value!r}")
    number = int(value) if math.isfinite(value) else None
    if number is None or number != value or number < minimum:
        raise ValueError(f"{wanted}, not {value}")
    if maximum is not None and number > maximum:
        raise ValueError(f"{wanted}, not {value}")
    return number


def check_positive(value: Any, name: str, *, zero_ok: bool = False) -> float:
    """The value as a float, if it is finite and positive, or zero where that is accepted.

    Raises
    ------
    TypeError
        If it is no number, or a bool.
    ValueError
        If it is negative, zero where that is not accepted, infinite or NaN.
    """
    wanted = f"{name} must be a finite number {'>= 0' if zero_ok else '> 0'}"
    if not _is_number(value):
        raise TypeError(f"{wanted}, not {value!r}")
    number = float(value)
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero_ok):
        raise ValueError(f"{wanted}, not {value}")
    return number


def check_type(value: Any, kind: type[_T], name: str) -> _T:
    """The value, if it is of a type.

    Raises
    ------
    TypeError
        If it is of another.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, not {type(value).__name__}")
    return value


def check_list(values: Any, name: str) -> list[Any]:
    """The values as a list, if they are a sequence or an array, but not text.

    Raises
    ------
    TypeError
        If they are not.
    """
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a list, not {values!r}")
    return list(values)


def check_callable(value: _T, name: str) -> _T:
    """The value, if it can be called.

    Raises
    ------
    TypeError
        If it cannot.
    """
    if not callable(value):
        raise TypeError(f"{name} must be callable, not {value!r}")
    return value


def check_key(value: Any, name: str) -> str:
    """The value, if it is a string that is not empty.

    Raises
    ------
    TypeError, ValueError
        If it is none, or empty.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {value!r}")
    if not value:
        raise ValueError(f"{name} must not be empty")
    return value


def check_parameter(value: float | torch.Tensor, name: str) -> float | torch.Tensor:
    """The value, if it is a positive number or a tensor of one floating-point number.

    Raises
    ------
    TypeError, ValueError
        If it is neither. A tensor's value is left unread: it may be trained, or on a device.
    """
    if isinstance(value, torch.Tensor):
        if value.numel() != 1 or not value.is_floating_point():
            raise ValueError(
                f"{name} must be a number or a tensor of one floating-point number, not a tensor "
                f"of shape {tuple(value.shape)} and dtype {value.dtype}"
            )
        return value
    check_positive(value, name)
    return value


def first_doubled(keys: Iterable[str]) -> str | None:
    """The first key that came before, None if each is there once."""
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    return None
