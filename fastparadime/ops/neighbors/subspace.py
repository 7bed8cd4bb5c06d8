"""Rows of neighbour descent: scaled, padded, and where they are long, projected."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from fastparadime import _core
from fastparadime.ops._checks import target_of
from fastparadime.types import Array

_LANES = 16
SAMPLE = 4096  # rows that a subspace is fitted to
_POWER_STEPS = 1
_PRODUCTS = 2e10  # multiply-adds between two looks for Ctrl-C


def largest(table: Any) -> float:
    """The largest magnitude of a table; NaN where it holds one."""
    if not isinstance(table, torch.Tensor):  # rows that are read
        return max(largest(block) for _, block in table.blocks())
    if not table.numel():
        return 0.0
    low, high = (float(value) for value in torch.aminmax(table))
    return max(-low, high)


def scale_of(table: Any) -> float:
    """A power of two that brings the largest entry near 1, so that squares stay finite."""
    return math.ldexp(1.0, -max(-100, math.frexp(largest(table))[1]))


def stride_of(dim: int) -> int:
    """Columns of rows that are padded to whole vectors."""
    return -(-dim // _LANES) * _LANES


class Subspace:
    """About the leading principal subspace of some rows, and the rows in its coordinates.

    By power steps from a random start over some rows (Halko, Martinsson and Tropp, SIAM Review
    2011, algorithm 4.4). Sums have a fixed order, as those of torch and BLAS have not.

    Parameters
    ----------
    X : float32 tensor (n, d)
        Finite, on the CPU; or rows that are read, block by block.
    columns : int
        Of the subspace, the directions of larger variance about first.
    seed : int
    shown : (float32 tensor (m, d), float), optional
        Where `X` has some of the rows of a larger table: up to 4096 rows at even steps of it, and
        its `scale_of`.
    """

    def __init__(
        self,
        X: Any,
        columns: int,
        seed: int,
        shown: tuple[torch.Tensor, float] | None = None,
    ) -> None:
        n, d = X.shape
        sample, scale = (X[:: -(-n // SAMPLE)], scale_of(X)) if shown is None else shown
        self._X, self._scale = X, scale
        self._mean = sample.double().mean(dim=0).float()
        centred = (sample - self._mean) * self._scale
        centred *= scale_of(centred)
        transposed = centred.T.contiguous()
        generator = torch.Generator().manual_seed(seed)
        basis = torch.zeros((d, stride_of(columns)))
        basis[:, :columns] = torch.randn((d, columns), generator=generator)
        for _ in range(_POWER_STEPS + 1):
            scores = _times(centred, 1.0, torch.zeros(d), basis)
            basis = _orthonormal(_times(transposed, 1.0, torch.zeros(len(sample)), scores))
        self._basis = basis

    def rows(self, first: int = 0, last: int | None = None) -> torch.Tensor:
        """Coordinates first ... last - 1 of all rows, centred and scaled, padded with zeros."""
        return self.coordinates(self._X, first, self._basis.shape[1] if last is None else last)

    def coordinates(self, rows: torch.Tensor, first: int, last: int) -> torch.Tensor:
        """Coordinates first ... last - 1 of some rows."""
        basis = self._basis[:, first:last].contiguous()
        return _times(rows, self._scale, self._mean, basis)


def _orthonormal(columns: torch.Tensor) -> torch.Tensor:
    """Gram-Schmidt, twice; directions that hold nothing of their own become zero."""
    rows: Array = np.ascontiguousarray(columns.numpy().T, dtype=np.float64)
    for i, row in enumerate(rows):
        before = np.sqrt((row**2).sum())
        for _ in range(2):
            row -= ((rows[:i] * row).sum(axis=1, keepdims=True) * rows[:i]).sum(axis=0)
        after = np.sqrt((row**2).sum())
        row *= 1 / after if after > 1e-6 * before else 0.0
    return torch.from_numpy(rows.T.astype(np.float32, order="C"))


def _times(X: torch.Tensor, scale: float, mean: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
    n, d = X.shape
    columns = basis.shape[1]
    out = torch.empty((n, columns))
    step = max(1, int(_PRODUCTS / max(1, d * columns)))
    for first in range(0, n, step):
        last = min(n, first + step)
        _core.project_rows(
            out[first:last].data_ptr(),
            X[first:last].data_ptr(),
            scale,
            mean.data_ptr(),
            basis.data_ptr(),
            last - first,
            d,
            columns,
            target_of(X),
        )
    return out
