"""Reading data tables and labels from files, by their extension; pickles are never loaded."""

from __future__ import annotations

import csv
import errno
import itertools
import re
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from fastparadime.types import Array
from fastparadime.utils.centring import centre_of, some_rows
from fastparadime.utils.validate import check_data

_ALMOST = re.compile(r"\s*#?\s*[-+]?\.?\d")  # how a number begins, be it commented out
EXTENSIONS = (".npy", ".npz", ".csv", ".parquet")


def read_table(source: str, *, min_rows: int = 2) -> Array:
    """The checked data table of a file.

    Parameters
    ----------
    source : str
        A ``.npy`` file, which is memory-mapped; ``file.npz`` with one array, or ``file.npz:key``;
        a ``.csv`` file with or without a header; a ``.parquet`` file of numeric columns.
    min_rows : int
        The fewest rows that are accepted.

    Returns
    -------
    (n, d) array
        Of the file's dtype; from CSV and Parquet float32, or float64 where a column lies so far
        from zero that float32 would drop digits of it.

    Raises
    ------
    OSError
        If the file cannot be read.
    TypeError, ValueError
        If it holds something else, naming the file.
    ModuleNotFoundError
        For Parquet without pyarrow.
    """
    path, key = split_source(source)
    if path.suffix == ".csv":
        table = _read_csv(path)
    elif path.suffix == ".parquet":
        table = _read_parquet(path)
    else:
        table = _read_numpy(path, key)
    check_data(table, source, min_rows=min_rows)
    if path.suffix in (".csv", ".parquet") and centre_of(some_rows(table)) is None:
        table = table.astype(np.float32)
    return table


def read_labels(source: str, n: int) -> Array:
    """The labels of n rows: one column, of numbers or text; empty cells of a CSV file are None.

    A CSV file may have a header, which shows by its one more line.

    Raises
    ------
    OSError, TypeError, ValueError, ModuleNotFoundError
        As of `read_table`, and for another number of labels.
    """
    path, key = split_source(source)
    if path.suffix == ".csv":
        labels = _read_csv_labels(path, n)
    elif path.suffix == ".parquet":
        columns = _open_parquet(path).columns
        if len(columns) != 1:
            raise ValueError(f"{source} must have one column of labels, but has {len(columns)}")
        labels = columns[0].to_numpy()
    else:
        labels = _read_numpy(path, key)
    if labels.shape not in ((n,), (n, 1)):
        raise ValueError(
            f"{source} must hold one label for each of the {n} rows of X, but has shape "
            f"{labels.shape}"
        )
    if labels.dtype.kind not in "biufUSO":
        raise TypeError(f"{source} must hold numbers or text as labels, not {labels.dtype}")
    return labels.ravel()


def split_source(source: str) -> tuple[Path, str | None]:
    """The path, and the key of ``file.npz:key``, of a file that is there and not empty."""
    stem, dot, key = source.rpartition(".npz:")
    path = Path(f"{stem}.npz" if dot else source)
    if path.suffix not in EXTENSIONS:
        known = ", ".join(EXTENSIONS)
        raise ValueError(f"{source} has an unknown extension; files that can be read are {known}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a file")
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty")
    return path, key if dot else None


def _read_numpy(path: Path, key: str | None) -> Array:
    try:
        if path.suffix == ".npz":
            return _read_npz(path, key)
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
        return array
    except MemoryError:
        raise
    except Exception as error:  # numpy's and zipfile's parsers raise a dozen kinds
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # of a damaged offset
            raise
        if "object" in str(error).lower():
            reason = "it holds Python objects, which are never loaded: save an array of numbers"
        elif "mmap" in str(error) or "greater than" in str(error):
            reason = "it is cut short, or has no elements"
        else:
            reason = f"it is not a valid {path.suffix} file"
        raise ValueError(f"cannot read {path}: {reason}") from error


def _read_npz(path: Path, key: str | None) -> Array:
    if not zipfile.is_zipfile(path):
        raise ValueError("not an archive")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        names = list(archive.files)
        return np.asarray(archive[_choose(path, names, key)])


def _choose(path: Path, names: list[str], key: str | None) -> str:
    listing = ", ".join(names) or "none"
    if key is None and len(names) == 1:
        return names[0]
    if key is None:
        raise FileNotFoundError(
            f"{path} holds {len(names)} arrays ({listing}): choose one as {path}:NAME"
        )
    if key not in names:
        raise FileNotFoundError(f"{path} has no array {key!r}; there are: {listing}")
    return key


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_header(row: list[str]) -> bool:
    """Whether a first row holds names; raises where some of them rather are broken numbers."""
    numbers = [_is_number(field) for field in row]
    broken = [
        field for field, number in zip(row, numbers, strict=True)
        if not number and _ALMOST.match(field)
    ]  # fmt: skip
    if broken and (any(numbers) or len(broken) == len(row)):
        raise ValueError(f"its first row is neither numbers nor names, but holds {broken[0]!r}")
    return not all(numbers)


def _first_rows(file: IO[str], count: int) -> list[list[str]]:
    rows = (row for row in csv.reader(file) if any(field.strip() for field in row))
    return list(itertools.islice(rows, count))


def _read_csv(path: Path) -> Array:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = _first_rows(file, 2)
            header = bool(rows) and _is_header(rows[0])
            if len(rows) <= header:
                raise ValueError("it has no rows of data")
            file.seek(0)
            if header:
                _first_rows(file, 1)
            lines = (line for line in file if line.strip())
            return np.loadtxt(
                lines, np.float64, delimiter=",", comments=None, ndmin=2, quotechar='"'
            )
    except UnicodeDecodeError as error:
        raise ValueError(f"cannot read {path}: it is not UTF-8 text") from error
    except (ValueError, csv.Error) as error:
        reason = str(error).split("; use", 1)[0]  # advice on arguments of numpy's
        raise ValueError(f"cannot read {path} as a table of numbers: {reason}") from error


def _read_csv_labels(path: Path, n: int) -> Array:
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


def _open_parquet(path: Path) -> Any:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"reading {path} needs pyarrow: pip install 'fastparadime[parquet]'"
        ) from error
    try:
        return parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"cannot read {path}: it is not a valid Parquet file") from error


def _read_parquet(path: Path) -> Array:
    content = _open_parquet(path)
    from pyarrow import types

    numeric = (types.is_integer, types.is_floating, types.is_boolean)
    for field in content.schema:
        if not any(test(field.type) for test in numeric):
            raise TypeError(
                f"{path} must have numeric columns only, but column {field.name!r} is {field.type}"
            )
    table = np.empty((content.num_rows, content.num_columns), np.float64)
    for i, column in enumerate(content.columns):
        table[:, i] = column.to_numpy()
    return table
