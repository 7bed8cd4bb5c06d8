"""Neighbours among rows of zeros and ones, on the CPU."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from fastparadime import _core
from fastparadime.ops._checks import MAX_POINTS, as_indices, as_row_starts, target_of
from fastparadime.types import TensorLike
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.lazy import lazy_property
from fastparadime.utils.validate import check_integer, check_option

BINARY_METRICS = (
    "jaccard", "dice", "matching", "kulsinski", "rogerstanimoto", "russellrao", "sokalsneath",
    "yule",
)  # fmt: skip
_WORD = 64  # bits
_PIECE = 2**10  # queries between two looks for Ctrl-C


class BinaryTable:
    """Which columns of each row are not zero: as bits, or as lists of them.

    `packed` and `listed` make one.
    """

    def __init__(
        self,
        dim: int,
        sizes: torch.Tensor,
        *,
        words: torch.Tensor | None = None,
        indptr: torch.Tensor | None = None,
        columns: torch.Tensor | None = None,
    ) -> None:
        self.dim = dim
        self._sizes, self._words, self._indptr, self._columns = sizes, words, indptr, columns

    @classmethod
    def packed(cls, blocks: Iterable[TensorLike], n: int, dim: int) -> BinaryTable:
        """Of dense rows, a bit for each column.

        Parameters
        ----------
        blocks : iterable of arrays or tensors (m, dim)
            Rows of any dtype, n in all.
        n, dim : int

        Raises
        ------
        ValueError
            For blocks of other shapes.
        """
        n = check_integer(n, "n", minimum=0, maximum=MAX_POINTS)
        dim = check_integer(dim, "dim", minimum=1)
        width = -(-dim // _WORD)
        packed = np.zeros((n, width * _WORD // 8), np.uint8)
        sizes, start = np.empty(n, np.float32), 0
        for block in blocks:
            is_set = to_numpy(block) != 0
            if is_set.ndim != 2 or is_set.shape[1] != dim or start + len(is_set) > n:
                raise ValueError(
                    f"blocks must hold {n} rows of {dim} columns in all, not {is_set.shape} from "
                    f"row {start} on"
                )
            bits = np.packbits(is_set, axis=1)
            packed[start : start + len(bits), : bits.shape[1]] = bits
            sizes[start : start + len(bits)] = is_set.sum(axis=1)
            start += len(bits)
        if start < n:
            raise ValueError(f"blocks must hold {n} rows in all, not {start}")
        return cls(dim, torch.from_numpy(sizes), words=torch.from_numpy(packed.view(np.int64)))

    @classmethod
    def listed(cls, indptr: TensorLike, columns: TensorLike, dim: int) -> BinaryTable:
        """Of sparse rows.

        Parameters
        ----------
        indptr : integer array or tensor (n + 1,)
            Where each row begins and ends.
        columns : integer array or tensor (nnz,)
            Those that are not zero, none twice in a row.
        dim : int

        Raises
        ------
        TypeError, ValueError
            For parts that are not as described.
        """
        dim = check_integer(dim, "dim", minimum=1, maximum=MAX_POINTS)
        columns = as_indices(columns, "columns", 1, dim)
        indptr = as_row_starts(indptr, "indptr", len(columns))
        return cls(dim, indptr.diff().float(), indptr=indptr, columns=columns)

    def __len__(self) -> int:
        return len(self._sizes)

    def pairs(self) -> float:
        """What `nearest` of all rows counts: words, or columns that two rows share."""
        if self._words is not None:
            return float(len(self)) ** 2 * self._words.shape[1]
        assert self._columns is not None
        lengths = torch.bincount(self._columns.long(), minlength=1).double()
        return float(lengths.square().sum())

    def nearest(
        self, k: int, metric: str, *, queries: BinaryTable | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The k nearest rows to each query, or the k nearest others of each row.

        Parameters
        ----------
        k : int
        metric : str
            One of `BINARY_METRICS`.
        queries : BinaryTable, optional
            Of the same columns, in the same form.

        Returns
        -------
        indices, distances : int32 and float32 tensors (m, k)
            Ascending, ties by index; -1 and infinity where the rows ran out.
        """
        metric = check_option(metric, BINARY_METRICS, "metric")
        k = check_integer(k, "k", minimum=1)
        asked = self if queries is None else queries
        if asked.dim != self.dim or (asked._words is None) != (self._words is None):
            raise ValueError("queries must have the columns of the rows, packed or listed as they")
        indices = torch.empty((len(asked), k), dtype=torch.int32)
        distances = torch.empty((len(asked), k))
        for first in range(0, len(asked), _PIECE):
            count = min(len(asked) - first, _PIECE)
            _core.nearest_binary(
                indices[first:].data_ptr(),
                distances[first:].data_ptr(),
                self._rows(),
                asked._form(asked._indptr, asked._columns),
                first,
                count,
                first if queries is None else -1,
                len(self),
                self.dim,
                k,
                BINARY_METRICS.index(metric),
                target_of(indices),
            )
        return indices, distances

    def _rows(self) -> _core.BinaryRows:
        """The rows as they are counted: listed ones by column."""
        if self._words is not None:
            return self._form(None, None)
        return self._form(*self._by_column)

    @lazy_property
    def _by_column(self) -> tuple[torch.Tensor, torch.Tensor]:
        assert self._columns is not None
        heads = torch.arange(len(self)).repeat_interleave(self._sizes.long())
        order = self._columns.argsort(stable=True)
        lengths = torch.bincount(self._columns.long(), minlength=self.dim)
        starts = torch.cat((torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)))
        return starts, heads[order].to(torch.int32)

    def _form(self, indptr: torch.Tensor | None, columns: torch.Tensor | None) -> _core.BinaryRows:
        words, starts, listed = (
            0 if part is None else part.data_ptr() for part in (self._words, indptr, columns)
        )
        width = 0 if self._words is None else self._words.shape[1]
        return _core.BinaryRows(words, starts, listed, self._sizes.data_ptr(), width)
