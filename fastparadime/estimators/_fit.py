"""From rows to the graph and the positions of a fit."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from fastparadime import ops
from fastparadime.estimators import _neighbors
from fastparadime.estimators._inputs import Inputs
from fastparadime.estimators._parameters import Settings
from fastparadime.estimators._reporting import Report, epoch_callback
from fastparadime.estimators._transform import FittedRows
from fastparadime.graph import fuzzy_simplicial_set
from fastparadime.graph.supervised import Labels, intersect_with_target
from fastparadime.layout import (
    Landmarks,
    default_epochs,
    density,
    groups_for,
    initial_positions,
    optimize_layout,
)
from fastparadime.layout.groups import GroupsOf
from fastparadime.neighbors import NeighborGraph
from fastparadime.neighbors.metric_space import Space
from fastparadime.neighbors.neighbor_graph import found_in
from fastparadime.types import Array
from fastparadime.utils import disk
from fastparadime.utils.checkpoints import NOTHING, Course
from fastparadime.utils.progress import memory_for, stage
from fastparadime.utils.warning import warn

_DENSITY_EPOCHS = 200  # more than by default, for densMAP
_ADVICE = "fewer rows or a smaller n_neighbors need less, as does device='cpu'"
_PARTS = ("indptr", "heads", "tails", "weights", "rho", "sigma")  # of a graph that is kept
_FEW_EPOCHS = 10  # up to which umap-learn keeps the edges of the default number


@dataclass(frozen=True)
class FittedGraph:
    """The graph of a fit's rows and what it was made from."""

    edges: ops.Edges
    nearest: NeighborGraph
    rho: torch.Tensor  # (n,)
    sigma: torch.Tensor  # (n,)
    n_neighbors: int  # itself counted
    first_row: int = 0  # among those of all processes
    points: int | None = None  # of all processes; as many as rows if None


def fit_graph(
    rows: Any,
    target: Labels | None,
    knn: Any,
    space: Space,
    settings: Settings,
    report: Report,
    course: Course = NOTHING,
) -> FittedGraph:
    """The fuzzy simplicial set of rows, joined with labels; `knn` may hold given neighbours."""
    n, wanted = rows.shape[0], settings.n_neighbors
    if n < 2:
        raise ValueError("X must have at least 2 distinct rows for unique=True")
    if wanted > n:
        warn(f"n_neighbors is lowered from {wanted} to the {n} points there are", UserWarning)
        wanted = n
    if _neighbors.neighbors_given(knn):
        nearest = _neighbors.given_neighbors(knn, n, wanted, settings.device)
    else:
        report.say("UMAP: nearest neighbors")
        with stage("neighbors"):
            search = functools.partial(
                _neighbors.find_neighbors,
                rows, wanted - 1, space, settings.recall, settings.min_shared_neighbors,
                settings.max_memory,
            )  # fmt: skip
            nearest = found_in(course, settings.device, search)
    kept = course.read("graph")
    if kept is not None:
        *parts, rho, sigma = (kept.arrays[name].to(settings.device) for name in _PARTS)
        return FittedGraph(ops.Edges(*parts), nearest, rho, sigma, wanted)
    report.say("UMAP: fuzzy graph")
    with stage("graph"), disk.arrays_within(settings.max_memory):
        edges, rho, sigma, removed = fuzzy_simplicial_set(
            nearest,
            set_op_mix_ratio=settings.set_op_mix_ratio,
            local_connectivity=settings.local_connectivity,
            disconnection_distance=settings.disconnection_distance,
        )
    if removed:
        report.say(f"{removed} neighbors are at the disconnection distance or beyond")
    if target is not None:
        edges = intersect_with_target(edges, target, settings.target, wanted, settings.recall)
    course.write("graph", dict(zip(_PARTS, (*edges, rho, sigma), strict=True)))
    return FittedGraph(edges, nearest, rho, sigma, wanted)


def fit_inputs(
    inputs: Inputs, report: Report, course: Course = NOTHING
) -> tuple[FittedGraph, FittedRows]:
    """The graph of a fit's data, and its rows, still without positions."""
    rows, settings = inputs.rows, inputs.settings
    space = settings.row_metric.space(rows)
    fitted = fit_graph(rows, inputs.target, inputs.knn, space, settings, report, course)
    if not _neighbors.neighbors_given(inputs.knn):
        inputs.row_format.warn_of_rounding(inputs.table, rows, fitted.nearest.indices)
    return fitted, FittedRows(rows, None, settings, space, inputs.row_format)


