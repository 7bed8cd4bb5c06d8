"""Digits that float32 drops of data far from zero, and the centre that is subtracted before.

All work is done in float32, which has 24 bits. A column far from zero spends them on where it lies:
seconds since 1970 become multiples of 128. Such a column is centred in float64 before it is
rounded, wherever distances do not change with a shift.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch

from fastparadime.exceptions import PrecisionWarning
from fastparadime.types import Array, TensorLike
from fastparadime.utils import sources
from fastparadime.utils.convert import to_float32, to_numpy
from fastparadime.utils.warning import warn

_FAR = 4.0  # times its median deviation from it that a column's median may be
_MOST_LOST = 3  # digits of float32's seven, from which on a network's data is warned of
_PLACES, _RUN = 16, 64  # of the rows that show it: so many runs of so many rows, spread evenly
_BLOCK_BYTES = 16 * 2**20  # of rows subtracted at a time
_CHANGED, _MOST_CHANGED = 0.1, 0.05  # of a pair's difference, by rounding, and of the pairs
_NOISE = 2.0**-40  # of a row's norm, below which a difference is the rounding of float64 itself
_WORD = 2.0**32


def may_round(X: TensorLike | sources.Source) -> bool:
    """Whether values of this dtype may be rounded when they become float32."""
    if isinstance(X, torch.Tensor):
        wide = ("float64", "int32", "int64", "uint32", "uint64")
        return str(X.dtype).removeprefix("torch.") in wide
    dtype: np.dtype[Any] = np.dtype(cast(Any, X.dtype))
    return dtype.itemsize > 4 if dtype.kind == "f" else dtype.kind in "iu" and dtype.itemsize >= 4


def some_rows(X: TensorLike | sources.Source) -> Array:
    """Up to 1024 rows spread over a table, float64 (m, d), the same of an array and of a source."""
    starts, length = _runs(int(X.shape[0]))
    rows = [
        sources.read_rows(X, start, start + length, "X")
        if sources.is_source(X)
        else to_numpy(X[start : start + length])
        for start in starts
    ]
    return np.concatenate(rows).astype(np.float64)


def some_numbers(n: int) -> Array:
    """The numbers of the rows of `some_rows`, of a table of n, ascending."""
    starts, length = _runs(n)
    return np.concatenate([np.arange(start, start + length) for start in starts])


def _runs(n: int) -> tuple[list[int], int]:
    """Where runs of rows start, and how long each is."""
    if n <= _PLACES * _RUN:
        return [0], n
    starts: list[int] = np.linspace(0, n - _RUN, _PLACES).astype(int).tolist()
    return starts, _RUN


def centre_of(rows: Array) -> Array | None:
    """The medians of far columns, 0 of others, float64 (d,); None where no column is far.

    A column is far where its median is more than 4 times the median deviation from it, and float32
    does not hold all of its values.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        medians = medians_of(rows)
        far = np.abs(medians) > _FAR * medians_of(np.abs(rows - medians))
        far &= _rounded(rows).any(axis=0)
    return np.where(far, medians, 0.0) if far.any() else None


def rounds(rows: Array) -> bool:
    """Whether some of a table's rows, float64, change when they become float32."""
    with np.errstate(over="ignore"):
        return bool(_rounded(rows).any())


def _rounded(rows: Array) -> Array:
    # Integers beyond 2^53 have been rounded already.
    changed: Array = (rows != rows.astype(np.float32)) | (np.abs(rows) > 2.0**53)
    return changed & ~np.isnan(rows)


def medians_of(rows: Array) -> Array:
    """The medians of columns: of an even number the lower one, a value of the data; NaN counts not."""
    middle = (len(rows) - 1) // 2
    missing = np.isnan(rows)
    if missing.any():
        middles = np.maximum(len(rows) - missing.sum(axis=0) - 1, 0) // 2
        ordered = np.sort(rows, axis=0)  # NaN last
        return np.asarray(np.take_along_axis(ordered, middles[None], axis=0)[0])
    medians: Array = np.partition(rows, middle, axis=0)[middle]
    return medians


def difference(X: TensorLike, centre: Array) -> TensorLike:
    """`X` (n, d) minus a centre (d,), float64, also of integers that float64 does not hold."""
    if isinstance(X, torch.Tensor):
        if X.device.type == "cpu":
            return torch.from_numpy(_difference(to_numpy(X), centre))
        if X.dtype != torch.int64:
            return X.detach().double() - torch.from_numpy(centre).to(X.device)
        high, low = (torch.from_numpy(part).to(X.device) for part in _words(centre))
        return ((X >> 32).double() - high) * _WORD + ((X & 0xFFFFFFFF).double() - low)
    return _difference(X, centre)


