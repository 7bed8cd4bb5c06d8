"""The networks that routines train by default, and how classes of one's own are registered."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, TypeVar, cast

import torch

from fastparadime import ops
from fastparadime.models.inspection import is_plain_linear
from fastparadime.utils.precision import rounds_hidden_layers
from fastparadime.utils.validate import check_integer, check_list, check_option

ACTIVATIONS = ops.MLP_ACTIVATIONS
_CHUNK_BYTES = 32 * 2**20  # of a table of integers read at a time

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
    activation : {"softplus", "silu", "relu", "softmax"}
        Of the hidden layers; the softmax is of a row.
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
            plain = all(tensor.dtype == torch.float32 for tensor in (x, *weights, *biases))
            if plain and self.activation in ops.POINTWISE_ACTIVATIONS:
                return ops.hidden_layers(x, weights, biases, self.activation)
        activate = getattr(torch.nn.functional, self.activation)
        of_rows = {"dim": -1} if self.activation == "softmax" else {}
        for layer in behind:
            x = layer(activate(x, **of_rows))
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
            self.take_scale(name, *_moments(table))

    def take_scale(self, name: str, variance: torch.Tensor, mean: torch.Tensor) -> None:
        """Takes the columns' variances and means of the ``"input"`` or the ``"output"``."""
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
        return self._from_first(self._products(x)) * self.output_scale + self.output_mean

    def _products(self, x: torch.Tensor) -> torch.Tensor:
        """What the first layer gives for the rows of `x` (n, in_dim)."""
        if self.training:
            return torch.nn.functional.linear(x, *self._first())
        # As the core does: products with rows far from zero would lose digits.
        products: torch.Tensor = self.layers[0]((x - self.input_mean) / self.input_scale)
        return products


def core_network(model: FullyConnectedEmbeddingModel, rows: int) -> ops.Mlp:
    """A model of exactly one of the two classes as the core's network, which shares its weights.

    Parameters
    ----------
    model : FullyConnectedEmbeddingModel
        Of plain linear layers, float32 and contiguous on the CPU.
    rows : int
        Most rows of a batch.
    """
    linear = cast(list[torch.nn.Linear], list(model.layers))
    weights, biases = [layer.weight for layer in linear], [layer.bias for layer in linear]
    scales: dict[str, Any] = {}
    if isinstance(model, ScaledEmbeddingModel):
        scales = {
            "input_mean": model.input_mean,
            "input_scale": float(model.input_scale),
            "output_mean": model.output_mean,
            "output_scale": float(model.output_scale),
        }
    return ops.Mlp(weights, biases, model.activation, rows, **scales)


def _moments(table: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Variances and means of columns, float64, without a float copy of all rows.

    They have the same bits whatever dtype holds the values.
    """
    step = max(1, _CHUNK_BYTES // (8 * max(1, table.shape[1])))
    totals = torch.zeros(2, table.shape[1], dtype=torch.float64, device=table.device)
    first = table[:1].double()  # a shift, so that squares of values far from zero keep their digits
    for start in range(0, len(table), step):
        part = table[start : start + step].double() - first
        totals += torch.stack((part.sum(dim=0), part.square().sum(dim=0)))
    mean, square = totals / len(table)
    return (square - mean.square()).clamp(min=0), mean + first[0]


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
