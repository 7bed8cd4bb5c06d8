"""The nearest of many, ties by index: distance and index as one number."""

from __future__ import annotations

import numpy as np

from fastparadime.types import Array

_VALUE = np.int32(0x7FFFFFFF)  # the bits of a float beside its sign


def smallest(distances: Array, indices: Array, k: int) -> tuple[Array, Array]:
    """The k smallest distances of each row and whose they are, ascending, ties by index.

    Parameters
    ----------
    distances : float32 array (m, w)
        Without NaN.
    indices : integer array that broadcasts to (m, w)
        In [0, 2^31).
    k : int
        At most w.

    Returns
    -------
    indices, distances : int32 and float32 arrays (m, k)
    """
    # As integers, the bits of floats ascend with them once those of negative ones are turned round.
    bits = (distances + np.float32(0)).view(np.int32)  # -0 becomes 0
    keys = (bits ^ ((bits >> 31) & _VALUE)).astype(np.int64) << 32
    keys |= indices
    if k < keys.shape[1]:
        keys.partition(k - 1, axis=1)
    keys = np.sort(keys[:, :k], axis=1)
    bits = (keys >> 32).astype(np.int32)
    nearest = (bits ^ ((bits >> 31) & _VALUE)).view(np.float32)
    return (keys & _VALUE).astype(np.int32), nearest
