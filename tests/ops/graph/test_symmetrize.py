"""symmetrize against its dense definition: values, pattern, order and borders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse
import torch

from fastparadime import ops
from fastparadime.ops import reference

OPERATIONS = [("union", 1.0), ("intersection", 1.0), ("mean", 1.0), ("mix", 0.3), ("mix", 0.0)]

Graph = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]
Ragged = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]


def random_graph(n: int, k: int, seed: int = 0) -> Graph:
    """k distinct neighbours of each point in any order, among them the point itself."""
    rng = np.random.default_rng([seed, n, k])
    offsets = rng.permuted(np.tile(np.arange(min(n, 3 * k)), (n, 1)), axis=1)[:, :k]
    indices = (np.arange(n)[:, None] + offsets) % n
    return indices, rng.random((n, k), dtype=np.float32)


def random_ragged(n: int, seed: int = 0) -> Ragged:
    """Row starts, neighbours and weights of rows with 0 to 6 neighbours, the ends empty."""
    rng = np.random.default_rng([seed, n])
    lengths = rng.integers(0, min(n, 6) + 1, n)
    lengths[[0, -1]] = 0
    indices, weights = random_graph(n, min(n, 6), seed)
    kept = np.arange(indices.shape[1]) < lengths[:, None]
    return np.append(0, lengths.cumsum()), indices[kept], weights[kept]


def assert_sorted_csr(edges: ops.Edges, n: int) -> None:
    indptr, heads, tails, weights = (part.cpu() for part in edges)
    dtypes = (indptr.dtype, heads.dtype, tails.dtype, weights.dtype)
    assert dtypes == (torch.int64, torch.int32, torch.int32, torch.float32)
    assert len(indptr) == n + 1
    assert int(indptr[0]) == 0
    assert int(indptr[-1]) == len(heads) == len(tails) == len(weights)
    assert torch.equal(heads.long(), torch.repeat_interleave(torch.arange(n), indptr.diff()))
    assert bool(((heads.long() * n + tails).diff() > 0).all())


def assert_equals_reference(
    edges: ops.Edges, n: int, graph: Ragged, operation: str, mix_ratio: float
) -> None:
    indptr, indices, weights = graph
    heads = np.repeat(np.arange(n), np.diff(indptr))
    expected = reference.symmetrize(n, heads, indices, weights, operation, mix_ratio)
    assert_sorted_csr(edges, n)
    np.testing.assert_array_equal(edges.heads.cpu(), expected[0])
    np.testing.assert_array_equal(edges.tails.cpu(), expected[1])
    np.testing.assert_allclose(edges.weights.cpu(), expected[2], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(("operation", "mix_ratio"), OPERATIONS)
@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 1), (15, 15), (17, 1), (100, 7), (300, 30)])
def test_equals_reference(
    n: int, k: int, operation: str, mix_ratio: float, device: torch.device
) -> None:
    indices, weights = random_graph(n, k)
    edges = ops.symmetrize(
        torch.from_numpy(indices).to(device),
        torch.from_numpy(weights).to(device),
        operation,
        mix_ratio=mix_ratio,
    )
    assert {part.device.type for part in edges} == {device.type}
    graph = (np.arange(n + 1) * k, indices.ravel(), weights.ravel())
    assert_equals_reference(edges, n, graph, operation, mix_ratio)


@pytest.mark.parametrize(("operation", "mix_ratio"), OPERATIONS)
@pytest.mark.parametrize("n", [2, 31, 500])
def test_ragged_rows(n: int, operation: str, mix_ratio: float, device: torch.device) -> None:
    graph = random_ragged(n)
    indptr, indices, weights = (torch.from_numpy(part).to(device) for part in graph)
    edges = ops.symmetrize(indices, weights, operation, mix_ratio=mix_ratio, indptr=indptr)
    assert_equals_reference(edges, n, graph, operation, mix_ratio)


# A bucket is 2048 points wide; points are also worked on in 64 chunks.
@pytest.mark.parametrize("n", [2047, 2048, 2049, 4096, 6001])
def test_around_the_bucket_width(n: int, device: torch.device) -> None:
    indices, weights = random_graph(n, 4)
    edges = ops.symmetrize(
        torch.from_numpy(indices).to(device), torch.from_numpy(weights).to(device)
    )
    matrix = scipy.sparse.csr_array(
        (weights.ravel().astype(np.float64), indices.ravel(), np.arange(n + 1) * 4), shape=(n, n)
    )
    expected = (matrix + matrix.T - matrix * matrix.T).tocsr()
    expected.sort_indices()
    assert_sorted_csr(edges, n)
    np.testing.assert_array_equal(edges.indptr.cpu(), expected.indptr)
    np.testing.assert_array_equal(edges.tails.cpu(), expected.indices)
    np.testing.assert_allclose(edges.weights.cpu(), expected.data, rtol=1e-6)


# From 2^21 points on, buckets grow wider instead of more.
def test_wider_buckets(device: torch.device) -> None:
    n = 2**21 + 3
    points = torch.arange(n, device=device)
    weights = torch.rand(n, generator=torch.Generator().manual_seed(0)).to(device) + 0.5
    edges = ops.symmetrize(((points + 1) % n)[:, None], weights[:, None], "mean")
    assert_sorted_csr(edges, n)
    tails, halves = edges.tails.view(n, 2), edges.weights.view(n, 2)
    assert torch.equal(tails[1:-1, 0].long(), points[:-2])
    assert torch.equal(tails[1:-1, 1].long(), points[2:])
    assert torch.equal(halves[1:-1, 0], weights[:-2] / 2)
    assert torch.equal(halves[1:-1, 1], weights[1:-1] / 2)
    assert tails[0].tolist() == [1, n - 1]
    assert tails[-1].tolist() == [0, n - 2]


@pytest.mark.parametrize("inwards", [True, False])
def test_star(inwards: bool, device: torch.device) -> None:
    n, hub = 5000, 2100
    others = np.delete(np.arange(n), hub)
    lengths = np.ones(n, dtype=np.int64) if inwards else np.zeros(n, dtype=np.int64)
    lengths[hub] = 0 if inwards else n - 1
    indices = np.full(n - 1, hub) if inwards else others[::-1].copy()
    edges = ops.symmetrize(
        torch.from_numpy(indices).to(device),
        torch.full((n - 1,), 0.5, device=device),
        "mean",
        indptr=torch.from_numpy(np.append(0, lengths.cumsum())).to(device),
    )
    assert_sorted_csr(edges, n)
    np.testing.assert_array_equal(edges.tails[edges.heads == hub].cpu(), others)
    np.testing.assert_array_equal(edges.heads[edges.tails == hub].cpu(), others)
    assert len(edges.weights) == 2 * (n - 1)
    assert bool((edges.weights == 0.25).all())


def test_self_loop_meets_itself(device: torch.device) -> None:
    indices = torch.tensor([[0, 1], [1, 0]], device=device)
    weights = torch.tensor([[0.5, 0.25], [1.0, 0.5]], device=device)
    union = ops.symmetrize(indices, weights)
    assert union.weights.tolist() == [0.75, 0.625, 0.625, 1.0]
    assert ops.symmetrize(indices, weights, "mean").weights.tolist() == [0.5, 0.375, 0.375, 1.0]


def test_intersection_drops_one_sided_edges(device: torch.device) -> None:
    indices = torch.tensor([[1], [0], [0]], device=device)
    weights = torch.tensor([[0.5], [0.5], [0.5]], device=device)
    edges = ops.symmetrize(indices, weights, "intersection")
    assert edges.indptr.tolist() == [0, 1, 2, 2]
    assert (edges.heads.tolist(), edges.tails.tolist()) == ([0, 1], [1, 0])
    assert edges.weights.tolist() == [0.25, 0.25]


def test_zero_weights_leave_no_edge(device: torch.device) -> None:
    indices, _ = random_graph(50, 4)
    for operation in ("union", "intersection", "mean"):
        edges = ops.symmetrize(
            torch.from_numpy(indices).to(device), torch.zeros((50, 4), device=device), operation
        )
        assert edges.indptr.tolist() == [0] * 51
        assert len(edges.weights) == 0


@pytest.mark.parametrize("mix_ratio", [0.0, 0.25, 0.5, 1.0])
def test_mix_blends(mix_ratio: float, device: torch.device) -> None:
    indices, weights = (torch.from_numpy(part).to(device) for part in random_graph(40, 5))
    mixed = ops.symmetrize(indices, weights, "mix", mix_ratio=mix_ratio)
    if mix_ratio in (0.0, 1.0):
        end = ops.symmetrize(indices, weights, "union" if mix_ratio else "intersection")
        assert all(torch.equal(a, b) for a, b in zip(mixed, end, strict=True))
        return
    union = ops.symmetrize(indices, weights, "union")
    both = ops.symmetrize(indices, weights, "intersection")
    dense = torch.zeros((40, 40), dtype=torch.float64)
    dense[both.heads.long().cpu(), both.tails.long().cpu()] = both.weights.double().cpu()
    products = dense[union.heads.long().cpu(), union.tails.long().cpu()]
    expected = mix_ratio * union.weights.double().cpu() + (1 - mix_ratio) * products
    np.testing.assert_allclose(mixed.weights.cpu(), expected, rtol=1e-6)


def test_result_is_symmetric(device: torch.device) -> None:
    indices, weights = (torch.from_numpy(part).to(device) for part in random_graph(700, 6))
    edges = ops.symmetrize(indices, weights)
    indptr, _, tails, values = (part.cpu().numpy() for part in edges)
    matrix = scipy.sparse.csr_array((values, tails, indptr), shape=(700, 700))
    assert abs(matrix - matrix.T).max() == 0


def test_empty(device: torch.device) -> None:
    no_points = ops.symmetrize(
        torch.empty((0, 3), dtype=torch.int64, device=device), torch.empty((0, 3), device=device)
    )
    assert no_points.indptr.tolist() == [0]
    no_edges = ops.symmetrize(
        torch.empty(0, dtype=torch.int32, device=device),
        torch.empty(0, device=device),
        indptr=torch.zeros(6, dtype=torch.int32, device=device),
    )
    assert no_edges.indptr.tolist() == [0] * 6
    no_columns = ops.symmetrize(
        torch.empty((4, 0), dtype=torch.int64, device=device), torch.empty((4, 0), device=device)
    )
    assert no_columns.indptr.tolist() == [0] * 5


@pytest.mark.parametrize("index_dtype", ["i4", "i8", "u2"])
@pytest.mark.parametrize("weight_dtype", ["f4", "f8"])
def test_numpy_and_layouts(index_dtype: str, weight_dtype: str) -> None:
    indices, weights = random_graph(60, 5)
    expected = ops.symmetrize(torch.from_numpy(indices), torch.from_numpy(weights))
    given = (np.asfortranarray(indices.astype(index_dtype)), weights.astype(weight_dtype)[::-1])
    before = [part.copy() for part in given]
    result = ops.symmetrize(given[0], given[1][::-1])
    assert all(torch.equal(a, b) for a, b in zip(result, expected, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(given, before, strict=True))


@pytest.mark.parametrize(("operation", "mix_ratio"), OPERATIONS)
def test_threads_do_not_matter(
    operation: str, mix_ratio: float, assert_same_bits: Callable[[Any], None]
) -> None:
    indices, weights = (torch.from_numpy(part) for part in random_graph(9000, 5))
    before = (indices.clone(), weights.clone())
    assert_same_bits(lambda: ops.symmetrize(indices, weights, operation, mix_ratio=mix_ratio))
    assert torch.equal(indices, before[0])
    assert torch.equal(weights, before[1])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"operation": "sum"}, ValueError, "operation must be one of 'union', 'intersection'"),
        ({"operation": "mix", "mix_ratio": 1.5}, ValueError, r"mix_ratio must lie in \[0, 1\]"),
        ({"operation": "mix", "mix_ratio": np.nan}, ValueError, "mix_ratio must lie in"),
        ({"weights": [[1.0], [-1.0]]}, ValueError, r"weights must be .*-1.0 at \[1, 0\]"),
        ({"weights": [[1.0], [np.nan]]}, ValueError, r"weights must be .*nan at \[1, 0\]"),
        ({"weights": [[1.0], [np.inf]]}, ValueError, r"weights must be .*inf at \[1, 0\]"),
        ({"weights": [1.0, 1.0]}, ValueError, "weights must have 2 dimensions"),
        ({"weights": [[1.0, 1.0]] * 2}, ValueError, "indices and weights must have one shape"),
        ({"indices": [[1], [2]]}, ValueError, "indices must lie below 2, but holds 2"),
        (
            {"indices": [1, -1], "weights": [1.0, 1.0], "indptr": [0, 1, 2]},
            ValueError,
            r"indices must lie in \[0, 2\), but holds -1",
        ),
        ({"indices": [[1.0], [0.0]]}, TypeError, "indices must hold integers"),
        ({"indices": [1, 0]}, ValueError, "indices must have 2 dimensions"),
        ({"indptr": [0, 1, 2]}, ValueError, "weights must have 1 dim"),
    ],
)
def test_bad_input(change: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments = {"indices": [[1], [0]], "weights": [[1.0], [1.0]], **change}
    with pytest.raises(error, match=message):
        ops.symmetrize(**arguments)


@pytest.mark.parametrize("indptr", [[1, 2], [0, 3, 2], [0, 1], [0, 3], [], [[0, 2]]])
def test_bad_indptr(indptr: Any) -> None:
    with pytest.raises(ValueError, match="indptr must"):
        ops.symmetrize([0, 0], [1.0, 1.0], indptr=indptr)
