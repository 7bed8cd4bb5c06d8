"""Embeddings in files: coordinates alone, or with ids, labels and other columns beside them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastparadime.types import Array
from fastparadime.utils.files import replacing
from fastparadime.utils.tables.names import kind_of
from fastparadime.utils.tables.opening import STANDARD_INPUT, suffix_of

if TYPE_CHECKING:
    from fastparadime.utils.tables.reading import Table

_TEXT = {".csv": ",", ".tsv": "\t"}
_COLUMNAR = (".parquet", ".feather", ".arrow")
OUTPUTS = (".npy", *_TEXT, *_COLUMNAR)
_CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
_AXES = ("x", "y", "z")


def check_output(output: str) -> None:
    """Raises ValueError for a file of a kind that is not written; ``-`` is standard output."""
    if output != STANDARD_INPUT and suffix_of(Path(output)) not in OUTPUTS:
        raise ValueError(
            f"{output} has an unknown extension; the embedding is written as {', '.join(OUTPUTS)}"
        )


def coordinate_names(n_components: int) -> list[str]:
    """Names of coordinates, as embedding-atlas has them: projection_x, projection_y."""
    axes = _AXES if n_components <= len(_AXES) else [str(i) for i in range(n_components)]
    return [f"projection_{axes[i]}" for i in range(n_components)]


def write_embedding(
    output: str,
    coords: Array,
    table: Table | None = None,
    labels: Array | None = None,
    neighbors: tuple[Array, Array] | None = None,
) -> None:
    """Writes coordinates (n, n_components), and where the file has columns what lies beside them.

    Parameters
    ----------
    output : str
        Of one of `OUTPUTS`, text also compressed; ``-`` writes text to standard output.
    coords : array (n, n_components)
    table : Table, optional
        The rows, whose ids, labels and other columns are written.
    labels : array (n,), optional
        Others than the table's.
    neighbors : (indices (n, k), distances (n, k)), optional
        Written into files that hold lists, as the column ``neighbors``.
    """
    if output == STANDARD_INPUT:
        _write_text(sys.stdout.buffer, _frame(coords, table, labels, None), ",")
        sys.stdout.flush()
        return
    path = Path(output)
    suffix = suffix_of(path)
    if suffix == ".npy":
        with replacing(path) as part, part.open("wb") as file:
            # numpy's own way of writing files does not say why it failed.
            np.save(SimpleNamespace(write=file.write), coords)
        return
    frame = _frame(coords, table, labels, neighbors if suffix in _COLUMNAR else None)
    with replacing(path) as part:
        if suffix in _TEXT:
            _write_compressed(part, frame, _TEXT[suffix], _CODECS.get(path.suffix.lower()))
        else:
            _write_columns(part, frame, suffix)


def _frame(
    coords: Array,
    table: Table | None,
    labels: Array | None,
    neighbors: tuple[Array, Array] | None,
) -> Any:
    """What is written, as a table of Arrow's."""
    import pyarrow as pa

    columns: dict[str, Any] = {}
    if table is not None and table.ids is not None:
        columns[table.recipe.id or "id"] = _arrow(table.ids)
    if table is not None and table.labels is not None and labels is None:
        columns[table.recipe.label or "label"] = _arrow(table.labels)
    elif labels is not None:
        columns["label"] = _arrow(labels)
    names = coordinate_names(coords.shape[1])
    if table is not None and table.others is not None:
        taken = {*columns, *names, "neighbors"}
        others = table.others
        columns.update((n, others.column(n)) for n in others.column_names if n not in taken)
    columns.update(zip(names, (pa.array(part) for part in coords.T.copy()), strict=True))
    if neighbors is not None:
        columns["neighbors"] = _neighbors(*neighbors)
    return pa.table(columns)


def _arrow(values: Sequence[Any] | Array) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError):  # of several kinds
        return pa.array([None if value is None else str(value) for value in values])


def _neighbors(indices: Array, distances: Array) -> Any:
    import pyarrow as pa

    n, k = indices.shape
    starts = pa.array(np.arange(n + 1) * k, pa.int32() if n * k < 2**31 else pa.int64())
    kind = pa.ListArray if n * k < 2**31 else pa.LargeListArray
    lists = [kind.from_arrays(starts, pa.array(part.ravel())) for part in (indices, distances)]
    return pa.StructArray.from_arrays(lists, ["ids", "distances"])


def _write_compressed(path: Path, frame: Any, delimiter: str, codec: str | None) -> None:
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as file:
        if codec is None:
            _write_text(file, frame, delimiter)
            return
        with pa.CompressedOutputStream(file, codec) as stream:
            _write_text(stream, frame, delimiter)


def _write_text(file: Any, frame: Any, delimiter: str) -> None:
    from pyarrow import csv

    nested = [
        f.name for f in frame.schema if kind_of(f.type).startswith(("vector", "list", "struct"))
    ]
    plain = frame.drop_columns(nested) if nested else frame
    csv.write_csv(plain, file, csv.WriteOptions(delimiter=delimiter, quoting_style="needed"))


def _write_columns(path: Path, frame: Any, suffix: str) -> None:
    if suffix == ".parquet":
        from pyarrow import parquet

        parquet.write_table(frame, str(path))
    else:
        from pyarrow import feather

        feather.write_feather(frame, str(path))
