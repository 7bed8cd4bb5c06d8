"""Labels that a file of their own holds: one column."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from fastparadime.types import Array
from fastparadime.utils.tables.columns import plain_column
from fastparadime.utils.tables.names import UNNAMED
from fastparadime.utils.tables.opening import check_file, open_raw, split, suffix_of
from fastparadime.utils.tables.raw import Raw, Reading


def read_labels(source: str, n: int) -> Array:
    """The labels of n rows: one column, of numbers or text; empty cells of a CSV file are None.

    A CSV file may have a header, which shows by its one more line. The index of pandas, a column
    without a name, is no label.

    Parameters
    ----------
    source : str
        A file of any kind that `fastparadime.read_table` reads.
    n : int

    Raises
    ------
    OSError, TypeError, ValueError, ModuleNotFoundError
        As of `fastparadime.read_table`, and for another number of labels.
    """
    path, _ = split(source)
    check_file(path)
    if suffix_of(path) == path.suffix == ".csv":
        labels = _read_csv(path, n)
    else:
        raw = open_raw(source, Reading())
        if raw.matrix is not None:
            labels = np.asarray(raw.matrix)
        else:
            labels = plain_column(raw, _only_column(raw))
    if labels.shape not in ((n,), (n, 1)):
        raise ValueError(
            f"{source} must hold one label for each of the {n} rows of X, but has shape "
            f"{labels.shape}"
        )
    if labels.dtype.kind not in "biufUSO":
        raise TypeError(f"{source} must hold numbers or text as labels, not {labels.dtype}")
    return labels.ravel()


def _only_column(raw: Raw) -> str:
    """The one column beside the index of pandas.

    Raises
    ------
    ValueError
        If there are none or several.
    """
    names = list(raw.frame.column_names)
    if len(names) > 1:
        names = [name for name in names if name not in (*raw.index, *UNNAMED)]
    if len(names) != 1:
        raise ValueError(f"{raw.source} must have one column of labels, but has {len(names)}")
    return str(names[0])


def _read_csv(path: Path, n: int) -> Array:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file))
    except (ValueError, csv.Error) as error:
        raise ValueError(f"cannot read {path} as a column of labels: {error}") from error
    # A blank line is an empty cell, unless that makes too many: those at the end rather are none.
    last = max((i for i, row in enumerate(lines) if row), default=-1)
    readings = (lines[: last + 1], lines, [row for row in lines if row])
    rows = next((part for part in readings if len(part) in (n, n + 1)), readings[-1])
    rows = [row or [""] for row in rows]
    if len(rows) == n + 1 and rows[0][0] in UNNAMED and {len(row) for row in rows} == {2}:
        rows = [row[1:] for row in rows]  # but the index of pandas
    wide = next((row for row in rows if len(row) != 1), None)
    if wide is not None:
        raise ValueError(f"{path} must have one column of labels, but a row has {len(wide)}")
    cells = [row[0].strip() for row in (rows[1:] if len(rows) == n + 1 else rows)]
    values = np.array(cells, dtype=str)
    there = values != ""
    kept = values[there].tolist()
    try:
        labels = np.array(kept, dtype=np.int64)
    except (ValueError, OverflowError):
        labels = np.array(kept, dtype=float if all(map(_is_number, kept)) else str)
    if there.all():
        return labels
    found = np.full(len(values), None)
    found[there] = labels.tolist()
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
