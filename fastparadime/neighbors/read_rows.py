"""Rows that become float32 where they are read: those of a table that is not held as float32."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import torch

from fastparadime import ops
from fastparadime.neighbors.table import unit_rows
from fastparadime.utils import disk

_BLOCK_BYTES = 32 * 2**20  # of rows in float32 at a time
_UNIT_BYTES = 4 * 2**20  # of rows in float32 that become unit rows at a time
_CANDIDATE_BYTES = 64 * 2**20  # of numbers of all rows, beside some queries


class ReadRows:
    """Rows of one table, widened as they are read: what an index of a float32 table gives.

    Parameters
    ----------
    table : tensor (n, d)
        Finite numbers of any dtype that float32 holds, on the CPU, such as those of a memory map.
    """

    device, is_cuda = torch.device("cpu"), False

    def __init__(self, table: torch.Tensor) -> None:
        self._table = table

    @property
    def shape(self) -> tuple[int, int]:
        n, d = self._table.shape
        return n, d

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> torch.Tensor:
        return self._table[rows].float().contiguous()  # a file may have them column by column

    def numel(self) -> int:
        """Numbers of all rows."""
        return self.shape[0] * self.shape[1]

    def blocks(self) -> Iterator[tuple[int, torch.Tensor]]:
        """First rows of blocks, and these."""
        n, d = self.shape
        step = max(1, _BLOCK_BYTES // (4 * d))
        for first in range(0, n, step):
            yield first, self[first : first + step]

    def placed(self, order: torch.Tensor, place: torch.Tensor, most: float) -> ReadRows:
        """The same rows from a copy in another order, made of so many bytes at a time.

        Parameters
        ----------
        order : int64 tensor (n,)
            The rows by place.
        place : int32 tensor (n,)
            The places by row.
        most : float
            Each time the table is read once, so the fewer the slower.
        """
        together = max(1, int(most / max(1, self.shape[1] * self._table.dtype.itemsize)))
        copy = disk.empty(self.shape, self._table.dtype)
        for first in range(0, len(order), together):
            numbers, back = order[first : first + together].sort()  # a file is read forwards
            copy[first + back] = self._table[numbers]
        return PlacedRows(copy, place)


class PlacedRows(ReadRows):
    """Rows whose table has them in another order.

    Parameters
    ----------
    table : tensor (n, d)
    place : int32 tensor (n,)
        Where the table has each row.
    """

    def __init__(self, table: torch.Tensor, place: torch.Tensor) -> None:
        super().__init__(table)
        self._place = place

    def __getitem__(self, rows: Any) -> torch.Tensor:
        return self._table[self._place[rows].long()].float()


class UnitRows(ReadRows):
    """Rows as a metric of `UNIT_METRICS` compares them, made of others as they are read.

    They have the bits of those that a table in memory holds: `unit_rows` makes both.

    Parameters
    ----------
    rows : ReadRows
    metric : str
    marked : bool
        Whether any has no direction, for which all have the column of marks.
    """

    def __init__(self, rows: ReadRows, metric: str, *, marked: bool) -> None:
        self.rows, self._metric, self._marked = rows, metric, marked
        self._step = max(1, _UNIT_BYTES // (4 * rows.shape[1]))

    @classmethod
    def of(cls, rows: ReadRows, metric: str) -> UnitRows:
        """The unit rows of rows, all of which are read once.

        Raises
        ------
        ValueError
            As of `unit_rows`.
        """
        unmarked = cls(rows, metric, marked=False)
        marked = False
        for first in range(0, len(rows), unmarked._step):
            block = rows[first : first + unmarked._step]
            marked |= bool(unit_rows(block, metric, first)[:, -1].any())
        return cls(rows, metric, marked=True) if marked else unmarked

    @property
    def shape(self) -> tuple[int, int]:
        n, d = self.rows.shape
        return n, d + self._marked

    def __getitem__(self, rows: Any) -> torch.Tensor:
        if isinstance(rows, slice):
            rows = torch.arange(*rows.indices(len(self)))
        columns = self.shape[1]
        out = torch.empty((len(rows), columns))
        for part, names in zip(out.split(self._step), rows.split(self._step), strict=True):
            part.copy_(unit_rows(self.rows[names], self._metric)[:, :columns])
        return out

    def placed(self, order: torch.Tensor, place: torch.Tensor, most: float) -> UnitRows:
        """As of `ReadRows`, of a copy of the rows that are stored."""
        rows = self.rows.placed(order, place, most)
        return UnitRows(rows, self._metric, marked=self._marked)


class ProjectedRows(ReadRows):
    """Rows in the first coordinates of a subspace, projected as they are read.

    Parameters
    ----------
    rows : ReadRows
    subspace : Subspace
    columns : int
    """

    def __init__(self, rows: ReadRows, subspace: ops.Subspace, columns: int) -> None:
        self.rows, self._subspace, self._columns = rows, subspace, columns

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows), self._columns

    def __getitem__(self, rows: Any) -> torch.Tensor:
        return self._subspace.coordinates(self.rows[rows], 0, self._columns)

    def of(self, rows: ReadRows) -> ProjectedRows:
        """The same projection of other rows."""
        return ProjectedRows(rows, self._subspace, self._columns)


Rows: TypeAlias = "torch.Tensor | ReadRows"


def nearest_to(
    X: Rows, mean: torch.Tensor, scale: float, queries: torch.Tensor, width: int
) -> torch.Tensor:
    """The `width` rows nearest to each query by products, as of `ops.ProductTable`, int32 (m, width)."""
    if isinstance(X, torch.Tensor):
        return ops.ProductTable(X, mean, scale).nearest_to(queries, width)[0]
    best = torch.full((len(queries), 0), 0, dtype=torch.int64)
    for first, block in X.blocks():
        found = ops.ProductTable(block, mean, scale).nearest_to(queries, min(width, len(block)))
        keys = (found[1].view(torch.int32).long() << 32) + (found[0].long() + first)
        best = torch.cat((best, keys), dim=1).sort(dim=1).values[:, :width]
    return (best & (2**32 - 1)).int()


def rerank(
    X: Rows,
    candidates: torch.Tensor,
    k: int,
    *,
    points: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The k nearest candidates of some rows of `X` by true distances, as `ops.rerank` gives them."""
    if isinstance(X, torch.Tensor):
        return ops.rerank(X, candidates, k, points=points)
    there = (candidates >= 0) & (candidates != points[:, None])
    marks = torch.zeros(len(X), dtype=torch.bool)
    marks[candidates[there].long()] = True
    numbers = marks.nonzero().flatten()  # ascending, so that ties keep their order
    if not len(numbers):
        shape = (len(points), k)
        return torch.full(shape, -1, dtype=torch.int32), torch.full(shape, torch.inf)
    place = torch.empty(len(X), dtype=torch.int32)
    place[numbers] = torch.arange(len(numbers), dtype=torch.int32)
    local = torch.where(there, place[candidates.clamp_min(0).long()], -1)
    indices, distances = ops.rerank(X[numbers], local, k, queries=X[points.long()])
    named = numbers.int()[indices.clamp_min(0).long()]
    return torch.where(indices < 0, indices, named), distances


def differing_rows(X: ReadRows, rows: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Neighbours of some rows by true distances to all others, int32 and float32 (m, k)."""
    best = torch.full((len(rows), k), torch.inf)
    indices = torch.full((len(rows), k), -1, dtype=torch.int32)
    for first, block in X.blocks():
        every = torch.arange(len(block), dtype=torch.int32)
        for some in torch.arange(len(rows)).split(max(1, _CANDIDATE_BYTES // (4 * len(block)))):
            own = rows[some, None] - first
            candidates = torch.where(every == own, -1, every)
            found, away = ops.rerank(block, candidates, k, queries=X[rows[some]])
            found = torch.where(found < 0, found, found + first)
            both, order = torch.cat((best[some], away), dim=1).sort(dim=1, stable=True)
            best[some] = both[:, :k]
            indices[some] = torch.cat((indices[some], found), dim=1).gather(1, order[:, :k])
    return indices, best