def fit_positions(
    inputs: Inputs,
    fitted: FittedGraph,
    report: Report,
    callback: Callable[..., object] | None,
    course: Course = NOTHING,
) -> Embedding | None:
    """Start and layout of a fit's graph; None where the settings ask for the graph alone."""
    settings = inputs.settings
    if settings.graph_alone:
        return None
    n_epochs = epochs_of(settings, len(fitted.edges.indptr) - 1)
    weighted = inputs.weights is not None
    groups = groups_for(fitted.edges, settings.init, settings, n_epochs, weighted=weighted)
    report.say("UMAP: initial positions")
    with stage("initial positions"), disk.arrays_within(settings.max_memory):
        begin = functools.partial(
            initial_positions,
            inputs.rows, fitted.edges, settings.init, settings.n_components, settings.seed, groups,
        )  # fmt: skip
        start = course.made("start", begin, settings.device)
    return embed_graph(
        settings.output.start(start),
        fitted,
        settings,
        report,
        n_epochs=n_epochs,
        row_weights=inputs.weights,
        callback=epoch_callback(callback, inputs.results.positions),
        course=course,
        groups=groups,
    )


def epochs_of(settings: Settings, n: int) -> int:
    """Epochs of the layout of n points."""
    if settings.n_epochs is not None:
        return settings.n_epochs
    return default_epochs(n) + (0 if settings.density is None else _DENSITY_EPOCHS)


@dataclass(frozen=True)
class Embedding:
    """The positions of a fit, float32 (n, dim), NaN for points without an edge."""

    final: torch.Tensor
    kept: list[torch.Tensor] | None  # of `n_epochs` lists
    radii: tuple[torch.Tensor, torch.Tensor] | None  # log local ones in the data, in the embedding


def embed_graph(
    start: torch.Tensor,
    fitted: FittedGraph,
    settings: Settings,
    report: Report,
    *,
    n_epochs: int | None = None,
    learning_rate: float | None = None,
    row_weights: Array | None = None,
    landmarks: Landmarks | None = None,
    callback: Callable[[int, torch.Tensor], object] | None = None,
    course: Course = NOTHING,
    groups: GroupsOf | None = None,
) -> Embedding:
    """The layout of a graph from a start, by default with the epochs and rate of a whole fit."""
    edges = fitted.edges
    if n_epochs is None:
        n_epochs = epochs_of(settings, len(start))
    radii = local = None
    if settings.density is not None or settings.output_dens:
        usual = epochs_of(replace(settings, n_epochs=None), len(start))
        sampled = density.sampled_edges(edges, n_epochs if n_epochs > _FEW_EPOCHS else usual)
        radii = density.data_radii(sampled, *fitted.nearest)
        local = (sampled, radii)
    report.say("UMAP: layout")
    watched = report.bar(n_epochs)
    kept_on = disk.arrays_within(settings.max_memory)
    with watched as progress, memory_for("UMAP's layout", _ADVICE), kept_on:
        found = optimize_layout(
            start,
            edges,
            settings,
            n_epochs,
            learning_rate=learning_rate,
            density=local,
            row_weights=row_weights,
            landmarks=landmarks,
            progress=progress,
            callback=callback,
            course=course,
            groups=groups,
        )
    kept = [found.kept[epoch] for epoch in sorted(found.kept)] or None
    positions = without_lone_points(found.final, edges, settings)
    for table in kept or ():
        table.masked_fill_(positions.isnan(), torch.nan)
    if radii is None or not settings.output_dens:
        return Embedding(positions, kept, None)
    embedded = density.embedded_radii(positions, fitted.n_neighbors, settings.recall)
    return Embedding(positions, kept, (radii, embedded))


def without_lone_points(
    positions: torch.Tensor, edges: ops.Edges, settings: Settings
) -> torch.Tensor:
    """Positions (n, dim) with NaN for points that have no edge, of which a warning tells."""
    lone = edges.indptr.diff() == 0
    alone, n, limit = int(lone.sum()), len(lone), settings.disconnection_distance
    if alone:
        lacking = f"neighbour nearer than {limit}" if limit < math.inf else "edge in the graph"
        warn(f"{alone} of {n} points have no {lacking} and get NaN as positions", UserWarning)
    return positions.masked_fill(lone[:, None], torch.nan)
