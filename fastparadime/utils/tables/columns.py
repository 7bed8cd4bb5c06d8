"""Columns of Arrow as numpy's arrays: numbers, lists, labels."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from fastparadime.types import Array
from fastparadime.utils.centring import centre_of, some_rows
from fastparadime.utils.tables.names import kind_of
from fastparadime.utils.tables.raw import Raw

_ZEROS = re.compile(r"0+[1-9]\d*|0{2,}").fullmatch
_POINT_ZERO = re.compile(r"[-+]?(0|[1-9]\d*)\.0+").fullmatch
_NARROW = (np.bool_, np.uint8, np.int8, np.float16, np.float32)


def numbers(raw: Raw, names: list[str]) -> Array:
    """Columns of numbers as a table (n, d), NaN where a cell is missing.

    Returns
    -------
    array
        Of the columns' dtype if all have one of at most a byte, or are halves or floats, else
        float64.
    """
    columns = [_plain(raw.frame.column(name)) for name in names]
    dtypes = {column.type.to_pandas_dtype() for column in columns}
    whole = not any(column.null_count for column in columns)
    one = next(iter(dtypes)) if len(dtypes) == 1 else np.float64
    narrow = one in _NARROW and (whole or np.issubdtype(one, np.floating))
    table = np.empty((raw.rows, len(names)), one if narrow else np.float64)
    for place, column in enumerate(columns):
        table[:, place] = (
            column.to_numpy(zero_copy_only=False)
            if column.null_count == 0
            else (column.cast("float64", safe=False).to_numpy(zero_copy_only=False))
        )
    return table


def far_from_zero(table: Array) -> bool:
    """Whether float32 would drop digits of columns far from zero."""
    some = some_rows(table)
    with np.errstate(invalid="ignore", over="ignore"):
        return centre_of(np.where(np.isfinite(some), some, 0.0)) is not None


def _plain(column: Any) -> Any:
    """A column of numbers of a type that numpy has."""
    from pyarrow import types

    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if types.is_decimal(column.type) or types.is_null(column.type):
        column = column.cast("float64")
    return column


def vectors(raw: Raw, name: str) -> Array:
    """A column of lists of numbers as a table (n, d) of the dtype of their items.

    Raises
    ------
    ValueError
        For lists of several lengths and for missing ones, naming the row.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = raw.frame.column(name)
    if hasattr(column.type, "storage_type"):
        stored = column.type.storage_type
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], stored)
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    if column.null_count:
        row = int(np.argmax(np.isnan(lengths.astype(float))))
        raise ValueError(f"column {name!r} of {raw.source} has no list in {raw.place(row)}")
    odd = np.flatnonzero(lengths != lengths[:1])
    if len(odd):
        raise ValueError(
            f"column {name!r} of {raw.source} has lists of several lengths: {int(lengths[0])} in "
            f"{raw.place(0)}, {int(lengths[odd[0]])} in {raw.place(int(odd[0]))}"
        )
    items = _plain(pc.list_flatten(column))
    if items.null_count:
        items = items.cast("float64", safe=False)
    flat = items.to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(flat).reshape(raw.rows, -1)


def plain_column(raw: Raw, name: str) -> Array:
    """A column of any kind as numpy has it: text and what is missing as objects."""
    import pyarrow as pa

    if raw.frame is None or name not in raw.frame.column_names:
        place = (raw.names or ()).index(name)
        column: Array = np.asarray(raw.matrix[:, place])
        return column
    found = raw.frame.column(name)
    if pa.types.is_dictionary(found.type):
        found = found.cast(found.type.value_type)
    if kind_of(found.type) == "number":
        found = _plain(found)
    if found.null_count and pa.types.is_integer(found.type):
        objects = np.empty(len(found), object)
        objects[:] = found.to_pylist()
        return objects
    if kind_of(found.type) in ("number", "text") and not found.null_count:
        values: Array = found.to_numpy(zero_copy_only=False)
        return values.astype(str) if values.dtype == object else values
    return np.asarray(found.to_numpy(zero_copy_only=False))


def one_hot(
    raw: Raw, name: str, cells: Array, known: tuple[str, ...], fill: str | None = None
) -> tuple[Array, int]:
    """The cells of a column of categories as columns of 0 and 1, and how many cells are none of those known.

    Raises
    ------
    ValueError
        If a number is the text of a category but for its zeros at the left.
    """
    matches = {cell: _matched(cell, known) for cell in set(cells) - {None}}
    cells = np.array([matches.get(cell) for cell in cells], object)
    if kind_of(raw.frame.schema.field(name).type) == "number":
        short = {text.lstrip("0"): text for text in known if _ZEROS(text)}
        row = next((i for i, cell in enumerate(cells) if cell in short and cell not in known), None)
        if row is not None:
            raise ValueError(
                f"column {name!r} of {raw.source} has the number {cells[row]} in {raw.place(row)}, "
                f"but the model knows the text {short[cells[row]]!r}: write its categories as text"
            )
    cells = np.array([fill if cell is None else cell for cell in cells], object)
    table: Array = cells[:, None] == np.asarray(known, dtype=object)[None, :]
    unknown = int((~table.any(axis=1) & (cells != None)).sum())
    return table.astype(np.float32), unknown


def _matched(cell: str, known: tuple[str, ...]) -> str:
    """The category that a cell is, by its text or else as a number: 1.0 is 1."""
    if cell in known:
        return cell
    alike = [text for text in known if _whole(text) == _whole(cell)]
    return alike[0] if len(alike) == 1 else cell


def _whole(text: str) -> str:
    """The text of a number, without .0 where it is whole."""
    return text.partition(".")[0] if _POINT_ZERO(text) else text


def category_cells(raw: Raw, name: str) -> Array:
    """Categories as text, whole numbers without .0, None where missing."""
    import pyarrow as pa

    column = raw.frame.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    cells = np.empty(len(column), object)
    # Of numbers what is no number is missing.
    given = [None if value != value else value for value in column.to_pylist()]  # noqa: PLR0124
    number = kind_of(column.type) == "number"
    texts = [value if value is None else str(value) for value in given]
    cells[:] = [_whole(text) if number and text is not None else text for text in texts]
    return cells
