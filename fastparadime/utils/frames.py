"""Data frames of any library: the array of their rows, and the names of their columns.

Libraries are told apart by narwhals, which imports none of them.
"""

from __future__ import annotations

import numbers
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import torch

from fastparadime.types import Array

_MOST_LISTED = 5  # names in a message
_ENCODE = (
    "give it as numbers, e.g. with pandas.get_dummies or sklearn.preprocessing.OneHotEncoder, or "
    "leave it out"
)
_TIMES = (nw.Date, nw.Datetime, nw.Duration, nw.Time)
_ENCODED = (nw.Categorical, nw.Enum, nw.String, nw.Binary)


@dataclass(frozen=True, repr=False)
class NamedRows:
    """Rows with names of their columns, taken wherever a data frame is.

    Attributes
    ----------
    values : array (n, d)
        Of bool, integers or floats; CSR where all columns of a frame are sparse.
    columns : tuple of str
        d distinct names; empty where columns have none.

    Raises
    ------
    ValueError
        If `values` has no two dimensions, or `columns` as many names as columns, all distinct.
    TypeError
        If a name is not a string.
    """

    values: Any
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        shape = tuple(getattr(self.values, "shape", ()))
        if len(shape) != 2:
            raise ValueError(f"values must have two dimensions, but has shape {shape}")
        for column in self.columns:
            if not isinstance(column, str):
                raise TypeError(f"columns must hold strings, not {column!r}")
        if self.columns and len(self.columns) != shape[1]:
            raise ValueError(
                f"columns must name the {shape[1]} columns of values, but holds "
                f"{len(self.columns)} names"
            )
        if len(set(self.columns)) < len(self.columns):
            raise ValueError("columns must hold distinct names")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        n, d = self.values.shape
        return n, d

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        named = f", columns={_listed(self.columns)}" if self.columns else ""
        return f"NamedRows({self.shape[0]} x {self.shape[1]} {self.values.dtype}{named})"


def is_frame(X: object) -> bool:
    """Whether `X` is a frame, a column of one, or `NamedRows`."""
    return (
        isinstance(X, (NamedRows, nw.LazyFrame))
        or nw.dependencies.is_into_dataframe(_known(X))
        or nw.dependencies.is_into_series(_known(X))
        or _is_lazy(X)
    )


def rows_and_names(X: Any, name: str = "X") -> tuple[Any, tuple[str, ...]]:
    """The values of an argument without its frame, and the names of its columns.

    Parameters
    ----------
    X : object
        Frames of pandas, polars, pyarrow and whatever else narwhals knows, their columns, and
        `NamedRows`; anything else is returned as it is, without names. A column of lists, alone in
        its frame or by itself, is a table of vectors.
    name : str
        What errors call it.

    Returns
    -------
    values : array (n, d), or (n,) of a column of numbers
        Of the dtype that holds all columns; what is missing is NaN. Of a frame of one dtype the
        memory is shared where its library does so. CSR where all columns are sparse.
    columns : tuple of str
        Empty where they have no names, or names that are no strings.

    Raises
    ------
    TypeError
        For columns of text, categories or times, for lazy frames, and for AnnData, with what to do.
    ValueError
        For vectors that differ in length or are missing, and for doubled names.
    """
    if isinstance(X, (np.ndarray, torch.Tensor)):
        return X, ()
    if isinstance(X, NamedRows):
        return X.values, X.columns
    X = _known(X)
    if nw.dependencies.is_into_dataframe(X):
        return _table(X, name)
    if nw.dependencies.is_into_series(X):
        return _column(nw.from_native(X, series_only=True), f"{name} "), ()
    if isinstance(X, nw.LazyFrame) or _is_lazy(X):
        compute = "collect" if hasattr(X, "collect") else "compute"
        raise TypeError(f"{name} is a lazy {type(X).__name__}: read it first with .{compute}()")
    check_not_annotated(X, name)
    return X, ()


def order_of(columns: Sequence[str], expected: Sequence[str], name: str = "X") -> list[int] | None:
    """Where the expected columns are among those there are; None if they are in order already.

    Raises
    ------
    ValueError
        For columns that are missing, and for others.
    """
    if tuple(columns) == tuple(expected):
        return None
    places = {column: place for place, column in enumerate(columns)}
    wrong = {
        "lacks": [column for column in expected if column not in places],
        "has besides": [column for column in columns if column not in set(expected)],
    }
    problems = [f"{verb} {_listed(found)}" for verb, found in wrong.items() if found]
    if problems:
        raise ValueError(
            f"{name} must have the {len(expected)} columns that the model was trained on, in any "
            f"order, but {' and '.join(problems)}"
        )
    return [places[column] for column in expected]


