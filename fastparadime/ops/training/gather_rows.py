"""Rows picked by index, and the sums that are their gradients."""

from __future__ import annotations

import math

import torch

from fastparadime import _core
from fastparadime.ops._checks import (
    MAX_POINTS,
    as_dense,
    as_floats,
    as_indices,
    check_same_device,
    on_device,
    target_of,
)
from fastparadime.types import TensorLike
from fastparadime.utils.convert import share
from fastparadime.utils.validate import check_integer


def gather_rows(table: TensorLike, indices: TensorLike) -> torch.Tensor:
    """Rows of a table picked by index, in the table's dtype.

    Parameters
    ----------
    table : (n, ...) array
        Of any dtype.
    indices : (m,) integer array
        In [0, n), on the table's device.

    Raises
    ------
    ValueError
        If an index is out of range or the devices differ.
    """
    table = as_dense(share(table), "table").contiguous()
    indices = as_indices(indices, "indices", 1, len(table) if table.ndim else 0)
    check_same_device(table=table, indices=indices)
    with on_device(table):
        out = table.new_empty((len(indices), *table.shape[1:]))
        row_bytes = math.prod(table.shape[1:]) * table.element_size()
        _core.gather_rows(
            out.data_ptr(),
            table.data_ptr(),
            indices.data_ptr(),
            len(indices),
            row_bytes,
            target_of(table),
        )
    return out


def scatter_add(rows: TensorLike, indices: TensorLike, n: int) -> torch.Tensor:
    """Sums of rows that have an index in common, in their order: the gradient of `gather_rows`.

    On the CPU only, as `unique_nodes`.

    Parameters
    ----------
    rows : (m, dim) array
        Taken as float32.
    indices : (m,) integer array
        In [0, n).
    n : int

    Returns
    -------
    float32 tensor (n, dim)

    Raises
    ------
    ValueError
        If lengths differ, an index is out of range or the device is not the CPU.
    """
    n = check_integer(n, "n", minimum=0, maximum=MAX_POINTS)
    rows, indices = as_floats(rows, "rows", 2), as_indices(indices, "indices", 1, n)
    if rows.device.type != "cpu" or len(rows) != len(indices):
        raise ValueError(
            f"rows must be on the CPU and as many as the indices, not {len(rows)} on "
            f"{rows.device} for {len(indices)}"
        )
    check_same_device(rows=rows, indices=indices)
    out = torch.empty(n, rows.shape[1])
    _core.scatter_add(
        out.data_ptr(), rows.data_ptr(), indices.data_ptr(), n, len(rows), rows.shape[1]
    )
    return out
