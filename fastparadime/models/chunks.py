"""A model applied to many rows, chunk by chunk."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import torch

from fastparadime import ops
from fastparadime.models.anchors import AnchorEmbeddingModel
from fastparadime.models.inspection import (
    as_input,
    check_width,
    device_of,
    is_plain_linear,
    method_of,
    network_in,
    runs_hooks,
)
from fastparadime.models.networks import (
    FullyConnectedEmbeddingModel,
    ScaledEmbeddingModel,
    core_network,
)
from fastparadime.models.prototypes import PrototypeEmbeddingModel
from fastparadime.types import TensorLike
from fastparadime.utils import sources
from fastparadime.utils.convert import sums_over, to_torch, widened
from fastparadime.utils.fetched import Fetched

DEVICES = {"cuda"}  # where a network of the package is applied by one kernel
_CHUNK_BYTES = 32 * 2**20  # of input rows embedded at a time
_VOTING = AnchorEmbeddingModel, PrototypeEmbeddingModel  # which train by means
_OF_THE_CORE = FullyConnectedEmbeddingModel, ScaledEmbeddingModel, *_VOTING
_CORE_ROWS = 2048  # that the core takes at a time, whose values stay in the cache


@torch.no_grad()
def embed_in_chunks(
    model: torch.nn.Module,
    X: TensorLike | sources.Source,
    method: str | None = None,
    *,
    amounts: bool = False,
) -> torch.Tensor:
    """The model's output for all rows of `X`, on the CPU, computed chunk by chunk.

    Parameters
    ----------
    model : torch.nn.Module
    X : (n, ...) array or tensor, memory-mapped ones included, or source of rows
        A source, such as a dataset of HDF5 or Zarr, is read chunk by chunk.
    method : str, optional
        The model's method; its call if None.
    amounts : bool
        Whether integers are amounts, such as pixels, even if the model has an embedding table.

    Raises
    ------
    AttributeError
        If the model has no such method.
    OSError
        If a source cannot be read.
    ValueError
        If the model does not take rows of this width, or a source ends before its shape says.
    """
    call = _applied(model, method, len(X.shape))
    if method != "decode":  # codes are not as wide as the data
        check_width(model, X)
    out: torch.Tensor | None = None
    fetched: Fetched | None = None
    for start, rows in _chunks(X, _kept_of_a_row(call, model)):
        part = call(as_input(model, widened(to_torch(rows), amounts=amounts)))
        if out is None or fetched is None:
            out = torch.empty((X.shape[0], *part.shape[1:]), dtype=part.dtype)
            fetched = Fetched(out)
        fetched.take(start, part)
    if out is None or fetched is None:
        return torch.empty((0, getattr(model, "out_dim", 0)))
    fetched.finish()
    return out


def _applied(model: torch.nn.Module, name: str | None, ndim: int) -> Callable[..., Any]:
    """The model's method for X of so many dimensions, by the core where that is possible."""
    call = method_of(model, name)
    if (
        type(model) not in _OF_THE_CORE
        or (model.training and type(model) in _VOTING)
        or name not in (None, "embed", "forward")
        or not {"embed", "forward"}.isdisjoint(vars(model))
        or ndim != 2
        or runs_hooks(model)
    ):
        return call
    own = cast(FullyConnectedEmbeddingModel, model)
    tensors = [*own.parameters(), *own.buffers()]
    if not all(map(is_plain_linear, own.layers)) or any(
        tensor.dtype != torch.float32 or tensor.device != tensors[0].device for tensor in tensors
    ):
        return call
    if tensors[0].device.type in DEVICES:
        return _by_a_kernel(own) or call
    contiguous = all(tensor.is_contiguous() for tensor in tensors)
    by_core = tensors[0].device.type == "cpu" and contiguous
    return functools.partial(_by_core, own, core_network(own, _CORE_ROWS)) if by_core else call


def _by_a_kernel(model: FullyConnectedEmbeddingModel) -> Callable[..., Any] | None:
    linear = cast(list[torch.nn.Linear], list(model.layers))
    widths = (linear[0].in_features, *(layer.out_features for layer in linear))
    if isinstance(model, AnchorEmbeddingModel):
        return functools.partial(_by_modes, model)
    if model.activation not in ops.POINTWISE_ACTIVATIONS:
        return None
    if not ops.embed_rows_fit(widths, device_of(model)):
        return None
    weights, biases = model.folded()
    return functools.partial(
        ops.embed_rows, weights=weights, biases=biases, activation=model.activation
    )


def _by_core(
    model: FullyConnectedEmbeddingModel, network: ops.Mlp, rows: torch.Tensor
) -> torch.Tensor:
    """What a network gives for rows: for each the same bits, whatever rows are beside it."""
    rows, found = rows.contiguous(), torch.empty((len(rows), model.out_dim))
    for start in range(0, len(rows), network.rows):
        block = rows[start : start + network.rows]
        places = network.forward(block, np.arange(len(block)))
        if isinstance(model, PrototypeEmbeddingModel):
            places = model.by_votes(network.hidden(), sums_over)
        if isinstance(model, AnchorEmbeddingModel):
            places = ops.anchor_modes(places, model.anchors, model.windows)
        found[start : start + network.rows] = places
    return found


def values_a_row(model: torch.nn.Module) -> int:
    """How many values a model keeps of a row on the way, as far as these are many; else 0."""
    network = network_in(model)
    return network.values_a_row if isinstance(network, AnchorEmbeddingModel) else 0


def _kept_of_a_row(call: Callable[..., Any], model: torch.nn.Module) -> int:
    """The same by the way that a model is applied: the core goes by blocks of its own."""
    way = getattr(call, "func", None)
    if way is _by_modes:
        return len(cast(AnchorEmbeddingModel, model).anchors)
    return 0 if way is _by_core else values_a_row(model)


def _by_modes(model: AnchorEmbeddingModel, rows: torch.Tensor) -> torch.Tensor:
    return ops.anchor_modes(model.scores(rows), model.anchors, model.windows)


def _chunks(X: TensorLike | sources.Source, values: int) -> Iterator[tuple[int, TensorLike]]:
    """Blocks of rows, of which `values` are kept beside each."""
    most = max(1, _CHUNK_BYTES // (4 * max(1, math.prod(X.shape[1:]), values)))
    yield from sources.row_blocks(X, "X", most)
