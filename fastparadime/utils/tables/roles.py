"""Which columns are features, which is the label, and which are left out, with the reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fastparadime.utils.tables.names import UNNAMED, counts_rows, kind_of, listed, one_of, resolved
from fastparadime.utils.tables.raw import Raw, Reading
from fastparadime.utils.tables.recipe import Recipe

_NUMBER = r"^\s*[-+]?(\d+[{0}]?\d*|[{0}]\d+)([eE][-+]?\d+)?\s*$"  # with its decimal mark
_GROUPED = r"\d{1,3}([,.' \xa0]\d{3})+([.,]\d+)?"
_PLAIN = r"(\d+[.,]?\d*|[.,]\d+)"
# Numbers as people write them in spreadsheets: what is wrong, and what to write.
_FOREIGN = {
    rf"^\s*[-+]?{_GROUPED}\s*$": (
        "with a thousands separator, which numbers must be written without"
    ),
    rf"^\s*[-+]?({_GROUPED}|{_PLAIN})\s*%\s*$": (
        "with a percent sign, which numbers must be written without: 12.5 or 0.125 for 12.5%"
    ),
    rf"^\s*\(({_GROUPED}|{_PLAIN})\s*%?\)\s*$": (
        "a negative number in parentheses, which must be written with a minus: -5 for (5)"
    ),
}


@dataclass(frozen=True)
class Choice:
    """What the user says of columns; names may be patterns, as ``pixel*``."""

    columns: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    label: str | None = None
    id: str | None = None
    vector: str | None = None


@dataclass
class Roles:
    """Columns by what they are for.

    Attributes
    ----------
    numbers : list of str
        Features that are numbers, of the frame or of the matrix.
    categories : list of str
        Those of which one-hot columns are made.
    vector : str or None
        The column of lists whose items are the features.
    label, id : str or None
    left_out, dropped : list of str
        Columns that are no features, and those that the user left out.
    notes : list of str
    """

    numbers: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    vector: str | None = None
    label: str | None = None
    id: str | None = None
    left_out: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def assign(raw: Raw, choice: Choice, reading: Reading) -> Roles:
    """The roles of a table's columns when a model is fitted.

    Raises
    ------
    TypeError, ValueError
        For names that are not there, and columns that are no numbers, with what to do.
    """
    of_frame = _names_of_frame(raw)
    names = [*(raw.names or ()), *of_frame]
    given = [name for name in ("columns", "drop", "categories") if getattr(choice, name)]
    if given and raw.matrix is not None and raw.names is None:
        raise ValueError(
            f"{raw.source} has no names of columns, which {reading.option(given[0])} could choose by"
        )
    roles = Roles()
    roles.label = one_of(choice.label, names, raw, "label_column", reading)
    roles.id = one_of(choice.id, names, raw, "id_column", reading)
    chosen = resolved(choice.columns, names, raw, "columns", reading)
    roles.dropped = dropped = resolved(choice.drop, names, raw, "drop", reading)
    roles.categories = resolved(choice.categories, names, raw, "categories", reading)
    taken = {roles.label, roles.id, *dropped, *roles.categories}
    if raw.matrix is not None:
        _assign_matrix(raw, roles, choice, reading, chosen, taken)
        return roles
    kinds = {name: kind_of(raw.frame.schema.field(name).type) for name in of_frame}
    vectors = [name for name, kind in kinds.items() if kind == "vector" and name not in taken]
    roles.vector = one_of(choice.vector, names, raw, "vector", reading)
    if roles.vector is None and not chosen and not roles.categories and vectors:
        if len(vectors) > 1:
            ways = " or ".join(reading.option("vector", name) for name in vectors[:3])
            raise ValueError(
                f"{raw.source} has several columns of lists, {listed(vectors)}: choose one by {ways}"
            )
        roles.vector = vectors[0]
    if roles.vector is not None:
        _check_lists(raw, roles.vector, kinds[roles.vector])
        roles.left_out = [name for name in of_frame if name not in (roles.vector, *dropped)]
        roles.id = roles.id or (raw.index[0] if raw.index else None)
        return roles
    if chosen:
        roles.numbers = [name for name in chosen if name not in roles.categories]
        _check_numbers(raw, roles.numbers, kinds, reading)
    else:
        _assign_by_kind(raw, roles, kinds, taken, reading)
    features = (*roles.numbers, *roles.categories)
    roles.left_out = [name for name in of_frame if name not in (*features, *dropped)]
    return roles


def _names_of_frame(raw: Raw) -> list[str]:
    names = list(raw.frame.column_names) if raw.frame is not None else []
    twice = (
        sorted({name for name in names if names.count(name) > 1})
        if len(set(names)) < len(names)
        else []
    )
    if twice:
        raise ValueError(f"{raw.source} has columns of one name: {listed(twice)}; rename them")
    return names


def _assign_matrix(
    raw: Raw,
    roles: Roles,
    choice: Choice,
    reading: Reading,
    chosen: Sequence[str],
    taken: set[str | None],
) -> None:
    if roles.categories:
        raise ValueError(
            f"{raw.source} is a matrix of numbers, which has no {listed(roles.categories)}"
        )
    if choice.vector is not None:
        raise ValueError(f"{raw.source} is a matrix: {reading.option('vector')} is of other files")
    if raw.names is not None:
        roles.numbers = [name for name in chosen or raw.names if name not in taken]
    if raw.frame is not None:
        roles.left_out = list(raw.frame.column_names)


def _assign_by_kind(
    raw: Raw, roles: Roles, kinds: dict[str, str], taken: set[str | None], reading: Reading
) -> None:
    """Numbers are features; the index, text and what is neither are left out, and said."""
    first = next(iter(kinds))
    index = [name for name in raw.index if name not in taken]
    others = [name for name in kinds if name not in taken and name not in index]
    if not index and first in others and len(others) > 1 and counts_rows(raw, first):
        index = [first]
        roles.notes.append(
            f"the first column of {raw.source}, {first!r}, numbers the rows and is left out "
            f"({reading.option('columns')} takes it in)"
        )
    elif index:
        roles.notes.append(f"{listed(index)} of {raw.source}, the index of pandas, is left out")
    if roles.id is None and index:
        roles.id = index[0]
    left = [name for name in others if name not in index]
    _check_mixed(raw, [name for name in left if kinds[name] == "text"], reading)
    roles.numbers = [name for name in left if kinds[name] == "number"]
    other = [name for name in left if kinds[name] != "number"]
    if not roles.numbers and not roles.categories:
        what = f"column {other[0]!r} is {kinds[other[0]]}" if other else "all are left out"
        remedy = reading.option("categories", other[0]) if other else ""
        raise TypeError(
            f"{raw.source} has no column of numbers, {what}"
            + (f": {remedy} makes numbers of it" if other and kinds[other[0]] == "text" else "")
        )
    if other:
        name = other[0]
        ways = f"{reading.option('label_column', name)} colours by it"
        if kinds[name] == "text" and _tells_rows_apart(raw, name):
            ways = f"{reading.option('id_column', name)} keeps it beside the positions"
        elif kinds[name] == "text":
            ways += f", {reading.option('categories', name)} makes numbers of it"
        roles.notes.append(f"{listed(other)} of {raw.source} is left out as no number ({ways})")


def _tells_rows_apart(raw: Raw, name: str) -> bool:
    """Whether each row has a value of its own in a column."""
    from pyarrow import compute

    if raw.frame is None or name not in raw.frame.column_names or raw.rows < 2:
        return False
    return bool(compute.count_distinct(raw.frame.column(name)).as_py() == raw.rows)


def _check_mixed(raw: Raw, names: Sequence[str], reading: Reading) -> None:
    """Raises for a column of a text file of which some cells are numbers and others are not."""
    if raw.parts[0].text is None:
        return
    import pyarrow.compute as pc

    decimal = raw.parts[0].text.decimal
    for name in names:
        column = raw.frame.column(name)
        alike = pc.match_substring_regex(column, "|".join((_NUMBER.format(".,"), *_FOREIGN)))
        count, total = (int(pc.sum(part).as_py() or 0) for part in (alike, pc.is_valid(alike)))
        if not total or 2 * count < total:
            continue
        numbers = pc.match_substring_regex(column, _NUMBER.format(decimal))
        flags = numbers.to_numpy(zero_copy_only=False)
        row = int(np.argmax([flag is False or flag is np.False_ for flag in flags.tolist()]))
        cell = str(column[row].as_py())
        reasons = [f", {reason}" for form, reason in _FOREIGN.items() if re.search(form, cell)]
        if not reasons and re.search(_NUMBER.format(".,"), cell):
            reasons = [f", whose decimal mark is not the {decimal!r} of the file"]
        why = "".join(reasons[:1])
        raise ValueError(
            f"cannot read {raw.source} as a table of numbers: column {name!r} has {cell!r} in "
            f"{raw.place(row)}{why}; {reading.option('drop', name)} leaves it out"
        )


def _check_numbers(raw: Raw, names: Sequence[str], kinds: dict[str, str], reading: Reading) -> None:
    for name in names:
        if kinds[name] == "vector":
            raise TypeError(
                f"column {name!r} of {raw.source} has lists: {reading.option('vector', name)}"
            )
        if kinds[name] != "number":
            raise TypeError(
                f"column {name!r} of {raw.source} is {kinds[name]}, not numbers: "
                f"{reading.option('categories', name)} makes numbers of text"
            )


def _check_lists(raw: Raw, name: str, kind: str) -> None:
    if kind != "vector":
        raise TypeError(f"column {name!r} of {raw.source} is {kind}, not lists of numbers")


def assign_like(raw: Raw, choice: Choice, recipe: Recipe, reading: Reading) -> Roles:
    """The roles of a table's columns for a model that was fitted to another table.

    Columns are found by name where both tables have names, else by place.

    Raises
    ------
    TypeError, ValueError
        For columns that the model needs and the table lacks, and those that are no numbers.
    """
    names = [*(raw.names or ()), *_names_of_frame(raw)]
    wanted = [*recipe.columns, *(name for name, _ in recipe.categories)]
    label = choice.label or (recipe.label if recipe.label in names else None)
    name_of_row = choice.id or (recipe.id if recipe.id in names else None)
    if recipe.vector is not None or not (raw.named and recipe.named and wanted):
        if recipe.categories:
            raise ValueError(f"{raw.source} must have columns with the names {listed(wanted)}")
        vector = recipe.vector if recipe.vector in names else None
        return assign(raw, replace(choice, label=label, id=name_of_row, vector=vector), reading)
    roles = Roles(categories=[name for name, _ in recipe.categories])
    roles.label = one_of(label, names, raw, "label_column", reading)
    roles.id = one_of(name_of_row, names, raw, "id_column", reading)
    lacking = [name for name in wanted if name not in set(names)]
    if lacking:
        raise ValueError(
            f"{raw.source} lacks columns that the model takes: {listed(lacking)}; it has "
            f"{listed(names)}"
        )
    roles.numbers = list(recipe.columns)
    of_frame = set(raw.frame.column_names) if raw.frame is not None else set()
    kinds = {name: kind_of(raw.frame.schema.field(name).type) for name in of_frame & set(wanted)}
    if raw.matrix is None:
        _check_mixed(raw, [name for name in recipe.columns if kinds[name] == "text"], reading)
        _check_numbers(raw, roles.numbers, kinds, reading)
    left_as_index = {*raw.index, *UNNAMED}
    known = {*wanted, *recipe.left_out, roles.label, roles.id, *left_as_index}
    foreign = [name for name in names if name not in known]
    foreign = [name for name in foreign if raw.matrix is None or name not in of_frame]
    if foreign:
        roles.notes.append(
            f"{listed(foreign)} of {raw.source} is left out: the model has no such column"
        )
    roles.left_out = (
        [name for name in raw.frame.column_names if name not in wanted] if of_frame else []
    )
    if roles.id is None:
        roles.id = next((name for name in (*raw.index, *names[:1]) if name in left_as_index), None)
    return roles
