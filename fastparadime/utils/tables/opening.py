"""From what the user names, a file, some of its content, a folder or a pattern, to one table."""

from __future__ import annotations

import glob
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fastparadime.utils.tables import arrays, arrow_files, text
from fastparadime.utils.tables.annotated import read_anndata
from fastparadime.utils.tables.raw import Raw, Reading

HDF5 = (".h5", ".hdf5", ".hdf")
EXTENSIONS = (
    ".npy", ".npz", *text.EXTENSIONS, *arrow_files.PARQUET, *arrow_files.ARROW, ".h5ad", *HDF5,
    ".zarr",
)  # fmt: skip
STANDARD_INPUT = "-"
_KEYED = re.compile(r"(.*\.(?:npz|h5|hdf5|hdf|zarr)):([^:\\]+)").fullmatch
_STARTS = (
    (b"\x93NUMPY", ".npy"), (b"PK\x03\x04", ".npz"), (b"PAR1", ".parquet"), (b"ARROW1", ".arrow"),
    (b"FEA1", ".feather"), (b"\xff\xff\xff\xff", ".arrows"), (b"\x89HDF", ".h5"),
)  # fmt: skip
_COMPRESSED = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bz2"))


def open_raw(source: str, reading: Reading) -> Raw:
    """The content of what `source` names.

    Raises
    ------
    OSError
        If a file cannot be read.
    TypeError, ValueError
        If it holds something else, naming the file.
    ModuleNotFoundError
        If its reader is not installed, with what to install.
    """
    if source == STANDARD_INPUT:
        return _of_bytes(sys.stdin.buffer.read(), "standard input", reading)
    path, key = split(source)
    if path.is_dir() and suffix_of(path) != ".zarr":
        return _joined(_within(path), source, reading)
    if key is None and not path.exists() and glob.has_magic(source):
        matches = glob.iglob(source, recursive=True)  # noqa: PTH207  (a pattern may be absolute)
        found = sorted(map(Path, matches), key=_natural)
        if not found:
            raise FileNotFoundError(f"no file is like {source}")
        return _joined(found, source, reading)
    check_file(path)
    return _of_file(path, source, key, reading)


def split(source: str) -> tuple[Path, str | None]:
    """The path, and the key of ``file.npz:key`` and its like."""
    found = None if Path(source).exists() else _KEYED(source)
    return (Path(found[1]), found[2]) if found else (Path(source), None)


def suffix_of(path: Path) -> str:
    """The extension in lower case, of a compressed text file that within."""
    suffix = path.suffix.lower()
    inner = Path(path.stem).suffix.lower()
    return inner if suffix in text.COMPRESSED and inner in text.EXTENSIONS else suffix


def check_file(path: Path) -> None:
    """Raises for a path that is no file of a known kind, or that is empty."""
    suffix = suffix_of(path)
    if suffix not in EXTENSIONS:
        raise ValueError(
            f"{path} has an unknown extension; files that can be read are {', '.join(EXTENSIONS)}"
        )
    if path.is_dir() and suffix != ".zarr":
        raise IsADirectoryError(f"{path} is a folder, not a file")
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    if path.is_file() and path.stat().st_size == 0:
        raise ValueError(f"{path} is empty")


def _of_file(path: Path, name: str, key: str | None, reading: Reading) -> Raw:
    suffix = suffix_of(path)
    if suffix in text.EXTENSIONS:
        return text.read_text(path, name, reading)
    if suffix in arrow_files.PARQUET + arrow_files.ARROW:
        return arrow_files.read_arrow(path, name, parquet=suffix in arrow_files.PARQUET)
    if suffix == ".h5ad" or (suffix == ".zarr" and key is None and _is_anndata(path)):
        return read_anndata(path, name, reading)
    if suffix in HDF5:
        return arrays.raw_matrix(arrays.read_hdf5(path, key), name)
    if suffix == ".zarr":
        return arrays.raw_matrix(arrays.read_zarr(path, key), name)
    return arrays.raw_matrix(arrays.read_numpy(path, str(path), suffix, key), name)