def _difference(X: Array, centre: Array) -> Array:
    if X.dtype.kind not in "iu" or X.dtype.itemsize < 8:
        plain: Array = X.astype(np.float64) - centre
        return plain
    high, low = _words(centre)
    upper: Array = ((X >> 32).astype(np.float64) - high) * _WORD
    return upper + ((X & 0xFFFFFFFF).astype(np.float64) - low)


def _words(centre: Array) -> tuple[Array, Array]:
    high = np.floor(centre / _WORD)
    return high, centre - high * _WORD


def centred(X: TensorLike, centre: Array | None) -> torch.Tensor:
    """The float32 tensor of a table (n, d) minus a centre (d,), which is subtracted in float64.

    Without a centre that of `fastparadime.utils.convert.to_float32`.
    """
    if centre is None:
        return to_float32(X)
    step = max(1, _BLOCK_BYTES // (8 * X.shape[1]))
    home = X.device if isinstance(X, torch.Tensor) else None
    out = torch.empty(tuple(X.shape), device=home)
    for start in range(0, len(X), step):
        out[start : start + step] = torch.as_tensor(difference(X[start : start + step], centre))
    return out


def compared_rows(n: int, pairs: int = 256) -> Array:
    """Numbers of some of n rows, drawn always the same, for `warn_of_rounding`."""
    drawn: Array = np.random.default_rng(0).choice(n, min(n, pairs), replace=False)
    return drawn


def warn_of_rounding(rows: tuple[Any, Any], ends: tuple[Any, Any], metric: Any) -> None:
    """Warns if rounding has changed the differences between rows and their neighbours.

    Parameters
    ----------
    rows, ends : (table, table)
        Some rows (m, d), and a neighbour of each: in float64 and as they were compared, dense or
        sparse.
    metric : str or callable
        By which neighbours were searched.

    Warns
    -----
    PrecisionWarning
        Where a tenth of the difference has changed, or more, for more than 5 % of the pairs.
    """
    true = rows[0] - ends[0]
    sizes = _norms(true)
    errors = _norms(true - (rows[1].astype(np.float64) - ends[1].astype(np.float64)))
    counted = sizes > _NOISE * _norms(rows[0])
    share = float((counted & (errors > _CHANGED * sizes)).mean())
    if share > _MOST_CHANGED:
        warn(
            f"float32 holds too few digits of X: rounding changes the differences between "
            f"{share:.0%} of some rows and their neighbors by more than a tenth, so neighbors by "
            f"metric {metric!r} may be wrong. Search parts of X that lie far apart by themselves, "
            "or give a function of two rows as metric, which compares float64",
            PrecisionWarning,
        )


def _norms(rows: Any) -> Array:
    if hasattr(rows, "nnz"):
        norms: Array = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
        return norms
    known = np.where(np.isnan(rows), 0.0, rows)  # what is missing is not compared
    return np.asarray(np.linalg.norm(known, axis=1))


def far_columns(X: TensorLike, name: str) -> bool:
    """Whether an array (n, ...) of a network's data has far columns, of which float32 drops digits.

    Warns
    -----
    PrecisionWarning
        If three or more are dropped in a column, under the name of the array.
    """
    strided = isinstance(X, np.ndarray) or X.layout == torch.strided
    if not strided or X.ndim == 0 or 0 in X.shape or not _is_real(X) or not may_round(X):
        return False
    rows = some_rows(X.reshape((len(X), -1)))
    centre = centre_of(rows)
    if centre is None:
        return False
    spread = np.maximum(medians_of(np.abs(rows - centre)), 1e-7 * np.abs(centre))
    times = np.divide(np.abs(centre), spread, out=np.ones(len(centre)), where=centre != 0)
    column = int(times.argmax())
    lost = int(np.log10(times[column]))
    if lost >= _MOST_LOST:
        warn(
            f"{name} becomes float32 for the network, which loses {lost} of its 7 digits in column "
            f"{column}, around {centre[column]:.10g}: subtract the column's mean in float64 before, "
            "here and from rows that the network is applied to",
            PrecisionWarning,
        )
    return True


def _is_real(X: TensorLike) -> bool:
    return isinstance(X, torch.Tensor) or X.dtype.kind in "biuf"
