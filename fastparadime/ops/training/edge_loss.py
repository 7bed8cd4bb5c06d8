"""The fused edge loss, with its gradients in the same pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch

from fastparadime import _core
from fastparadime.ops._checks import (
    as_floating,
    as_floats,
    as_positive,
    check_same_device,
    on_device,
    target_of,
)
from fastparadime.types import TensorLike
from fastparadime.utils.validate import check_integer

_Options = tuple[float, float, float, float]  # a, b, epsilon, repulsion_strength


def _edge_loss(
    heads: torch.Tensor,
    tails: torch.Tensor,
    head_grad: torch.Tensor,
    tail_grad: torch.Tensor,
    options: _Options,
) -> torch.Tensor:
    """The loss of float32 tensors; its gradients go into those given."""
    with on_device(heads):
        loss = heads.new_empty(())
        count = -(-len(heads) // _core.kHeadsPerPartial)
        partials = torch.empty(max(1, count), dtype=torch.float64, device=heads.device)
        _core.edge_loss(
            loss.data_ptr(),
            head_grad.data_ptr(),
            tail_grad.data_ptr(),
            partials.data_ptr(),
            heads.data_ptr(),
            tails.data_ptr(),
            len(heads),
            tails.shape[1],
            tails.shape[2],
            *options,
            target_of(heads),
        )
    return loss


class _EdgeCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, heads: torch.Tensor, tails: torch.Tensor, options: _Options
    ) -> torch.Tensor:
        heads32, tails32 = (part.resolve_neg().float().contiguous() for part in (heads, tails))
        head_grad, tail_grad = torch.empty_like(heads32), torch.empty_like(tails32)
        loss = _edge_loss(heads32, tails32, head_grad, tail_grad, options)
        ctx.save_for_backward(head_grad.to(heads.dtype), tail_grad.to(tails.dtype))
        return loss.to(heads.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        head_grad, tail_grad = ctx.saved_tensors
        (scale,) = grad_outputs
        return head_grad * scale, tail_grad * scale, None


def negative_edge_cross_entropy(
    heads: TensorLike,
    tails: TensorLike,
    a: float,
    b: float,
    *,
    epsilon: float = 1e-7,
    repulsion_strength: float = 1.0,
) -> torch.Tensor:
    """Mean cross-entropy of a negative-sampled batch, with both gradients in the same pass.

    The mean over all edges of -log q for slot 0 and of -log(1 - q) for the others, with
    q = 1 / (1 + a d^2b), both likelihoods clamped at `epsilon`.

    Parameters
    ----------
    heads : (batch, dim) array
        Embedded heads.
    tails : (batch, 1 + negatives, dim) array
        Embedded tails, the positive edge's first.
    a, b : float
        The curve's parameters, positive; see `fastparadime.transforms.find_ab`.
    epsilon : float
        Lower bound of the likelihoods; beyond it the gradient is zero.
    repulsion_strength : float
        Weight of the negative edges.

    Returns
    -------
    tensor ()
        Differentiable in `heads` and `tails`; the same bits for any number of threads.

    Raises
    ------
    ValueError
        For shapes that disagree, an empty batch or parameters out of range.
    """
    heads, tails = as_floating(heads, "heads"), as_floating(tails, "tails")
    if heads.ndim != 2 or tails.ndim != 3 or tails.shape[::2] != heads.shape:
        raise ValueError(
            "heads must have shape (batch, dim) and tails (batch, slots, dim), not "
            f"{tuple(heads.shape)} and {tuple(tails.shape)}"
        )
    if tails.numel() == 0:
        raise ValueError(f"tails must hold at least one edge, not shape {tuple(tails.shape)}")
    check_same_device(heads=heads, tails=tails)
    options = _checked(a, b, epsilon, repulsion_strength)
    apply = cast(Callable[..., torch.Tensor], _EdgeCrossEntropy.apply)
    return apply(heads, tails, options)


def _checked(a: float, b: float, epsilon: float, repulsion_strength: float) -> _Options:
    return (
        as_positive(a, "a"),
        as_positive(b, "b"),
        as_positive(epsilon, "epsilon"),
        as_positive(repulsion_strength, "repulsion_strength", zero_ok=True),
    )


class _EndsCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, ends: torch.Tensor, batch: int, options: _Options
    ) -> tuple[torch.Tensor, torch.Tensor]:
        loss, gradient = (part.to(ends.dtype) for part in _loss_of_ends(ends, batch, options))
        ctx.mark_non_differentiable(gradient)
        ctx.set_materialize_grads(False)  # the gradient's own would be zeros to fill
        ctx.save_for_backward(gradient)
        return loss, gradient

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * grad_outputs[0], None, None


def _loss_of_ends(
    ends: torch.Tensor, batch: int, options: _Options
) -> tuple[torch.Tensor, torch.Tensor]:
    ends = as_floats(ends, "ends", 2)
    gradient = torch.empty_like(ends)
    tails, tail_grad = (part[batch:].view(batch, -1, ends.shape[1]) for part in (ends, gradient))
    return _edge_loss(ends[:batch], tails, gradient[:batch], tail_grad, options), gradient


def negative_edge_gradients(
    ends: torch.Tensor,
    batch: int,
    a: float,
    b: float,
    *,
    epsilon: float = 1e-7,
    repulsion_strength: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`negative_edge_cross_entropy` of a batch's ends in one table, and its gradient.

    Parameters
    ----------
    ends : (batch (2 + negatives), dim) float32 tensor
        Embedded heads, and after them the tails of each head in turn, as `EdgeSampler.draw_ends`
        orders them.
    batch : int
        The number of heads.
    a, b, epsilon, repulsion_strength : float

    Returns
    -------
    loss : tensor ()
        Differentiable in `ends`.
    gradient : tensor of the shape of `ends`

    Raises
    ------
    ValueError
        For rows that are no multiple of `batch` or parameters out of range.
    """
    ends, batch = as_floating(ends, "ends"), check_integer(batch, "batch", minimum=1)
    if ends.ndim != 2 or len(ends) % batch or len(ends) < 2 * batch:
        raise ValueError(
            f"ends must hold 2 or more rows for each of {batch} heads, not shape "
            f"{tuple(ends.shape)}"
        )
    options = _checked(a, b, epsilon, repulsion_strength)
    if ends.requires_grad and torch.is_grad_enabled():
        apply = cast(Callable[..., tuple[torch.Tensor, torch.Tensor]], _EndsCrossEntropy.apply)
        return apply(ends, batch, options)
    return _loss_of_ends(ends, batch, options)
