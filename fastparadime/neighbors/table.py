"""From the data that a search is given to the float32 rows that it compares."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from fastparadime.neighbors.metrics import PRECOMPUTED
from fastparadime.types import Array, TensorLike
from fastparadime.utils import frames, sources
from fastparadime.utils.centring import (
    centre_of,
    centred,
    compared_rows,
    difference,
    may_round,
    some_rows,
    warn_of_rounding,
)
from fastparadime.utils.convert import is_sparse, share, to_float32, to_float64, to_numpy
from fastparadime.utils.frames import NamedRows
from fastparadime.utils.lazy import lazy_property
from fastparadime.utils.validate import check_data, check_finite, check_form, check_values

_BLOCK_BYTES = 16 * 2**20  # of rows converted at a time
_WIDENED = (torch.float32, torch.float16, torch.uint8, torch.int8)  # to float32 without rounding
UNIT_METRICS = ("cosine", "correlation", "hellinger")
PREPARED_METRICS = (*UNIT_METRICS, "jensenshannon")  # compare rows made from those of X
SCALED_METRICS = ("euclidean", "sqeuclidean", "minkowski", "nan_euclidean")
MISSING_METRICS = ("nan_euclidean",)  # take NaN for what is missing
# Distances of rows, or of unit rows, that do not change with a shift.
SHIFTED_METRICS = (*SCALED_METRICS, "manhattan", "chebyshev", "hamming", *UNIT_METRICS)
_SOME = 1024  # rows that show how far apart they are
_PAIRS, _PAIRS_OF_SOURCE = 256, 8  # that show what rounding has changed
# Powers of two that squares in float32 bear, that a factor may have, and that it makes at the most.
_USUAL, _EXTREME, _LONGEST = 40, 120, 60


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
    as_they_are : bool
        Whether rows are compared without a factor of `unit`, even if squares leave float32, and
        without a centre, even if digits are lost.
    min_rows : int
        The fewest rows that are accepted.

    Attributes
    ----------
    unit : float
        What all rows are multiplied with, 1 but for data in memory of an extreme scale.

    Raises
    ------
    TypeError, ValueError
        As of `fastparadime.utils.validate.check_data`.
    """

    def __init__(
        self,
        X: Any,
        metric: str,
        device: torch.device | None = None,
        *,
        as_they_are: bool = False,
        min_rows: int = 2,
    ) -> None:
        self._metric, self._as_they_are = metric, as_they_are
        self._X: TensorLike | sources.Source
        if sources.is_source(X):
            check_form(X, "X", min_rows=min_rows)
            self._X = X
        else:
            self._X = check_data(X, min_rows=min_rows, missing_ok=metric in MISSING_METRICS)
        cpu = torch.device("cpu")
        # Where the data is, and where its rows are asked for.
        self.home = self._X.device if isinstance(self._X, torch.Tensor) else cpu
        self.device = self.home if device is None else device
        self.unit = 1.0
        scaled = metric in SCALED_METRICS and not as_they_are
        if scaled and isinstance(self._X, (np.ndarray, torch.Tensor)) and len(self._X):
            self.unit = unit_of(centred(self._X[:: shown_step(len(self._X))], self.centre))

    @property
    def data(self) -> TensorLike | sources.Source:
        """What was given, checked."""
        return self._X

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        n, d = self._X.shape
        return n, d

    @lazy_property
    def centre(self) -> Array | None:
        """What is subtracted from rows, or unit rows, in float64; None where float32 holds them."""
        if self._as_they_are or self._metric not in SHIFTED_METRICS or not may_round(self._X):
            return None
        some = some_rows(self._X)
        if self._metric in UNIT_METRICS:
            some = some_units(some, self._metric)
        return centre_of(some)

    @lazy_property
    def _wide(self) -> bool:
        """Whether unit rows are made in float64: float32 would drop digits of rows, or of them."""
        if self._as_they_are or not may_round(self._X):
            return False
        return self.centre is not None or centre_of(some_rows(self._X)) is not None

    def compare_as(self, some: Table, unit: float) -> None:
        """Has rows compared as those of a larger table, of which `some` has those that show it."""
        vars(self).update(centre=some.centre, _wide=some._wide, unit=unit)

    @property
    def columns(self) -> int:
        """Of `rows`: those of the data, and of unit rows the mark of those without a direction."""
        return compared_columns(self.shape[1], self._metric)

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
        if self._metric in PREPARED_METRICS or self.unit != 1.0:
            return False
        if isinstance(self._X, torch.Tensor):
            return self._X.dtype == torch.float32 and self._X.is_contiguous()
        if isinstance(self._X, np.ndarray):
            return self._X.dtype == np.float32 and self._X.flags.c_contiguous
        return False

    def stored(self) -> torch.Tensor | None:
        """The data where its rows in float32, or their unit rows, are compared on the CPU; else None."""
        metrics = ("euclidean", "sqeuclidean", *UNIT_METRICS)
        if self._metric not in metrics or self.unit != 1.0 or self.on_gpu:
            return None
        if not isinstance(self._X, (np.ndarray, torch.Tensor)) or self.home.type != "cpu":
            return None
        rows = share(self._X)
        return rows if rows.dtype in _WIDENED and self.centre is None else None

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows start ... stop - 1, float32 (stop - start, columns), on `device`.

        Raises
        ------
        OSError, ValueError
            For a source that cannot be read, ends short or holds values that are not finite; for
            rows that ``"jensenshannon"`` or ``"hellinger"`` does not take.
        """
        if isinstance(self._X, (np.ndarray, torch.Tensor)):
            block = self._X[start:stop]
        else:
            block = sources.read_rows(self._X, start, stop, "X")
            check_finite(block, "X", start, missing_ok=self._metric in MISSING_METRICS)
        return self._prepared(block, start, self.device)

    def _prepared(self, block: TensorLike, first: int, device: torch.device) -> torch.Tensor:
        if self._metric in UNIT_METRICS:
            block = to_float64(block) if self._wide else to_float32(block)
            return centred(unit_rows(block.to(device), self._metric, first), self.centre)
        rows = centred(block, self.centre).to(device)
        if self._metric == "jensenshannon":
            return _distributions(rows, first)
        return rows if self.unit == 1.0 else rows * self.unit

    def warn_of_rounding(self, last: torch.Tensor) -> None:
        """Warns if float32 holds too few digits of rows and of those of the numbers `last` (n,)."""
        if not may_round(self._X):
            return
        numbers = compared_rows(
            len(last), _PAIRS_OF_SOURCE if sources.is_source(self._X) else _PAIRS
        )
        ends = last.cpu().numpy()[numbers]
        warn_of_rounding(self._exact_and_held(numbers), self._exact_and_held(ends), self._metric)

    def _exact_and_held(self, numbers: Array) -> tuple[Array, Array]:
        """Rows of some numbers in float64, and as they are compared."""
        block = self.some(numbers)
        held = to_numpy(self._prepared(block, 0, self.home))
        if self._metric in UNIT_METRICS:
            block = unit_rows(to_float64(block), self._metric)
        centre = np.zeros(held.shape[1]) if self.centre is None else self.centre
        exact = to_numpy(difference(block, centre)) * self.unit
        if self._metric == "jensenshannon":
            exact /= exact.sum(axis=1, keepdims=True)
        return exact, held

    def some(self, numbers: Array) -> TensorLike:
        """Rows of some numbers, as the data has them."""
        if not sources.is_source(self._X):
            return self._X[numbers]
        rows = [sources.read_rows(self._X, at, at + 1, "X") for at in numbers.tolist()]
        return np.concatenate(rows)

    def rows_at_a_time(self, most: int | None = None) -> int:
        """A number of rows, whole chunks of a source where `most` allows, to ask for in turn."""
        if isinstance(self._X, (np.ndarray, torch.Tensor)):
            step = max(1, _BLOCK_BYTES // (4 * self.shape[1]))
            return step if most is None else max(1, min(step, most))
        return sources.rows_at_a_time(self._X, most)

    def fill(self, out: torch.Tensor, start: int, most: int | None = None) -> None:
        """Writes as many rows as `out` has, and columns, from `start` on, `most` rows at a time."""
        step = self.rows_at_a_time(most)
        for at in range(0, len(out), step):
            rows = out[at : at + step]
            rows.copy_(self.rows(start + at, start + at + len(rows))[:, : rows.shape[1]])

    def whole(self, device: torch.device | None = None) -> torch.Tensor:
        """All rows, float32, on `self.device` or another: `X` itself if it holds them there.

        Unit rows have the column of marks only where there is a mark.
        """
        device = self.device if device is None else device
        plain = self._metric not in PREPARED_METRICS
        if plain and isinstance(self._X, (np.ndarray, torch.Tensor)):
            return self._prepared(self._X, 0, device)
        # Which centred rows are without a direction only their marks tell.
        columns = self.shape[1] if self.centre is None else self.columns
        out = torch.empty((self.shape[0], columns), device=device)
        self.fill(out, 0)
        if self._metric in UNIT_METRICS and self.centre is None:
            marks = torch.linalg.vector_norm(out, dim=1, keepdim=True) == 0
            out = torch.cat((out, marks), dim=1) if bool(marks.any()) else out
        return out


def rows_of_frame(X: Any, metric: Any) -> NamedRows:
    """The rows of a data frame, checked for a metric, with errors that name its columns.

    Values of ``"precomputed"`` distances, and those of sparse columns, are not looked at.

    Raises
    ------
    TypeError, ValueError
        As of `fastparadime.utils.frames.rows_and_names` and `fastparadime.utils.validate.check_data`.
    """
    values, columns = frames.rows_and_names(X, "X")
    if not is_sparse(values):
        check_form(values, "X", min_rows=1)
        if metric != PRECOMPUTED:
            check_values(values, "X", columns, missing_ok=metric in MISSING_METRICS)
    return NamedRows(values, columns)


def compared_columns(d: int, metric: Any) -> int:
    """Columns of the rows that are compared for those of d columns; see `Table.columns`."""
    return d + (metric in UNIT_METRICS)


def shown_step(n: int) -> int:
    """How far apart the rows are that show the scale of a table of n."""
    return -(-n // _SOME)


def unit_of(X: TensorLike) -> float:
    """A power of two that brings rows as far apart as usual, or 1 where float32 holds their squares."""
    some = to_float32(X[:: shown_step(len(X))]).double().nan_to_num(0.0)
    steps = torch.linalg.vector_norm(some.diff(dim=0), dim=1)
    steps = steps[steps > 0]
    if not len(steps):
        return 1.0
    exponent = round(math.log2(float(steps.median())))
    exponent = max(exponent, math.frexp(float(some.abs().max()))[1] - _LONGEST)
    return 1.0 if abs(exponent) <= _USUAL else 2.0 ** -max(-_EXTREME, min(exponent, _EXTREME))


def true_distances(distances: torch.Tensor, unit: float, metric: Any) -> torch.Tensor:
    """Distances of rows from those of the rows times `unit`."""
    if unit == 1.0:
        return distances
    return (distances.double() / (unit**2 if metric == "sqeuclidean" else unit)).float()


def unit_distances(distances: torch.Tensor, metric: Any) -> torch.Tensor:
    """Distances by a metric of `UNIT_METRICS` in place of those of unit rows, which keep their digits."""
    return distances.div_(2**0.5) if metric == "hellinger" else distances.square_().div_(2)


def some_units(some: Array, metric: str) -> Array:
    """Unit rows of some of a table's; negative values, of which other rows are told, count as 0."""
    rows = torch.from_numpy(some)
    return unit_rows(rows.clamp(min=0) if metric == "hellinger" else rows, metric).numpy()


