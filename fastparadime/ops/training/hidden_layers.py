"""The layers behind a network's first, for training steps on a device."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch

from fastparadime import _core
from fastparadime.ops._checks import on_device, target_of
from fastparadime.ops._layers import check_layers, core_layers
from fastparadime.ops.training.mlp import POINTWISE_ACTIVATIONS
from fastparadime.utils.precision import tf32_linear
from fastparadime.utils.validate import check_option


def hidden_layers(
    sums: torch.Tensor,
    weights: Sequence[torch.Tensor],
    biases: Sequence[torch.Tensor],
    activation: str,
) -> torch.Tensor:
    """A fully connected network from the sums of its first layer on.

    The activation, and a linear layer after it, for each weight. All layers but the last round the
    factors of their products to tf32, with 10 bits of mantissa, also in the gradients. Up to eight
    layers of 128 columns, less on a device whose blocks have too little shared memory, go together
    in one kernel, and in two for the gradients; others are torch's products (which round on a CUDA
    device alone). On the CPU the layers go row by row, to compare a device's results with: training
    there takes `Mlp`.

    Parameters
    ----------
    sums : float32 tensor (m, in)
        What the first layer gives, before the activation.
    weights : sequence of float32 tensors (out, in)
        One or more, each as wide as the one before is high.
    biases : sequence of float32 tensors (out,)
    activation : {"softplus", "silu", "relu"}

    Returns
    -------
    float32 tensor (m, out)
        Differentiable in sums, weights and biases; the same bits for any number of threads.

    Raises
    ------
    TypeError
        For tensors that are not float32.
    ValueError
        For shapes that do not fit or tensors on two devices.
    """
    check_layers(sums, "sums", weights, biases)
    check_option(activation, POINTWISE_ACTIVATIONS, "activation")
    parameters = [tensor for pair in zip(weights, biases, strict=True) for tensor in pair]
    widest = max(sums.shape[1], *(len(weight) for weight in weights))
    if len(weights) > _core.kMaxHiddenLayers or not _fit(widest, sums.device):
        return _by_products(sums, activation, parameters)
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in (sums, *parameters))
    out: torch.Tensor = _HiddenLayers.apply(sums, activation, keep, *parameters)  # type: ignore[no-untyped-call]
    return out


@functools.cache
def _fit(widest: int, device: torch.device) -> bool:
    """Whether layers so wide can go through one kernel."""
    place = torch.empty(0, device=device)
    with on_device(place):
        return _core.hidden_layers_fit(widest, target_of(place))


def _by_products(
    x: torch.Tensor, activation: str, parameters: Sequence[torch.Tensor]
) -> torch.Tensor:
    """The same by torch's products, one after the other."""
    activate = getattr(torch.nn.functional, activation)
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        x = tf32_linear(activate(x), weight, bias)
    return torch.nn.functional.linear(activate(x), *parameters[-2:])


class _HiddenLayers(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, sums: torch.Tensor, activation: str, keep: bool, *parameters: torch.Tensor
    ) -> torch.Tensor:
        # The core reads plain memory; what autograd saves stays the caller's tensors.
        plain = [tensor.contiguous() for tensor in (sums, *parameters)]
        network, rows = _network(plain[1:], activation), len(sums)
        out = sums.new_empty(rows, len(parameters[-1]))
        between = sums.new_empty(rows * sum(map(len, parameters[1:-2:2])) if keep else 0)
        with on_device(sums):
            _core.hidden_forward(
                network,
                out.data_ptr(),
                between.data_ptr() if keep else 0,
                plain[0].data_ptr(),
                rows,
                target_of(sums),
            )
        ctx.activation = activation
        ctx.save_for_backward(between, sums, *parameters)
        return out

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        between, sums, *parameters = ctx.saved_tensors
        if torch.is_grad_enabled():  # gradients of gradients are torch's
            inputs = (sums, *parameters)
            wanted = [t for t in inputs if t.requires_grad]
            out = _by_products(sums, ctx.activation, parameters)
            found = iter(torch.autograd.grad(out, wanted, grad_outputs, create_graph=True))
            gradients = [next(found) if t.requires_grad else None for t in inputs]
            return gradients[0], None, None, *gradients[1:]
        plain = [tensor.contiguous() for tensor in (sums, *parameters, *grad_outputs)]
        network, rows = _network(plain[1:-1], ctx.activation), len(sums)
        input_grad = torch.empty_like(plain[0])
        sizes = [tensor.numel() for tensor in parameters]
        flat = sums.new_empty(sum(sizes))
        partials = sums.new_empty(network.partials_size(rows))
        with on_device(sums):
            _core.hidden_backward(
                network,
                input_grad.data_ptr(),
                flat.data_ptr(),
                partials.data_ptr(),
                plain[-1].data_ptr(),
                plain[0].data_ptr(),
                between.data_ptr(),
                rows,
                target_of(sums),
            )
        parts = zip(flat.split(sizes), parameters, strict=True)
        return input_grad, None, None, *(part.view_as(tensor) for part, tensor in parts)


def _network(parameters: Sequence[torch.Tensor], activation: str) -> _core.HiddenLayers:
    layers = core_layers(parameters[::2], parameters[1::2])
    return _core.HiddenLayers(layers, POINTWISE_ACTIVATIONS.index(activation))
