"""From the data that a search is given to the float32 rows that it compares."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fastparadime.types import TensorLike
from fastparadime.utils import sources
from fastparadime.utils.convert import to_float32
from fastparadime.utils.validate import check_data, check_finite, check_form

_BLOCK_BYTES = 16 * 2**20  # of rows converted at a time
SHORT, LONG = 1e-15, 1e18  # lengths between which squares keep their digits
PREPARED_METRICS = ("cosine", "correlation", "jensenshannon")  # compare rows made from those of X


class Table:
    """Rows as a metric compares them, read from the data when they are asked for.

    Parameters
    ----------
    X : (n, d) array, tensor, list, data frame or source of rows
        Checked, but sources are not read yet.
    metric : str
        A native one.
    device : torch.device, optional
        Where they are asked for, if not where the data is.

    Raises
    ------
    TypeError, ValueError
        As of `fastparadime.utils.validate.check_data`.
    """

    def __init__(self, X: Any, metric: str, device: torch.device | None = None) -> None:
        self._metric = metric
        self._X: TensorLike | sources.Source
        if sources.is_source(X):
            check_form(X, "X")
            self._X = X
        else:
            self._X = check_data(X)
        cpu = torch.device("cpu")
        # Where the data is, and where its rows are asked for.
        self.home = self._X.device if isinstance(self._X, torch.Tensor) else cpu
        self.device = self.home if device is None else device

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        n, d = self._X.shape
        return n, d

    @property
    def on_gpu(self) -> bool:
        """Whether the rows are asked for on a GPU."""
        return self.device.type == "cuda"

    @property
    def ready(self) -> bool:
        """Whether `whole` copies nothing: rows that are in place where they are asked for."""
        return self.in_place and self.home == self.device

    @property
    def in_place(self) -> bool:
        """Whether the data itself holds the rows: float32, in order, compared as they are."""
        if self._metric in PREPARED_METRICS:
            return False
        if isinstance(self._X, torch.Tensor):
            return self._X.dtype == torch.float32 and self._X.is_contiguous()
        if isinstance(self._X, np.ndarray):
            return self._X.dtype == np.float32 and self._X.flags.c_contiguous
        return False

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows start ... stop - 1, float32 (stop - start, d), on `device`.

        Raises
        ------
        OSError, ValueError
            For a source that cannot be read, ends short or holds values that are not finite; for
            rows that ``"jensenshannon"`` does not take.
        """
        if isinstance(self._X, (np.ndarray, torch.Tensor)):
            block = self._X[start:stop]
        else:
            block = sources.read_rows(self._X, start, stop, "X")
            check_finite(block, "X", start)
        return _prepared(to_float32(block).to(self.device), self._metric, start)

    def rows_at_a_time(self, most: int | None = None) -> int:
        """A number of rows, whole chunks of a source where `most` allows, to ask for in turn."""
        if isinstance(self._X, (np.ndarray, torch.Tensor)):
            step = max(1, _BLOCK_BYTES // (4 * self.shape[1]))
            return step if most is None else max(1, min(step, most))
        return sources.rows_at_a_time(self._X, most)

    def fill(self, out: torch.Tensor, start: int, most: int | None = None) -> None:
        """Writes as many rows as `out` has, from `start` on, at most `most` at a time."""
        step = self.rows_at_a_time(most)
        for at in range(0, len(out), step):
            rows = out[at : at + step]
            rows.copy_(self.rows(start + at, start + at + len(rows)))

    def largest_difference(self) -> float:
        """The largest one, in any column, from the first row."""
        (n, _), step, first = self.shape, self.rows_at_a_time(), self.rows(0, 1)
        blocks = (self.rows(start, min(n, start + step)) for start in range(0, n, step))
        return max(float((block - first).abs().max()) for block in blocks)

    def whole(self, device: torch.device | None = None) -> torch.Tensor:
        """All rows, float32 (n, d), on `self.device` or another: `X` itself if it holds them there."""
        device = self.device if device is None else device
        plain = self._metric not in PREPARED_METRICS
        if plain and isinstance(self._X, (np.ndarray, torch.Tensor)):
            return to_float32(self._X).to(device)
        out = torch.empty(self.shape, device=device)
        self.fill(out, 0)
        return out


def _prepared(rows: torch.Tensor, metric: str, first: int) -> torch.Tensor:
    if metric == "jensenshannon":
        return _distributions(rows, first)
    if metric == "correlation":
        rows = rows - rows.mean(dim=1, keepdim=True)
    if metric in ("cosine", "correlation"):
        return unit_rows(rows)
    return rows


def unit_rows(rows: torch.Tensor) -> torch.Tensor:
    """Rows (m, d) divided by their lengths, of any size; rows of zeros as they are."""
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    # Squares that float32 does not hold, or not to all digits.
    extreme = ~((lengths > SHORT) & (lengths < LONG))
    if bool(extreme.any()):
        largest = rows.abs().amax(dim=1, keepdim=True)
        rows = torch.where(extreme & (largest > 0), rows / largest, rows)
        lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    unit: torch.Tensor = rows / lengths.clamp_min(torch.finfo(torch.float32).tiny)
    return unit


def _distributions(rows: torch.Tensor, first: int) -> torch.Tensor:
    sums = rows.sum(dim=1, keepdim=True)
    bad = ((rows < 0).any(dim=1) | (sums[:, 0] <= 0)).nonzero()
    if len(bad):
        raise ValueError(
            f"X must hold rows of non-negative values with a positive sum for 'jensenshannon', "
            f"but row {first + int(bad[0])} does not"
        )
    return rows / sums