def unit_rows(rows: torch.Tensor, metric: str, first: int = 0) -> torch.Tensor:
    """Rows of length 1 whose Euclidean distances tell those by a metric of `UNIT_METRICS`.

    Parameters
    ----------
    rows : float32 or float64 tensor (m, d)
    metric : str
    first : int
        Number of the first row, for errors.

    Returns
    -------
    tensor (m, d + 1)
        Of that dtype.
        The last column is a mark, 1 of rows without a direction (zeros; for the correlation, one
        value): they are at distance 1 from others and at 0 from each other.

    Raises
    ------
    ValueError
        For negative values, of which ``"hellinger"`` has no root.

    Notes
    -----
    A row has the same bits whichever others it is given with.
    """
    if len(rows) == 1:  # whose sum torch would divide among threads
        return unit_rows(rows.expand(2, -1).contiguous(), metric, first)[:1]
    if metric == "hellinger":
        bad = (rows < 0).any(dim=1).nonzero()
        if len(bad):
            raise ValueError(
                "Negative values in data: X must hold none for 'hellinger', but row "
                f"{first + int(bad[0])} does"
            )
        rows = rows.sqrt()
    if metric == "correlation":
        rows = rows - rows[:, :1]  # one value becomes zeros, which a mean would round
        rows = rows - rows.mean(dim=1, keepdim=True)
    low, high = torch.aminmax(rows, dim=1, keepdim=True)
    exponents = torch.frexp(torch.maximum(high, -low))[1].clamp(-_EXTREME, _EXTREME)
    rows = rows * torch.ldexp(torch.ones_like(low), -exponents)  # squares stay in float32
    norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    marks = norms == 0
    units = rows.new_empty((len(rows), rows.shape[1] + 1))
    torch.div(rows, norms + marks, out=units[:, :-1])
    units[:, -1:] = marks
    return units


def _distributions(rows: torch.Tensor, first: int) -> torch.Tensor:
    sums = rows.sum(dim=1, keepdim=True)
    bad = ((rows < 0).any(dim=1) | (sums[:, 0] <= 0)).nonzero()
    if len(bad):
        raise ValueError(
            "Negative values in data or a row of zeros: X must hold rows of non-negative values "
            f"with a positive sum for 'jensenshannon', but row {first + int(bad[0])} does not"
        )
    return rows / sums
