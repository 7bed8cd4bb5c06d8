"""Tables in Parquet, Feather and Arrow's own files."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from fastparadime.utils.tables.arrays import check_memory, needed
from fastparadime.utils.tables.raw import Part, Raw

PARQUET = (".parquet", ".pq", ".parq")
ARROW = (".feather", ".arrow", ".ipc", ".arrows")


def read_arrow(content: Path | bytes, name: str, *, parquet: bool) -> Raw:
    """The columns of a Parquet, Feather or Arrow file, or of its bytes.

    Raises
    ------
    ValueError
        If it is none.
    ModuleNotFoundError
        Without pyarrow.
    """
    pa = needed("pyarrow", name)
    kind = "Parquet" if parquet else "Arrow"
    try:
        frame = _parquet(content) if parquet else _ipc(content, pa)
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError):
            check_memory(error, name)
            if error.filename is not None:
                raise
        raise ValueError(f"cannot read {name}: it is not a valid {kind} file") from error
    return Raw(name, [Part(name, frame.num_rows)], frame=frame, index=pandas_index(frame.schema))


def _parquet(content: Path | bytes) -> Any:
    from pyarrow import parquet

    return parquet.read_table(io.BytesIO(content) if isinstance(content, bytes) else content)


def _ipc(content: Path | bytes, pa: Any) -> Any:
    source = pa.BufferReader(content) if isinstance(content, bytes) else pa.memory_map(str(content))
    start = source.read(6)
    source.seek(0)
    if start[:4] == b"FEA1":  # before Arrow had a file format of its own
        from pyarrow import feather

        return feather.read_table(source)
    opener = pa.ipc.open_file if start == b"ARROW1" else pa.ipc.open_stream
    return opener(source).read_all()


def pandas_index(schema: Any) -> tuple[str, ...]:
    """The columns that pandas wrote as its index, by the file's own metadata."""
    try:
        about = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        names = about.get("index_columns", [])
    except (ValueError, AttributeError):
        return ()
    columns = set(schema.names)
    return tuple(name for name in names if isinstance(name, str) and name in columns)
