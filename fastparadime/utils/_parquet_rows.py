"""The rows of a Parquet file, read by groups of rows as they are asked for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastparadime.types import Array
from fastparadime.utils.tables.arrow_files import pandas_index
from fastparadime.utils.tables.names import kind_of, listed


class ParquetRows:
    """A Parquet file as rows of numbers: a column of vectors, or columns of numbers.

    Decimals become float64.

    A group of rows is held while slices that follow one another share it.

    Parameters
    ----------
    path : Path
    columns : sequence of str, optional
        The column of vectors, if there is one, or else all columns of numbers, if None.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        For another file, columns that it does not have, and columns that are no numbers.
    """

    ndim = 2

    def __init__(self, path: Path, columns: Sequence[str] | None = None) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self._path = path
        try:
            self._file = parquet.ParquetFile(path, memory_map=True)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path} must be a Parquet file: {error}") from error
        schema = self._file.schema_arrow
        self.columns = _chosen(schema, columns, path)
        about = self._file.metadata
        sizes = [about.row_group(group).num_rows for group in range(about.num_row_groups)]
        self._starts = [0, *itertools.accumulate(sizes)]
        self.chunks = (max(sizes, default=1), 1)
        kinds = [_stored(schema.field(name).type) for name in self.columns]
        self._vectors = kind_of(kinds[0]) == "vector"
        if self._vectors:
            kinds = [_stored(kinds[0].value_type)]
        kinds = [pa.float64() if pa.types.is_decimal(kind) else kind for kind in kinds]
        self._kinds = kinds
        self.dtype = np.result_type(*(kind.to_pandas_dtype() for kind in kinds))
        self._held: tuple[int, Array] | None = None
        width = self._width() if self._vectors else len(self.columns)
        self.shape: tuple[int, int] = (self._starts[-1], width)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Array:
        start, stop, _ = rows.indices(self.shape[0])
        found = [np.empty((0, self.shape[1]), self.dtype)]
        for group, (first, last) in enumerate(itertools.pairwise(self._starts)):
            if max(start, first) < min(stop, last):
                found.append(self._group(group)[max(start - first, 0) : stop - first])
                if stop >= last:
                    self._held = None
        return np.concatenate(found)

    def _group(self, number: int) -> Array:
        held = self._held
        if held is None or held[0] != number:
            table = self._file.read_row_group(number, columns=self.columns)
            self._held = held = (number, self._values(table, self._starts[number]))
        return held[1]

    def _width(self) -> int:
        """Of the vectors: that of the first one, 0 if there is none."""
        for batch in self._file.iter_batches(1, columns=self.columns):
            if len(batch):  # which a group without rows has none of
                first = _stored_values(batch.column(0))[0].as_py()
                return 0 if first is None else len(first)
        return 0

    def _values(self, table: Any, first: int) -> Array:
        for name in self.columns:
            if table.column(name).null_count:
                missing = int(table.column(name).is_null().index(True).as_py())
                raise ValueError(f"{self._path} has no {name!r} in row {first + missing}")
        if not self._vectors:
            columns = [
                table.column(name).cast(kind).to_numpy()
                for name, kind in zip(self.columns, self._kinds, strict=True)
            ]
            return np.stack(columns, axis=1).astype(self.dtype, copy=False)
        import pyarrow.compute as pc

        column = _stored_values(table.column(0).combine_chunks())
        others = pc.not_equal(pc.list_value_length(column), self.shape[1])
        if pc.any(others).as_py():
            row = pc.index(others, True).as_py()
            raise ValueError(
                f"{self._path} has {len(column[row])} values in row {first + row}, and "
                f"{self.shape[1]} in its first one"
            )
        values = column.flatten()
        if values.null_count:
            row = int(values.is_null().index(True).as_py()) // self.shape[1]
            raise ValueError(f"{self._path} lacks a value in row {first + row}")
        values = values.cast(self._kinds[0]).to_numpy(zero_copy_only=False)
        return np.asarray(values).reshape(len(column), self.shape[1])


def _stored(kind: Any) -> Any:
    """A type of Arrow's without its name of another, and of a dictionary that of its values."""
    kind = getattr(kind, "storage_type", kind)
    return kind.value_type if hasattr(kind, "index_type") else kind


def _stored_values(column: Any) -> Any:
    """An array of Arrow's of the type that `_stored` gives, where it has a name of another."""
    return getattr(column, "storage", column)


def _chosen(schema: Any, columns: Sequence[str] | None, path: Path) -> list[str]:
    """The columns, if they are one of vectors or some of numbers."""
    import pyarrow as pa

    kinds = {
        field.name: "nothing" if pa.types.is_null(field.type) else kind_of(field.type)
        for field in schema
    }
    if columns is None:
        vectors = [name for name, kind in kinds.items() if kind == "vector"]
        index = pandas_index(schema)
        numbers = [n for n, kind in kinds.items() if kind == "number" and n not in index]
        columns = vectors or numbers
        if len(vectors) > 1:
            raise ValueError(f"{path} has several columns of vectors, {listed(vectors)}: name one")
    lacking = [name for name in columns if name not in kinds]
    if lacking:
        raise ValueError(f"{path} has no columns {listed(lacking)}, but {listed(kinds)}")
    chosen = [kinds[name] for name in columns]
    if not (chosen == ["vector"] or (chosen and set(chosen) == {"number"})):
        told = ", ".join(f"{name!r} ({kinds[name]})" for name in columns) or "none of these"
        raise ValueError(f"{path} must have a column of vectors or columns of numbers, not {told}")
    return list(columns)
