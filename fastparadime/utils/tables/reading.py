"""From a file to the rows of a model, with the ids, labels and other columns beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fastparadime.types import Array
from fastparadime.utils.frames import NamedRows
from fastparadime.utils.tables import columns as cells
from fastparadime.utils.tables.checking import (
    check_categories,
    check_cells,
    check_width,
    left_empty,
    spread_note,
)
from fastparadime.utils.tables.labels import read_labels
from fastparadime.utils.tables.lists import with_lists
from fastparadime.utils.tables.names import listed
from fastparadime.utils.tables.opening import open_raw
from fastparadime.utils.tables.raw import Raw, Reading
from fastparadime.utils.tables.recipe import MISSING, SCALES, Recipe, filled, learned, scaled
from fastparadime.utils.tables.roles import Choice, Roles, assign, assign_like
from fastparadime.utils.tables.stored import recipe_of
from fastparadime.utils.validate import check_form, check_option

__all__ = ["Table", "read_labels", "read_table", "table_of"]


@dataclass(frozen=True)
class Table:
    """Rows that a model takes, and what the file has beside them.

    Attributes
    ----------
    values : array (n, d)
        The features. One-byte numbers, halves and floats stay as the file has them; a ``.npy`` file
        is memory-mapped.
    columns : tuple of str or None
        Names of the features; None where they have none.
    ids : array (n,) or None
    labels : array (n,) or None
    others : pyarrow.Table or None
        The columns that are no features of their own, ids or labels; those of categories as well.
    recipe : Recipe
        How the features were made, which a later table is made like.
    notes : tuple of str
        What was decided about the file, such as a column that was left out.
    source : str
    """

    values: Array = field(repr=False)
    columns: tuple[str, ...] | None
    ids: Array | None = field(repr=False)
    labels: Array | None = field(repr=False)
    others: Any = field(repr=False)
    recipe: Recipe = field(repr=False)
    notes: tuple[str, ...]
    source: str

    @property
    def rows(self) -> Any:
        """The features for a model: with their names where they have some."""
        return self.values if self.columns is None else NamedRows(self.values, self.columns)

    def __len__(self) -> int:
        return len(self.values)


def read_table(
    source: str | Path,
    *,
    columns: Sequence[str] | str = (),
    drop: Sequence[str] | str = (),
    label_column: str | None = None,
    id_column: str | None = None,
    vector: str | None = None,
    categories: Sequence[str] | str = (),
    missing: str | None = None,
    scale: str | None = None,
    header: bool | None = None,
    encoding: str = "utf-8",
    layer: str | None = None,
    obsm: str | None = None,
    like: Table | Recipe | str | Path | None = None,
    min_rows: int = 1,
) -> Table:
    """Reads a file as the rows of a model.

    Parameters
    ----------
    source : str or Path
        A text file (``.csv``, ``.tsv``, ``.txt``, also compressed as ``.gz``, ``.bz2``, ``.zst``), of which
        separator, decimal sign and header are found out; ``.parquet``, ``.feather``, ``.arrow``;
        ``.npy``, ``.npz``, ``.h5`` or ``.zarr``, the last three with ``:NAME`` where they hold
        several tables; ``.h5ad``; a folder or pattern of such files of one kind; ``"-"`` for
        standard input.
    columns, drop : sequence of str
        The features, by default all columns of numbers, and columns that are none. Patterns such as
        ``"pixel*"`` are names too.
    label_column, id_column : str, optional
        Columns of labels and of names of the rows.
    vector : str, optional
        The column of lists whose items are the features; found by itself where there is one. Lists
        may be written as text, ``[0.1, 0.2]`` or ``0.1 0.2``.
    categories : sequence of str
        Columns of which features of 0 and 1 are made, one for each category.
    missing : {None, "mean", "median", "most_frequent"}
        What fills in cells without a value, as scikit-learn's SimpleImputer; None refuses them.
    scale : {None, "standard", "robust"}
        How columns of numbers are scaled, as scikit-learn's StandardScaler and RobustScaler.
    header : bool, optional
        Whether a text file has names of columns in its first row; found out if None.
    encoding : str
        Of a text file.
    layer, obsm : str, optional
        The matrix of an AnnData file that is taken instead of its `X`.
    like : Table, Recipe, or path of a saved model, optional
        A table is made of the same columns, in the same order, with the same fillings, categories
        and scales as of that one. Arguments about features must not be given then.
    min_rows : int
        The fewest rows that are accepted.

    Returns
    -------
    Table

    Raises
    ------
    OSError
        If the file cannot be read.
    TypeError, ValueError
        If it holds something else, naming file, row and column.
    ModuleNotFoundError
        If the reader of such a file is not installed, with what to install.
    """
    check_option(missing, (None, *MISSING), "missing")
    check_option(scale, (None, *SCALES), "scale")
    choice = Choice(
        _names(columns), _names(drop), _names(categories), label_column, id_column, vector
    )
    recipe = recipe_like(like)
    reading = Reading(header, encoding, layer, obsm)
    given = [name for name in ("columns", "drop", "categories", "vector") if getattr(choice, name)]
    given += [name for name, value in (("missing", missing), ("scale", scale)) if value is not None]
    if recipe is not None and given:
        raise ValueError(f"{given[0]} must not be given with like, which settles the features")
    return table_of(str(source), choice, reading, missing, scale, recipe, min_rows=min_rows)


def _names(given: Sequence[str] | str) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def recipe_like(like: Table | Recipe | str | Path | None) -> Recipe | None:
    """The recipe of a table or of a saved model.

    Raises
    ------
    ValueError
        If the model has none.
    """
    if like is None or isinstance(like, Recipe):
        return like
    if isinstance(like, Table):
        return like.recipe
    found = recipe_of(like)
    if found is None:
        raise ValueError(f"like: {like} keeps nothing of a table: it was not fitted to a file")
    return found


def table_of(
    source: str,
    choice: Choice,
    reading: Reading,
    missing: str | None = None,
    scale: str | None = None,
    recipe: Recipe | None = None,
    *,
    min_rows: int = 1,
) -> Table:
    """As `read_table`, of parts that are checked; `recipe` is that of the table it is made like."""
    if recipe is not None and reading.obsm is reading.layer is None:
        reading = replace(reading, layer=recipe.layer, obsm=recipe.obsm)
    reading = replace(reading, settled=recipe is not None)
    known = () if recipe is None else (recipe.label, recipe.id, *dict(recipe.categories))
    named = (choice.label, choice.id, *choice.categories, *known)
    reading = replace(reading, names=tuple(name for name in named if name))
    raw = with_lists(open_raw(source, reading), choice, recipe, reading)
    if recipe is None:
        roles = assign(raw, choice, reading)
    else:
        roles = assign_like(raw, choice, recipe, reading)
    numbers, names = _numbers(raw, roles)
    check_form(numbers, source, min_rows=min_rows)
    numbers, names = _without_empty(raw, roles, numbers, names, missing, choice, reading)
    if numbers.dtype.kind in "iu" and numbers.dtype.itemsize > 1:
        numbers = numbers.astype(np.float64)
    notes = [*raw.notes, *roles.notes]
    _check_numbers(raw, numbers, names, reading, missing, recipe)
    if recipe is None:
        recipe = _fitted(raw, roles, numbers, names, reading, missing, scale)
        notes += spread_note(raw, numbers, names, reading, scale)
    if recipe.fill:
        numbers = filled(numbers, recipe.fill)
        check_cells(raw, numbers, names, reading)
    values = numbers
    if recipe.centre:
        values = scaled(numbers, recipe.centre, recipe.divisor)
    elif _may_be_narrowed(raw, numbers) and not recipe.wide:
        values = numbers.astype(np.float32)
    values, unknown = _with_categories(raw, values, recipe, reading)
    others = raw.frame
    if others is not None:
        beside = {*roles.left_out, *roles.categories} - {roles.label, roles.id}
        others = others.select([name for name in others.column_names if name in beside])
    return Table(
        values,
        recipe.features,
        raw.ids if roles.id is None else cells.plain_column(raw, roles.id),
        None if roles.label is None else cells.plain_column(raw, roles.label),
        others,
        recipe,
        (*notes, *unknown),
        source,
    )


def _check_numbers(
    raw: Raw,
    numbers: Array,
    names: tuple[str, ...] | None,
    reading: Reading,
    missing: str | None,
    recipe: Recipe | None,
) -> None:
    """Raises ValueError for another width than a model takes, and for gaps that nothing fills."""
    if recipe is not None:
        check_width(raw.source, numbers, recipe)
    if missing is None and (recipe is None or recipe.missing is None):
        check_cells(raw, numbers, names, reading)


def _numbers(raw: Raw, roles: Roles) -> tuple[Any, tuple[str, ...] | None]:
    """The features that are numbers, and their names."""
    if roles.vector is not None:
        return cells.vectors(raw, roles.vector), None
    if raw.matrix is None:
        return cells.numbers(raw, roles.numbers), tuple(roles.numbers)
    if raw.names is None or tuple(roles.numbers) == raw.names:
        return raw.matrix, raw.names
    places = {name: place for place, name in enumerate(raw.names)}
    return raw.matrix[:, [places[name] for name in roles.numbers]], tuple(roles.numbers)


def _without_empty(
    raw: Raw,
    roles: Roles,
    numbers: Array,
    names: tuple[str, ...] | None,
    missing: str | None,
    choice: Choice,
    reading: Reading,
) -> tuple[Array, tuple[str, ...] | None]:
    """The features but for columns without any value, which are noted in `roles`."""
    places = [] if missing is None else left_empty(raw, numbers, names)
    if not places or names is None:
        return numbers, names
    empty = [names[place] for place in places]
    if choice.columns:
        raise ValueError(
            f"{reading.option('columns')}: {listed(empty)} of {raw.source} has no value at all"
        )
    if len(empty) == len(names) and not roles.categories:
        raise ValueError(f"{raw.source} has no value at all in {listed(empty)}, its only features")
    roles.numbers = [name for name in names if name not in empty]
    roles.left_out += empty
    roles.notes.append(f"{listed(empty)} of {raw.source} has no value at all and is left out")
    kept = [place for place, name in enumerate(names) if name not in empty]
    return numbers[:, kept], tuple(roles.numbers)


def _may_be_narrowed(raw: Raw, numbers: Array) -> bool:
    """Whether numbers are float64 by other reasons than that a matrix has them so."""
    given = raw.matrix is not None and raw.matrix.dtype == np.float64
    return numbers.dtype == np.float64 and not given


def _fitted(
    raw: Raw,
    roles: Roles,
    numbers: Array,
    names: tuple[str, ...] | None,
    reading: Reading,
    missing: str | None,
    scale: str | None,
) -> Recipe:
    known, fill = [], []
    for name in roles.categories:
        found = Counter(cell for cell in cells.category_cells(raw, name) if cell is not None)
        known.append((name, tuple(sorted(found))))
        # As scikit-learn does, the first of those that are equally frequent.
        fill.append(max(known[-1][1], key=lambda cell: found[cell], default=""))
    recipe = Recipe(
        named=raw.named,
        columns=names or (),
        vector=roles.vector,
        categories=tuple(known),
        label=roles.label,
        id=roles.id,
        left_out=(*roles.left_out, *roles.dropped),
        width=numbers.shape[1] + sum(len(values) for _, values in known),
        wide=_may_be_narrowed(raw, numbers) and cells.far_from_zero(numbers),
        layer=reading.layer,
        obsm=reading.obsm,
        category_fill=tuple(fill) if missing == "most_frequent" else (),
        **learned(numbers, missing, scale),
    )
    features = Counter(recipe.features or ())
    twice = [name for name, count in features.items() if count > 1]
    if twice:
        raise ValueError(
            f"{raw.source} would have several features of one name, {listed(twice)}, by the "
            "categories of its columns: rename a column"
        )
    return recipe


def _with_categories(
    raw: Raw, numbers: Array, recipe: Recipe, reading: Reading
) -> tuple[Array, list[str]]:
    """The features, those of categories last, and what to say of unknown ones."""
    if not recipe.categories:
        return numbers, []
    parts, notes = [numbers], []
    fill = recipe.category_fill or (None,) * len(recipe.categories)
    for (name, known), filler in zip(recipe.categories, fill, strict=True):
        found = cells.category_cells(raw, name)
        gaps = sum(cell is None for cell in found)
        if recipe.missing is None:
            check_categories(raw, name, found, reading)
        table, unknown = cells.one_hot(raw, name, found, known, filler)
        parts.append(table)
        if gaps and filler is None:
            notes.append(
                f"{gaps} cells of {name!r} in {raw.source} have no value: they are 0 in all of its "
                "features"
            )
        if unknown:
            notes.append(
                f"{unknown} cells of {name!r} in {raw.source} are of no category that the model "
                "knows: they are 0 in all of its features"
            )
    kind = np.result_type(numbers, np.float32)
    return np.concatenate(parts, axis=1, dtype=kind), notes
