"""Cross-entropy of the anchors that positions ask for, with its gradient in the same pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch

from fastparadime import _core
from fastparadime.ops._checks import as_floating, as_floats, check_same_device, on_device, target_of
from fastparadime.types import TensorLike


class _AnchorCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        loss, gradient = _loss_of(scores.resolve_neg().float().contiguous(), *others)
        ctx.save_for_backward(gradient.to(scores.dtype))
        return loss.to(scores.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * grad_outputs[0], None, None, None


def _loss_of(
    scores: torch.Tensor, positions: torch.Tensor, anchors: torch.Tensor, reaches: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of float32 tensors and its gradient in the scores."""
    (rows, count), dim = scores.shape, positions.shape[1]
    gradient, loss = torch.empty_like(scores), scores.new_empty(())
    row_losses = torch.empty(rows, dtype=torch.float64, device=scores.device)
    coordinates = anchors.T.contiguous()
    with on_device(scores):
        _core.anchor_loss(
            loss.data_ptr(),
            gradient.data_ptr(),
            row_losses.data_ptr(),
            scores.data_ptr(),
            positions.data_ptr(),
            coordinates.data_ptr(),
            reaches.data_ptr(),
            rows,
            count,
            dim,
            target_of(scores),
        )
    return loss, gradient


def anchor_cross_entropy(
    scores: TensorLike, positions: TensorLike, anchors: TensorLike, reaches: TensorLike
) -> torch.Tensor:
    """Mean cross-entropy of scores of anchors, beside the shares that positions ask for.

    A position asks for an anchor by ``exp(-d^2 / (2 r^2))``, with their distance d and the reach r of
    the anchor nearest to it, divided by the sum over anchors; scores say shares by their softmax.
    A regression as a classification (Imani and White 2018, arXiv 1806.04613).

    Parameters
    ----------
    scores : (rows, anchors) array
    positions : (rows, dim) array
    anchors : (anchors, dim) array
    reaches : (anchors,) array
        Positive.

    Returns
    -------
    tensor ()
        Differentiable in `scores`; the same bits for any number of threads.

    Raises
    ------
    ValueError
        For shapes that disagree, or without rows or anchors.
    """
    given = _checked(scores, positions, anchors, reaches)
    apply = cast(Callable[..., torch.Tensor], _AnchorCrossEntropy.apply)
    return apply(*given)


def anchor_gradients(
    scores: TensorLike, positions: TensorLike, anchors: TensorLike, reaches: TensorLike
) -> tuple[torch.Tensor, torch.Tensor]:
    """`anchor_cross_entropy` and its gradient in the scores, outside of torch's graph.

    Parameters
    ----------
    scores, positions, anchors, reaches
        As of `anchor_cross_entropy`.

    Returns
    -------
    loss : tensor ()
    gradient : float32 tensor (rows, anchors)
    """
    scores, *others = _checked(scores, positions, anchors, reaches)
    return _loss_of(as_floats(scores, "scores", 2), *others)


def _checked(
    scores: TensorLike, positions: TensorLike, anchors: TensorLike, reaches: TensorLike
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    scores = as_floating(scores, "scores")
    positions, anchors = as_floats(positions, "positions", 2), as_floats(anchors, "anchors", 2)
    reaches = as_floats(reaches, "reaches", 1)
    wanted = (len(positions), len(anchors))
    if scores.shape != wanted or not scores.numel():
        raise ValueError(
            "scores must have one row for each of the positions and one column for each of the "
            f"anchors, {wanted}, and not be empty, but have shape {tuple(scores.shape)}"
        )
    if anchors.shape[1] != positions.shape[1] or len(reaches) != len(anchors):
        raise ValueError(
            "anchors must have as many columns as positions and as many rows as reaches, not "
            f"shapes {tuple(anchors.shape)}, {tuple(positions.shape)} and {tuple(reaches.shape)}"
        )
    check_same_device(scores=scores, positions=positions, anchors=anchors, reaches=reaches)
    return scores, positions, anchors, reaches
