"""Tiles of matrix products searched for the nearest columns of each row."""

from __future__ import annotations

from copy import copy
from typing import Literal, TypeAlias

import torch

from fastparadime import _core
from fastparadime.ops._checks import (
    MAX_POINTS,
    as_dense,
    as_floats,
    check_same_device,
    on_device,
    target_of,
)
from fastparadime.types import TensorLike
from fastparadime.utils.convert import share
from fastparadime.utils.validate import check_integer, check_positive
from fastparadime.utils.warning import warn

MOST_CANDIDATES: int = _core.kMaxListWidth
MOST_UNIT_COLUMNS: int = _core.kMaxUnitColumns
# By which instructions a GPU multiplies: a warp's, which all have, or a warpgroup's, of sm_90.
ProductEngine: TypeAlias = Literal["mma", "wgmma"]
_ENGINES = {
    None: _core.ProductEngine.fastest,
    "mma": _core.ProductEngine.mma,
    "wgmma": _core.ProductEngine.wgmma,
}


def candidate_width(count: int) -> int:
    """The width of lists that hold `count` candidates: 32, 64, ... up to `MOST_CANDIDATES`.

    Raises
    ------
    ValueError
        If `count` is less than 1 or more than that.
    """
    count = check_integer(count, "count", minimum=1, maximum=MOST_CANDIDATES)
    width: int = _core.kMinListWidth
    while width < count:
        width *= 2
    return width


def most_unit_columns(device: torch.device | str, engine: ProductEngine | None = None) -> int:
    """The most columns of units that `Candidates.update_from_units` takes on a device.

    Parameters
    ----------
    device : torch.device or str
    engine : {"mma", "wgmma"}, optional
        Of a GPU, the fastest that it has unless given.

    Returns
    -------
    int
        `MOST_UNIT_COLUMNS` by a warp's instructions; beyond what memory holds by a warpgroup's, and
        on the CPU; 0 if the GPU has no such engine.

    Raises
    ------
    ValueError
        If `engine` is none of these, or is given for the CPU.
    """
    place = torch.empty(0, device=device)
    if engine not in _ENGINES:
        raise ValueError(f"engine must be 'mma', 'wgmma' or None, not {engine!r}")
    if engine is not None and not place.is_cuda:
        raise ValueError(f"engine {engine!r} is a GPU's, but the units are on {place.device}")
    with on_device(place):
        return _core.most_unit_columns(_ENGINES[engine], target_of(place))


