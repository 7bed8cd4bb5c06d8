"""The conditional probabilities of t-SNE."""

from __future__ import annotations

import math

import torch

from fastparadime import _core
from fastparadime.ops._checks import as_distances, on_device, target_of
from fastparadime.types import TensorLike
from fastparadime.utils.validate import check_positive


def perplexity(distances: TensorLike, perplexity: float) -> tuple[torch.Tensor, torch.Tensor]:
    """t-SNE's conditional probabilities exp(-beta d^2) / Z of each point's neighbours.

    Parameters
    ----------
    distances : (n, k) array
        Distances to the k other points, not negative. An infinite one stands for a neighbour that
        is lacking.
    perplexity : float
        In [1, k): the entropy of a row is log2 of it.

    Returns
    -------
    weights, beta : float32 tensors (n, k) and (n,)
        Where ties at the smallest distance leave no solution, the tied neighbours share a row. A
        row of no more neighbours than the perplexity is shared by all of them, with a beta of 0.

    Raises
    ------
    ValueError
        If `distances` is not 2-D or holds negative or NaN values, or `perplexity` is out of its
        range.
    """
    distances, lacking = as_distances(distances, "distances")
    k = distances.shape[1]
    if not 1 <= check_positive(perplexity, "perplexity") < k:
        raise ValueError(
            f"perplexity must lie in [1, k), k = {k} neighbours in distances, not {perplexity}"
        )
    if lacking is None:
        return _perplexity(distances, perplexity)
    weights, beta = torch.zeros_like(distances), distances.new_zeros(len(distances))
    places = lacking.int().argsort(dim=1, stable=True)  # of those there first
    counts = k - lacking.sum(dim=1)
    for count in counts.unique().tolist():
        rows = (counts == count).nonzero().flatten()
        at = (rows[:, None], places[rows, :count])
        if count > perplexity:
            weights[at], beta[rows] = _perplexity(distances[at], perplexity)
        else:
            weights[at] = 1 / max(count, 1)
    return weights, beta


def _perplexity(distances: torch.Tensor, perplexity: float) -> tuple[torch.Tensor, torch.Tensor]:
    n, k = distances.shape
    with on_device(distances):
        weights, beta = torch.empty_like(distances), distances.new_empty(n)
        _core.perplexity(
            weights.data_ptr(),
            beta.data_ptr(),
            distances.data_ptr(),
            n,
            k,
            math.log(perplexity),
            target_of(distances),
        )
    return weights, beta
