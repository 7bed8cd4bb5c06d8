"""Functions of the user's that are told of every epoch, and may end the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastparadime.types import Array, TensorLike
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.validate import check_callable

Callback = Callable[[int, float | None, Any], Any]


def check_callback(callback: Callback | None, name: str = "callback") -> Callback | None:
    """The callback, if it is one or None.

    Raises
    ------
    TypeError
        If it is neither.
    """
    return None if callback is None else check_callable(callback, name)


def asks_to_stop(callback: Callback | None, epoch: int, loss: float | None, positions: Any) -> bool:
    """Tells a callback of an epoch, and whether it asks to stop.

    Parameters
    ----------
    callback : callable (epoch, loss, positions), optional
    epoch : int
        Counted from 0.
    loss : float, optional
        None where the loss is not known.
    positions : array (n, dim), or what numpy makes one of
    """
    answer = None if callback is None else callback(epoch, loss, positions)
    # Only True: what a plotting call returns is not meant to stop anything.
    return isinstance(answer, (bool, np.bool_)) and bool(answer)


class Positions:
    """Positions that are computed when they are asked for, so that who reads losses waits for none.

    An array for numpy: ``numpy.asarray(positions)``.

    Parameters
    ----------
    compute : callable () -> tensor or array (n, dim)
    """

    def __init__(self, compute: Callable[[], TensorLike]) -> None:
        self._compute = compute
        self._table: Array | None = None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self._table is None:
            self._table = to_numpy(self._compute())
        table = self._table if dtype is None else self._table.astype(dtype, copy=False)
        return table.copy() if copy else table

    def __len__(self) -> int:
        return len(self.__array__())

    def __getitem__(self, index: Any) -> Any:
        return self.__array__()[index]

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, dim)"""
        return self.__array__().shape
