"""Which way axes point, whatever BLAS and its threads leave in their last digits."""

from __future__ import annotations

import numpy as np

from fastparadime.types import Array

DIGITS = 2.0**20  # of an entry near one, that are the same for any BLAS


def signs_of(axes: Array, axis: int) -> Array:
    """1 or -1 for each axis: the sign of its largest entry, the first of those as large in 20 bits.

    Parameters
    ----------
    axes : float array
        Of length 1 or about 1.
    axis : int
        Along which an axis has its entries; it has length 1 in the result.
    """
    largest = np.abs(np.round(axes * DIGITS)).argmax(axis=axis, keepdims=True)
    return np.where(np.take_along_axis(axes, largest, axis=axis) < 0, -1, 1).astype(axes.dtype)
