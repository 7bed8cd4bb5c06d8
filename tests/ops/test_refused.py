"""Graphs and numbers that an operation must refuse, and tables without columns, which it must not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import ops

N = 50
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 4))
UNITS = (X / np.linalg.norm(X, axis=1)[:, None]).astype(np.float32)
ONES = np.ones(N, np.float32)
IDS = RNG.integers(0, N, 20)
NEAR = np.stack([RNG.permutation(N)[:5] for _ in range(N)])
WEIGHTS = RNG.random((N, 5)).astype(np.float32)
EDGES = ops.symmetrize(NEAR, WEIGHTS)
SIZES = np.array([20, 30])
TABLE = X.astype(np.float32)


def test_no_columns() -> None:
    none = X[:, :0]
    assert ops.gather_rows(none, IDS).shape == (20, 0)
    assert ops.scatter_add(none[:20], IDS, N).shape == (N, 0)
    assert ops.graph_matmul(EDGES, ONES, none).shape == (N, 0)
    assert ops.Segments(SIZES).gram(none, X).shape == (2, 0, 4)
    assert torch.equal(
        ops.Segments(SIZES).matmul(none, np.empty((2, 0, 3))), torch.zeros((N, 3)).double()
    )


def changed(**parts: torch.Tensor) -> ops.Edges:
    return ops.Edges(**{**EDGES._asdict(), **parts})


@pytest.mark.parametrize(
    "edges",
    [
        changed(tails=EDGES.tails.clone().index_fill_(0, torch.tensor([3]), N)),
        changed(tails=EDGES.tails.clone().index_fill_(0, torch.tensor([3]), -1)),
        changed(indptr=EDGES.indptr + 1),
        changed(indptr=EDGES.indptr.flip(0).contiguous()),
    ],
)
def test_graphs_beyond_their_points_are_refused(edges: ops.Edges) -> None:
    calls = [
        lambda: ops.subgraph(edges, IDS),
        lambda: ops.graph_matmul(edges, ONES, X),
        lambda: ops.DensityTerm(edges, X[:, 0], 1.0, 1.0),
        lambda: ops.sgd_layout(TABLE, edges, 1.0, 1.0, 5),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"edges\.(tails|indptr) must"):
            call()


def test_a_graph_is_looked_at_again_after_a_change() -> None:
    edges = changed(tails=EDGES.tails.clone())
    ops.subgraph(edges, IDS)
    edges.tails[3] = N
    with pytest.raises(ValueError, match=rf"edges\.tails must lie in \[0, {N}\), but holds {N}"):
        ops.subgraph(edges, IDS)


def test_neighbours_must_be_distinct() -> None:
    twice = NEAR.copy()
    twice[7, 3] = twice[7, 0]
    with pytest.raises(ValueError, match=f"distinct .* row 7 has {twice[7, 0]} more than once"):
        ops.symmetrize(twice, WEIGHTS)


@pytest.mark.parametrize("count", [-5, 0, 2.5])
def test_counts_of_candidates(count: Any) -> None:
    with pytest.raises(ValueError, match="count must be an integer"):
        ops.Candidates(ONES, count)


@pytest.mark.parametrize("slack", [float("nan"), -1.0])
def test_slack_of_candidates(slack: float) -> None:
    with pytest.raises(ValueError, match="slack must be a finite number"):
        ops.Candidates(ONES, 8).update(UNITS @ UNITS.T, ONES, 0, slack=slack)


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -0.1])
def test_rates_of_adam(rate: float) -> None:
    parameter = torch.ones(3)
    adam = ops.Adam([parameter], [torch.ones(3)])
    with pytest.raises(ValueError, match="learning_rate must be a finite number"):
        adam.step(rate)
    assert torch.equal(parameter, torch.ones(3))


def test_sizes_of_segments() -> None:
    with pytest.raises(ValueError, match="sizes must"):
        ops.Segments(np.array([2.5, 3.0]))
    with pytest.raises(ValueError, match="sizes must"):
        ops.Segments([3, -5])
