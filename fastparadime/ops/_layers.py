"""The layers of a fully connected network, as several operations take them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch

from fastparadime.ops._checks import check_as_many, check_same_device

CoreLayer = tuple[int, int, int, int]  # addresses of weight and bias, columns in and out


def check_layers(
    first: torch.Tensor,
    name: str,
    weights: Sequence[torch.Tensor],
    biases: Sequence[torch.Tensor],
) -> None:
    """Raises unless a tensor of rows and the layers that it goes through are float32 and fit."""
    check_as_many(weights, biases)
    named = {name: first}
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        named |= {f"weights[{number}]": weight, f"biases[{number}]": bias}
    for key, tensor in named.items():
        if tensor.dtype != torch.float32:
            raise TypeError(f"{key} must be a float32 tensor, not {tensor.dtype}")
        ndim = 1 if key.startswith("biases") else 2
        if tensor.ndim != ndim or 0 in tensor.shape[-ndim + 1 :]:
            raise ValueError(f"{key} must have {ndim} dimensions, not shape {tuple(tensor.shape)}")
    check_same_device(**named)
    width = first.shape[1]
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        if weight.shape[1] != width or bias.shape != weight.shape[:1]:
            raise ValueError(
                f"weights[{number}] must have {width} columns, and biases[{number}] as many values "
                f"as it has rows, not shapes {tuple(weight.shape)} and {tuple(bias.shape)}"
            )
        width = len(weight)


def core_layers(weights: Sequence[torch.Tensor], biases: Sequence[torch.Tensor]) -> list[CoreLayer]:
    return [
        (weight.data_ptr(), bias.data_ptr(), weight.shape[1], weight.shape[0])
        for weight, bias in zip(weights, biases, strict=True)
    ]


def planned_layers(widths: Sequence[int]) -> list[CoreLayer]:
    """Layers of these widths that are nowhere yet."""
    return [(0, 0, low, high) for low, high in itertools.pairwise(widths)]
