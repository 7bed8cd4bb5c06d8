"""Tables in numpy's files, HDF5 and Zarr; pickles are never loaded."""

from __future__ import annotations

import errno
import io
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fastparadime.types import Array
from fastparadime.utils import sources
from fastparadime.utils.tables.raw import Part, Raw

# Of damaged files; memory runs out where a header tells of more than the file has.
_NUMPY_ERRORS = (
    ValueError, TypeError, KeyError, EOFError, SyntaxError, RecursionError, OverflowError,
    NotImplementedError, RuntimeError, MemoryError, tokenize.TokenError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip


def raw_matrix(matrix: Any, name: str) -> Raw:
    """A table that has no names of columns."""
    rows = len(matrix) if matrix.ndim else 0
    return Raw(name, [Part(name, rows)], matrix=matrix)


def read_numpy(content: Path | bytes, name: str, suffix: str, key: str | None) -> Array:
    """The array of a ``.npy`` file, memory-mapped, or of a ``.npz`` one.

    Raises
    ------
    FileNotFoundError
        If an archive does not have the array, or several of which none is chosen.
    ValueError
        For anything else than such a file.
    """
    try:
        if suffix == ".npz":
            return _read_npz(content, name, key)
        if isinstance(content, bytes):
            loaded: Array = np.load(io.BytesIO(content), allow_pickle=False)
            return loaded
        with content.open("rb") as file:
            np.lib.format.read_magic(file)
        array: Array = np.load(content, mmap_mode="r", allow_pickle=False)
        return array
    except FileNotFoundError:
        raise
    except OSError as error:
        check_memory(error, name)
        if error.filename is not None:
            raise
        raise ValueError(f"cannot read {name}: it is not a valid {suffix} file") from error
    except _NUMPY_ERRORS as error:
        raise ValueError(f"cannot read {name}: {_reason(error, suffix)}") from error


def check_memory(error: OSError, name: Path | str) -> None:
    """Raises MemoryError where a file could not be mapped for want of memory.

    It is not damaged then.
    """
    if error.errno == errno.ENOMEM:
        raise MemoryError(f"there is not enough to read {name}") from error


def _reason(error: BaseException, suffix: str) -> str:
    if "sparse matrix of scipy" in str(error):
        return str(error)
    if "object" in str(error).lower():
        return "it holds Python objects, which are never loaded: save an array of numbers"
    if isinstance(error, MemoryError):
        return "it tells of more than there is memory for"
    if "mmap" in str(error) or "greater than" in str(error):
        return "it is cut short, or has no elements"
    return f"it is not a valid {suffix} file"


def _read_npz(content: Path | bytes, name: str, key: str | None) -> Array:
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    if not zipfile.is_zipfile(file):
        raise ValueError("not an archive")
    with np.load(file, allow_pickle=False) as archive:
        if {"format", "shape", "data"} <= set(archive.files) and key is None:
            raise ValueError("it holds a sparse matrix of scipy: save its toarray()")
        return np.asarray(archive[choose(name, list(archive.files), key)])


def choose(name: str, names: list[str], key: str | None, what: str = "array") -> str:
    """The array that is asked for, or the only one.

    Raises
    ------
    FileNotFoundError
        With the names that there are.
    """
    listing = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "") or "none"
    if key is None and len(names) == 1:
        return names[0]
    if key is None:
        raise FileNotFoundError(
            f"{name} holds {len(names)} {what}s ({listing}): choose one as {name}:NAME"
        )
    if key not in names:
        raise FileNotFoundError(f"{name} has no {what} {key!r}; there are: {listing}")
    return key


@contextmanager
def damage_named(name: Path | str, kind: str) -> Iterator[None]:
    """Names the file where a library fails on it, in whatever way.

    Raises
    ------
    ValueError
        Instead of all but what the system says of files, and FileNotFoundError.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except MemoryError as error:
        raise ValueError(
            f"cannot read {name}: it tells of more than there is memory for"
        ) from error
    except Exception as error:
        if isinstance(error, PermissionError):
            raise
        if isinstance(error, OSError):
            check_memory(error, name)
        raise ValueError(f"cannot read {name}: it is not a valid {kind}") from error


def read_hdf5(path: Path, key: str | None) -> Array:
    """A dataset of an HDF5 file: the one asked for, or the only table of numbers.

    Raises
    ------
    FileNotFoundError, ValueError, ModuleNotFoundError
    """
    h5py = needed("h5py", path)
    with damage_named(path, "HDF5 file"), h5py.File(path, "r") as file:
        found: list[str] = []
        file.visititems(lambda name, item: found.append(name) if _is_table(item, h5py) else None)
        wanted = None if key is None else key.strip("/")
        if wanted is not None and isinstance(file.get(wanted), h5py.Dataset):
            found = [wanted]
        return sources.load(file[choose(str(path), found, wanted, "dataset")], str(path))


def _is_table(item: Any, h5py: Any) -> bool:
    return isinstance(item, h5py.Dataset) and item.ndim == 2 and item.dtype.kind in "biuf"


def read_zarr(path: Path, key: str | None) -> Array:
    """An array of a Zarr store: the one asked for, or the only table of numbers.

    Raises
    ------
    FileNotFoundError, ValueError, ModuleNotFoundError
    """
    zarr = needed("zarr", path)
    with damage_named(path, "Zarr store"):
        store = zarr.open(path, mode="r")
        if hasattr(store, "dtype"):
            return sources.load(store, str(path))
        found = sorted(_zarr_tables(store))
        wanted = None if key is None else key.strip("/")
        if wanted is not None and wanted in store:
            found = [wanted]
        return sources.load(store[choose(str(path), found, wanted)], str(path))


def _zarr_tables(group: Any, above: str = "") -> Any:
    for name, array in group.arrays():
        if array.ndim == 2 and np.dtype(array.dtype).kind in "biuf":
            yield above + name
    for name, inner in group.groups():
        yield from _zarr_tables(inner, f"{above}{name}/")


def needed(module: str, path: Path | str) -> Any:
    """A reader that is installed with an extra.

    Raises
    ------
    ModuleNotFoundError
        Saying what to install.
    """
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        extra = "fastparadime[files]"
        wanted = "pyarrow" if package == "pyarrow" else f"'{extra}'"
        raise ModuleNotFoundError(
            f"reading {path} needs {package}: pip install {wanted}"
        ) from error
