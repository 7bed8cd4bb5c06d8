"""The values above the diagonal of symmetric matrices: places, conversions and distances."""

from __future__ import annotations

import functools
from typing import Any

import torch

_CACHED_ROWS = 2048  # places of a matrix of so many rows take 32 MB
_FEW_COLUMNS = 16  # up to which whole columns are faster than one pair after another


def upper_places(n: int, device: torch.device) -> torch.Tensor:
    """Where the values above the diagonal are in a flattened (n, n) matrix, row by row."""
    return _cached_upper(n, device) if n <= _CACHED_ROWS else _upper(n, device)


def pair_places(n: int, device: torch.device) -> torch.Tensor:
    """Where each entry (n, n) is among the values above the diagonal, their number on it."""
    return _cached_pairs(n, device) if n <= _CACHED_ROWS else _pairs(n, device)


def _upper(n: int, device: torch.device) -> torch.Tensor:
    row, column = torch.triu_indices(n, n, offset=1, device=device)
    places: torch.Tensor = row * n + column
    return places


def _pairs(n: int, device: torch.device) -> torch.Tensor:
    count = n * (n - 1) // 2
    places = torch.full((n * n,), count, device=device)
    order = torch.arange(count, device=device)
    upper = upper_places(n, device)
    places[upper] = order
    places[upper % n * n + upper // n] = order
    return places.view(n, n)


# Batches of one phase are of one or two sizes.
_cached_upper = functools.lru_cache(maxsize=4)(_upper)
_cached_pairs = functools.lru_cache(maxsize=4)(_pairs)


class _Square(torch.autograd.Function):
    """Gathers in both directions, where torch would scatter."""

    @staticmethod
    def forward(_ctx: Any, values: torch.Tensor, n: int) -> torch.Tensor:
        with_diagonal = torch.cat((values, values.new_zeros(1)))
        return with_diagonal[pair_places(n, values.device)]

    @staticmethod
    def backward(_ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        return to_triangle(grads[0]) + to_triangle(grads[0].T), None


def to_square(values: torch.Tensor, n: int) -> torch.Tensor:
    """The symmetric matrix (n, n) of the values above its diagonal, which is zero."""
    square: torch.Tensor = _Square.apply(values, n)  # type: ignore[no-untyped-call]
    return square


def to_triangle(square: torch.Tensor) -> torch.Tensor:
    """The values above the diagonal of a matrix (n, n), row by row."""
    return square.flatten().index_select(0, upper_places(len(square), square.device))


class _Distances(torch.autograd.Function):
    """Euclidean distances from whole columns: no loop over pairs, no (n, n, d) array."""

    @staticmethod
    def forward(ctx: Any, points: torch.Tensor) -> torch.Tensor:
        squares = points.new_zeros((len(points), len(points)))
        for column in points.T:
            difference = column[:, None] - column
            squares.addcmul_(difference, difference)
        distances = to_triangle(squares).sqrt_()
        ctx.save_for_backward(points, distances)
        return distances

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        points, distances = ctx.saved_tensors
        slopes = torch.where(distances > 0, grads[0] / distances, 0.0)
        square = to_square(slopes, len(points))
        columns = [(square * (column[:, None] - column)).sum(dim=1) for column in points.T]
        return torch.stack(columns, dim=1)


def pairwise_distances(points: torch.Tensor, p: float = 2) -> torch.Tensor:
    """p-norms of the differences of the rows of `points` (n, d), as `torch.nn.functional.pdist`.

    Returns
    -------
    tensor (n (n - 1) / 2,)
        Row by row above the diagonal; the gradient of a zero distance is zero.
    """
    if p == 2 and points.ndim == 2 and points.device.type == "cpu":
        n, columns = points.shape
        if 0 < columns <= _FEW_COLUMNS and n > 0 and points.is_floating_point():
            distances: torch.Tensor = _Distances.apply(points)  # type: ignore[no-untyped-call]
            return distances
    return torch.nn.functional.pdist(points, p=p)
