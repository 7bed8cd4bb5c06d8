"""Large arrays in files without a name: the system writes them out where memory is short."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch

_SHARE = 16  # of a limit, beyond which an array lies on the disk
_least: ContextVar[float] = ContextVar("least", default=math.inf)
_ITEMS = {
    torch.int64: np.int64,
    torch.int32: np.int32,
    torch.float32: np.float32,
    torch.float64: np.float64,
    torch.float16: np.float16,
    torch.uint16: np.uint16,
    torch.uint8: np.uint8,
    torch.int8: np.int8,
}


@contextmanager
def arrays_within(max_memory: float | None) -> Iterator[None]:
    """Has `empty` put arrays of more than a sixteenth of so many bytes on the disk in a `with` block."""
    if max_memory is None:
        yield
        return
    before = _least.set(min(_least.get(), max_memory / _SHARE))
    try:
        yield
    finally:
        _least.reset(before)


@contextmanager
def telling_the_folder() -> Iterator[None]:
    """A block of writing a temporary file, whose errors say where it lies."""
    try:
        yield
    except OSError as error:
        told = (
            f"{error.strerror or error}: a temporary file in {tempfile.gettempdir()} cannot be "
            "written. Set TMPDIR to a folder of a disk with more room"
        )
        raise (OSError(told) if error.errno is None else OSError(error.errno, told)) from error


def empty(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """A tensor on the CPU of any content, in a file where `arrays_within` says so.

    The file lies in the folder that `tempfile.gettempdir` gives, which TMPDIR sets, and is gone with
    the tensor.

    Raises
    ------
    OSError
        If the disk is full; the message names the folder.
    """
    size = math.prod(shape) * dtype.itemsize
    if size <= _least.get() or size == 0:
        return torch.empty(tuple(shape), dtype=dtype)
    with telling_the_folder(), tempfile.TemporaryFile(prefix="fastparadime-") as file:
        if hasattr(os, "posix_fallocate"):  # a full disk is an error here, and a signal later
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        return torch.from_numpy(np.memmap(file, _ITEMS[dtype], "r+", shape=tuple(shape)))


def empty_like(tensor: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
    """As `empty`, of a tensor's form, and dtype unless another; on its device where that is another."""
    if tensor.device.type != "cpu":
        return torch.empty_like(tensor, dtype=dtype)
    return empty(tensor.shape, dtype or tensor.dtype)


def full(shape: Sequence[int], value: float, dtype: torch.dtype) -> torch.Tensor:
    """As `empty`, of one value."""
    return empty(shape, dtype).fill_(value)


def limit() -> float | None:
    """The bytes that `arrays_within` was given, None outside of it."""
    least = _least.get()
    return None if least == math.inf else least * _SHARE


class Appended:
    """A tensor of one dimension that grows: in a file within `arrays_within`, else in memory.

    Parameters
    ----------
    dtype : torch.dtype

    Raises
    ------
    OSError
        If the disk is full; the message names the folder.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype, self._size = dtype, 0
        self._parts: list[torch.Tensor] = []
        self._file = None
        if limit() is not None:
            self._file = tempfile.TemporaryFile(prefix="fastparadime-")  # noqa: SIM115 (until `whole`)

    def add(self, part: torch.Tensor) -> None:
        """Takes a part."""
        part = part.to(self._dtype)
        self._size += len(part)
        if self._file is None:
            self._parts.append(part)
        else:
            try:
                with telling_the_folder():
                    part.numpy().tofile(self._file)
            except OSError:
                self._file.close()
                raise

    def whole(self) -> torch.Tensor:
        """All parts; there are no more."""
        if self._file is None:
            return torch.cat([torch.empty(0, dtype=self._dtype), *self._parts])
        with self._file as file:
            if self._size == 0:
                return torch.empty(0, dtype=self._dtype)
            file.flush()
            return torch.from_numpy(np.memmap(file, _ITEMS[self._dtype], "r+", shape=self._size))
