"""What is told of the point under the pointer: columns of one value a point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastparadime.types import Array
from fastparadime.utils._classes import check_labels


def hover_columns(given: Any, drawn: Array, name: str) -> dict[str, Array]:
    """The columns' values for the points that are drawn; None where they are unknown.

    Parameters
    ----------
    given : list of n names, mapping of columns, data frame or None
        A list becomes the column ``"name"``.
    drawn : bool (n,)
    name : str
        Of the argument.

    Raises
    ------
    TypeError, ValueError
        For what is none of these, and for columns that have not one value a point.
    """
    if given is None:
        return {}
    if hasattr(given, "columns"):
        columns = {str(column): given[column].to_numpy() for column in given.columns}
    elif isinstance(given, Mapping):
        columns = {str(column): values for column, values in given.items()}
    else:
        columns = {"name": given}
    found = {}
    for column, values in columns.items():
        if isinstance(values, str) or not hasattr(values, "__len__"):
            raise TypeError(
                f"{name} must be a list of names, a mapping of columns or a data frame, but "
                f"{column!r} is {type(values).__name__}"
            )
        shown, known = check_labels(values, len(drawn), f"{name}[{column!r}]")
        if not known.all():
            shown = shown.astype(object)
            shown[~known] = None
        found[column] = shown[drawn]
    return found
