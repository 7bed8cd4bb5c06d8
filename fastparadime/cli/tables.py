"""A command's table and labels, and what it writes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fastparadime.cli.common import Results
from fastparadime.cli.stages import Report
from fastparadime.types import Array
from fastparadime.utils.files import replacing
from fastparadime.utils.tables import (
    Choice,
    Reading,
    Recipe,
    Table,
    read_labels,
    table_of,
    write_embedding,
)
from fastparadime.utils.tables.names import kind_of

_CHOICE = ("columns", "drop", "categories")


@dataclass(frozen=True)
class Asked:
    """What the command line says of a table: see `read`."""

    source: str
    labels: str | None
    choice: Choice
    reading: Reading
    missing: str | None
    scale: str | None

    @staticmethod
    def of(source: str, options: dict[str, Any]) -> Asked:
        """Takes what concerns the table out of a command's options.

        Raises
        ------
        ValueError
            For options that exclude one another.
        """
        take = options.pop
        labels, label = take("labels"), take("label_column")
        if labels is not None and label is not None:
            raise ValueError("--labels and --label-column exclude one another")
        given = {name: take(name, ()) for name in _CHOICE}
        choice = Choice(**given, label=label, id=take("id_column"), vector=take("vector", None))
        reading = Reading(
            take("header"), take("encoding"), take("layer"), take("obsm"), command_line=True
        )
        scale = take("scale", "none")
        missing = take("missing", None)
        return Asked(source, labels, choice, reading, missing, None if scale == "none" else scale)

    def read(
        self, report: Report, recipe: Recipe | None = None, *, min_rows: int
    ) -> tuple[Table, Array | None]:
        """The table, made like another one if there is a recipe, and the labels of its rows.

        Raises
        ------
        ValueError, OSError, ModuleNotFoundError
        """
        try:
            with report.stage("read"):
                table = table_of(
                    self.source,
                    self.choice,
                    self.reading,
                    self.missing,
                    self.scale,
                    recipe,
                    min_rows=min_rows,
                )
                labels = table.labels
                if self.labels is not None:
                    labels = read_labels(self.labels, len(table))
        except TypeError as error:
            raise ValueError(str(error)) from error
        for note in table.notes:
            report.note(note)
        return table, labels


def write(
    report: Report,
    results: Results,
    coords: Array,
    table: Table | None,
    labels: Array | None,
    title: str | None = None,
    neighbors: tuple[Array, Array] | None = None,
) -> None:
    """Writes the embedding and, if asked, its map and its page."""
    if results.output is not None:
        others = None if table is not None and labels is table.labels else labels
        with report.stage("write"):
            write_embedding(results.output, coords, table, others, neighbors)
    if results.plot is not None:
        from fastparadime.utils.plotting import save_map

        with report.stage("plot"), replacing(results.plot) as part:
            save_map(part, coords, labels, title)
    if results.html is not None:
        from fastparadime import plot

        with report.stage("page"), replacing(results.html) as part:
            plot.html(coords, part, labels=labels, hover=_hover(table), title=title)
    shown = results.plot or results.html or (results.output and not results.output.endswith(".npy"))
    if labels is not None and not shown:
        report.note("labels colour the map of --plot and --html, which were not asked for")


def _hover(table: Table | None) -> dict[str, Any] | None:
    """What is shown of a point: its id and the columns that are no features."""
    if table is None:
        return None
    shown: dict[str, Any] = {}
    if table.ids is not None:
        shown[table.recipe.id or "id"] = table.ids
    for name in table.others.column_names if table.others is not None else ():
        column = table.others.column(name)
        if kind_of(column.type) in ("number", "text"):
            shown[name] = np.asarray(column.to_pandas())
    return shown or None


def title_of(source: str, rows: int, method: str) -> str:
    """A map's title: where its points are from, and how many they are."""
    name = "standard input" if source == "-" else Path(source).name
    return f"{name}: {rows:,} rows, {method}"


def renamed(table: Table, choice: Choice) -> Table:
    """The table with the names of label and id that were asked for now."""
    recipe = table.recipe
    return replace(
        table, recipe=replace(recipe, label=choice.label or recipe.label, id=choice.id or recipe.id)
    )
