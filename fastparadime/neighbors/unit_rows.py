"""Unit rows in reduced precision on a device, whose products are cosines, from a table that may be elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

STAGED_BYTES = 64 * 2**20  # of rows converted at a time
TENSOR_CORE = 8  # columns and rows that products on tensor cores come in multiples of
# Relative, of float32: of a sum's terms, where tensor cores cut off instead of rounding; of unit
# rows and centred ones.
_SUM_ERROR, _ROW_ERROR = 2.0**-22, 2.0**-21
_TF32_ERROR = 2.0**-10
_SUMMED = 128  # terms of a sum of split rows, whose sums are then added up rounded


def rounded_up(count: int) -> int:
    return -(-count // TENSOR_CORE) * TENSOR_CORE


@dataclass(frozen=True)
class Panel:
    """Unit rows of some points, rows and columns filled up with zeros."""

    first: int  # point, if they are consecutive, or -1
    units: torch.Tensor  # (rows, columns) in reduced precision
    rest: torch.Tensor | None  # what units lose, in that precision, where rows are split in two
    norms: torch.Tensor  # float32 (rows,), infinite for rows that are no points
    error: float  # most distance of a unit row from the true one
    most_rest: float  # largest norm of what units lose, where rows are split

    def cosines(self, rows: slice, other: Panel, columns: slice) -> torch.Tensor:
        """Products of some rows with columns, summed in float32, but of rest with rest."""
        mine, theirs = self.units[rows], other.units[columns]
        if self.rest is None or other.rest is None:
            return _products(mine, theirs)
        total = _products(self.rest[rows], theirs)
        total += _products(mine, other.rest[columns])
        for start in range(0, mine.shape[1], _SUMMED):
            part = slice(start, start + _SUMMED)
            total += _products(mine[:, part], theirs[:, part])
        return total

    def side_by_side(self, other: Panel) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows of both whose products are the cosines, summed from the small terms on."""
        if self.rest is None or other.rest is None:
            return self.units, other.units
        mine = torch.cat((self.rest, self.units, self.units), dim=1)
        return mine, torch.cat((other.units, other.rest, other.units), dim=1)

    def slack(self, other: Panel) -> float:
        """The most that a cosine may be wrong by."""
        columns = self.units.shape[1]
        # The product of two errors beside their sum; sums of as many terms as there are columns.
        lost = (1 + self.error) * (1 + other.error) - 1
        if self.rest is None:
            return lost + columns * _SUM_ERROR
        terms = min(columns, _SUMMED) + columns / _SUMMED
        small = self.most_rest + other.most_rest  # sums of the small terms are as much smaller
        return lost + self.most_rest * other.most_rest + (terms + 2 * columns * small) * _SUM_ERROR


class UnitTable:
    """The points as panels on the device.

    Parameters
    ----------
    X : float32 tensor (n, d)
    device : torch.device
    precision : torch.dtype
        Of unit rows.
    centre : float32 tensor (d,)
        That norms are small around.
    scale : float
        A power of two that brings norms near 1.
    split : bool
        Whether unit rows are the sum of two in reduced precision.
    """

    def __init__(
        self,
        X: torch.Tensor,
        device: torch.device,
        precision: torch.dtype,
        centre: torch.Tensor,
        scale: float,
        *,
        split: bool = False,
    ) -> None:
        self._X, self._device, self._precision = X, device, precision
        self._centre, self.scale, self._split = centre.to(device), scale, split

    def __len__(self) -> int:
        return len(self._X)

    def panels(self, size: int) -> Iterator[Panel]:
        for first in range(0, len(self._X), size):
            yield self.panel(first, min(size, len(self._X) - first))

    def panel(self, first: int, count: int, points: torch.Tensor | None = None) -> Panel:
        """Of consecutive points, or of any, int64 (count,)."""
        d = self._X.shape[1]
        shape = (rounded_up(count), rounded_up(d))
        units = torch.zeros(shape, dtype=self._precision, device=self._device)
        rest = torch.zeros_like(units) if self._split else None
        norms = torch.full(shape[:1], torch.inf, device=self._device)
        error, most_rest = torch.zeros((2,), device=self._device)
        step = max(1, STAGED_BYTES // (4 * d))
        for start in range(0, count, step):
            rows = slice(start, min(start + step, count))
            inside = slice(first + rows.start, first + rows.stop)
            centred = self._moved(self._X[inside if points is None else points[rows]])
            lengths = torch.linalg.vector_norm(centred, dim=1, dtype=torch.float64)
            norms[rows] = (lengths * self.scale).float()
            unit = centred.div_(lengths.clamp_min(torch.finfo().tiny).float()[:, None])
            units[rows, :d] = unit.to(self._precision)
            unit -= units[rows, :d]
            if rest is not None:
                rest[rows, :d] = unit.to(self._precision)
                lost = torch.linalg.vector_norm(rest[rows, :d], dim=1, dtype=torch.float32)
                most_rest = torch.maximum(most_rest, lost.max())
                unit -= rest[rows, :d]
            error = torch.maximum(error, torch.linalg.vector_norm(unit, dim=1).max())
        # Products of float32 may go through TF32 on a GPU.
        tf32 = self._device.type == "cuda" and self._precision == torch.float32
        whole = float(error) + (_TF32_ERROR if tf32 else _ROW_ERROR)
        place = first if points is None else -1
        return Panel(place, units, rest, norms, whole, float(most_rest))

    def _moved(self, rows: torch.Tensor) -> torch.Tensor:
        if rows.device != self._device:
            # Pinned memory is copied while the host prepares the next rows.
            rows = rows.pin_memory() if self._device.type == "cuda" else rows
            rows = rows.to(self._device, non_blocking=True)
        return rows - self._centre


def _products(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    if rows.is_cuda and rows.dtype != torch.float32:
        return torch.mm(rows, columns.T, out_dtype=torch.float32)
    return rows.float() @ columns.float().T
