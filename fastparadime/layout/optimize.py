"""The layout of a graph by gradient descent: its epochs, positions on the way, densMAP's term."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from fastparadime import ops
from fastparadime.layout._progress import LayoutProgress
from fastparadime.layout.groups import MANY_POINTS, GroupsOf, halfway
from fastparadime.layout.initialization import SPECTRAL
from fastparadime.layout.landmarks import Landmarks
from fastparadime.layout.output_space import EUCLIDEAN, OutputSpace
from fastparadime.types import Array, TensorLike
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
    first_epoch: int = 0,
    groups: GroupsOf | None = None,
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
    first_epoch : int
        Epochs that are done at the start.
    groups : GroupsOf, optional
        Of the points, which the first half of the epochs moves in their place; they start where
        one of their points does. Without densMAP's term, landmarks and weights of rows.
    """
    wanted = set(parameters.kept_epochs or ())
    so_far = LayoutProgress(course, start, wanted, first_epoch)
    if so_far.over:
        return Layout(so_far.positions, so_far.kept)
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
    term, density_epochs = _density_of(parameters, density, n_epochs)
    stops = set(range(1, n_epochs + 1)) if each else wanted - {0}
    with stage("layout", n_epochs) as advance:
        told = progress or advance
        if groups is not None and halfway_by_groups(
            groups, so_far, parameters, n_epochs, stops, at_stop, told
        ):
            so_far.write(n_epochs, so_far.positions, over=True)
            return Layout(so_far.positions, so_far.kept)
        final = _moved(
            so_far.positions,
            edges,
            parameters,
            n_epochs,
            first_epoch=so_far.epoch,
            learning_rate=parameters.learning_rate if learning_rate is None else learning_rate,
            seed=derive(parameters.seed, "layout"),
            progress=told,
            stops=stops,
            at_stop=at_stop,
            density=term,
            density_epochs=density_epochs,
            metric=parameters.output.layout_metric(),
            row_weights=row_weights,
        )
    so_far.write(n_epochs, final, over=True)
    return Layout(final, so_far.kept)


def _moved(
    positions: torch.Tensor,
    edges: ops.Edges,
    parameters: LayoutParameters,
    n_epochs: int,
    **options: Any,
) -> torch.Tensor:
    """`ops.sgd_layout` with the parameters of all of a layout."""
    return ops.sgd_layout(
        positions,
        edges,
        parameters.a,
        parameters.b,
        n_epochs,
        repulsion_strength=parameters.repulsion_strength,
        negative_sample_rate=parameters.negative_sample_rate,
        **options,
    )


def groups_for(
    edges: ops.Edges,
    init: str | Array,
    parameters: LayoutParameters,
    n_epochs: int,
    *,
    weighted: bool = False,
) -> GroupsOf | None:
    """The groups that the first half of a fit's layout moves, where there are many points.

    Parameters
    ----------
    edges : Edges
    init : str or array
        Positions other than spectral ones are where the points start.
    parameters : LayoutParameters
    n_epochs : int
        Without a half, the layout is its start, or one look at it.
    weighted : bool
        Whether rows have weights.
    """
    plain = parameters.output.euclidean and parameters.density is None and not weighted
    spectral = isinstance(init, str) and init in SPECTRAL
    many = len(edges.indptr) - 1 > MANY_POINTS and halfway(n_epochs) > 0
    if not (plain and spectral and many):
        return None
    return GroupsOf(edges, parameters.seed)


def halfway_by_groups(
    groups: GroupsOf,
    so_far: LayoutProgress,
    parameters: LayoutParameters,
    n_epochs: int,
    stops: Collection[int] = (),
    at_stop: Callable[[int, torch.Tensor], bool] | None = None,
    progress: Callable[[int], object] | None = None,
) -> bool:
    """Takes a layout to half of its epochs by moving groups of points, which then part.

    Arguments are those of `optimize_layout`. The result says whether `at_stop` has ended the layout.
    """
    half, ended = halfway(n_epochs), False
    if so_far.epoch >= half or (found := groups.taken()) is None:
        return False

    def at_group_stop(done: int, positions: torch.Tensor) -> bool:
        nonlocal ended
        if done == half:
            so_far.epoch, so_far.positions = half, found.parted(positions, parameters.seed)
        else:
            so_far.positions = found.spread(positions)
        ended = done in stops and at_stop is not None and at_stop(done, so_far.positions)
        return ended or done == half

    _moved(
        so_far.positions[found.firsts],
        found.edges,
        parameters,
        n_epochs,
        first_epoch=so_far.epoch,
        learning_rate=parameters.learning_rate,
        seed=derive(parameters.seed, "groups"),
        progress=progress,
        stops={half, *(stop for stop in stops if stop <= half)},
        at_stop=at_group_stop,
    )
    return ended


def _density_of(
    parameters: LayoutParameters, density: tuple[ops.Edges, torch.Tensor] | None, n_epochs: int
) -> tuple[ops.DensityTerm | None, int]:
    """densMAP's term and its epochs."""
    if parameters.density is None or density is None:
        return None, 0
    term = density_term(parameters, parameters.density, *density)
    if term is None:
        return None, 0
    return term, n_epochs - int(np.floor(n_epochs * (1 - parameters.density.share)))


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
