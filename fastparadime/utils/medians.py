"""Means and geometric medians of some rows of a table, by weights."""

from __future__ import annotations

from collections.abc import Callable

import torch

from fastparadime.utils.convert import sums_over

_STEPS = 50
_NEAR, _NOTHING = 1e-4, 1e-30  # keep a median's weights finite on top of an anchor

Sums = Callable[[torch.Tensor, int], torch.Tensor]  # of a tensor over one of its dimensions


def weighted_means(
    weights: torch.Tensor, indices: torch.Tensor, anchors: torch.Tensor, sums: Sums = sums_over
) -> torch.Tensor:
    """Means of the anchors (m, dim) by their weights, float64; NaN where all weights are 0."""
    shares = weights.double()[:, :, None]
    places = anchors[indices.long()].double()
    return sums(shares * places, 1) / sums(shares, 1)


def weighted_medians(
    weights: torch.Tensor,
    indices: torch.Tensor,
    anchors: torch.Tensor,
    steps: int = _STEPS,
    sums: Sums = sums_over,
) -> torch.Tensor:
    """Geometric medians of the anchors (m, dim) by their weights, float64, by Weiszfeld's iteration.

    They have the least sum of weighted distances, so that one anchor far away does not draw them
    there, as it does means. NaN where all weights are 0. Derivatives need ``sums=torch.sum``, whose
    order may depend on the number of rows.
    """
    shares, places = weights.double(), anchors[indices.long()].double()
    found = weighted_means(weights, indices, anchors, sums)
    for _ in range(steps):
        # The root of zero has no derivative.
        distances = (sums((places - found[:, None]).square(), 2) + _NOTHING).sqrt()
        least = _NEAR * sums(distances, 1)[:, None]
        pulls = (shares / (distances + least))[:, :, None]
        found = sums(pulls * places, 1) / sums(pulls, 1)
    return found
