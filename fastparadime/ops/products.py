"""Nearest rows by norms and products, which are taken once for both rows of a pair."""

from __future__ import annotations

import math

import torch

from fastparadime import _core
from fastparadime.ops._checks import MAX_POINTS, as_floats, as_positive, target_of
from fastparadime.types import TensorLike
from fastparadime.utils.validate import check_integer

_LEAST_ROOM, _MOST_ROOM = 32, 1024  # of a list beyond its width: as much again, within these
_JOBS_A_THREAD = 6  # of the work on queries
_PRODUCTS = 3e10  # multiply-adds between two looks for Ctrl-C, well below a second
_LIST_BYTES = 64 * 2**20  # of queries at a time

Found = tuple[torch.Tensor, torch.Tensor]


class ProductTable:
    """Rows laid out for products with each other and with queries.

    Squared distances are |x|^2 + |y|^2 - 2 <x, y> in float32, so digits of close rows far from
    `mean` are lost: `fastparadime.ops.rerank` gives the true ones.

    Parameters
    ----------
    X : (n, d) array or tensor
        Finite numbers, on the CPU. As much memory is taken beside it.
    mean : (d,) array or tensor, optional
        What is subtracted from all rows, zeros by default.
    scale : float
        What they are multiplied with afterwards, so that their squares are finite.

    Attributes
    ----------
    norms : float32 tensor (n,)
        Squared, of the scaled rows.

    Raises
    ------
    TypeError, ValueError
        For shapes that disagree, a table that is not on the CPU, or a scale that is not positive.
    """

    def __init__(self, X: TensorLike, mean: TensorLike | None = None, scale: float = 1.0) -> None:
        rows = _rows(X, "X")
        self._n, self._dim = rows.shape
        self._mean = torch.zeros(self._dim) if mean is None else as_floats(mean, "mean", 1)
        if self._mean.shape != (self._dim,):
            raise ValueError(f"mean must have shape ({self._dim},), not {tuple(self._mean.shape)}")
        self._scale = as_positive(scale, "scale")
        self._packed = _Packed(rows, self._mean, self._scale)
        self.norms = self._packed.norms[: self._n]

    def nearest(self, width: int) -> Found:
        """The `width` nearest other rows of each row, nearest first.

        Parameters
        ----------
        width : int
            At least 1.

        Returns
        -------
        indices, squares : int32 and float32 tensors (n, width)
            Ascending by (square, index), of scaled rows; -1 and infinity where rows run out. The
            same bits for any number of threads.
        """
        lists = _Lists(self._n, check_integer(width, "width", minimum=1))
        blocks = _blocks(self._n)
        rounds = blocks + blocks % 2
        each = self._n * self._dim * _core.kProductBlock / 2
        step = int(max(1, _PRODUCTS // max(1, each)))
        for first in range(0, rounds, step):
            last = min(rounds, first + step)
            _core.nearest_pairs(lists.core, self._packed.core, first, last, target_of(lists.sizes))
        return lists.read()

    def nearest_to(self, queries: TensorLike, width: int) -> Found:
        """The `width` nearest rows to each query, nearest first.

        Parameters
        ----------
        queries : (m, d) array or tensor
        width : int
            At least 1.

        Returns
        -------
        indices, squares : int32 and float32 tensors (m, width)
            As of `nearest`. A query's results are the same whatever the other queries are.

        Raises
        ------
        TypeError, ValueError
            For queries that are not as described.
        """
        rows = _rows(queries, "queries")
        if rows.shape[1] != self._dim:
            raise ValueError(f"queries must have {self._dim} columns as X, not {rows.shape[1]}")
        width = check_integer(width, "width", minimum=1)
        step = min(_PRODUCTS / max(1, self._n * self._dim), _LIST_BYTES / _bytes(width))
        found = [self._nearest_to(part, width) for part in rows.split(max(1, int(step)))]
        indices, squares = (torch.cat(part) for part in zip(*found, strict=True))
        return indices, squares

    def _nearest_to(self, queries: torch.Tensor, width: int) -> Found:
        # Lists of parts begin anew, so there are no more of them than keep all threads at work.
        wanted = _JOBS_A_THREAD * torch.get_num_threads() // max(1, _blocks(len(queries)))
        parts = max(1, min(wanted, _blocks(self._n)))
        lists = _Lists(len(queries), width, parts)
        packed = _Packed(queries, self._mean, self._scale)
        _core.nearest_to_queries(
            lists.core, packed.core, self._packed.core, parts, target_of(queries)
        )
        return lists.read()


def _rows(value: TensorLike, name: str) -> torch.Tensor:
    table = as_floats(value, name, 2)
    if table.device.type != "cpu":
        raise ValueError(f"{name} must be on the CPU, not on {table.device}")
    if len(table) >= MAX_POINTS:
        raise ValueError(f"{name} may have fewer than 2^31 - 1 rows, not {len(table)}")
    return table


class _Packed:
    """Blocks of rows, the columns of each side by side."""

    def __init__(self, rows: torch.Tensor, mean: torch.Tensor, scale: float) -> None:
        n, dim = rows.shape
        blocks = _blocks(n)
        self._values = torch.empty((blocks, dim, _core.kProductBlock))
        self.norms = torch.empty(blocks * _core.kProductBlock)
        self.core = _core.ProductTable(self._values.data_ptr(), self.norms.data_ptr(), n, dim)
        _core.pack_rows(self.core, rows.data_ptr(), mean.data_ptr(), scale, target_of(rows))


def product_bytes(n: int, dim: int, width: int) -> int:
    """What a `ProductTable` and its search among its own rows take, the result included."""
    return 4 * _blocks(n) * _core.kProductBlock * (dim + 1) + n * (_bytes(width) + 8 * width)


def _blocks(rows: int) -> int:
    return -(-rows // _core.kProductBlock)


def _room(width: int) -> int:
    return width + min(max(width, _LEAST_ROOM), _MOST_ROOM)


def _bytes(width: int) -> int:
    return 8 * _room(width) + 8


class _Lists:
    """The nearest so far of some rows, in parts."""

    def __init__(self, rows: int, width: int, parts: int = 1) -> None:
        self._rows, self._width, self._parts = rows, width, parts
        self._keys = torch.empty((parts * rows, _room(width)), dtype=torch.int64)
        self.sizes = torch.zeros(parts * rows, dtype=torch.int32)
        self._bounds = torch.full((parts * rows,), math.inf)
        self.core = _core.ProductLists(
            self._keys.data_ptr(),
            self.sizes.data_ptr(),
            self._bounds.data_ptr(),
            width,
            _room(width),
        )

    def read(self) -> Found:
        indices = torch.empty((self._rows, self._width), dtype=torch.int32)
        squares = torch.empty((self._rows, self._width))
        _core.read_lists(
            indices.data_ptr(),
            squares.data_ptr(),
            self.core,
            self._parts,
            self._rows,
            target_of(indices),
        )
        return indices, squares
