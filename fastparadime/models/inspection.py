"""What a model of anyone's is: where, of what dtype and width, and with what attached to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from fastparadime.types import TensorLike
from fastparadime.utils import sources
from fastparadime.utils.convert import widened

# Where torch has the hooks of all modules of the process; only later versions have a function for it.
_OF_ALL_MODULES = (
    "_global_forward_pre_hooks", "_global_forward_hooks",
    "_global_backward_pre_hooks", "_global_backward_hooks",
)  # fmt: skip


def is_plain_linear(layer: torch.nn.Module) -> bool:
    """Whether a layer is torch's linear one with a bias and nothing else."""
    return type(layer) is torch.nn.Linear and layer.bias is not None and not has_hooks(layer)


def has_hooks(part: torch.nn.Module) -> bool:
    """Whether anything runs before or after the part's forward or backward pass."""
    hooks = (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks)
    return any(hooks) or bool(part._backward_pre_hooks)


def runs_hooks(model: torch.nn.Module) -> bool:
    """Whether torch's steps of the model call anything beside its own code.

    Hooks on modules, on their parameters and buffers, or on all modules of the process.
    """
    tensors = [*model.parameters(), *model.buffers()]
    of_tensors = any(
        tensor._backward_hooks or getattr(tensor, "_post_accumulate_grad_hooks", None)
        for tensor in tensors
    )
    of_all = any(getattr(torch.nn.modules.module, name) for name in _OF_ALL_MODULES)
    return of_tensors or of_all or any(has_hooks(part) for part in model.modules())


def network_in(model: torch.nn.Module) -> torch.nn.Module:
    """What gives the coordinates: the encoder of a model of two networks, or the model."""
    network = getattr(model, "encoder", model)
    return network if isinstance(network, torch.nn.Module) else model


def device_of(model: torch.nn.Module) -> torch.device:
    """Where the model's parameters are; the CPU for a model without any."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def dtype_of(model: torch.nn.Module) -> torch.dtype:
    """The dtype of the model's parameters; float32 for a model without any."""
    return next((p.dtype for p in model.parameters()), torch.float32)


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """The model in evaluation mode; afterwards its parts are in the modes that they were in."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def normalizes_batches(model: torch.nn.Module) -> bool:
    """Whether a part of the model is a batch norm, which takes no batch of one row in training."""
    return any(isinstance(part, torch.nn.modules.batchnorm._BatchNorm) for part in model.modules())


def input_width(model: torch.nn.Module) -> int | None:
    """Columns of the rows that the model takes, None if it does not say.

    Known for models with an attribute `in_dim`, and for a Sequential that starts with a Linear.
    """
    width = getattr(model, "in_dim", None)
    if isinstance(model, torch.nn.Sequential) and len(model):
        width = getattr(model[0], "in_features", width)
    return width if isinstance(width, int) else None


def check_width(model: torch.nn.Module, X: TensorLike | sources.Source) -> None:
    """Raises if the rows of `X` are not of the model's `input_width`."""
    width = input_width(model)
    if width is not None and X.ndim == 2 and X.shape[1] != width:
        raise ValueError(f"X has {X.shape[1]} columns, but the model takes {width}")


def method_of(model: torch.nn.Module, name: str | None) -> Callable[..., Any]:
    """The model's method, or the model itself if `name` is None.

    Raises
    ------
    AttributeError
        If the model has no such method.
    """
    method: object = model if name is None else getattr(model, name, None)
    if not callable(method):
        raise AttributeError(f"Model has no {name} method.")
    return method


def as_input(model: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """Rows in the dtype that the model computes in, on its device.

    Integers stay integers for a model that looks them up in an embedding table.
    """
    rows = rows.to(device_of(model))
    if not rows.is_floating_point() and looks_up(model):
        return widened(rows)
    return rows.to(dtype_of(model))


def looks_up(model: torch.nn.Module) -> bool:
    """Whether a part of the model is an embedding table, which takes integers."""
    return any(isinstance(part, torch.nn.Embedding) for part in model.modules())
