"""Results of many rows, computed block by block and kept in a file that an ended run goes on with."""

from __future__ import annotations

import json
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastparadime.types import Array
from fastparadime.utils import sources
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.files import replacing, to_disk
from fastparadime.utils.progress import stage

_BLOCK_BYTES = 32 * 2**20  # of rows that are held at a time, as float32
_MOST_ROWS = 2**15  # of a block, since what is computed for narrow rows is wider than they are
_SECONDS = 1.0  # of work that a run which is ended may lose
_PARTS = {
    "version": "another version of fastparadime",
    "model": "another model",
    "rows": "rows of another shape or dtype",
    "results": "results of another shape or dtype",
}
_VERSION = 1


def results_into(
    out: Any,
    X: Any,
    place: Callable[[Any], Array],
    model: Callable[[], str],
    *,
    bar: bool = False,
) -> Any:
    """What a function gives for rows, written into an array or a file as it is computed.

    Parameters
    ----------
    out : str, Path or array (n, ...)
        A ``.npy`` file, or anything that takes slices of rows. Beside a file, one with the ending
        ``.part`` has what is done, and one with ``.progress`` how much that is. They give way to
        `out` in the end. If a run was ended, another one for the same rows goes on where it was.
    X : array, tensor or source (n, ...)
        Read block by block.
    place : callable
        Gives results (m, ...) of rows (m, ...), each by that row alone.
    model : callable
        Gives a text that tells `place` from others, for a file.
    bar : bool
        Whether a bar is shown.

    Returns
    -------
    array
        `out`, or a read-only memory map of the file.

    Raises
    ------
    OSError
        If a file cannot be read or written, or another process is writing it.
    TypeError
        If `out` is neither a path nor an array of floating-point numbers.
    ValueError
        If `X` is empty, or the results do not fit into `out`; if it was begun with other rows or
        another model.
    """
    if not X.shape[0]:
        raise ValueError("X must have at least one row where out is given")
    first = next(iter(_blocks(X, 0, 1)))[1]
    like = place(first)
    shape = (X.shape[0], *like.shape[1:])
    if not isinstance(out, (str, Path)):
        _check_array(out, shape)
        with _shown(X.shape[0], 0, bar=bar) as advance:
            for start, rows in _blocks(X, 0):
                stop = start + rows.shape[0]  # sparse ones have no length
                found = place(rows)
                out[start:stop] = torch.from_numpy(found) if torch.is_tensor(out) else found
                advance(stop)
        return out
    path = Path(out)
    if path.suffix != ".npy":
        raise ValueError(f"out must be a .npy file, not {out}")
    about = {
        "version": _VERSION,
        "model": model(),
        "rows": [list(X.shape), str(X.dtype)],
        "results": [list(shape), str(like.dtype)],
    }
    with _Begun.open(path, about) as begun:
        begun.check_rows(X)
        with _shown(X.shape[0], begun.done, bar=bar) as advance:
            for start, rows in _blocks(X, begun.done):
                begun.add(rows, place(rows))
                advance(start + len(rows))
        begun.finish()
    results: Array = np.load(path, mmap_mode="r")
    return results


def _check_array(out: Any, shape: tuple[int, ...]) -> None:
    """Raises TypeError or ValueError for an `out` that does not take results of a shape."""
    if not (hasattr(out, "shape") and hasattr(out, "dtype") and hasattr(out, "__setitem__")):
        raise TypeError(
            f"out must be the path of a .npy file or an array of shape {shape}, not of type "
            f"{type(out).__name__}"
        )
    if tuple(out.shape) != shape:
        raise ValueError(f"out must have shape {shape}, not {tuple(out.shape)}")
    whole = not out.is_floating_point() if torch.is_tensor(out) else out.dtype.kind in "iub"
    if whole:
        raise TypeError(f"out must hold floating-point numbers, not {out.dtype}")


