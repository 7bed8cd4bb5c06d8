"""Models that routines train, applying them in chunks, and their files."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch

from fastparadime.exceptions import SpecificationError
from fastparadime.types import Device, TensorLike
from fastparadime.utils.convert import to_torch
from fastparadime.utils.validate import check_integer

_CHUNK_BYTES = 32 * 2**20  # of input rows embedded at a time


class Model(torch.nn.Module):
    """Names the methods that losses call; a model defines those its losses need."""

    def embed(self, X: torch.Tensor) -> torch.Tensor:
        """Coordinates in the embedding."""
        raise NotImplementedError(f"{type(self).__name__} does not define embed")

    def encode(self, X: torch.Tensor) -> torch.Tensor:
        """Codes of an auto-encoder."""
        raise NotImplementedError(f"{type(self).__name__} does not define encode")

    def decode(self, X: torch.Tensor) -> torch.Tensor:
        """Data reconstructed from codes."""
        raise NotImplementedError(f"{type(self).__name__} does not define decode")

    def classify(self, X: torch.Tensor) -> torch.Tensor:
        """Scores of classes."""
        raise NotImplementedError(f"{type(self).__name__} does not define classify")


class FullyConnectedEmbeddingModel(Model):
    """A fully connected network with softplus activations.

    Parameters
    ----------
    in_dim, out_dim : int
        Columns of the data and of the embedding.
    hidden_dims : sequence of int
        Widths of the hidden layers.
    generator : torch.Generator, optional
        Of the initial weights, drawn from torch's usual distribution; the global one if None.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        hidden_dims: Sequence[int],
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_dim = check_integer(in_dim, "in_dim", minimum=1)
        self.out_dim = check_integer(out_dim, "out_dim", minimum=1)
        self.hidden_dims = [check_integer(h, "hidden_dims", minimum=1) for h in hidden_dims]
        dims = [self.in_dim, *self.hidden_dims, self.out_dim]
        self.layers = torch.nn.ModuleList(
            _linear(narrow, wide, generator) for narrow, wide in itertools.pairwise(dims)
        )

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Coordinates (n, out_dim) of the rows of `X` (n, in_dim)."""
        for layer in self.layers[:-1]:
            X = torch.nn.functional.softplus(layer(X))
        out: torch.Tensor = self.layers[-1](X)
        return out

    def embed(self, X: torch.Tensor) -> torch.Tensor:
        return self.forward(X)


def _linear(in_dim: int, out_dim: int, generator: torch.Generator | None) -> torch.nn.Module:
    if generator is None:
        return torch.nn.Linear(in_dim, out_dim)
    with torch.random.fork_rng(devices=[]):  # a layer draws weights when it is made
        layer = torch.nn.Linear(in_dim, out_dim)
    bound = in_dim**-0.5
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-bound, bound, generator=generator)
    return layer


def device_of(model: torch.nn.Module) -> torch.device:
    """Where the model's parameters are; the CPU for a model without any."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def dtype_of(model: torch.nn.Module) -> torch.dtype:
    """The dtype of the model's parameters; float32 for a model without any."""
    return next((p.dtype for p in model.parameters()), torch.float32)


def check_width(model: torch.nn.Module, X: TensorLike) -> None:
    """Raises if the rows of `X` are not of the width that the model says it takes.

    Known for models with an attribute `in_dim`, and for a Sequential that starts with a Linear.
    """
    width = getattr(model, "in_dim", None)
    if isinstance(model, torch.nn.Sequential) and len(model):
        width = getattr(model[0], "in_features", width)
    if isinstance(width, int) and X.ndim == 2 and X.shape[1] != width:
        raise ValueError(f"X has {X.shape[1]} columns, but the model takes {width}")


def as_input(model: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """Rows in the dtype that the model computes in, on its device.

    Integers stay integers for a model that looks them up in an embedding table.
    """
    table = any(isinstance(part, torch.nn.Embedding) for part in model.modules())
    dtype = rows.dtype if table and not rows.is_floating_point() else dtype_of(model)
    return rows.to(device_of(model), dtype)


@torch.no_grad()
def embed_in_chunks(
    model: torch.nn.Module,
    X: TensorLike,
    method: str | None = None,
    device: Device | None = None,
) -> torch.Tensor:
    """The model's output for all rows of `X`, on the CPU, computed chunk by chunk.

    Parameters
    ----------
    model : torch.nn.Module
    X : (n, ...) array or tensor, memory-mapped ones included
    method : str, optional
        The model's method; its call if None.
    device : device, optional
        Moves the model there first.

    Raises
    ------
    AttributeError
        If the model has no such method.
    ValueError
        If the model does not take rows of this width.
    """
    if device is not None:
        model = model.to(device)
    call = model if method is None else getattr(model, method, None)
    if not callable(call):
        raise AttributeError(f"Model has no {method} method.")
    if method != "decode":  # codes are not as wide as the data
        check_width(model, X)
    rows = max(1, _CHUNK_BYTES // max(1, 4 * math.prod(X.shape[1:])))
    out: torch.Tensor | None = None
    for start in range(0, len(X), rows):
        part = call(as_input(model, to_torch(X[start : start + rows])))
        if out is None:
            out = torch.empty((len(X), *part.shape[1:]), dtype=part.dtype)
        out[start : start + rows] = part
    return torch.empty((0, getattr(model, "out_dim", 0))) if out is None else out


def save(model: torch.nn.Module, path: str | Path) -> None:
    """Writes a model's weights and dimensions as one safetensors file.

    Raises
    ------
    TypeError
        If the model is not a `FullyConnectedEmbeddingModel`: others are saved with torch.
    """
    from safetensors.torch import save_file

    if not isinstance(model, FullyConnectedEmbeddingModel):
        raise TypeError(
            "only FullyConnectedEmbeddingModel has a file format; save the weights of "
            f"{type(model).__name__} with torch.save(model.state_dict(), path)"
        )
    description = {
        "format": 1,
        "in_dim": model.in_dim,
        "out_dim": model.out_dim,
        "hidden_dims": model.hidden_dims,
    }
    weights = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, str(path), metadata={"fastparadime": json.dumps(description)})


def load(path: str | Path) -> FullyConnectedEmbeddingModel:
    """The model of a file that `save` wrote, on the CPU, ready to be applied.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    SpecificationError
        If the file is not one of a fastparadime model.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        with safe_open(str(path), framework="pt") as file:
            description = json.loads((file.metadata() or {})["fastparadime"])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        dims = (description[key] for key in ("in_dim", "out_dim", "hidden_dims"))
        model = FullyConnectedEmbeddingModel(*dims, generator=torch.Generator())
        model.load_state_dict(weights)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise SpecificationError(f"{path} is not a fastparadime model file: {error}") from error
    return model.eval()
