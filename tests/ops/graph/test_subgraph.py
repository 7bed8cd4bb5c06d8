"""subgraph against the dense matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference


def random_edges(n: int, k: int, device: torch.device | str = "cpu") -> ops.Edges:
    rng = np.random.default_rng([n, k])
    indices = (np.arange(n)[:, None] + np.argsort(rng.random((n, n)))[:, :k]) % n
    weights = rng.random((n, k), dtype=np.float32)
    return ops.symmetrize(
        torch.from_numpy(indices).to(device), torch.from_numpy(weights).to(device)
    )


def expected(edges: ops.Edges, points: torch.Tensor) -> Any:
    indptr, heads, tails, weights = (part.cpu().numpy() for part in edges)
    return reference.subgraph(len(indptr) - 1, heads, tails, weights, points.cpu().numpy())


@pytest.mark.parametrize("m", [1, 2, 17, 300])
@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 1), (17, 5), (1000, 40)])
def test_equals_reference(n: int, k: int, m: int, device: torch.device) -> None:
    edges = random_edges(n, k, device)
    points = torch.randperm(n, generator=torch.Generator().manual_seed(n))[:m].to(device)
    out = ops.subgraph(edges, points)
    assert out.dtype == torch.float32
    assert out.device.type == device.type
    np.testing.assert_array_equal(out.cpu(), expected(edges, points))


def test_repeated_and_no_points(device: torch.device) -> None:
    edges = random_edges(30, 4, device)
    points = torch.tensor([7, 3, 7, 7, 29, 0, 3], device=device)
    np.testing.assert_array_equal(ops.subgraph(edges, points).cpu(), expected(edges, points))
    assert ops.subgraph(edges, points[:0]).shape == (0, 0)


def test_points_without_edges(device: torch.device) -> None:
    indptr = torch.zeros(6, dtype=torch.int64, device=device)
    none = torch.empty(0, dtype=torch.int32, device=device)
    edges = ops.Edges(indptr, none, none, none.float())
    assert not ops.subgraph(edges, [4, 1, 0]).any()


def test_weights_that_are_infinite_or_tiny_are_kept(device: torch.device) -> None:
    edges = random_edges(12, 3, device)
    weights = edges.weights.clone()
    weights[0], weights[1] = float("inf"), 1e-45
    edges = edges._replace(weights=weights)
    points = torch.arange(11, -1, -1, device=device)
    np.testing.assert_array_equal(ops.subgraph(edges, points).cpu(), expected(edges, points))


def test_threads_do_not_matter(assert_same_bits: Callable[[Callable[[], Any]], None]) -> None:
    edges, points = random_edges(900, 20), torch.arange(0, 900)
    assert_same_bits(lambda: ops.subgraph(edges, points))


@pytest.mark.parametrize(
    ("points", "error", "match"),
    [
        ([0, 5], ValueError, r"points must lie in \[0, 5\), but holds 5"),
        ([-1], ValueError, r"points must lie in \[0, 5\), but holds -1"),
        ([0.5], TypeError, "points must hold integers"),
        ([[0]], ValueError, "points must have 1 dimensions"),
        ("all", TypeError, "str"),
    ],
)
def test_bad_points(points: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        ops.subgraph(random_edges(5, 2), points)
