"""Models that routines train, and applying them in chunks."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import torch

from fastparadime import ops
from fastparadime.types import TensorLike
from fastparadime.utils import sources
from fastparadime.utils.convert import to_torch, widened
from fastparadime.utils.fetched import Fetched
from fastparadime.utils.precision import rounds_hidden_layers
from fastparadime.utils.validate import check_integer, check_list, check_option

__all__ = [
    "FullyConnectedEmbeddingModel",
    "Model",
    "ScaledEmbeddingModel",
    "register",
    "registered",
]

DEVICES = {"cuda"}  # where a network of the package is applied by one kernel
ACTIVATIONS = ("softplus", "silu", "relu")
_CHUNK_BYTES = 32 * 2**20  # of input rows embedded at a time

_ModelClass = TypeVar("_ModelClass", bound=type[torch.nn.Module])
_registered: dict[str, type[torch.nn.Module]] = {}


def register(model_class: _ModelClass) -> _ModelClass:
    """Class decorator: saved routines with models of this class load without an instance.

    Parameters
    ----------
    model_class : type of torch.nn.Module
        With a method `arguments` that gives the constructor's keyword arguments, as JSON has them.
        The constructor must also work under ``torch.device("meta")``.

    Raises
    ------
    TypeError
        Without such a method.
    ValueError
        If a class of another module has the name.
    """
    name = model_class.__qualname__
    if not callable(getattr(model_class, "arguments", None)):
        raise TypeError(f"{name} must have a method 'arguments' to be registered")
    other = _registered.get(name)
    if other is not None and other.__module__ != model_class.__module__:
        raise ValueError(f"a model class {name} of {other.__module__} is registered already")
    _registered[name] = model_class
    return model_class


def registered(name: str) -> type[torch.nn.Module] | None:
    """The registered class of that name, None if there is none."""
    return _registered.get(name)


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


@register
class FullyConnectedEmbeddingModel(Model):
    """A fully connected network.

    Parameters
    ----------
    in_dim, out_dim : int
        Columns of the data and of the embedding.
    hidden_dims : sequence of int
        Widths of the hidden layers.
    activation : {"softplus", "silu", "relu"}
        Of the hidden layers.
    generator : torch.Generator, optional
        Of the initial weights, drawn from torch's usual distribution; the global one if None.

    Attributes
    ----------
    alpha : torch.nn.Parameter ()
        1 at first and unused by the network: `fastparadime.transforms.StudentTTransform` can train
        it along.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        hidden_dims: Sequence[int],
        *,
        activation: str = "softplus",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_dim = check_integer(in_dim, "in_dim", minimum=1)
        self.out_dim = check_integer(out_dim, "out_dim", minimum=1)
        self.hidden_dims = check_widths(hidden_dims)
        self.activation = check_option(activation, ACTIVATIONS, "activation")
        dims = [self.in_dim, *self.hidden_dims, self.out_dim]
        self.layers = torch.nn.ModuleList(
            _linear(narrow, wide, generator) for narrow, wide in itertools.pairwise(dims)
        )
        self.alpha = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Coordinates (n, out_dim) of the rows of `x` (n, in_dim)."""
        return self._from_first(self.layers[0](x))

    def _from_first(self, x: torch.Tensor) -> torch.Tensor:
        """The embedding, from what the first layer gives."""
        behind = list(self.layers[1:])
        if behind and rounds_hidden_layers(x.device) and all(map(is_plain_linear, behind)):
            linear = cast(list[torch.nn.Linear], behind)
            weights, biases = [layer.weight for layer in linear], [layer.bias for layer in linear]
            if all(tensor.dtype == torch.float32 for tensor in (x, *weights, *biases)):
                return ops.hidden_layers(x, weights, biases, self.activation)
        activate = getattr(torch.nn.functional, self.activation)
        for layer in behind:
            x = layer(activate(x))
        return x

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward(x)

    def folded(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Weights and biases of plain layers that give what the model gives."""
        linear = cast(list[torch.nn.Linear], list(self.layers))
        return [layer.weight for layer in linear], [layer.bias for layer in linear]

    def arguments(self) -> dict[str, Any]:
        """What the constructor takes for a model of these dimensions."""
        return {
            "in_dim": self.in_dim,
            "out_dim": self.out_dim,
            "hidden_dims": self.hidden_dims,
            "activation": self.activation,
        }


