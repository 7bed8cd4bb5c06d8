"""The layout of the points of several processes: each moves its own, and all know all positions."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch

from fastparadime import ops
from fastparadime.distributed import Exchange, Ranks, Shards
from fastparadime.graph.shared_edges import moved_edges
from fastparadime.layout.initialization import initial_positions
from fastparadime.layout.optimize import LayoutParameters
from fastparadime.types import Array
from fastparadime.utils.progress import stage
from fastparadime.utils.seed import derive


def shared_start(
    edges: ops.Edges,
    ranks: Ranks,
    shards: Shards,
    init: str | Array,
    n_components: int,
    seed: int,
) -> torch.Tensor:
    """`initial_positions` of all points, float32 (n, n_components) on every rank.

    Collective. Rank 0 finds them, and for ``"spectral"`` has the edges of all ranks while it does.

    Parameters
    ----------
    edges : Edges
        Of the rows that this rank was dealt.
    ranks : Ranks
    shards : Shards
    init : {"spectral", "tswspectral", "random"} or array (n_local, n_components)
        Positions of the rows that this rank was given.
    n_components : int
    seed : int
    """
    n = shards.n
    all_of_rank_0 = (0, *(n for _ in range(ranks.size)))
    if not isinstance(init, str):
        own = torch.from_numpy(init.astype("float64"))
        init = ranks.moved(own, shards.given, all_of_rank_0).numpy()
    elif init != "random":
        edges = moved_edges(edges, ranks, shards.dealt, all_of_rank_0)
    start = torch.empty((n, n_components))
    with ranks.together():
        if ranks.rank == 0:
            rows = torch.empty((n, 0))  # of which only principal components read more
            start = initial_positions(rows, edges, init, n_components, seed)
    return ranks.from_first(start)


def optimize_shared(
    start: torch.Tensor,
    edges: ops.Edges,
    ranks: Ranks,
    shards: Shards,
    parameters: LayoutParameters,
    n_epochs: int,
    progress: Callable[[int], object] | None = None,
) -> torch.Tensor:
    """`optimize_layout` of all points, float32 (n, dim) on every rank, bit for bit.

    Collective.

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
    progress : callable, optional
        Called with the number of epochs done.
    """
    with ranks.together():
        weights = edges.weights
        largest = float(weights.max()) if len(weights) else 0.0
        total = float(weights.sum(dtype=torch.float64))
    told = ranks.told((largest, total))
    with ranks.together():
        shard = ops.LayoutShard(
            start,
            edges,
            shards.first,
            parameters.a,
            parameters.b,
            n_epochs,
            largest_weight=max(largest for largest, _ in told),
            total_weight=sum(total for _, total in told),
            learning_rate=parameters.learning_rate,
            repulsion_strength=parameters.repulsion_strength,
            negative_sample_rate=parameters.negative_sample_rate,
            seed=derive(parameters.seed, "layout"),
        )
    dim = start.shape[1]
    counts = [dim * (last - first) for first, last in itertools.pairwise(shards.dealt)]
    exchange, positions = Exchange(ranks, counts), shard.positions.view(-1)
    with stage("layout", n_epochs) as advance:
        told_of = progress or advance
        for epoch in range(n_epochs):
            for part in range(shard.steps):
                torch.cat(exchange.of(lambda: shard.step(epoch, part)), out=positions)  # noqa: B023
            if told_of is not None:
                told_of(epoch + 1)
    return shard.positions
