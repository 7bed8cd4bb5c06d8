"""Conversion between arrays and tensors, and between indices of square and triangular forms."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from fastparadime.types import Array, TensorLike
from fastparadime.utils import frames, sources
from fastparadime.utils.masks import without_mask


def to_numpy(X: TensorLike | Sequence[Any]) -> Array:
    """The array of a tensor, array, (nested) list, data frame or source of rows.

    Parameters
    ----------
    X : tensor, array, list, tuple, data frame or source
        Tensors may live on any device and may require gradients. A source, such as a dataset of
        HDF5 or Zarr, is read block by block.

    Returns
    -------
    array
        Of the same shape and dtype, float32 for bfloat16, which numpy lacks; arrays are returned
        as they are, and the memory of CPU tensors is shared.

    Raises
    ------
    TypeError
        For any other type, masked values, and columns of a frame that are no numbers.
    OSError, ValueError
        For a source that cannot be read, or ends before its shape says.
    """
    X = without_mask(X, "the array")
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu()
        array: Array = (X.float() if X.dtype == torch.bfloat16 else X).numpy()
        return array
    if isinstance(X, np.ndarray):
        return X
    if isinstance(X, (list, tuple)):
        return np.array(X)
    if sources.is_source(X):
        return sources.load(X, "the source")
    if frames.is_frame(X):
        rows, _ = frames.rows_and_names(X, "the frame")
        return rows.toarray() if is_sparse(rows) else np.asarray(rows)
    raise TypeError(_not_convertible(X))


def to_torch(X: TensorLike | Sequence[Any]) -> torch.Tensor:
    """The tensor of an array, (nested) list, data frame or source of rows.

    Parameters
    ----------
    X : tensor, array, list, tuple, data frame or source
        As of `to_numpy`.

    Returns
    -------
    tensor
        Tensors are returned as they are. Floats become float32 and integers int64, as class
        labels are expected to be; bool and complex stay. Arrays that have such a dtype share their
        memory with the tensor, read-only and memory-mapped ones too: do not write into those.

    Raises
    ------
    TypeError
        For any other type, values that are not numbers, and masked ones.
    ValueError
        For integers beyond int64.
    OSError, ValueError
        As of `to_numpy`.
    """
    X = without_mask(X, "the array")
    if isinstance(X, torch.Tensor):
        return X
    array = to_numpy(X)
    if array.dtype.kind == "f":
        array = array.astype(np.float32, copy=False)
    elif array.dtype.kind in "iu":
        if array.dtype == np.uint64 and array.size and int(array.max()) > np.iinfo(np.int64).max:
            raise ValueError(f"integers must fit into int64, but the largest is {array.max()}")
        array = array.astype(np.int64, copy=False)
    elif array.dtype.kind not in "bc":
        raise TypeError(f"an array of dtype {array.dtype} holds no numbers for a tensor")
    return share(array)


def to_float32(X: TensorLike) -> torch.Tensor:
    """The float32 tensor of numbers in one pass: itself, or over an array's memory, if it is one.

    Parameters
    ----------
    X : tensor or array
        Of any real dtype.
    """
    if not isinstance(X, torch.Tensor):
        return share(X.astype(np.float32, order="C", copy=False))
    return X.detach().to(torch.float32).contiguous()


def to_float64(X: TensorLike) -> torch.Tensor:
    """The float64 tensor of numbers, itself if it is one."""
    return (
        share(X.astype(np.float64, copy=False))
        if isinstance(X, np.ndarray)
        else X.detach().double()
    )


ONE_BYTE = (torch.int8, torch.uint8)


def widened(rows: torch.Tensor, *, amounts: bool = False) -> torch.Tensor:
    """Rows with room for sums: float16 as float32, integers of one byte as int64, or amounts as float32.

    Parameters
    ----------
    rows : tensor
        Of any dtype; others than those are returned as they are.
    amounts : bool
        Whether all integers are amounts, such as pixels, not numbers that are looked up.
    """
    if amounts and not (rows.is_floating_point() or rows.is_complex() or rows.dtype == torch.bool):
        return rows.float()
    if rows.dtype == torch.float16:
        return rows.float()
    return rows.long() if rows.dtype in ONE_BYTE else rows


def alike(first: Any, second: Any) -> tuple[Any, Any]:
    """Two tensors of floats in the wider of their dtypes; whatever else as it is.

    Some of torch's losses have no gradient for a pair of two dtypes: the squares of torch 2.4,
    Huber's of 2.13.
    """
    floats = all(isinstance(x, torch.Tensor) and x.is_floating_point() for x in (first, second))
    if not floats or first.dtype == second.dtype:
        return first, second
    dtype = torch.promote_types(first.dtype, second.dtype)
    return first.to(dtype), second.to(dtype)


def value_range(tensor: torch.Tensor) -> tuple[float, float]:
    """The smallest and largest value of a tensor, which must not be empty; NaN if it holds one."""
    if tensor.device.type == "cpu":
        # On one thread: torch's others would spin beside those of the core for a while.
        values = tensor.numpy()
        return values.min(), values.max()
    low, high = torch.stack(torch.aminmax(tensor)).tolist()  # both in one wait for the device
    return low, high


def mean_of(tensor: torch.Tensor) -> torch.Tensor:
    """The mean of a float tensor, float64 (), on one thread as in `value_range`; NaN of none."""
    if tensor.device.type == "cpu" and tensor.numel():
        return torch.tensor(tensor.numpy().mean(dtype=np.float64), dtype=torch.float64)
    return tensor.mean(dtype=torch.float64)


def sums_over(tensor: torch.Tensor, dim: int) -> torch.Tensor:
    """The sums of a float tensor over a dimension, on one thread as in `value_range`."""
    if tensor.device.type == "cpu":
        return torch.from_numpy(np.asarray(tensor.numpy().sum(axis=dim)))
    return tensor.sum(dim=dim)


def row_sums(values: Array, indptr: Array) -> Array:
    """The sum of each row of a sparse matrix, float64 (n,), by its own values alone."""
    sums = np.zeros(len(indptr) - 1)
    filled = np.flatnonzero(np.diff(indptr))
    if len(filled):
        sums[filled] = np.add.reduceat(values, indptr[filled], dtype=np.float64)
    return sums


def share(X: TensorLike | Sequence[Any]) -> torch.Tensor:
    """The tensor over an array's memory, in the array's own dtype; tensors as they are.

    An array of a form that torch or the core cannot read is copied.
    """
    X = without_mask(X, "the array")
    if isinstance(X, torch.Tensor):
        return X
    X = to_numpy(X)
    if not X.dtype.isnative:
        X = X.astype(X.dtype.newbyteorder("="))
    if not X.flags.aligned or any(stride < 0 or stride % X.itemsize for stride in X.strides):
        X = X.copy()
    return torch.from_numpy(X if X.flags.writeable else _writable_view(X))


class _Memory:
    """The memory of an array, told to be writable."""

    def __init__(self, array: Array) -> None:
        interface = array.__array_interface__
        self.owner = array
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}


def _writable_view(array: Array) -> Array:
    # torch has no read-only tensors and warns of them; a copy could be many gigabytes.
    return np.asarray(_Memory(array)) if array.size else array.copy()


def _not_convertible(X: object) -> str:
    return f"expected a tensor, numpy array or list, not {type(X).__name__}"


def rowcol_to_triu_index(i: int, j: int, dim: int) -> int:
    """Where an entry of a symmetric matrix is in the list of its values above the diagonal.

    Parameters
    ----------
    i, j : int
        Row and column, in either order.
    dim : int
        Rows of the square matrix.

    Raises
    ------
    ValueError
        For an entry of the diagonal, or outside the matrix.
    """
    i, j = (i, j) if i <= j else (j, i)
    if not 0 <= i <= j < dim:
        raise ValueError(f"row and column must lie in [0, {dim}), not ({i}, {j})")
    if i == j:
        raise ValueError(f"({i}, {j}) is on the diagonal, which the triangular form leaves out")
    return i * (2 * dim - i - 1) // 2 + j - i - 1


def is_triangular(length: int) -> bool:
    """Whether a square matrix has so many values above its diagonal."""
    dim = (1 + math.isqrt(1 + 8 * length)) // 2
    return dim * (dim - 1) // 2 == length


def triu_to_square_dim(len_triu: int) -> int:
    """Rows of the square matrix that has so many values above its diagonal.

    Parameters
    ----------
    len_triu : int
        dim * (dim - 1) / 2 for some dim.

    Raises
    ------
    ValueError
        If no square matrix has that many.
    """
    if len_triu < 0:
        raise ValueError(f"len_triu must not be negative, but is {len_triu}")
    dim = (1 + math.isqrt(1 + 8 * len_triu)) // 2
    if not is_triangular(len_triu):
        raise ValueError(
            f"{len_triu} values are not the triangle of a square matrix: {dim} rows have "
            f"{dim * (dim - 1) // 2} and {dim + 1} rows have {dim * (dim + 1) // 2}"
        )
    return dim


def is_sparse(X: Any) -> bool:
    """Whether `X` is a sparse array or matrix of SciPy, which is not imported for it."""
    module = sys.modules.get("scipy.sparse")
    return module is not None and bool(module.issparse(X))