def _is_anndata(path: Path) -> bool:
    return path.is_dir() and (path / "obs").is_dir() and (path / "var").is_dir()


def _of_bytes(content: bytes, name: str, reading: Reading) -> Raw:
    if not content:
        raise ValueError(f"{name} is empty")
    suffix = next((kind for start, kind in _STARTS if content.startswith(start)), ".csv")
    codec = next((kind for start, kind in _COMPRESSED if content.startswith(start)), None)
    if codec is not None:
        pa = arrays.needed("pyarrow", name)
        content = bytes(pa.CompressedInputStream(pa.BufferReader(content), codec).read())
    if suffix in HDF5:
        raise ValueError(f"{name} is an HDF5 file, which can be read from a file alone")
    if suffix in (".npy", ".npz"):
        return arrays.raw_matrix(arrays.read_numpy(content, name, suffix, None), name)
    if suffix == ".csv":
        return text.read_text(content, name, reading)
    return arrow_files.read_arrow(content, name, parquet=suffix == ".parquet")


def _natural(path: Path) -> list[Any]:
    """Names in order, part-2 before part-10."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _within(folder: Path) -> list[Path]:
    """The shards in a folder; names that begin with a dot or underscore are others' marks."""
    files = [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and suffix_of(path) in EXTENSIONS
        and not any(part[0] in "._" for part in path.relative_to(folder).parts)
    ]
    if not files:
        raise FileNotFoundError(
            f"the folder {folder} has no file that can be read: {', '.join(EXTENSIONS)}"
        )
    return sorted(files, key=_natural)


def _joined(files: list[Path], source: str, reading: Reading) -> Raw:
    """The rows of several files of one kind, one below the other."""
    kinds = sorted({suffix_of(path) for path in files})
    if len(kinds) > 1:
        raise ValueError(f"{source} has files of several kinds: {', '.join(kinds)}")
    shards = []
    for path in files:
        check_file(path)
        shards.append(_of_file(path, str(path), None, reading))
    first = shards[0]
    if len(shards) == 1:
        return replace(first, source=source)
    for shard in shards[1:]:
        _check_alike(first, shard)
    ids = None
    if all(shard.ids is not None for shard in shards):
        ids = np.concatenate([shard.ids for shard in shards])
    return Raw(
        source,
        [part for shard in shards for part in shard.parts],
        None if first.matrix is None else np.concatenate([shard.matrix for shard in shards]),
        first.names,
        None if first.frame is None else _stacked(shards, source),
        first.index,
        ids,
        list(dict.fromkeys(note for shard in shards for note in shard.notes)),
    )


def _check_alike(first: Raw, other: Raw) -> None:
    if first.matrix is not None:
        widths = [shard.matrix.shape[1:] for shard in (first, other)]
        if widths[0] != widths[1] or first.names != other.names:
            raise ValueError(
                f"{other.source} has not the columns of {first.source}: shapes of a row are "
                f"{widths[1]} and {widths[0]}"
            )
    names, others = (
        set(shard.frame.column_names if shard.frame else ()) for shard in (first, other)
    )
    if first.matrix is None and names != others:
        which = ", ".join(map(repr, sorted(names ^ others)[:10]))
        raise ValueError(f"{other.source} has not the columns of {first.source}: {which} differ")


def _stacked(shards: list[Raw], source: str) -> Any:
    import pyarrow as pa

    frames = [shard.frame for shard in shards]
    try:
        # Names that are text in one file, for their zeros, may be whole numbers in another.
        for name in frames[0].column_names:
            kinds = {str(frame.schema.field(name).type) for frame in frames}
            if kinds == {"string", "int64"} and shards[0].parts[0].text is not None:
                place = [frame.column_names.index(name) for frame in frames]
                frames = [
                    frame.set_column(at, name, frame.column(name).cast(pa.string()))
                    for at, frame in zip(place, frames, strict=True)
                ]
        return pa.concat_tables(frames, promote_options="permissive")
    except pa.ArrowException as error:
        raise ValueError(f"the files of {source} cannot be joined: {error}") from error
