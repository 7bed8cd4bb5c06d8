"""Lists of numbers that a file holds as text, ``[0.1, 0.2]`` or ``0.1 0.2``, as lists."""

from __future__ import annotations

import fnmatch
from dataclasses import replace
from typing import Any

from fastparadime.utils.tables.names import kind_of
from fastparadime.utils.tables.raw import Raw, Reading
from fastparadime.utils.tables.recipe import Recipe
from fastparadime.utils.tables.roles import Choice

_SAMPLE = 20  # cells that show what a column holds
_NUMBER = r"([-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?inf|nan|NaN|None|null)"
_BETWEEN = r"(\s*,\s*|\s+)"
_ITEMS = rf"{_NUMBER}({_BETWEEN}{_NUMBER})*"
# (4) and (1,234) are rather negative numbers than tuples.
_BRACKETED = rf"^\s*(\[\s*{_ITEMS}\s*,?\s*\]|\(\s*{_NUMBER}(\s*,\s+{_NUMBER})+\s*,?\s*\))\s*$"
_BARE = rf"^\s*{_NUMBER}({_BETWEEN}{_NUMBER})+\s*$"
_ABBREVIATED = r"(?s)^\s*[\[(].*\s\.\.\.[\s,].*[\])]\s*$"  # as numpy prints long arrays
_DECIMALS = r"\d\.\d*[\s,].*\d\.\d"


def with_lists(raw: Raw, choice: Choice, recipe: Recipe | None, reading: Reading) -> Raw:
    """The content with lists in the columns whose text is lists of numbers.

    Those are the column that is asked for, and others by what their first cells hold, but for those
    that have another role, and none where a `recipe` takes columns of numbers.

    Raises
    ------
    ValueError
        For a cell that is no list among others that are, naming the row.
    """
    if raw.frame is None or raw.matrix is not None or (recipe is not None and recipe.columns):
        return raw
    vector = choice.vector or (recipe.vector if recipe is not None else None)
    frame, found = raw.frame, []
    for place, name in enumerate(frame.column_names):
        if kind_of(frame.schema.field(place).type) != "text":
            continue
        texts = _plain_text(frame.column(place))
        if name == vector or (_may_be_vector(name, choice, reading) and _holds_lists(texts)):
            frame = frame.set_column(place, name, _parsed(raw, name, texts, reading))
            found.append(name)
    notes = [f"{name!r} of {raw.source} is read as lists of numbers, from text" for name in found]
    return replace(raw, frame=frame, notes=[*raw.notes, *notes])


def _may_be_vector(name: str, choice: Choice, reading: Reading) -> bool:
    dropped = [part for item in choice.drop for part in (item, *item.split(","))]
    taken = reading.is_name(name) or any(fnmatch.fnmatchcase(name, part) for part in dropped)
    return not (taken or choice.columns or choice.vector)


def _plain_text(column: Any) -> Any:
    from pyarrow import types

    return column.cast(column.type.value_type) if types.is_dictionary(column.type) else column


def _holds_lists(texts: Any) -> bool:
    import pyarrow.compute as pc

    some = texts.drop_null()[:_SAMPLE]

    def alike(pattern: str) -> int:
        return int(pc.sum(pc.match_substring_regex(some, pattern)).as_py() or 0)

    # Bare numbers may be dates or have spaces between thousands, unless several have decimals.
    bare = alike(_BARE) == len(some) and alike(_DECIMALS) > 0
    return bare or 0 < len(some) <= 2 * (alike(_BRACKETED) + alike(_ABBREVIATED))


def _parsed(raw: Raw, name: str, texts: Any, reading: Reading) -> Any:
    """The lists of a column, with what is missing in them, as a column of lists."""
    import pyarrow as pa
    import pyarrow.compute as pc

    alike = pc.match_substring_regex(texts, f"{_BRACKETED}|^\\s*{_ITEMS}\\s*$")
    if pc.any(pc.invert(alike)).as_py():
        row = pc.index(alike, False).as_py()
        cell = str(texts[row].as_py())
        why = "which is no list of numbers"
        if pc.match_substring_regex(cell, _ABBREVIATED).as_py():
            why = "which numpy has abbreviated: the numbers are lost, write the array's tolist()"
        raise ValueError(
            f"cannot read {raw.source} as a table of numbers: column {name!r} has "
            f"{cell[:60]!r} in {raw.place(row)}, {why}; {reading.option('drop', name)} leaves it out"
        )
    items = pc.split_pattern_regex(pc.utf8_trim(texts, "[]() ,\t\r\n"), _BETWEEN)
    columns = []
    for chunk in items.chunks:
        words = pc.if_else(pc.is_in(chunk.values, pa.array(["None", "null"])), "nan", chunk.values)
        numbers = words.cast(pa.float64())
        columns.append(pa.ListArray.from_arrays(chunk.offsets, numbers, mask=chunk.is_null()))
    return pa.chunked_array(columns, pa.list_(pa.float64()))
