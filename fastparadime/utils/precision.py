"""The precision of matrix products."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import torch

DEVICES = {"cuda"}  # whose matrix units take tf32
_in_hidden_layers: ContextVar[bool] = ContextVar("tf32_in_hidden_layers", default=False)


@contextlib.contextmanager
def tf32_products(*, wanted: bool = True) -> Iterator[None]:
    """Within a `with` block, lets float32 matrix products on CUDA devices round factors to tf32.

    Torch's setting is the process's own: products of other threads round too meanwhile. It is as
    before afterwards, and is not touched where `wanted` is False.
    """
    if not wanted:
        yield
        return
    # torch 2.9 brought another name for the setting, and warns of the first.
    matmul: Any = torch.backends.cuda.matmul
    name = "fp32_precision" if hasattr(matmul, "fp32_precision") else "allow_tf32"
    before = getattr(matmul, name)
    setattr(matmul, name, True if name == "allow_tf32" else "tf32")
    try:
        yield
    finally:
        setattr(matmul, name, before)


@contextlib.contextmanager
def training_products(tf32: bool | str) -> Iterator[None]:
    """Within a `with` block, products of models on CUDA devices round as a phase's `tf32` says.

    "hidden" is for the products between hidden layers of the package's own models, True for all.
    """
    token = _in_hidden_layers.set(tf32 is not False)
    try:
        with tf32_products(wanted=tf32 is True):
            yield
    finally:
        _in_hidden_layers.reset(token)


def rounds_hidden_layers(device: torch.device) -> bool:
    """Whether products between hidden layers on that device are to round factors to tf32."""
    return device.type in DEVICES and _in_hidden_layers.get()


class _Tf32Linear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        with tf32_products():
            return torch.nn.functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x, weight = ctx.saved_tensors
        (gradient,) = grad_outputs
        with tf32_products():
            return gradient @ weight, gradient.T @ x, gradient.sum(dim=0)


def tf32_linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """`torch.nn.functional.linear` of rows, whose products and their gradients' round to tf32.

    Torch's setting changes for these products alone, which no other can tell them.
    """
    product: torch.Tensor = _Tf32Linear.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return product
