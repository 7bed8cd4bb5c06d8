"""Rows on the disk: files read as one table, and sources copied to a file of their own."""

from __future__ import annotations

import glob
import itertools
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastparadime.types import Array
from fastparadime.utils import sources
from fastparadime.utils._parquet_rows import ParquetRows
from fastparadime.utils.convert import is_sparse
from fastparadime.utils.disk import telling_the_folder
from fastparadime.utils.tables.arrow_files import PARQUET
from fastparadime.utils.validate import check_finite, check_form, check_positive


class Shards:
    """Files whose rows follow one another, read as one source of rows.

    ``.npy`` files are memory-mapped, and nothing of them is held; of ``.parquet`` files a group of
    rows of each that is read. Pickled, they are the names of the files, which are opened again.

    Parameters
    ----------
    files : str, Path or sequence of them
        A pattern such as ``"rows-*.npy"``, whose files are taken in the order of the numbers in
        their names, or the files themselves, in order.
    columns : sequence of str, optional
        Of Parquet files; their column of vectors, if there is one, or else all columns of numbers,
        if None.

    Attributes
    ----------
    shape : (n, d)
    dtype : numpy.dtype
    ndim : int

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If files differ in columns or dtype, or hold no tables; for Parquet files that lack values,
        when they are read.
    """

    ndim = 2

    def __init__(
        self, files: str | Path | Sequence[str | Path], columns: Sequence[str] | None = None
    ) -> None:
        if isinstance(files, (str, Path)):
            paths = sorted(map(Path, glob.glob(str(files))), key=_natural)  # noqa: PTH207
        elif isinstance(files, Sequence):
            paths = [Path(file) for file in files]
        else:
            raise TypeError(
                f"files must be a pattern or a sequence of paths, not {type(files).__name__}"
            )
        if not paths:
            raise FileNotFoundError(f"no such file: {files}")
        if isinstance(columns, str):
            raise TypeError(f"columns must be a sequence of names, such as [{columns!r}]")
        opened = {path: _opened(path, columns) for path in paths}
        # A Parquet file without rows tells no width of vectors.
        opened = {path: part for path, part in opened.items() if part.shape != (0, 0)} or opened
        self._parts = list(opened.values())
        first = self._parts[0]
        for path, part in opened.items():
            if part.ndim != 2:
                raise ValueError(f"{path} must hold rows and columns, but has shape {part.shape}")
            if getattr(part, "columns", None) != getattr(first, "columns", None):
                raise ValueError(
                    f"{path} has other columns than {next(iter(opened))}, or in another order: name "
                    "those to take, in order, as columns"
                )
            if (part.shape[1], part.dtype) != (first.shape[1], first.dtype):
                raise ValueError(
                    f"{path} has {part.shape[1]} columns of {part.dtype}, but {next(iter(opened))} has "
                    f"{first.shape[1]} of {first.dtype}"
                )
        self._files, self._columns = [path.absolute() for path in paths], columns
        self._starts = [0, *itertools.accumulate(len(part) for part in self._parts)]
        self.shape, self.dtype = (self._starts[-1], first.shape[1]), first.dtype

    def __reduce__(self) -> tuple[type[Shards], tuple[Any, ...]]:
        return type(self), (self._files, self._columns)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Array:
        """The rows of a slice of step 1, an array."""
        if not isinstance(rows, slice):
            raise TypeError(f"rows must be a slice of step 1, not {type(rows).__name__}")
        start, stop, step = rows.indices(self.shape[0])
        if step != 1:
            raise ValueError(f"rows must be a slice of step 1, not of step {step}")
        found = [
            part[max(start - first, 0) : max(stop - first, 0)]
            for first, part in zip(self._starts, self._parts, strict=False)
        ]
        return np.concatenate(found)


def _opened(path: Path, columns: Sequence[str] | None) -> Array | ParquetRows:
    if path.suffix in PARQUET:
        return ParquetRows(path, columns)
    if columns is not None:
        raise ValueError(f"columns must be None for {path}, which is not a Parquet file")
    try:
        part: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:  # of pickled objects, and of other files
        raise ValueError(f"{path} must be a .npy file of numbers: {error}") from error
    if not isinstance(part, np.ndarray):
        part.close()
        raise ValueError(f"{path} must be a .npy file, not one of several arrays")
    return part


def _natural(path: Path) -> list[tuple[bool, int, str]]:
    parts = re.split(r"(\d+)", str(path))
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def on_disk(X: sources.Source, name: str = "X") -> Array:
    """A source of rows as a memory-mapped array of its dtype, checked while it is copied.

    The file lies in the folder that `tempfile.gettempdir` gives, which TMPDIR sets; it has no name
    where the system allows that, and is gone with the array.

    Raises
    ------
    OSError
        If the source cannot be read, or the disk is full, of which the message names the folder.
    ValueError
        For a source that ends before its shape says, or values that are not finite.
    """
    check_form(X, name)
    dtype = np.dtype(X.dtype)
    with tempfile.TemporaryFile(prefix="fastparadime-") as file:
        for start, rows in sources.row_blocks(X, name):
            check_finite(rows, name, start)
            # A block may come in another dtype than its source tells, such as the other byte order.
            with telling_the_folder():
                np.ascontiguousarray(rows, dtype).tofile(file)
        return np.memmap(file, dtype, "r", shape=tuple(X.shape))


NARROW = (np.dtype(np.int8), np.dtype(np.uint8), np.dtype(np.float16))


def stays(X: Any, max_memory: float | None, count: int | None = None) -> bool:
    """Whether rows of 1 or 2 bytes a value stay as they are, since float32 takes more than may be held.

    Parameters
    ----------
    X : anything with `shape` and `dtype`
    max_memory : float, optional
        Most bytes to be held beside the rows.
    count : int, optional
        Of the rows, all if None.

    Raises
    ------
    TypeError, ValueError
        If `max_memory` is no positive number.
    """
    if max_memory is None:
        return False
    max_memory = check_positive(max_memory, "max_memory")
    if len(X.shape) != 2:
        return False
    name = str(X.dtype).removeprefix("torch.")
    narrow = name in {str(dtype) for dtype in NARROW}
    return narrow and 4 * (X.shape[0] if count is None else count) * X.shape[1] > max_memory


def held_within(X: Any, max_memory: float | None, name: str) -> Any:
    """Rows as a fit holds them in so many bytes: sources beyond them become memory-mapped files.

    Raises
    ------
    ValueError
        For rows of a dtype that becomes float32, of which a table takes more.
    OSError
        As of `on_disk`.
    """
    if max_memory is None or is_sparse(X) or not hasattr(X, "dtype") or len(X.shape) != 2:
        return X
    table = 4 * X.shape[0] * X.shape[1]
    taken = ("float32", *map(str, NARROW))
    if str(X.dtype).removeprefix("torch.") not in taken and table > max_memory:
        raise ValueError(
            f"max_memory={max_memory:.4g} bytes is too little for {name} of {X.dtype}, which "
            f"becomes a table of {table:.4g} bytes: store it as one of {', '.join(taken)}, which are "
            "read where they are"
        )
    if (
        not sources.is_source(X)
        or X.shape[0] * X.shape[1] * np.dtype(X.dtype).itemsize <= max_memory
    ):
        return X
    return on_disk(X, name)
