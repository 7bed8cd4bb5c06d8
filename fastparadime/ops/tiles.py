"""Tiles of matrix products searched for the nearest columns of each row."""

from __future__ import annotations

import torch

from fastparadime import _core
from fastparadime.ops._checks import MAX_POINTS, as_floats, check_same_device, on_device, target_of

MOST_CANDIDATES: int = _core.kListMost


def candidate_width(count: int) -> int:
    """The width of lists that hold `count` candidates: 32, 64, ... up to `MOST_CANDIDATES`.

    Raises
    ------
    ValueError
        If `count` is more than that.
    """
    if count > MOST_CANDIDATES:
        raise ValueError(f"count may be at most {MOST_CANDIDATES}, not {count}")
    width: int = _core.kListUnit
    while width < count:
        width *= 2
    return width


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
    bounds : float32 tensor (rows, width)
        Of the squared distance less the row's own squared norm, ascending; infinite where empty.
    indices : int32 tensor (rows, width)
        Ascending by (bound, index); -1 where empty.
    """

    def __init__(self, norms: torch.Tensor, count: int) -> None:
        self._norms = as_floats(norms, "norms", 1)
        shape = (len(norms), candidate_width(count))
        self.bounds = self._norms.new_full(shape, torch.inf)
        self.indices = torch.full(shape, -1, dtype=torch.int32, device=self._norms.device)

    def take_in(
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
        rows, width = self.bounds.shape
        cosines, norms = as_floats(cosines, "cosines", 2), as_floats(norms, "norms", 1)
        columns = len(norms)
        if cosines.shape != (rows, columns):
            raise ValueError(
                f"cosines must have shape ({rows}, {columns}), not {tuple(cosines.shape)}"
            )
        if first_column < 0 or first_column + columns > MAX_POINTS:
            raise ValueError(
                f"columns must lie in [0, {MAX_POINTS}), not {first_column} + {columns} of them"
            )
        check_same_device(rows=self.bounds, cosines=cosines, norms=norms)
        with on_device(cosines):
            _core.nearest_in_tile(
                self.bounds.data_ptr(),
                self.indices.data_ptr(),
                cosines.data_ptr(),
                self._norms.data_ptr(),
                norms.data_ptr(),
                slack,
                rows,
                columns,
                width,
                first_column,
                target_of(cosines),
            )
