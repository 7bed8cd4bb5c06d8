"""Networks of prototypes: where one starts, as rows with their positions, and where it places others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch

from fastparadime.models.networks import ScaledEmbeddingModel, register
from fastparadime.utils.medians import Sums, weighted_medians
from fastparadime.utils.validate import check_option

SHARPNESS = 40.0  # of the weights, at the distance between neighbours
_LENGTH = 10.0  # of that distance to the first layer: with it a step of its weights goes farther
_STRONGEST, _STEPS = 16, 10  # prototypes that have a say in a median, and its steps


@register
class PrototypeEmbeddingModel(ScaledEmbeddingModel):
    """A network of one layer of prototypes, which vote for where a row is.

    A row is embedded at the geometric median of the positions of the 16 prototypes nearest to it, by
    the softmax of its products with them; in training mode at the mean of all, which is smooth. See
    `place_prototypes`.

    Parameters
    ----------
    in_dim, out_dim : int
        Columns of the data and of the embedding.
    hidden_dims : sequence of int
        How many prototypes: one number.
    activation : {"softmax"}
    generator : torch.Generator, optional
        Of the initial weights, as of `FullyConnectedEmbeddingModel`.

    Raises
    ------
    TypeError, ValueError
        For arguments that are not as described.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        hidden_dims: Sequence[int],
        *,
        activation: str = "softmax",
        generator: torch.Generator | None = None,
    ) -> None:
        check_option(activation, ("softmax",), "activation")
        super().__init__(in_dim, out_dim, hidden_dims, activation=activation, generator=generator)
        if len(self.hidden_dims) != 1:
            raise ValueError(
                f"hidden_dims must be one number, of prototypes, not {len(self.hidden_dims)}"
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Coordinates (n, out_dim) of the rows of `x` (n, in_dim)."""
        if self.training:
            return super().forward(x)
        return self.by_votes(torch.softmax(self._products(x), dim=1), torch.sum)

    def by_votes(self, weights: torch.Tensor, sums: Sums) -> torch.Tensor:
        """The medians (n, out_dim) of the prototypes' positions by weights (n, prototypes)."""
        last = cast(torch.nn.Linear, self.layers[1])
        positions = (last.weight.T + last.bias) * self.output_scale + self.output_mean
        strongest = weights.topk(min(_STRONGEST, weights.shape[1]), dim=1)
        found = weighted_medians(strongest.values, strongest.indices, positions, _STEPS, sums)
        return found.to(weights.dtype)


@torch.no_grad()
def place_prototypes(
    model: ScaledEmbeddingModel,
    X: torch.Tensor,
    positions: torch.Tensor,
    distance: float,
    *,
    by_angle: bool = False,
    generator: torch.Generator | None = None,
) -> None:
    """Makes the units of a model's one hidden layer prototypes: rows drawn from `X`.

    With the softmax as activation a row x is then embedded at the mean of the prototypes'
    positions, weighted by ``exp(-40 |x - c|^2 / distance^2)``: normalised radial basis functions (Moody
    and Darken 1989, doi 10.1162/neco.1989.1.2.281). Training moves prototypes and positions.

    Parameters
    ----------
    model : ScaledEmbeddingModel
        With the activation "softmax" and one hidden layer; its scales are set as well.
    X : (n, in_dim) tensor
    positions : (n, out_dim) tensor
    distance : float
        Between neighbouring rows; of `by_angle`, between those of the rows' mean length.
    by_angle : bool
        Whether prototypes are compared by their angle with a row, whatever their length.
    generator : torch.Generator, optional
        Draws the rows; the global one if None.

    Raises
    ------
    ValueError
        For a model of another kind.
    """
    if model.activation != "softmax" or len(model.hidden_dims) != 1:
        raise ValueError(
            "model must have the activation 'softmax' and one hidden layer, not "
            f"{model.activation!r} and {len(model.hidden_dims)}"
        )
    model.fit_scales(X, positions)
    (count,) = model.hidden_dims
    drawn, times = (part.to(X.device) for part in drawn_rows(len(X), count, generator))
    length = float(X.float().norm(dim=1).mean()) if by_angle else None
    set_prototypes(model, X[drawn].float(), positions[drawn], times, distance, length)


def drawn_rows(
    n: int, count: int, generator: torch.Generator | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which of n rows become so many prototypes, and how often each of these is among them.

    More than once only where prototypes outnumber the rows.
    """
    drawn = torch.randperm(n, generator=generator).repeat(-(-count // n))[:count]
    return drawn, drawn.bincount()[drawn]


@torch.no_grad()
def set_prototypes(
    model: ScaledEmbeddingModel,
    rows: torch.Tensor,
    positions: torch.Tensor,
    times: torch.Tensor,
    distance: float,
    length: float | None = None,
) -> None:
    """Makes the units of a model's hidden layer prototypes at some rows; its scales are set.

    Parameters
    ----------
    model : ScaledEmbeddingModel
    rows : float32 tensor (count, in_dim)
    positions : tensor (count, out_dim)
    times : integer tensor (count,)
        How often each row is among them.
    distance : float
        As of `place_prototypes`.
    length : float, optional
        Mean length of all rows, where prototypes are compared by their angle with a row.
    """
    first, last = (cast(torch.nn.Linear, layer) for layer in model.layers)
    unit = distance if distance > 0 else float(model.input_scale)
    if length is not None:
        model.input_mean.zero_()
        rows = torch.nn.functional.normalize(rows) * length
    centres = ((rows - model.input_mean) / unit).to(first.weight.device)
    model.input_scale.fill_(unit / _LENGTH)
    first.weight.copy_(2 * SHARPNESS / _LENGTH * centres)
    first.bias.copy_(-SHARPNESS * centres.square().sum(dim=1) - times.log())
    last.weight.copy_(((positions - model.output_mean) / model.output_scale).T)
    last.bias.zero_()
