"""The layout of the points of several processes: each moves its own, and all know all positions."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable

import torch

from fastparadime import ops
from fastparadime.distributed import Exchange, Ranks, Shards, SharedCourse
from fastparadime.graph.shared_edges import moved_edges
from fastparadime.layout._progress import LayoutProgress
from fastparadime.layout.initialization import initial_positions
from fastparadime.layout.optimize import (
    Layout,
    LayoutParameters,
    groups_for,
    halfway_by_groups,
    optimize_layout,
)
from fastparadime.types import Array
from fastparadime.utils.checkpoints import NOTHING
from fastparadime.utils.convert import sums_over
from fastparadime.utils.progress import stage
from fastparadime.utils.seed import derive

# Points up to which rank 0 lays out all of them sooner than ranks can tell each other of each step.
MOST_ALONE = 200_000


def shared_start(
    edges: ops.Edges,
    ranks: Ranks,
    shards: Shards,
    init: str | Array,
    n_components: int,
    parameters: LayoutParameters,
    n_epochs: int,
) -> tuple[torch.Tensor, int]:
    """`initial_positions` of all points, float32 (n, n_components) on every rank, and the epochs done.

    Collective. Rank 0 finds them, and for ``"spectral"`` has the edges of all ranks while it does.
    Of many points it takes the layout to half of its epochs, by groups of them.

    Parameters
    ----------
    edges : Edges
        Of the rows that this rank was dealt.
    ranks : Ranks
    shards : Shards
    init : {"spectral", "tswspectral", "random"} or array (n_local, n_components)
        Positions of the rows that this rank was given.
    n_components : int
    parameters : LayoutParameters
    n_epochs : int
        Of the whole layout.
    """
    n = shards.n
    if not isinstance(init, str):
        own = torch.from_numpy(init.astype("float64"))
        init = ranks.moved(own, shards.given, shards.by_first).numpy()
    elif init != "random":
        edges = moved_edges(edges, ranks, shards.dealt, shards.by_first)
    start, done = torch.empty((n, n_components)), torch.zeros(1, dtype=torch.int64)
    with ranks.together():
        if ranks.rank == 0:
            rows = torch.empty((n, 0))  # of which only principal components read more
            groups = groups_for(edges, init, parameters, n_epochs)
            start = initial_positions(rows, edges, init, n_components, parameters.seed, groups)
            if groups is not None:
                so_far = LayoutProgress(NOTHING, start, set())
                halfway_by_groups(groups, so_far, parameters, n_epochs)
                start, done[0] = so_far.positions, so_far.epoch
    return ranks.from_first(start), int(ranks.from_first(done))


def optimize_shared(
    start: torch.Tensor,
    edges: ops.Edges,
    ranks: Ranks,
    shards: Shards,
    parameters: LayoutParameters,
    n_epochs: int,
    *,
    first_epoch: int = 0,
    progress: Callable[[int], object] | None = None,
    course: SharedCourse | None = None,
) -> torch.Tensor:
    """`optimize_layout` of all points, float32 (n, dim) on every rank, bit for bit.

    Collective. Rank 0 lays out a small table, and all ranks a large one, which wait for each other
    at each step.

    Parameters
    ----------
    start : float32 tensor (n, dim)
        The same on all ranks.
    edges : Edges
        Of the rows that this rank was dealt.
    ranks : Ranks
    shards : Shards
    parameters : LayoutParameters
        Of a euclidean layout without densMAP's term.
    n_epochs : int
    first_epoch : int
        Epochs that are done at the start.
    progress : callable, optional
        Called with the number of epochs done.
    course : SharedCourse, optional
        Keeps positions on the way, from which the layout goes on.
    """
    course = course or SharedCourse()
    if ranks.size == 1 or shards.n <= MOST_ALONE:
        make = functools.partial(
            optimize_layout,
            parameters=parameters,
            n_epochs=n_epochs,
            first_epoch=first_epoch,
            progress=progress,
        )
        found = _by_first(start, edges, ranks, shards, make, course)
        if progress is not None and ranks.rank > 0:
            progress(n_epochs)
        return found
    so_far = LayoutProgress(course, start, set(), first_epoch)
    if so_far.over:
        return so_far.positions
    shard = _shard_of(so_far.positions, edges, ranks, shards, parameters, n_epochs)
    dim = start.shape[1]
    counts = [dim * (last - first) for first, last in itertools.pairwise(shards.dealt)]
    exchange, positions = Exchange(ranks, counts), shard.positions.view(-1)
    with stage("layout", n_epochs) as advance:
        told_of = progress or advance
        for epoch in range(so_far.epoch, n_epochs):
            for part in range(shard.steps):
                torch.cat(exchange.of(lambda: shard.step(epoch, part)), out=positions)  # noqa: B023
            if told_of is not None:
                told_of(epoch + 1)
            so_far.write_if_due(epoch + 1, shard.positions)
    so_far.write(n_epochs, shard.positions, over=True)
    return shard.positions


def _by_first(
    start: torch.Tensor,
    edges: ops.Edges,
    ranks: Ranks,
    shards: Shards,
    make: Callable[..., Layout],
    course: SharedCourse,
) -> torch.Tensor:
    """The layout by rank 0, which has the edges of all for that time."""
    whole = moved_edges(edges, ranks, shards.dealt, shards.by_first)
    found = torch.empty_like(start)
    with ranks.together():
        if ranks.rank == 0:
            found = make(start, whole, course=course.of_first()).final
    return ranks.from_first(found)


def _shard_of(
    positions: torch.Tensor,
    edges: ops.Edges,
    ranks: Ranks,
    shards: Shards,
    parameters: LayoutParameters,
    n_epochs: int,
) -> ops.LayoutShard:
    """The steps of the own points."""
    with ranks.together():
        weights, starts = edges.weights, edges.indptr
        largest = float(weights.max()) if len(weights) else 0.0
        sums = [
            float(sums_over(weights[starts[rows.start] : starts[rows.stop]].double(), 0))
            for rows in shards.slices(shards.rank)
        ]
    told = ranks.told((largest, sums))
    with ranks.together():
        return ops.LayoutShard(
            positions,
            edges,
            shards.first,
            parameters.a,
            parameters.b,
            n_epochs,
            largest_weight=max(largest for largest, _ in told),
            total_weight=math.fsum(total for _, sums in told for total in sums),
            learning_rate=parameters.learning_rate,
            repulsion_strength=parameters.repulsion_strength,
            negative_sample_rate=parameters.negative_sample_rate,
            seed=derive(parameters.seed, "layout"),
        )
