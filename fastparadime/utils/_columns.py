"""One column of a data frame as an array of numbers, or of vectors."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np

from fastparadime.types import Array

_ENCODE = (
    "give it as numbers, e.g. with pandas.get_dummies or sklearn.preprocessing.OneHotEncoder, or "
    "leave it out"
)
_TIMES = (nw.Date, nw.Datetime, nw.Duration, nw.Time)
_ENCODED = (nw.Categorical, nw.Enum, nw.String, nw.Binary)


def column_values(series: nw.Series[Any], what: str) -> Array:
    """The array (n,) of a column of numbers, (n, width) of one of vectors; missing ones are NaN.

    Parameters
    ----------
    series : narwhals.Series
    what : str
        What errors begin with, such as "column 'a' of X ".

    Raises
    ------
    TypeError
        For text, categories, times, records and other objects.
    ValueError
        For vectors that differ in length or are missing.
    """
    series = _without_its_name(series, what)
    dtype = series.dtype
    if dtype in _ENCODED:
        raise TypeError(f"{what}holds {_kind_of(dtype)}: {_ENCODE}")
    if dtype in _TIMES:
        raise TypeError(
            f"{what}has dtype {dtype}: convert it to numbers of a unit, e.g. in pandas with "
            ".astype('datetime64[s]').astype(int)"
        )
    if dtype in (nw.List, nw.Array):
        return _vectors(series, what)
    if dtype == nw.Struct:
        raise TypeError(f"{what}has dtype {dtype}: give its fields in columns of their own")
    if dtype == nw.Object:
        return _of_objects(series.to_list(), dtype, what)
    if series.null_count() and not dtype.is_float():
        series = series.cast(nw.Float64)
    if dtype.is_decimal():
        series = series.cast(nw.Float64)
    values: Array = np.asarray(series.to_numpy())
    return values if values.dtype.kind in "biuf" else _of_objects(series.to_list(), dtype, what)


def _without_its_name(series: nw.Series[Any], what: str) -> nw.Series[Any]:
    """A column of a type that Arrow gives another name, such as vectors as tensors, as it is stored."""
    native = series.to_native()
    kind: Any = getattr(native, "type", None)
    if not hasattr(kind, "storage_type"):
        return series
    shape = list(getattr(kind, "shape", ()))
    if len(shape) > 1:
        raise TypeError(f"{what}holds tensors of shape {shape}: they must be vectors")
    import pyarrow as pa

    stored = pa.chunked_array([chunk.storage for chunk in native.chunks], kind.storage_type)
    return nw.from_native(stored, series_only=True)


def _kind_of(dtype: nw.dtypes.DType) -> str:
    if dtype in (nw.String, nw.Binary):
        return f"text (dtype {dtype})"
    return f"categories (dtype {type(dtype).__name__})"


def _of_objects(values: list[Any], dtype: Any, what: str) -> Array:
    """Numbers, or vectors, of a column that does not say what it holds."""
    known = [value for value in values if value is not None]
    if known and isinstance(known[0], (list, tuple, np.ndarray)):
        return _stacked(values, what)
    odd = next((value for value in known if not isinstance(value, numbers.Real)), None)
    if odd is not None:
        raise TypeError(
            f"{what}has dtype {dtype} and holds {odd!r} ({type(odd).__name__}): {_ENCODE}"
        )
    if len(known) < len(values):
        return np.array([np.nan if value is None else value for value in values], float)
    return np.array(values) if known else np.empty(0)


def _vectors(series: nw.Series[Any], what: str) -> Array:
    """The table (n, width) of a column whose dtype is one of lists."""
    if not len(series):
        return np.empty((0, 0))
    if series.null_count():
        missing = int(np.argmax(series.is_null().to_numpy()))
        raise ValueError(f"{what}holds no vector in row {missing}: leave out such rows")
    native = series.to_native()
    is_polars = nw.dependencies.is_polars_series(native)
    if series.dtype == nw.Array and is_polars:
        return _numbers(native.to_numpy(), what)
    if is_polars:
        lengths = native.list.len().to_numpy()
        _check_lengths(lengths, what)
        return _numbers(native.list.to_array(int(lengths[0])).to_numpy(), what)
    import pyarrow.compute as pc

    arrow = series.to_arrow()  # in chunks where pandas has joined some
    if series.dtype == nw.List:
        _check_lengths(np.asarray(pc.list_value_length(arrow)), what)
    flat = np.asarray(pc.list_flatten(arrow))
    return _numbers(flat.reshape(len(series), -1), what)


def _stacked(rows: Sequence[Any], what: str) -> Array:
    _check_lengths(np.array([-1 if row is None else len(row) for row in rows]), what)
    return _numbers(np.stack([np.asarray(row) for row in rows]), what)


def _check_lengths(lengths: Array, what: str) -> None:
    """Raises ValueError for vectors of more than one length, or none, which is -1."""
    odd = int(np.argmax((lengths != lengths[0]) | (lengths < 0)))
    if lengths[odd] < 0:
        raise ValueError(f"{what}holds no vector in row {odd}: leave out such rows")
    if lengths[odd] != lengths[0]:
        raise ValueError(
            f"{what}holds vectors of more than one length: {lengths[0]} values in row 0, "
            f"{lengths[odd]} in row {odd}"
        )


def _numbers(table: Array, what: str) -> Array:
    if table.dtype.kind not in "biuf":
        raise TypeError(f"{what}holds vectors of dtype {table.dtype}: they must hold numbers")
    return table
