"""Tables that are read by slices of rows: datasets of HDF5 and Zarr, Dask arrays and their like."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol, TypeGuard

import numpy as np
import torch

from fastparadime.types import Array, TensorLike
from fastparadime.utils.masks import without_mask

_BLOCK_BYTES = 16 * 2**20  # of rows read at a time, unless one chunk of the source is larger


class Source(Protocol):
    """What such a table has."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of its dimensions."""

    @property
    def ndim(self) -> int:
        """How many they are."""

    @property
    def dtype(self) -> Any:
        """Of its values, as numpy names it."""

    def __getitem__(self, rows: Any) -> Any: ...


def is_source(X: object) -> TypeGuard[Source]:
    """Whether `X` is no tensor or array, but has a shape and a dtype and gives slices of rows."""
    if isinstance(X, (np.ndarray, np.generic, torch.Tensor)):
        return False
    if hasattr(X, "nnz") or hasattr(X, "to_numpy"):  # sparse matrices and data frames
        return False
    return all(hasattr(X, name) for name in ("shape", "ndim", "dtype", "__getitem__"))


def read_rows(X: Source, start: int, stop: int, name: str) -> Array:
    """Rows start ... stop - 1 of a source.

    Raises
    ------
    OSError
        If they cannot be read.
    TypeError
        If some of their values are masked.
    ValueError
        If the source gives another number of rows, or rows of another shape.
    """
    where = f"rows {start} to {stop - 1} of {name}"
    try:
        found = _computed(X[start:stop])
    except (OSError, RuntimeError, ValueError, IndexError) as error:  # codecs raise any of them
        raise OSError(f"{where} cannot be read, of {X.shape[0]} by its shape: {error}") from error
    rows = np.asarray(without_mask(found, where))
    expected = (stop - start, *X.shape[1:])
    if rows.shape != expected:
        raise ValueError(
            f"{name} has {X.shape[0]} rows by its shape {tuple(X.shape)}, but {where} came as an "
            f"array of shape {rows.shape}, not {expected}"
        )
    return rows


def _computed(rows: Any) -> Array:
    """The array of what a source gave, with its mask, as netCDF4 and Dask may give one."""
    # Dask's own conversion to an array drops it.
    found: Array = np.asanyarray(rows.compute() if hasattr(rows, "compute") else rows)
    return found


def rows_at_a_time(X: Source, most: int | None = None) -> int:
    """Rows of a block: whole chunks of the source, as many as fit into about 16 MiB.

    Parameters
    ----------
    X : source
    most : int, optional
        Never more rows than this, even if chunks are then read twice.
    """
    row_bytes = max(1, math.prod(X.shape[1:]) * int(np.dtype(X.dtype).itemsize))
    rows = max(1, _BLOCK_BYTES // row_bytes)
    chunk = _chunk_rows(X)
    rows = max(chunk, rows // chunk * chunk)
    return rows if most is None else max(1, min(rows, most))


def _chunk_rows(X: Source) -> int:
    chunks = getattr(X, "chunks", None)  # None of an HDF5 dataset that is not chunked
    first = chunks[0] if isinstance(chunks, (tuple, list)) and chunks else 1
    if isinstance(first, (tuple, list)):  # Dask lists the size of each
        first = max(first, default=1)
    return max(1, int(first))


def row_blocks(
    X: TensorLike | Source, name: str, most: int | None = None, start: int = 0
) -> Iterator[tuple[int, Any]]:
    """The rows of a table or a source from `start` on, in order, as (first row, block).

    Blocks are of `most` rows; of a source as in `rows_at_a_time`. Errors are those of `read_rows`.
    """
    n = X.shape[0]
    step = rows_at_a_time(X, most) if is_source(X) else most or max(1, n)
    for first in range(start, n, step):
        last = min(n, first + step)
        yield first, read_rows(X, first, last, name) if is_source(X) else X[first:last]


def load(X: Source, name: str) -> Array:
    """All of a source as an array of its dtype; errors are those of `read_rows`."""
    if X.ndim == 0:
        return np.asarray(without_mask(_computed(X[()]), name))
    whole = np.empty(X.shape, np.dtype(X.dtype))
    for start, rows in row_blocks(X, name):
        whole[start : start + len(rows)] = rows
    return whole
