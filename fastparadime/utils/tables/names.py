"""Kinds of columns, and how names of columns are listed and looked up."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fastparadime.utils.tables.raw import Raw, Reading

UNNAMED = ("", "Unnamed: 0", "__index_level_0__")  # by pandas, in text and in other files
_LISTED = 10
_FEW_ROWS = 3  # below which a column may count them by chance


def kind_of(dtype: Any) -> str:
    """``"number"``, ``"vector"``, ``"text"`` or the name of another type of Arrow's."""
    from pyarrow import types

    if hasattr(dtype, "storage_type"):
        if len(getattr(dtype, "shape", ())) > 1:  # of a tensor, as of nested lists
            return str(dtype)
        dtype = dtype.storage_type
    if types.is_dictionary(dtype):
        dtype = dtype.value_type
    tests = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
    if any(test(dtype) for test in tests):
        return "number"
    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    if any(test(dtype) for test in lists):
        return "vector" if kind_of(dtype.value_type) == "number" else str(dtype)
    texts = (types.is_string, types.is_large_string, getattr(types, "is_string_view", lambda _: 0))
    return "text" if any(test(dtype) for test in texts) else str(dtype)


def listed(names: Iterable[str]) -> str:
    """Names in quotes, some of many."""
    names = list(names)
    rest = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(repr, names[:_LISTED])) + rest


def counts_rows(raw: Raw, name: str) -> bool:
    """Whether a column has no name, or has 0, 1, 2, ... or 1, 2, 3, ... in its rows."""
    from pyarrow import types

    if name in UNNAMED:
        return True
    column = raw.frame.column(name)
    if not types.is_integer(column.type) or column.null_count or len(column) < _FEW_ROWS:
        return False
    values = column.to_numpy()
    return bool(values[0] in (0, 1) and (np.diff(values) == 1).all())


def one_of(
    wanted: str | None, names: Sequence[str], raw: Raw, option: str, reading: Reading
) -> str | None:
    if wanted is None:
        return None
    if wanted in names:
        return wanted
    close = difflib.get_close_matches(wanted, names, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {listed(names) or 'none'}"
    raise ValueError(f"{reading.option(option)}: {raw.source} has no column {wanted!r}; {hint}")


def resolved(
    wanted: Sequence[str], names: Sequence[str], raw: Raw, option: str, reading: Reading
) -> list[str]:
    """Names, patterns and lists of them with commas as the columns that they mean."""
    found: list[str] = []
    for item in wanted:
        for name in [item] if item in names else item.split(","):
            matches = [name] if name in names else fnmatch.filter(names, name)
            found += matches or [str(one_of(name, names, raw, option, reading))]
    return list(dict.fromkeys(found))