class _Begun:
    """Results in a file that is not complete yet, and how many rows they are of."""

    def __init__(self, path: Path, file: FileIO, about: dict[str, Any]) -> None:
        self.path, self.file, self.about = path, file, about
        self.done = self.sum = 0
        self._kept = time.monotonic()
        self._finished = False

    @property
    def progress(self) -> Path:
        return _beside(self.path, ".progress")

    @classmethod
    @contextmanager
    def open(cls, path: Path, about: dict[str, Any]) -> Iterator[_Begun]:
        """The file as a run before left it; what it has is kept however the block ends."""
        part = _beside(path, ".part")
        if not path.parent.is_dir():
            raise FileNotFoundError(f"{path} cannot be written: there is no folder {path.parent}")
        if path.exists() and not path.is_file():
            raise FileExistsError(f"{path} cannot be written: it is there already and is no file")
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0) as file:
            _lock(file, path)
            begun = cls(path, file, about)
            try:
                begun._go_on()
                yield begun
            finally:
                if not begun._finished:
                    begun._end()

    def _go_on(self) -> None:
        """Takes what a run before did, or writes the header of a new file."""
        known = None
        if self.progress.exists() and os.fstat(self.file.fileno()).st_size:
            try:
                known = json.loads(self.progress.read_text(encoding="utf-8"))
                about, done, total = known["about"], int(known["done"]), int(known["sum"])
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(self._other("no progress that can be read")) from error
            for name, what in _PARTS.items():
                if about.get(name) != self.about[name]:
                    raise ValueError(self._other(what))
            self.done, self.sum = done, total
        shape, dtype = self.about["results"]
        header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": tuple(shape)}
        self.file.seek(0)
        if known is None:
            self.file.truncate()
        np.lib.format.write_array_header_1_0(self.file, header)
        row_bytes = int(np.prod(shape[1:], dtype=np.int64)) * np.dtype(dtype).itemsize
        self.file.truncate(self.file.tell() + self.done * row_bytes)
        self.file.seek(0, os.SEEK_END)

    def _other(self, what: str) -> str:
        return (
            f"{self.path} was begun with {what}: remove {self.progress} to begin anew, or choose "
            "another file"
        )

    def check_rows(self, X: Any) -> None:
        """Raises ValueError if the rows that are done are not those of `X` any more."""
        total = 0
        for start, rows in _blocks(X, 0):
            if start >= self.done:
                break
            total = _sum(rows[: self.done - start], total)
        if total != self.sum:
            raise ValueError(self._other("other rows"))

    def add(self, rows: Any, results: Array) -> None:
        """Appends the results of the next rows."""
        left = memoryview(np.ascontiguousarray(results).tobytes())
        try:
            while left:
                left = left[self.file.write(left) :]
        except OSError as error:
            raise type(error)(error.errno, error.strerror, str(self.path)) from error
        self.done, self.sum = self.done + len(rows), _sum(rows, self.sum)
        if time.monotonic() - self._kept > _SECONDS:
            self._keep()

    def _keep(self) -> None:
        os.fsync(self.file.fileno())
        known = {"about": self.about, "done": self.done, "sum": self.sum}
        with replacing(self.progress) as part:
            part.write_text(json.dumps(known), encoding="utf-8")
        self._kept = time.monotonic()

    def finish(self) -> None:
        """Puts the file, which is complete, in its place."""
        os.fsync(self.file.fileno())
        part = _beside(self.path, ".part")
        if self.path.exists():
            part.chmod(self.path.stat().st_mode & 0o7777)
        part.replace(self.path)
        self._finished = True
        if os.name != "nt":
            to_disk(self.path.parent, os.O_RDONLY)
        self.progress.unlink(missing_ok=True)

    def _end(self) -> None:
        """Keeps what is done of a file that is not complete, or removes one without rows."""
        if self.done:
            with suppress(OSError):  # a full disk has had its error
                self._keep()
        elif not self.progress.exists():
            _beside(self.path, ".part").unlink()


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _lock(file: FileIO, path: Path) -> None:
    """Raises OSError if another process is writing; the lock ends with the process."""
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OSError(error.errno, "another process is writing it", str(path)) from None


def _sum(rows: Any, before: int) -> int:
    """The CRC-32 of values, of which that of rows before is known."""
    return zlib.crc32(np.ascontiguousarray(to_numpy(rows)).reshape(-1).view(np.uint8).data, before)


def _blocks(X: Any, start: int, most: int | None = None) -> Iterator[tuple[int, Any]]:
    """The rows from `start` on, as (first row, block)."""
    row_bytes = 4 * int(np.prod(X.shape[1:], dtype=np.int64))
    step = most or max(1, min(_MOST_ROWS, _BLOCK_BYTES // max(1, row_bytes)))
    yield from sources.row_blocks(X, "X", step, start)


@contextmanager
def _shown(n: int, done: int, *, bar: bool) -> Iterator[Callable[[int], object]]:
    """Tells a watcher of the rows that are done, and shows them in a bar if asked to."""
    with stage("rows", n) as advance:
        if not bar:
            yield advance or (lambda _: None)
            return
        from tqdm import tqdm

        with tqdm(total=n, initial=done, desc="apply", unit="row", unit_scale=True) as shown:
            yield lambda rows: shown.update(rows - shown.n)