class Candidates:
    """The nearest columns so far of each of some rows, by a lower bound of the distance.

    Parameters
    ----------
    norms : float32 tensor (rows,)
        Of the rows.
    count : int
        Candidates to keep, at most `MOST_CANDIDATES`.

    Attributes
    ----------
    norms : float32 tensor (rows,)
    bounds : float32 tensor (rows, width)
        Of the squared distance less the row's own squared norm, ascending; infinite where empty.
    indices : int32 tensor (rows, width)
        Ascending by (bound, index); -1 where empty.
    """

    def __init__(self, norms: torch.Tensor, count: int) -> None:
        self.norms = as_floats(norms, "norms", 1)
        shape = (len(norms), candidate_width(count))
        self.bounds = self.norms.new_full(shape, torch.inf)
        self.indices = torch.full(shape, -1, dtype=torch.int32, device=self.norms.device)

    def part(self, rows: slice) -> Candidates:
        """The lists of consecutive rows, in the memory of these."""
        part = copy(self)
        part.norms, part.bounds, part.indices = (
            whole[rows] for whole in (self.norms, self.bounds, self.indices)
        )
        return part

    def update(
        self, cosines: torch.Tensor, norms: torch.Tensor, first_column: int, *, slack: float
    ) -> None:
        """Lets the columns of a tile join the lists.

        Parameters
        ----------
        cosines : float32 tensor (rows, columns)
            Products of unit rows with unit columns.
        norms : float32 tensor (columns,)
            Of the columns; infinite for those that are none of the data.
        first_column : int
            Index of the tile's first column: tiles come in ascending order.
        slack : float
            The most that a cosine may be wrong by.

        Raises
        ------
        ValueError
            For shapes or devices that disagree, or columns beyond int32.
        """
        cosines, norms = as_floats(cosines, "cosines", 2), as_floats(norms, "norms", 1)
        self._check_columns(norms, first_column)
        if cosines.shape != (len(self.bounds), len(norms)):
            raise ValueError(
                f"cosines must have shape ({len(self.bounds)}, {len(norms)}), "
                f"not {tuple(cosines.shape)}"
            )
        check_same_device(rows=self.bounds, cosines=cosines, norms=norms)
        with on_device(cosines):
            _core.nearest_in_tile(
                self._native(),
                cosines.data_ptr(),
                norms.data_ptr(),
                check_positive(slack, "slack", zero_ok=True),
                len(norms),
                first_column,
                target_of(cosines),
            )

    def update_from_units(
        self,
        units: TensorLike,
        column_units: TensorLike,
        norms: TensorLike,
        first_column: int,
        *,
        slack: float,
        engine: ProductEngine | None = None,
    ) -> None:
        """Lets columns join the lists by products that are taken, and summed in float32, on the way.

        Parameters
        ----------
        units : float16 tensor (rows, d)
            Unit rows; d is a multiple of 8 and at most `most_unit_columns` of their device.
        column_units : float16 tensor (columns, d)
        norms, first_column, slack
            As of `update`.
        engine : {"mma", "wgmma"}, optional
            By which instructions a GPU multiplies, the fastest that it has unless given.

        Raises
        ------
        TypeError
            If units are no halves.
        ValueError
            For shapes or devices that disagree, columns beyond int32, or an engine that the device
            has not.
        """
        units = _as_units(units, "units")
        column_units, norms = _as_units(column_units, "column_units"), as_floats(norms, "norms", 1)
        self._check_columns(norms, first_column)
        d = units.shape[1]
        for name, given, rows in (
            ("units", units, len(self.bounds)),
            ("column_units", column_units, len(norms)),
        ):
            if given.shape != (rows, d):
                raise ValueError(f"{name} must have shape ({rows}, {d}), not {tuple(given.shape)}")
        check_same_device(rows=self.bounds, units=units, column_units=column_units, norms=norms)
        _check_width(d, units.device, engine)
        with on_device(units):
            _core.nearest_by_cosines(
                self._native(),
                units.data_ptr(),
                column_units.data_ptr(),
                norms.data_ptr(),
                check_positive(slack, "slack", zero_ok=True),
                len(norms),
                d,
                first_column,
                _ENGINES[engine],
                target_of(units),
            )

    def take_in(
        self, cosines: torch.Tensor, norms: torch.Tensor, first_column: int, *, slack: float
    ) -> None:
        """Deprecated name of `update`."""
        warn("Candidates.take_in is now called update", DeprecationWarning)
        self.update(cosines, norms, first_column, slack=slack)

    def take_in_units(
        self,
        units: TensorLike,
        column_units: TensorLike,
        norms: TensorLike,
        first_column: int,
        *,
        slack: float,
    ) -> None:
        """Deprecated name of `update_from_units`."""
        warn("Candidates.take_in_units is now called update_from_units", DeprecationWarning)
        self.update_from_units(units, column_units, norms, first_column, slack=slack)

    def _native(self) -> _core.CandidateLists:
        return _core.CandidateLists(
            self.bounds.data_ptr(),
            self.indices.data_ptr(),
            self.norms.data_ptr(),
            *self.bounds.shape,
        )

    @staticmethod
    def _check_columns(norms: torch.Tensor, first: int) -> None:
        if first < 0 or first + len(norms) > MAX_POINTS:
            raise ValueError(
                f"columns must lie in [0, {MAX_POINTS}), not {first} + {len(norms)} of them"
            )


def _as_units(value: TensorLike, name: str) -> torch.Tensor:
    """Checked, contiguous and aligned for copies of several halves."""
    units = share(value)
    if units.dtype != torch.float16:
        raise TypeError(f"{name} must have dtype float16, not {units.dtype}")
    columns = units.shape[1] if units.ndim == 2 else 0
    if columns % _core.kUnitColumns or columns == 0:
        raise ValueError(
            f"{name} must have rows of a multiple of {_core.kUnitColumns} columns, "
            f"not shape {tuple(units.shape)}"
        )
    units = as_dense(units, name).contiguous()
    aligned = units.data_ptr() % (_core.kUnitColumns * units.element_size()) == 0
    return units if aligned else units.clone()


def _check_width(columns: int, device: torch.device, engine: ProductEngine | None) -> None:
    most = most_unit_columns(device, engine)
    if most == 0:
        raise ValueError(f"engine {engine!r} needs a GPU of compute capability 9.0, not {device}")
    if columns > most:
        raise ValueError(f"units may have at most {most} columns on {device}, not {columns}")
