"""Nearest rows by norms and products, which are taken once for both rows of a pair."""

from __future__ import annotations

import math

import torch

from fastparadime import _core
from fastparadime.ops._checks import MAX_POINTS, as_floats, as_positive, target_of
from fastparadime.types import TensorLike
from fastparadime.utils.lazy import lazy_property
from fastparadime.utils.validate import check_integer

_LEAST_ROOM, _MOST_ROOM = 32, 1024  # of a list beyond its width: as much again, within these
_PRODUCTS = 1.5e10  # multiply-adds between two looks for Ctrl-C, well below a second of a slow core
COLUMNS_OF_LISTS = 128  # that take as long as a pair takes to join lists
_LIST_BYTES = 64 * 2**20  # of queries at a time

Found = tuple[torch.Tensor, torch.Tensor]


class ProductTable:
    """Rows for products with each other and with queries.

    Squared distances are ``|x|^2 + |y|^2 - 2 <x, y>`` in float32, so digits of close rows far from
    `mean` are lost: `fastparadime.ops.rerank` gives the true ones.

    Parameters
    ----------
    X : (n, d) array or tensor
        Finite numbers, on the CPU. It is not copied for queries; what compares its rows with each
        other takes as much memory beside it.
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
        self._rows = _rows(X, "X")
        self._n, self._dim = self._rows.shape
        self._mean = torch.zeros(self._dim) if mean is None else as_floats(mean, "mean", 1)
        if self._mean.shape != (self._dim,):
            raise ValueError(f"mean must have shape ({self._dim},), not {tuple(self._mean.shape)}")
        self._scale = as_positive(scale, "scale")

    @property
    def norms(self) -> torch.Tensor:
        return self._packed.norms[: self._n]

    @lazy_property
    def _packed(self) -> _Packed:
        return _Packed(self._rows, self._plain(self._rows))

    def _plain(self, rows: torch.Tensor) -> _core.PlainRows:
        return _core.PlainRows(rows.data_ptr(), self._mean.data_ptr(), self._scale, self._dim)

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
        width = check_integer(width, "width", minimum=1)
        lists = _Lists(torch.full((self._n,), math.inf), width)
        packed = self._packed  # held here: another thread may put its own in its place
        blocks = _blocks(self._n)
        rounds = blocks + blocks % 2
        each = self._n * (self._dim + COLUMNS_OF_LISTS) * _core.kProductBlock / 2
        step = int(max(1, _PRODUCTS // max(1, each)))
        for first in range(0, rounds, step):
            last = min(rounds, first + step)
            _core.nearest_pairs(lists.core, packed.core, first, last, target_of(lists.sizes))
        return lists.read()

    def nearest_to(
        self, queries: TensorLike, width: int, *, within: TensorLike | None = None
    ) -> Found:
        """The `width` nearest rows to each query, nearest first.

        Parameters
        ----------
        queries : (m, d) array or tensor
        width : int
            At least 1.
        within : (m,) array or tensor, optional
            The largest squares of rows that are wanted; the fewer there are, the faster.

        Returns
        -------
        indices, squares : int32 and float32 tensors (m, width)
            As of `nearest`. A query's results are the same whatever the other queries are.

        Raises
        ------
        TypeError, ValueError
            For queries or `within` that are not as described.
        """
        rows = _rows(queries, "queries")
        if rows.shape[1] != self._dim:
            raise ValueError(f"queries must have {self._dim} columns as X, not {rows.shape[1]}")
        width = check_integer(width, "width", minimum=1)
        most = torch.full((len(rows),), math.inf) if within is None else _within(within, len(rows))
        parts = max(1, min(torch.get_num_threads(), self._n // _core.kWorkerRows))
        step = max(1, int(_LIST_BYTES / (parts * _bytes(width))))
        pieces = zip(rows.split(step), most.split(step), strict=True)
        found = [self._nearest_to(*piece, width, parts) for piece in pieces]
        indices, squares = (torch.cat(part) for part in zip(*found, strict=True))
        return indices, squares

    def _nearest_to(
        self, queries: torch.Tensor, within: torch.Tensor, width: int, parts: int
    ) -> Found:
        # Each thread has lists of its own.
        lists = _Lists(within, width, parts)
        packed = _Packed(queries, self._plain(queries))
        rows, target = self._plain(self._rows), target_of(queries)
        step = max(1, int(_PRODUCTS / max(1, len(queries) * (self._dim + COLUMNS_OF_LISTS))))
        for first in range(0, self._n, step):
            last = min(self._n, first + step)
            _core.nearest_to_queries(lists.core, packed.core, rows, first, last, parts, target)
        return lists.read()


def _rows(value: TensorLike, name: str) -> torch.Tensor:
    table = as_floats(value, name, 2)
    if table.device.type != "cpu":
        raise ValueError(f"{name} must be on the CPU, not on {table.device}")
    if len(table) >= MAX_POINTS:
        raise ValueError(f"{name} may have fewer than 2^31 - 1 rows, not {len(table)}")
    return table


def _within(value: TensorLike, queries: int) -> torch.Tensor:
    within = as_floats(value, "within", 1)
    if within.shape != (queries,):
        raise ValueError(f"within must have a number a query, {queries}, not {len(within)}")
    return within


class _Packed:
    """Blocks of rows, the columns of each side by side."""

    def __init__(self, rows: torch.Tensor, plain: _core.PlainRows) -> None:
        n, dim = rows.shape
        blocks = _blocks(n)
        self._values = torch.empty((blocks, dim, _core.kProductBlock))
        self.norms = torch.empty(blocks * _core.kProductBlock)
        self.core = _core.ProductTable(self._values.data_ptr(), self.norms.data_ptr(), n, dim)
        _core.pack_rows(self.core, plain, target_of(rows))


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
    """The nearest so far of some rows, in parts that share no cache line.

    `within` are the largest squares that join a row's list.
    """

    def __init__(self, within: torch.Tensor, width: int, parts: int = 1) -> None:
        self._rows, self._width, self._parts = len(within), width, parts
        padding = _blocks(self._rows) * _core.kProductBlock - self._rows
        self._bounds = torch.nn.functional.pad(within, (0, padding)).repeat(parts)
        lists = len(self._bounds)
        self._keys = torch.empty((lists, _room(width)), dtype=torch.int64)
        self.sizes = torch.zeros(lists, dtype=torch.int32)
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
