"""The layout of a graph by gradient descent: its epochs, positions on the way, densMAP's term."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from fastparadime import ops
from fastparadime.layout._progress import LayoutProgress
from fastparadime.layout.landmarks import Landmarks
from fastparadime.layout.output_space import EUCLIDEAN, OutputSpace
from fastparadime.types import TensorLike
from fastparadime.utils.checkpoints import NOTHING, Course
from fastparadime.utils.convert import mean_of
from fastparadime.utils.progress import stage
from fastparadime.utils.seed import derive

_MANY_POINTS = 10_000  # beyond which fewer epochs are the default
_EPOCHS = (500, 200)


@dataclass(frozen=True)
class DensityParameters:
    """densMAP's term."""

    strength: float
    share: float  # of the epochs, the last ones
    variance_shift: float


@dataclass(frozen=True, kw_only=True)
class LayoutParameters:
    """What a layout is made with, under UMAP's names where it has them."""

    a: float
    b: float
    learning_rate: float = 1.0
    repulsion_strength: float = 1.0
    negative_sample_rate: int = 5
    kept_epochs: tuple[int, ...] | None = None  # after which positions are kept
    density: DensityParameters | None = None
    output: OutputSpace = EUCLIDEAN
    seed: int


class Layout(NamedTuple):
    """Positions float32 (n, dim) at the end of a layout, and after each of its kept epochs."""

    final: torch.Tensor
    kept: dict[int, torch.Tensor]


def default_epochs(n: int) -> int:
    """Epochs of the layout of n points, as umap-learn counts them."""
    return _EPOCHS[n > _MANY_POINTS]


def optimize_layout(
    start: TensorLike,
    edges: ops.Edges,
    parameters: LayoutParameters,
    n_epochs: int,
    *,
    learning_rate: float | None = None,
    density: tuple[ops.Edges, torch.Tensor] | None = None,
    row_weights: TensorLike | None = None,
    landmarks: Landmarks | None = None,
    progress: Callable[[int], object] | None = None,
    callback: Callable[[int, torch.Tensor], object] | None = None,
    course: Course = NOTHING,
) -> Layout:
    """The layout of a symmetric graph of n points.

    Parameters
    ----------
    start : (n, dim) array or tensor
    edges : Edges
    parameters : LayoutParameters
    n_epochs : int
    learning_rate : float, optional
        Step size at the start; that of the parameters if None.
    density : (edges, log radii float64 (n,)), optional
        densMAP's graph and radii; needed where ``parameters.density`` is there.
    row_weights : (n,) array, optional
        How many rows each stands for; see ``ops.sgd_layout``.
    landmarks : Landmarks, optional
        The first points, and how far they may move.
    progress : callable, optional
        Called with the number of epochs done, now and then.
    callback : callable, optional
        Called with the number of epochs done and a copy of the positions after each of them. The
        layout ends where it gives what is true.
    course : Course, optional
        Keeps positions on the way, from which the layout goes on.
    """
    wanted = set(parameters.kept_epochs or ())
    so_far = LayoutProgress(course, start, wanted)
    if so_far.over:
        return Layout(so_far.positions, so_far.kept)
    rate = parameters.learning_rate if learning_rate is None else learning_rate
    negatives = parameters.negative_sample_rate
    hold = None if landmarks is None else landmarks.holder(edges)

    def at_stop(done: int, positions: torch.Tensor) -> bool:
        if hold is not None:
            hold(positions)
            if not parameters.output.euclidean:
                positions.copy_(parameters.output.means(positions))
        if done in wanted:
            so_far.kept[done] = positions.clone()
        so_far.write_if_due(done, positions)
        return callback is not None and bool(callback(done, positions.clone()))

    each = callback is not None or landmarks is not None or course.keeps  # epoch is a stop
    term, density_epochs = None, 0
    if parameters.density is not None and density is not None:
        term = density_term(parameters, parameters.density, *density)
        if term is not None:
            density_epochs = n_epochs - int(np.floor(n_epochs * (1 - parameters.density.share)))
    with stage("layout", n_epochs) as advance:
        final = ops.sgd_layout(
            so_far.positions,
            edges,
            parameters.a,
            parameters.b,
            n_epochs,
            first_epoch=so_far.epoch,
            learning_rate=rate,
            repulsion_strength=parameters.repulsion_strength,
            negative_sample_rate=negatives,
            seed=derive(parameters.seed, "layout"),
            progress=progress or advance,
            stops=range(1, n_epochs + 1) if each else wanted - {0},
            at_stop=at_stop,
            density=term,
            density_epochs=density_epochs,
            metric=parameters.output.layout_metric(),
            row_weights=row_weights,
        )
    so_far.write(n_epochs, final, over=True)
    return Layout(final, so_far.kept)


def density_term(
    parameters: LayoutParameters, density: DensityParameters, edges: ops.Edges, radii: torch.Tensor
) -> ops.DensityTerm | None:
    # A point without edges is not moved; its radius is to leave the others' mean as it is.
    known = radii.isfinite()
    filled = torch.where(known, radii, mean_of(radii[known]).nan_to_num())
    if density.strength == 0 or not bool((filled != filled[0]).any()):
        return None
    return ops.DensityTerm(
        edges,
        filled,
        parameters.a,
        parameters.b,
        strength=density.strength,
        variance_shift=density.variance_shift,
    )
