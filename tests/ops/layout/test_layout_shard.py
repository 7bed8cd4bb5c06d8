"""LayoutShard: the rows of all shards together move as those of one layout."""

from __future__ import annotations

import itertools

import pytest
import torch

from fastparadime import ops
from tests.ops.layout.test_sgd_layout import A, B, random_graph, random_positions

EPOCHS = 4


def rows_of(edges: ops.Edges, first: int, last: int) -> ops.Edges:
    starts = edges.indptr[first : last + 1]
    own = slice(int(starts[0]), int(starts[-1]))
    return ops.Edges(starts - starts[0], *(part[own] for part in edges[1:]))


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("cuts", [(0, 1500), (0, 7, 7, 700, 1500)], ids=["one", "four"])
def test_shards_move_as_one_layout(dim: int, cuts: tuple[int, ...]) -> None:
    edges, start = random_graph(1500, 10, seed=1), random_positions(1500, dim, seed=2)
    options = {"seed": 5, "negative_sample_rate": 6, "learning_rate": 0.5}
    total = float(edges.weights.sum(dtype=torch.float64))
    shards = [
        ops.LayoutShard(
            start,
            rows_of(edges, first, last),
            first,
            A,
            B,
            EPOCHS,
            largest_weight=float(edges.weights.max()),
            total_weight=total,
            **options,
        )
        for first, last in itertools.pairwise(cuts)
    ]
    assert shards[0].steps > 1
    for epoch in range(EPOCHS):
        for part in range(shards[0].steps):
            moved = torch.cat([shard.step(epoch, part) for shard in shards])
            for shard in shards:
                shard.positions.copy_(moved)
    assert torch.equal(moved, ops.sgd_layout(start, edges, A, B, EPOCHS, **options))


def test_arguments_are_checked() -> None:
    edges, start = random_graph(40, 5, seed=1), random_positions(40, 2, seed=2)
    weights = {"largest_weight": 1.0, "total_weight": 10.0}
    with pytest.raises(ValueError, match="first_row must be"):
        ops.LayoutShard(start, edges, 1, A, B, 5, **weights)
    with pytest.raises(ValueError, match="total_weight must be"):
        ops.LayoutShard(start, edges, 0, A, B, 5, largest_weight=1.0, total_weight=-1.0)
    shard = ops.LayoutShard(start, edges, 0, A, B, 5, **weights)
    with pytest.raises(ValueError, match="epoch must be"):
        shard.step(5, 0)
    with pytest.raises(ValueError, match="part must be"):
        shard.step(0, shard.steps)
