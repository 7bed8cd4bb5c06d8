"""Networks that score anchors, places of a map, and embed a row where its scores agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch

from fastparadime import ops
from fastparadime.models.networks import ScaledEmbeddingModel, register
from fastparadime.neighbors.centroids import moved_centroids
from fastparadime.utils.validate import check_integer, check_type

_SAMPLED, _MOVES = 32, 10  # positions an anchor that are clustered, and iterations of it
_APART = 4  # the neighbouring anchor whose distance says how far apart anchors are
_REACH = 0.5  # of that distance
_LEAST = 0.01  # of the median reach
_WINDOW = 3.0  # reaches
_SHIFTS = 5
_UNKNOWN = -1.0  # reach of an anchor that has no place yet


@register
class AnchorEmbeddingModel(ScaledEmbeddingModel):
    """A network whose last layer scores anchors, which are places of a map.

    A row is embedded where its scores have a peak: at the mean of the anchors around the best one,
    weighted by the softmax of the scores, by a few steps of a mean shift; in training mode at the
    mean of all anchors. `loss` compares scores with positions. See `place_anchors`.

    Parameters
    ----------
    in_dim, out_dim : int
        Columns of the data and of the embedding.
    hidden_dims : sequence of int
        Widths of the hidden layers.
    anchors : int
        How many there are.
    activation, generator
        As of `FullyConnectedEmbeddingModel`.

    Attributes
    ----------
    anchors : tensor (anchors, out_dim)
    reaches : tensor (anchors,)
        Positions ask for anchors around them by a Gaussian of this width.

    Raises
    ------
    TypeError, ValueError
        For arguments that are not as described.
    """

    anchors: torch.Tensor
    reaches: torch.Tensor

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        hidden_dims: Sequence[int],
        anchors: int,
        *,
        activation: str = "silu",
        generator: torch.Generator | None = None,
    ) -> None:
        count = check_integer(anchors, "anchors", minimum=1)
        super().__init__(in_dim, count, hidden_dims, activation=activation, generator=generator)
        self.out_dim = check_integer(out_dim, "out_dim", minimum=1)
        self.register_buffer("anchors", torch.zeros(count, self.out_dim))
        self.register_buffer("reaches", torch.full((count,), _UNKNOWN))

    @property
    def is_placed(self) -> bool:
        """Whether `place_anchors` was called for it, or for the model of a file."""
        return bool(self.reaches[0] > 0)

    @property
    def values_a_row(self) -> int:
        """How many values torch keeps of a row while `by_scores` places it."""
        return _SHIFTS * self.anchors.shape[0] * (self.out_dim + 2)

    def take_scale(self, name: str, variance: torch.Tensor, mean: torch.Tensor) -> None:
        if name == "input":  # scores have no units
            super().take_scale(name, variance, mean)

    def arguments(self) -> dict[str, Any]:
        return {**super().arguments(), "anchors": len(self.anchors)}

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (n, anchors) of the rows of `x` (n, in_dim)."""
        return super().forward(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Coordinates (n, out_dim) of the rows of `x` (n, in_dim)."""
        scores = self.scores(x)
        if self.training:
            return torch.softmax(scores, dim=1) @ self.anchors
        return self.by_scores(scores)

    def by_scores(self, scores: torch.Tensor) -> torch.Tensor:
        """Where rows are by their scores (n, anchors), with derivatives.

        See `fastparadime.ops.anchor_modes`.
        """
        best = scores.argmax(dim=1)
        factors = -0.5 / self.windows[best].square()[:, None]
        found = self.anchors[best]
        for _ in range(_SHIFTS):
            squares = (found[:, None] - self.anchors).square().sum(dim=2)
            found = torch.softmax(scores + factors * squares, dim=1) @ self.anchors
        return found

    @property
    def windows(self) -> torch.Tensor:
        """How far around the best anchor others have a say, (anchors,)."""
        return _WINDOW * self.reaches

    def loss(self, scores: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """The mean cross-entropy () of scores (n, anchors) beside positions (n, out_dim).

        See `fastparadime.ops.anchor_cross_entropy`.
        """
        return ops.anchor_cross_entropy(scores, positions, self.anchors, self.reaches)

    def gradients(
        self, scores: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`loss` outside of torch's graph, and its gradient (n, anchors) in the scores."""
        return ops.anchor_gradients(scores, positions, self.anchors, self.reaches)


@torch.no_grad()
def place_anchors(
    model: AnchorEmbeddingModel,
    positions: torch.Tensor,
    generator: torch.Generator | None = None,
    *,
    count: int | None = None,
) -> None:
    """Spreads a model's anchors over positions, as means of clusters of them.

    An anchor that was near takes its weights along, so that a model which is trained already embeds
    rows about where it did. A new model starts with the share of positions that each anchor has.

    Parameters
    ----------
    model : AnchorEmbeddingModel
    positions : (n, out_dim) tensor
    generator : torch.Generator, optional
        Draws positions where there are many; the global one if None.
    count : int, optional
        How many anchors a placed model has from now on; as many as before if None.

    Raises
    ------
    TypeError, ValueError
        For a model or positions that are not as described, or not finite.
    """
    check_type(model, AnchorEmbeddingModel, "model")
    check_type(positions, torch.Tensor, "positions")
    if positions.ndim != 2 or positions.shape[1] != model.out_dim or not len(positions):
        raise ValueError(
            f"positions must have shape (n, {model.out_dim}) with at least one row, not "
            f"{tuple(positions.shape)}"
        )
    if not bool(positions.isfinite().all()):
        raise ValueError("positions must be finite, but hold NaN or infinities")
    if count is not None and model.is_placed:
        _resize(model, check_integer(count, "count", minimum=1))
    drawn = drawn_positions(len(positions), len(model.anchors), generator)
    set_anchors(model, positions[drawn.to(positions.device)].cpu().float())


def _resize(model: AnchorEmbeddingModel, count: int) -> None:
    """Leaves out the last anchors, or has the first ones again, until there are so many."""
    last = cast(torch.nn.Linear, model.layers[-1])
    chosen = torch.arange(count, device=last.weight.device) % len(model.anchors)
    again = torch.nn.Linear(last.in_features, count, device="meta")
    again.weight, again.bias = (
        torch.nn.Parameter(part.detach()[chosen]) for part in (last.weight, last.bias)
    )
    model.layers[-1] = again
    model.anchors, model.reaches = model.anchors[chosen], model.reaches[chosen]
    model.output_mean = model.output_mean[chosen]


def drawn_positions(n: int, count: int, generator: torch.Generator | None) -> torch.Tensor:
    """Which of n positions so many anchors are placed by, in the order of the draws."""
    return torch.randperm(n, generator=generator)[: _SAMPLED * count]


@torch.no_grad()
def set_anchors(model: AnchorEmbeddingModel, sample: torch.Tensor) -> None:
    """`place_anchors` by positions (m, out_dim) that were drawn, in the order of the draws."""
    count, last = len(model.anchors), cast(torch.nn.Linear, model.layers[-1])
    found, _ = moved_centroids(sample, sample[:count], _MOVES, _nearest)
    again = torch.arange(count - len(found)) % len(sample)  # for clusters that were given up
    anchors = torch.cat([found, sample[again]])
    shares = _nearest(sample, anchors, 1).flatten().bincount(minlength=count) + 1
    apart = _nearest(found, found, min(_APART + 1, len(found)))[:, -1]
    reaches = _REACH * (found - found[apart]).norm(dim=1)
    reaches = reaches.clamp_min(float(_LEAST * reaches.median()) or 1.0)
    bias = (shares / shares.sum()).log()
    if model.is_placed:
        before = _nearest(anchors, model.anchors.cpu(), 1).flatten()
        last.weight.copy_(last.weight[before.to(last.weight.device)])
        own = last.bias[before.to(last.bias.device)]
        bias = own - before.bincount(minlength=count)[before].log().to(own.device)
    last.bias.copy_(bias)
    model.anchors.copy_(anchors)
    model.reaches.copy_(reaches[_nearest(anchors, found, 1).flatten()])


def _nearest(rows: torch.Tensor, places: torch.Tensor, count: int) -> torch.Tensor:
    """The `count` nearest places of each row, int64 (m, count)."""
    return ops.KdTree(places).nearest_to(rows, count).long()
