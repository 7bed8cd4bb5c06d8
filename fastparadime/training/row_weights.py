"""Draws by the weights of rows: on average as if each row were there so many times."""

from __future__ import annotations

from typing import Any

import torch

from fastparadime.utils.convert import to_torch

_COPIES = 16  # of a row on average, where weights are no whole numbers
_MOST = 2**28  # copies of all rows


def check_row_weights(weights: Any, n: int, name: str = "sample_weight") -> torch.Tensor:
    """Weights of n rows, float64 (n,) on the CPU.

    Raises
    ------
    TypeError, ValueError
        For another number of them, and for those that are no numbers, negative, not finite or all
        zero.
    """
    try:
        given = to_torch(weights).detach().cpu()
    except TypeError as error:
        raise TypeError(f"{name} must be an array of numbers: {error}") from error
    if given.is_complex():
        raise TypeError(f"{name} must hold real numbers, not {given.dtype}")
    if given.shape != (n,):
        raise ValueError(f"{name} must have one weight for each of {n} rows, not {given.shape}")
    found = given.double()
    if not bool(found.isfinite().all()):
        raise ValueError(f"{name} must be finite")
    if n and float(found.min()) < 0:
        raise ValueError(f"{name} must not be negative, but has {float(found.min())}")
    if not bool(found.any()):
        raise ValueError(f"{name} must not be zero for all rows")
    return found


def _rows_at(places: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The rows at shares [0, 1) of the way along their weights, laid end to end."""
    ends = weights.cumsum(0)
    rows = torch.searchsorted(ends, places * ends[-1], right=True)
    last = int(weights.nonzero()[-1])  # which rounding could pass
    return rows.clamp(max=last)


def drawn_rows(weights: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """As many rows as there are, each as often as its share of the weights says, up to one.

    Systematic sampling: the mean over generators is that share.
    """
    n = len(weights)
    offset = torch.rand((), generator=generator, dtype=torch.float64)
    return _rows_at((torch.arange(n, dtype=torch.float64) + offset) / n, weights)


def copies_of(weights: torch.Tensor) -> torch.Tensor:
    """Rows int32 of which each is there as often as its weight says; a uniform draw goes by weights.

    Exactly for whole numbers; of others a row has 16 copies on average.
    """
    whole = bool((weights == weights.floor()).all()) and float(weights.sum()) <= _MOST
    if whole:
        rows = torch.arange(len(weights)).repeat_interleave(weights.long())
    else:
        size = min(_COPIES * len(weights), _MOST)
        rows = _rows_at((torch.arange(size, dtype=torch.float64) + 0.5) / size, weights)
    # At least as many as there are rows, which the sampler also draws from.
    return rows.repeat(-(-len(weights) // len(rows))).int()


def edge_weights(
    weights: torch.Tensor, heads: torch.Tensor, tails: torch.Tensor, row_weights: torch.Tensor
) -> torch.Tensor:
    """Weights (edges,) of the edges of a graph between copies of its rows."""
    wide = row_weights.to(weights.device)
    products = wide[heads.long()] * wide[tails.long()]
    return (weights.double() * (products / products.max().clamp_min(1e-300))).float()
