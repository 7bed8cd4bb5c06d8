"""A network applied to rows, in one kernel."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch

from fastparadime import _core
from fastparadime.ops._checks import on_device, target_of
from fastparadime.ops._layers import check_layers, core_layers, planned_layers
from fastparadime.ops.training.mlp import POINTWISE_ACTIVATIONS
from fastparadime.utils.validate import check_option

_MOST_WIDTH = 128  # columns behind the first layer


def embed_rows(
    rows: torch.Tensor,
    weights: Sequence[torch.Tensor],
    biases: Sequence[torch.Tensor],
    activation: str,
) -> torch.Tensor:
    """A fully connected network on rows, without gradients, as exact as products of float32.

    For devices, where a block takes its rows through all layers. On the CPU the blocks are gone
    through one by one, to compare a device's results with.

    Parameters
    ----------
    rows : float32 tensor (m, in)
    weights : sequence of float32 tensors (out, in)
        Two or more, from the first layer to the last.
    biases : sequence of float32 tensors (out,)
    activation : {"softplus", "silu", "relu"}
        Between layers.

    Returns
    -------
    float32 tensor (m, out)

    Raises
    ------
    TypeError
        For tensors that are not float32.
    ValueError
        For shapes that do not fit, tensors on two devices or a network that `embed_rows_fit`
        refuses.
    """
    check_option(activation, POINTWISE_ACTIVATIONS, "activation")
    check_layers(rows, "rows", weights, biases)
    widths = (rows.shape[1], *map(len, weights))
    if not embed_rows_fit(widths, rows.device):
        raise ValueError(
            f"weights must fit: 2 to {_core.kMaxHiddenLayers + 1} layers of up to {_MOST_WIDTH} "
            f"columns that a block's shared memory holds, not widths {list(widths)}"
        )
    plain = [tensor.detach().contiguous() for tensor in (rows, *weights, *biases)]
    count = len(weights)
    layers = core_layers(plain[1 : 1 + count], plain[1 + count :])
    out = rows.new_empty(len(rows), widths[-1])
    with on_device(rows):
        number = POINTWISE_ACTIVATIONS.index(activation)
        addresses = out.data_ptr(), plain[0].data_ptr()
        _core.embed_rows(layers, number, *addresses, len(rows), target_of(rows))
    return out


@functools.cache
def embed_rows_fit(widths: tuple[int, ...], device: torch.device) -> bool:
    """Whether a network of these widths, input and output included, goes through one kernel.

    Networks of a hidden layer or more do, whose layers behind the first have up to 128 columns and
    fit together into a block's shared memory: some three of 100 columns on an H200.
    """
    if not 3 <= len(widths) <= _core.kMaxHiddenLayers + 2 or max(widths[1:]) > _MOST_WIDTH:
        return False
    place = torch.empty(0, device=device)
    with on_device(place):
        return _core.embed_rows_fit(
            planned_layers(widths), _core.block_shared_bytes(target_of(place))
        )