@register
class ScaledEmbeddingModel(FullyConnectedEmbeddingModel):
    """A fully connected network between standardised data and standardised coordinates.

    Its weights start, and learn, at the scale that they were made for, whatever the units of the
    data and of the embedding. The scales belong to the model, so it takes and gives either as is.

    Parameters are those of `FullyConnectedEmbeddingModel`.
    """

    input_mean: torch.Tensor
    input_scale: torch.Tensor
    output_mean: torch.Tensor
    output_scale: torch.Tensor

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        hidden_dims: Sequence[int],
        *,
        activation: str = "silu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(in_dim, out_dim, hidden_dims, activation=activation, generator=generator)
        for name, width in (("input", self.in_dim), ("output", self.out_dim)):
            self.register_buffer(f"{name}_mean", torch.zeros(width))
            self.register_buffer(f"{name}_scale", torch.ones(()))

    def fit_scales(self, X: torch.Tensor, positions: torch.Tensor) -> None:
        """Takes the columns' means and the overall standard deviation of data and coordinates.

        Parameters
        ----------
        X : (n, in_dim) tensor
        positions : (n, out_dim) tensor
        """
        for name, table in (("input", X), ("output", positions)):
            if table.is_floating_point():
                variance, mean = torch.var_mean(table, dim=0, correction=0)
            else:
                variance, mean = _integer_moments(table)
            scale = variance.mean().sqrt()
            getattr(self, f"{name}_mean").copy_(mean)
            getattr(self, f"{name}_scale").copy_(torch.where(scale > 0, scale, 1.0))

    def folded(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Weights and biases of plain layers that give what the model gives."""
        weights, biases = super().folded()
        weights[0], biases[0] = self._first()
        weights[-1] = weights[-1] * self.output_scale
        biases[-1] = biases[-1] * self.output_scale + self.output_mean
        return weights, biases

    def _first(self) -> tuple[torch.Tensor, torch.Tensor]:
        first = cast(torch.nn.Linear, self.layers[0])
        # The scaling goes into the weights: standardised data would be a second copy of X.
        weight = first.weight / self.input_scale
        return weight, first.bias - weight @ self.input_mean

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Coordinates (n, out_dim) of the rows of `x` (n, in_dim)."""
        products = torch.nn.functional.linear(x, *self._first())
        return self._from_first(products) * self.output_scale + self.output_mean


def _integer_moments(table: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Variances and means of columns of integers, float64, without a float copy of all rows."""
    step = max(1, _CHUNK_BYTES // (8 * max(1, table.shape[1])))
    totals = torch.zeros(2, table.shape[1], dtype=torch.float64, device=table.device)
    for start in range(0, len(table), step):
        part = table[start : start + step].double()
        totals += torch.stack((part.sum(dim=0), part.square().sum(dim=0)))
    mean, square = totals / len(table)
    return (square - mean.square()).clamp(min=0), mean


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
    of_all = bool(torch.nn.modules.module._has_any_global_hook())
    return of_tensors or of_all or any(has_hooks(part) for part in model.modules())


def check_widths(hidden_dims: Sequence[int]) -> list[int]:
    """Widths of hidden layers, checked to be positive."""
    widths = check_list(hidden_dims, "hidden_dims")
    return [check_integer(width, "hidden_dims", minimum=1) for width in widths]


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
    for start, rows in _chunks(X):
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
    """The model's method for X of so many dimensions, by one kernel where that is possible."""
    call = method_of(model, name)
    if (
        type(model) not in (FullyConnectedEmbeddingModel, ScaledEmbeddingModel)
        or name not in (None, "embed", "forward")
        or not {"embed", "forward"}.isdisjoint(vars(model))
        or ndim != 2
        or device_of(model).type not in DEVICES
        or runs_hooks(model)
    ):
        return call
    own = cast(FullyConnectedEmbeddingModel, model)
    if not all(map(is_plain_linear, own.layers)):
        return call
    linear = cast(list[torch.nn.Linear], list(own.layers))
    widths = (linear[0].in_features, *(layer.out_features for layer in linear))
    tensors = [*own.parameters(), *own.buffers()]
    if (
        any(tensor.dtype != torch.float32 for tensor in tensors)
        or len({tensor.device for tensor in tensors}) != 1
        or not ops.embed_rows_fit(widths, device_of(model))
    ):
        return call
    weights, biases = own.folded()
    return functools.partial(
        ops.embed_rows, weights=weights, biases=biases, activation=own.activation
    )


def _chunks(X: TensorLike | sources.Source) -> Iterator[tuple[int, TensorLike]]:
    most = max(1, _CHUNK_BYTES // max(1, 4 * math.prod(X.shape[1:])))
    if sources.is_source(X):
        yield from sources.row_blocks(X, "X", most)
    else:
        for start in range(0, X.shape[0], most):
            yield start, X[start : start + most]
