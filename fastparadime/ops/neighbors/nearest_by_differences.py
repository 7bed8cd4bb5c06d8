"""The nearest rows by differences of coordinates."""

from __future__ import annotations

import torch

from fastparadime import _core
from fastparadime.ops._checks import (
    as_floats,
    as_indices,
    check_same_device,
    on_device,
    target_of,
)
from fastparadime.ops.neighbors.nearest_in_tile import candidate_width
from fastparadime.types import TensorLike
from fastparadime.utils.validate import check_integer

_MOST_PARTS = 64


def nearest_by_differences(
    X: torch.Tensor, points: TensorLike, count: int, *, parts: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows among which are the nearest of some rows, by squared differences summed in float32.

    Parameters
    ----------
    X : float32 tensor (n, d)
    points : integer tensor (rows,)
        Rows of `X`; each is among its own nearest.
    count : int
        Candidates to keep, at most `MOST_CANDIDATES`.
    parts : int
        How many parts of `X` are searched at the same time, each for `count` candidates: with few
        rows, more than one keep a GPU busy.

    Returns
    -------
    indices, squares : int32 and float32 tensors (rows, parts, width)
        Of each part ascending by (square, index); -1 and infinity where it has fewer rows. The width
        is `candidate_width(count)`.

    Raises
    ------
    TypeError, ValueError
        For dtypes, shapes or devices that disagree, or numbers outside their ranges.
    """
    X = as_floats(X, "X", 2)
    points = as_indices(points, "points", 1, len(X))
    parts = check_integer(parts, "parts", minimum=1, maximum=_MOST_PARTS)
    check_same_device(X=X, points=points)
    n, d = X.shape
    shape = (len(points), parts, candidate_width(count))
    with on_device(X):
        indices, squares = points.new_full(shape, -1), X.new_full(shape, torch.inf)
        lists = _core.CandidateLists(
            squares.data_ptr(), indices.data_ptr(), 0, shape[0] * parts, shape[2]
        )
        _core.nearest_by_differences(
            lists, X.data_ptr(), points.data_ptr(), len(points), n, d, parts, target_of(X)
        )
    return indices, squares
