"""Graphs made by hand are checked before the core goes by their addresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from fastparadime import ops

GRAPH = ops.symmetrize([[1], [2], [0]], [[0.5], [0.25], [0.125]])
CALLS: list[Callable[[ops.Edges], Any]] = [
    lambda edges: ops.subgraph(edges, [0, 1, 2]),
    lambda edges: ops.graph_matmul(edges, torch.ones(3), torch.ones(3, 1)),
    lambda edges: ops.DensityTerm(edges, [1.0, 2.0, 3.0], 1.5, 0.9),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("tail", [3, 2**31 - 1, -1])
def test_tails_beyond_the_points(call: Callable[[ops.Edges], Any], tail: int) -> None:
    call(GRAPH)
    tails = GRAPH.tails.clone()
    tails[2] = tail
    with pytest.raises(ValueError, match=rf"edges.tails must lie in \[0, 3\), but holds {tail}"):
        call(GRAPH._replace(tails=tails))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("starts", [[0, 2, 4, 9], [1, 2, 4, 6], [0, 5, 4, 6]])
def test_rows_beyond_the_edges(call: Callable[[ops.Edges], Any], starts: list[int]) -> None:
    with pytest.raises(ValueError, match=r"edges.indptr must ascend from 0 to the number of edges"):
        call(GRAPH._replace(indptr=torch.tensor(starts)))


def test_a_graph_that_is_changed_is_checked_again() -> None:
    edges = GRAPH._replace(tails=GRAPH.tails.clone())
    before = ops.subgraph(edges, [0, 1, 2])
    assert torch.equal(ops.subgraph(edges, [0, 1, 2]), before)
    edges.tails[0] = 7
    with pytest.raises(ValueError, match=r"edges.tails must lie in \[0, 3\), but holds 7"):
        ops.subgraph(edges, [0, 1, 2])
