"""Where the anchors that rows have scores for have a peak."""

from __future__ import annotations

import torch

from fastparadime import _core
from fastparadime.ops._checks import as_floats, check_same_device, on_device, target_of
from fastparadime.types import TensorLike


def anchor_modes(scores: TensorLike, anchors: TensorLike, windows: TensorLike) -> torch.Tensor:
    """The peaks of anchors by the exponentials of a row's scores.

    From the anchor with the best score on, by five steps of a mean shift (Fukunaga and Hostetler
    1975, doi 10.1109/TIT.1975.1055330) with a Gaussian window, as wide as that anchor's.

    Parameters
    ----------
    scores : (rows, anchors) array
    anchors : (anchors, dim) array
    windows : (anchors,) array
        Positive.

    Returns
    -------
    float32 tensor (rows, dim)
        A row's does not depend on the rows beside it; NaN where a score is no finite number.

    Raises
    ------
    ValueError
        For shapes that disagree, or without anchors.
    """
    scores, anchors = as_floats(scores, "scores", 2), as_floats(anchors, "anchors", 2)
    windows = as_floats(windows, "windows", 1)
    (rows, count), (wanted, dim) = scores.shape, anchors.shape
    if count != wanted or len(windows) != wanted or not anchors.numel():
        raise ValueError(
            "scores must have one column for each of the anchors, and windows one value, but have "
            f"shapes {tuple(scores.shape)} and {tuple(windows.shape)} beside {wanted} anchors of "
            f"{dim} coordinates"
        )
    check_same_device(scores=scores, anchors=anchors, windows=windows)
    modes, moves = scores.new_empty((rows, dim)), scores.new_empty((rows, dim))
    coordinates = anchors.T.contiguous()
    if not rows:
        return modes
    with on_device(scores):
        _core.anchor_modes(
            modes.data_ptr(),
            moves.data_ptr(),
            scores.data_ptr(),
            coordinates.data_ptr(),
            windows.data_ptr(),
            rows,
            count,
            dim,
            target_of(scores),
        )
    return modes
