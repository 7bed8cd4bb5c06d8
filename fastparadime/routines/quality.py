"""Parametric UMAP as good as free coordinates: budgets, the layout, and regression onto it.

A network that learns from edges alone stops short of what its own graph allows. Here the points
are first laid out without a network, and the network is then regressed onto their positions;
docs/quality.md shows what each choice is worth.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import torch

from fastparadime import layout, models
from fastparadime.loss import AnchorLoss, PositionLoss
from fastparadime.relationdata import RelationData
from fastparadime.training.sampling import spread_of
from fastparadime.utils.checkpoints import NOTHING, Course

_EDGES_OF_DISTANCE = 1000  # that show how far neighbours are
_SHARE_OF_CHANGES, _RATE_OF_CHANGES = 0.6, 0.25  # of a layout that is there, as UMAP.update has
# Anchors lie close together in maps of few components and many rows alone. Their network needs a
# share of the steps, and as much more noise.
_MOST_ANCHORED, _LEAST_ANCHORED, _ROWS_AN_ANCHOR = 2, 1000, 2
_ANCHORS_SHARE, _ANCHORS_NOISE = 0.25, 2.0
_SHARE_FURTHER = 0.5  # of the steps, for one that goes on from what it learned
# Of a network that takes the place of one of coordinates, and is to have rows where that had them:
# its budget, and the least weight of those places beside the layout's.
_TIMES_REPLACED, _NOISE_REPLACED, HELD_REPLACED = 4, 0.5, 0.6
_PROTOTYPES_RATE = 2.0  # times that of hidden layers
# Of the regression's loss, in units of the curve's spread: errors up to `_QUADRATIC` count by their
# square. Beyond `_LOST` a point counts hardly more the farther it is, but for `_PULL` of its error.
_QUADRATIC, _LOST, _PULL = 0.2, 0.7, 0.2


@dataclass(frozen=True)
class Quality:
    """A budget of regression, and the network that it is spent on.

    Attributes
    ----------
    hidden_dims : tuple of int
    passes : int
        Times that each row is seen, at least.
    steps : int
        Steps in all, at least.
    batch_size : int
    learning_rate : float
        Of the first step; it falls to zero on a cosine.
    noise : float
        The length of the noise on rows over the distance between neighbours.
    anchors : int
        How many anchors the default network scores; see `anchors_of`.
    prototypes_share : float
        Of the steps, for a network of prototypes: it starts close to the end, where rows lie.
    """

    hidden_dims: tuple[int, ...]
    passes: int
    steps: int
    batch_size: int = 500
    learning_rate: float = 0.01
    noise: float = 0.5
    anchors: int = 2000
    prototypes_share: float = 0.2

    def epochs(self, n: int) -> int:
        """Epochs of the regression of n points."""
        return max(self.passes, -(-self.steps // -(-n // self.batch_size)))

    def of(self, model: torch.nn.Module) -> Quality:
        """The budget of a network: some kinds take a share of the steps."""
        share, rate, noise = 1.0, 1.0, 1.0
        if isinstance(models.network_in(model), models.AnchorEmbeddingModel):
            share, noise = _ANCHORS_SHARE, _ANCHORS_NOISE
        elif isinstance(model, models.PrototypeEmbeddingModel):  # as rows, which a given one is not
            share, rate = self.prototypes_share, _PROTOTYPES_RATE
        return replace(
            self._times(share), learning_rate=rate * self.learning_rate, noise=noise * self.noise
        )

    def exact(self) -> Quality:
        """The budget of a network that takes another one's place, and is to have rows where it had."""
        return replace(self._times(_TIMES_REPLACED), noise=_NOISE_REPLACED * self.noise)

    def further(self, model: torch.nn.Module) -> Quality:
        """The budget of a network that was trained already, before `of`: of anchors, less of it."""
        goes_on = isinstance(models.network_in(model), models.AnchorEmbeddingModel)
        return self._times(_SHARE_FURTHER) if goes_on else self

    def _times(self, share: float) -> Quality:
        passes, steps = (max(1, round(share * part)) for part in (self.passes, self.steps))
        return replace(self, passes=passes, steps=steps)

    def anchors_of(self, n: int, n_components: int) -> int:
        """How many anchors the default network of n rows has; 0 where it gives coordinates."""
        anchored = n >= _LEAST_ANCHORED and n_components <= _MOST_ANCHORED
        return min(self.anchors, n // _ROWS_AN_ANCHOR) if anchored else 0


def position_loss(
    model: torch.nn.Module, spread: float, position_key: str = "layout", data_key: str = "main"
) -> PositionLoss:
    """What a network is regressed by: as it gives scores of anchors, prototypes or coordinates.

    Parameters
    ----------
    model : torch.nn.Module
        The network, or one with an encoder that is.
    spread : float
        Of the curve.
    position_key, data_key : str
        Entries of the dataset.
    """
    keys = {"position_key": position_key, "data_key": data_key}
    network = models.network_in(model)
    if isinstance(network, models.AnchorEmbeddingModel):
        return AnchorLoss(network, **keys)
    if isinstance(network, models.PrototypeEmbeddingModel):
        huber = torch.nn.functional.smooth_l1_loss
        return PositionLoss(functools.partial(huber, beta=_QUADRATIC * spread), **keys)
    return PositionLoss(functools.partial(redescending, spread=spread), **keys)


def redescending(
    embedded: torch.Tensor, positions: torch.Tensor, spread: float = 1.0
) -> torch.Tensor:
    """The mean loss () of points (n, c) by their positions, which spends little on points far off.

    Geman and McClure's (1987) d^2 / (d^2 + s^2), with s = 0.7 of the curve's spread, and a fifth of
    the error d beside it, so that no point is left where it is. What a network has no room for is
    given up early, and new rows like it do not end between groups.
    """
    errors = embedded - positions
    if errors.dtype == torch.float16:  # whose squares end at 65504
        errors = errors.float()
    # As long as in a plane, of as many components as there are.
    squares = errors.square().mean(dim=1) * 2
    lost, least = _LOST * spread, _QUADRATIC * spread
    near = lost - lost**3 / (squares + lost**2)
    return (near + _PULL * ((squares + least**2).sqrt() - least)).mean()


def noise_share(X: torch.Tensor, reldata: RelationData, length: float) -> float:
    """The `noise` of a phase so that it is so long beside the distance between neighbours.

    Noise as long as the data is wide would blur groups that lie far apart.

    Parameters
    ----------
    X : tensor (n, ...)
    reldata : RelationData
        The graph of its rows.
    length : float
    """
    spread = float(spread_of(X)) * X[:1].numel() ** 0.5
    return length * neighbor_distance(X, reldata) / spread if spread > 0 else 0.0


def neighbor_distance(X: torch.Tensor, reldata: RelationData) -> float:
    """The median distance between neighbouring rows of `X` (n, ...), 0 without any."""
    edges = reldata.to_sparse_array().edges
    some = slice(None, None, edge_step(len(edges.heads)))
    heads, tails = (X[ends[some].long().to(X.device)].flatten(1) for ends in edges[1:3])
    return distance_between(heads, tails)


def edge_step(edges: int) -> int:
    """How far apart the edges are that show the distance between neighbours."""
    return -(-edges // _EDGES_OF_DISTANCE) or 1


def distance_between(heads: torch.Tensor, tails: torch.Tensor) -> float:
    """The median distance between the rows (m, d) at both ends of some edges, 0 without any."""
    return float((heads.float() - tails.float()).norm(dim=1).median()) if len(heads) else 0.0


def noise_between(heads: torch.Tensor, tails: torch.Tensor, spread: float, length: float) -> float:
    """`noise_share` by the rows (m, d) at both ends of some edges, and the spread of all rows."""
    spread *= heads.shape[1] ** 0.5
    return length * distance_between(heads, tails) / spread if spread > 0 else 0.0


QUALITIES = {
    "fast": Quality((100, 100, 100), passes=20, steps=500, anchors=1000),
    "balanced": Quality((256, 256, 256), passes=40, steps=1000),
    "best": Quality((256, 256, 256), passes=100, steps=4000, anchors=4000, prototypes_share=0.4),
}


def layout_positions(
    reldata: RelationData,
    n_components: int,
    curve: tuple[float, float],
    seed: int,
    start: torch.Tensor | None = None,
    *,
    landmarks: layout.Landmarks | None = None,
    row_weights: torch.Tensor | None = None,
    course: Course = NOTHING,
) -> torch.Tensor:
    """Positions of the points laid out by UMAP's gradient descent, from spectral ones or others.

    Parameters
    ----------
    reldata : RelationData
        A symmetric graph of n points.
    n_components : int
    curve : (float, float)
        Its parameters a and b; see `fastparadime.transforms.find_ab`.
    seed : int
    start : tensor (n, n_components), optional
        Positions close to the end, such as a trained model's: moved a little, by fewer and shorter
        steps.
    landmarks : Landmarks, optional
        The first points, and how far they may move.
    row_weights : tensor (n,), optional
        How many rows each stands for; see ``ops.sgd_layout``.
    course : Course, optional
        Keeps the start and positions on the way, from which the layout goes on.

    Returns
    -------
    float32 tensor (n, n_components)
    """
    edges = reldata.to_sparse_array().edges
    parameters = layout.LayoutParameters(a=curve[0], b=curve[1], seed=seed)
    rate, share = _RATE_OF_CHANGES, _SHARE_OF_CHANGES
    if start is None:
        begin = functools.partial(layout.noisy_spectral_positions, edges, n_components, seed)
        start = course.made("start", begin, edges.weights.device)
        rate, share = parameters.learning_rate, 1.0
    return layout.optimize_layout(
        start.to(edges.weights.device),
        edges,
        parameters,
        int(share * layout.default_epochs(len(start))),
        learning_rate=rate,
        landmarks=landmarks,
        row_weights=row_weights,
        course=course,
    ).final
