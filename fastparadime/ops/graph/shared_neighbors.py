"""Neighbours that points have in common."""

from __future__ import annotations

import torch

from fastparadime import _core
from fastparadime.ops._checks import as_indices, on_device, target_of
from fastparadime.types import TensorLike
from fastparadime.utils.validate import check_integer


def shared_neighbors(indices: TensorLike, width: int | None = None) -> torch.Tensor:
    """How many neighbours a point has in common with each of its own.

    Parameters
    ----------
    indices : (n, k) integer array or tensor
        Neighbours of each point, nearest first, the point itself not among them; -1 where one is
        lacking.
    width : int, optional
        How many of a point's nearest count as its neighbours, k by default.

    Returns
    -------
    int32 tensor (n, k)
        Of each of the k, how many of its `width` nearest are among those of the point; 0 where it
        is lacking.

    Raises
    ------
    TypeError, ValueError
        For indices that are no points, or a width outside [1, k].

    Notes
    -----
    The similarity of Jarvis and Patrick, "Clustering using a similarity measure based on shared
    near neighbors", IEEE Transactions on Computers 1973.
    """
    table = as_indices(indices, "indices", 2, len(indices), negative_ok=True)
    n, k = table.shape
    width = k if width is None else check_integer(width, "width", minimum=1, maximum=max(k, 1))
    stride = -(-max(width, 1) // _core.kSharedLanes) * _core.kSharedLanes
    with on_device(table):
        lists = table.new_full((n, stride), -1)
        # A list ends where the first is lacking.
        lists[:, :width] = table[:, :width].sort(dim=1, descending=True).values
        counts = torch.empty_like(table)
        _core.shared_neighbors(
            counts.data_ptr(), table.data_ptr(), lists.data_ptr(), n, k, stride, target_of(table)
        )
    return counts
