"""Values at the ends of float32 and arrays of unusual forms: right results, or one clear error."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import ops

GRAPH = ops.symmetrize([[1], [2], [0]], [[0.5], [0.25], [0.125]])
ONES = torch.ones(3)
A, B = 1.5, 0.9


def random_table(n: int, dim: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng([n, dim]).normal(size=(n, dim)).astype(np.float32)


@pytest.mark.parametrize("p", [0.5, 3.0, 100.0, 1e4])
@pytest.mark.parametrize("scale", [1.0, 1e25, 1e-25])
def test_powers_beyond_float32(p: float, scale: float, device: torch.device) -> None:
    points = random_table(30, 20) * np.float32(scale)
    candidates = torch.arange(30, device=device).expand(30, -1)
    indices, distances = (
        part.cpu().numpy()
        for part in ops.rerank(
            torch.from_numpy(points).to(device), candidates, 29, "minkowski", p=p
        )
    )
    differences = np.abs(points[:, None].astype(np.float64) - points)
    largest = differences.max(axis=2, keepdims=True)
    shares = differences / np.where(largest > 0, largest, 1)
    true = largest[..., 0] * (shares**p).sum(axis=2) ** (1 / p)
    np.fill_diagonal(true, np.inf)
    np.testing.assert_allclose(distances, np.sort(true, axis=1)[:, :29], rtol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(true, indices, 1), distances, rtol=1e-5)


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "manhattan"])
def test_what_is_not_a_number_is_no_neighbor(metric: str, device: torch.device) -> None:
    points = torch.tensor([[0.0], [math.nan], [2.0], [1.0]], device=device)
    candidates = torch.arange(4, device=device).repeat(4, 40)
    indices, distances = ops.rerank(points, candidates, 3, metric)
    assert indices.tolist() == [[3, 2, -1], [-1] * 3, [3, 0, -1], [0, 2, -1]]
    assert bool(torch.isinf(distances[:, 2]).all())
    table = ops.SparseTable([0, 1, 2, 2], [0, 0], [3e38, -3e38], 2)  # their squares are infinite
    assert sorted(table.nearest([0], 3)[0].tolist()) == [0, 1, 2]
    assert table.rerank([[1, 2, 1]], 2, points=[0])[1].tolist() == [[math.inf, math.inf]]


def test_many_repeated_candidates(device: torch.device) -> None:
    points = torch.arange(50.0, device=device)[:, None]
    candidates = torch.cat((torch.ones(100), torch.arange(50)))[None].int().to(device)
    assert ops.rerank(points, candidates, 6)[0].tolist() == [[1, 2, 3, 4, 5, 6]]


@pytest.mark.parametrize("connectivity", [10, 1e5, 2.0**31, 1e30])
def test_a_rank_beyond_the_neighbors(connectivity: float, device: torch.device) -> None:
    distances = torch.from_numpy(np.abs(random_table(20, 10))).to(device)
    rho = ops.smooth_knn(distances, "umap", local_connectivity=connectivity).rho
    assert torch.equal(rho, distances.amax(dim=1))


@pytest.mark.parametrize("rule", ["paradime", "umap"])
@pytest.mark.parametrize("scale", [1e-36, 1e-38, 1e-40, 1e-44])
def test_distances_that_have_no_reciprocal(rule: str, scale: float, device: torch.device) -> None:
    distances = torch.from_numpy(np.abs(random_table(20, 10))).to(device) * scale
    weights = ops.smooth_knn(distances, rule).weights
    assert bool(((weights >= 0) & (weights <= 1)).all())
    rows = ops.perplexity(distances, 5.0)[0]
    torch.testing.assert_close(rows.sum(dim=1), torch.ones(20, device=device))


def test_losses_of_what_is_no_number_and_of_integers(device: torch.device) -> None:
    heads = torch.from_numpy(random_table(3, 2)).to(device)
    tails = torch.from_numpy(random_table(12, 2)).to(device).view(3, 4, 2)
    whole = (4 * heads).round()
    of_floats = ops.negative_edge_cross_entropy(whole, tails, A, B)
    assert torch.equal(ops.negative_edge_cross_entropy(whole.long(), tails, A, B), of_floats)
    heads[1, 0] = math.nan
    assert math.isnan(ops.negative_edge_cross_entropy(heads, tails, A, B))
    with pytest.raises(TypeError, match="heads must be real and dense"):
        ops.negative_edge_cross_entropy(heads.cfloat(), tails, A, B)


def test_views_that_change_what_memory_holds(device: torch.device) -> None:
    table = torch.from_numpy(random_table(5, 2)).to(device)
    negated, conjugated = torch._neg_view(table), torch.complex(table, table).conj()
    some = torch.tensor([0, 3], device=device)
    assert torch.equal(ops.gather_rows(negated, some), -table[some])
    assert torch.equal(ops.gather_rows(conjugated, some), conjugated[some].resolve_conj())
    assert torch.equal(ops.smooth_knn(torch._neg_view(-table.abs())).rho, table.abs().amin(dim=1))
    assert ops.gather_rows(table[:, :0], some).shape == (2, 0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda g: ops.graph_matmul(g, ONES, ONES[:, None]), TypeError, "edges.tails must be"),
        (lambda g: ops.subgraph(g, [0]), TypeError, r"edges.tails .* torch.int32, as symmetrize"),
        (lambda g: ops.DensityTerm(g, [1.0, 2.0, 3.0], A, B), TypeError, "not Tensor torch.int64"),
    ],
)
def test_graphs_of_another_form(
    call: Callable[[ops.Edges], Any], error: type[Exception], message: str
) -> None:
    call(GRAPH)
    with pytest.raises(error, match=message):
        call(GRAPH._replace(tails=GRAPH.tails.long()))
    with pytest.raises(TypeError, match=r"edges.weights must be .* not ndarray"):
        call(GRAPH._replace(weights=GRAPH.weights.numpy()))
    with pytest.raises(ValueError, match="as many tails as weights, not 4, 6 and 5"):
        call(GRAPH._replace(weights=GRAPH.weights[1:]))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.gather_rows(torch.eye(3).to_sparse(), [0]), TypeError, "table must be dense"),
        (lambda: ops.perplexity(torch.eye(3).to_sparse(), 1.5), TypeError, "distances must be"),
        (lambda: ops.graph_matmul(GRAPH, torch.ones(3, 2), torch.eye(3)), ValueError, "one number"),
        (lambda: ops.graph_matmul(GRAPH, ONES, torch.eye(3).cfloat()), TypeError, "x must be real"),
        (lambda: ops.Segments([3]).gram(torch.ones(3, 1).cfloat(), ONES), TypeError, "x must be"),
        (lambda: ops.Candidates(torch.ones(4, 2), 5), ValueError, "norms must have 1 dimension"),
        (lambda: ops.rerank(torch.eye(3), [[1]], 1, first_row=0.5), ValueError, "first_row must"),
        (lambda: ops.rerank(torch.eye(3), [[1]], 1, p=1e39), ValueError, "p must lie within float32"),
        (lambda: ops.symmetrize([1, 0], [1.0, 1.0], indptr=[0, 1.5, 2]), TypeError, "indptr must hold"),
        (
            lambda: ops.sgd_layout(torch.eye(3), GRAPH, A, B, 2, learning_rate=1e39),
            ValueError,
            "learning_rate must lie within float32, 1.2e-38 to 3.4e38, not 1e",
        ),
        (
            lambda: ops.sgd_layout(torch.eye(3), GRAPH, A, B, 2, largest_weight=1e-320),
            ValueError,
            "largest_weight must lie within float32",
        ),
        (
            lambda: ops.Mlp([torch.ones(0, 3)], [torch.ones(0)], "relu", 5),
            ValueError,
            r"weights\[0\] must not be empty, but is \(0, 3\)",
        ),
    ],
)  # fmt: skip
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("rounds", [1, 3])
def test_no_point_is_in_its_own_list(rounds: int) -> None:
    # As many neighbours are listed as are asked for, so that a wrong one is missed.
    indices, distances = ops.nn_descent(random_table(6000, 8), 10, trees=2, rounds=rounds, width=10)
    assert bool(((indices >= 0) & (indices != torch.arange(6000)[:, None])).all())
    assert bool(torch.isfinite(distances).all())
    assert ops.nn_descent(random_table(300, 3), 5, max_candidates=2**50)[0].shape == (300, 5)


def test_one_long_row_leaves_others_their_digits() -> None:
    # Scores of rows are sums of their own values, not differences of sums of all.
    rng = np.random.default_rng(0)
    values = rng.uniform(0.5, 1.0, 300).astype(np.float32)
    values[0] = 1e15
    table = ops.SparseTable(np.arange(0, 303, 3), np.tile(np.arange(3), 100), values, 3)
    dense = torch.from_numpy(values.reshape(100, 3))
    points = torch.arange(1, 100)
    true = torch.cdist(dense[1:].double(), dense.double()).argsort(dim=1)[:, :4]
    found = table.nearest(points, 8)
    assert bool((found[:, :, None] == true[:, None]).any(dim=1).all())


MEMORY = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, 6 * 2**30))
import torch
from fastparadime import ops
torch.set_num_threads(2)
table = ops.SparseTable(list(range(201)), [0] * 200, [1.0] * 200, 2**31 - 1)
try:
    table.rerank([[1]] * 200, 1)
except MemoryError:
    print(ops.rerank(torch.arange(3.0)[:, None], [[1], [2], [0]], 1)[1].flatten().tolist())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the memory of a process")
def test_threads_that_run_out_of_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "[1.0, 1.0, 2.0]\n"), done.stderr