def check_not_annotated(X: Any, name: str) -> None:
    """Raises TypeError for AnnData and its like, which hold many tables, with those that there are."""
    if not all(hasattr(X, part) for part in ("obs", "obsm", "var", "n_obs")):
        return
    known = [str(key) for key in X.obsm]
    advice = f"use adata.obsm[{known[0] if len(known) == 1 else '...'!r}]"
    if known:
        others = f", which has {_listed(known)}" if len(known) > 1 else ""
        advice = advice.replace("'...'", "...") + others
    else:
        advice = "use adata.obsm[...] once scanpy.pp.pca(adata) has filled it, or adata.X"
    raise TypeError(f"{name} is of the type {type(X).__name__}, which holds many tables: {advice}")


def _known(X: Any) -> Any:
    """Arrow's arrays and record batches as the chunked ones that narwhals knows."""
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is not None and isinstance(X, pyarrow.RecordBatch):
        return pyarrow.Table.from_batches([X])
    if pyarrow is not None and isinstance(X, pyarrow.Array):
        return pyarrow.chunked_array([X])
    return X


def _is_lazy(X: object) -> bool:
    dependencies = nw.dependencies
    return dependencies.is_polars_lazyframe(X) or dependencies.is_dask_dataframe(X)


def _listed(names: Sequence[object]) -> str:
    shown = ", ".join(repr(name) for name in names[:_MOST_LISTED])
    left = len(names) - _MOST_LISTED
    return f"{shown} and {left} more" if left > 0 else shown


def _table(X: Any, name: str) -> tuple[Any, tuple[str, ...]]:
    native = X.to_native() if isinstance(X, nw.DataFrame) else X
    labels = _labels_of(native, name)
    columns = _names_of(labels, name)
    if not labels:
        return np.empty(native.shape), ()
    is_pandas = nw.dependencies.is_pandas_dataframe(native)
    if is_pandas and all(_is_sparse(dtype) for dtype in native.dtypes):
        return native.sparse.to_coo().tocsr(), columns
    if is_pandas and not columns:  # narwhals wants strings
        native = native.set_axis([str(place) for place in range(len(labels))], axis=1, copy=False)
    frame: nw.DataFrame[Any] = nw.from_native(native, eager_only=True)
    if _is_plain(frame, native):
        return frame.to_numpy(), columns
    parts = [
        _column(frame[column], f"column {label!r} of {name} ")
        for column, label in zip(frame.columns, labels, strict=True)
    ]
    vectors = [label for label, part in zip(labels, parts, strict=True) if part.ndim > 1]
    if vectors and len(labels) > 1:
        raise TypeError(
            f"column {vectors[0]!r} of {name} holds vectors beside other columns: give that column "
            "alone, or its values in columns of their own"
        )
    if vectors:
        return parts[0], ()
    values = np.empty((len(parts[0]), len(parts)), np.result_type(*parts))
    for place, part in enumerate(parts):
        values[:, place] = part
    return values, columns


def _is_sparse(dtype: Any) -> bool:
    return type(dtype).__name__ == "SparseDtype" and bool(dtype.fill_value == 0)


def _is_plain(frame: nw.DataFrame[Any], native: Any) -> bool:
    """Whether a frame becomes an array at once: numbers of one dtype, nothing missing."""
    if nw.dependencies.is_pandas_dataframe(native):
        kind = native.dtypes.iloc[0]
        plain = isinstance(kind, np.dtype) and kind.kind in "biuf"
        return plain and bool((native.dtypes == kind).all())
    dtypes = set(frame.schema.values())
    dtype = dtypes.pop()
    plain = dtype.is_integer() or dtype.is_float() or dtype == nw.Boolean
    return not dtypes and plain and not any(series.null_count() for series in frame.iter_columns())


def _labels_of(native: Any, name: str) -> list[Any]:
    """The names of columns as the frame has them; narwhals refuses those that are doubled."""
    labels = list(getattr(native, "column_names", native.columns))
    doubled = next((label for at, label in enumerate(labels) if label in labels[:at]), None)
    if doubled is not None:
        raise ValueError(f"{name} has two columns {doubled!r}: names must be distinct")
    return labels


def _names_of(labels: list[Any], name: str) -> tuple[str, ...]:
    strings = [isinstance(label, str) for label in labels]
    if all(strings):
        return tuple(labels)
    if any(strings):
        other = type(labels[strings.index(False)]).__name__
        raise TypeError(
            f"{name} has names of columns that are strings and some that are {other}: make all "
            "strings, e.g. by X.columns = X.columns.astype(str)"
        )
    return ()


def _column(series: nw.Series[Any], what: str) -> Array:
    """The array (n,) of a column of numbers, (n, width) of one of vectors."""
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
    if series.dtype == nw.List:
        lengths = series.list.len().to_numpy()
        _check_lengths(lengths, what)
        if is_polars:
            return _numbers(native.list.to_array(int(lengths[0])).to_numpy(), what)
    # Arrow keeps the values of all lists one after the other.
    flat = series.to_arrow().flatten().to_numpy(zero_copy_only=False)
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
