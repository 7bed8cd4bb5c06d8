"""What a file holds, before its columns have roles, and where in the file a row is."""

from __future__ import annotations

import csv
import fnmatch
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastparadime.types import Array


@dataclass(frozen=True)
class Reading:
    """How files are read.

    Attributes
    ----------
    header : bool or None
        Whether the first row of a text file has the names of columns; found out if None.
    encoding : str
        Of text files.
    layer, obsm : str or None
        Of AnnData: which matrix has the rows instead of `X`.
    command_line : bool
        Whether messages name options as the command line does.
    names : tuple of str
        Columns, also as patterns, whose cells of a text file are names: ``01`` is not 1.
    settled : bool
        Whether a model has settled how gaps are filled, so that no option does it.
    """

    header: bool | None = None
    encoding: str = "utf-8"
    layer: str | None = None
    obsm: str | None = None
    command_line: bool = False
    names: tuple[str, ...] = ()
    settled: bool = False

    def option(self, name: str, value: str = "") -> str:
        """An option as the user writes it: ``--label-column NAME`` or ``label_column='NAME'``."""
        if self.command_line:
            return f"--{name.replace('_', '-')} {value}".rstrip()
        return f"{name}={value!r}" if value else f"{name}="

    def is_name(self, column: str) -> bool:
        """Whether the cells of a column are names."""
        patterns = [part for item in self.names for part in (item, *item.split(","))]
        return any(fnmatch.fnmatchcase(column.strip(), pattern) for pattern in patterns)


@dataclass(frozen=True)
class TextFormat:
    """How the cells of a text file are told apart."""

    delimiter: str
    decimal: str
    header: bool
    encoding: str
    separator_told: bool = False  # by a first line, sep=;
    skipped: int = 0  # lines before what is read
    names: tuple[str, ...] | None = None  # where the first row lacks one for the rows' names


@dataclass(frozen=True)
class Part:
    """One of the files that rows come from."""

    name: str
    rows: int
    text: TextFormat | None = None
    path: Path | None = None  # None of standard input


@dataclass
class Raw:
    """The content of one file or of several alike.

    Attributes
    ----------
    source : str
        As the user names it.
    parts : list of Part
    matrix : array (n, d) or None
        Rows that have no columns of their own dtypes.
    names : tuple of str or None
        Of the matrix's columns.
    frame : pyarrow.Table or None
        Named columns, with a matrix those beside it.
    index : tuple of str
        Columns that pandas wrote as its index.
    ids : array (n,) or None
        Names of rows that are no column.
    notes : list of str
        What the user should know of how it was read.
    """

    source: str
    parts: list[Part]
    matrix: Any = None
    names: tuple[str, ...] | None = None
    frame: Any = None
    index: tuple[str, ...] = ()
    ids: Array | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def named(self) -> bool:
        """Whether columns have names of their own."""
        if self.matrix is not None:
            return self.names is not None
        text = self.parts[0].text
        return text is None or text.header

    @property
    def rows(self) -> int:
        return int(self.frame.num_rows if self.matrix is None else len(self.matrix))

    def place(self, row: int) -> str:
        """Where a row is: the line of a text file, else its number from 0, and in which file."""
        for part in self.parts:
            if row < part.rows:
                break
            row -= part.rows
        within = f" of {part.name}" if len(self.parts) > 1 else ""
        if part.text is None or part.path is None:
            return f"row {row}{within}"
        return f"line {line_of(part.path, part.text, row)}{within}"


def line_of(path: Path, text: TextFormat, row: int) -> int:
    """The line of a text file, counted from 1, that a row of data ends in."""
    import pyarrow as pa

    with pa.input_stream(str(path), compression="detect") as stream:
        content = stream.read().decode(text.encoding, "replace").removeprefix("\ufeff")
    reader = csv.reader(content.splitlines(keepends=True), delimiter=text.delimiter)
    left = row + text.header + text.separator_told
    for cells in reader:
        if cells:
            if left == 0:
                return reader.line_num
            left -= 1
    return reader.line_num
