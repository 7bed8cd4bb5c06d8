"""The kernels of symmetrize on the host, by their own source, against the CPU's loops: equal bits."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fastparadime import ops

OPERATIONS = [("union", 1.0), ("intersection", 0.0), ("mean", 1.0), ("mix", 0.3)]

Graph = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]


@pytest.fixture(scope="module")
def symmetrize(emulated: Callable[[str, str], ctypes.CDLL]) -> Callable[..., ops.Edges]:
    library = emulated("symmetrize", "graph/symmetrize.cu")
    pointer, number, code = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    library.symmetrize_scratch.restype = ctypes.c_size_t
    library.symmetrize_scratch.argtypes = [number, number]
    library.symmetrize_plan.restype = library.symmetrize_fill.restype = ctypes.c_char_p
    library.symmetrize_plan.argtypes = [*[pointer] * 5, number, number, code, ctypes.c_float]
    library.symmetrize_fill.argtypes = [*[pointer] * 6, number, code, ctypes.c_float]

    def call(graph: Graph, operation: str, ratio: float, longest: int | None = None) -> ops.Edges:
        starts, indices, _ = graph
        n = len(starts) - 1
        if longest is None:
            longest = int(np.diff(starts).max(initial=0))
        size = library.symmetrize_scratch(n, len(indices)) + 256
        scratch = np.full(size // 8 + 1, -1, np.int64).ctypes
        memory = -(-scratch.data // 256) * 256  # of arrays, as torch allocates it
        indptr, form = np.full(n + 1, -1, np.int64), (int(operation == "mean"), ratio)
        addresses = [part.ctypes.data for part in graph]
        failure = library.symmetrize_plan(indptr.ctypes.data, memory, *addresses, n, longest, *form)
        assert failure is None
        heads, tails = (np.full(indptr[-1], -1, np.int32) for _ in range(2))
        joined = np.full(indptr[-1], np.nan, np.float32)
        outputs = [part.ctypes.data for part in (indptr, heads, tails, joined)]
        failure = library.symmetrize_fill(*outputs, memory, addresses[0], n, *form)
        assert failure is None
        return ops.Edges(*(torch.from_numpy(part) for part in (indptr, heads, tails, joined)))

    return call


def graph_of(lengths: npt.ArrayLike, *, hub: int | None = None, zeros: bool = False) -> Graph:
    """Rows of so many distinct neighbours in any order, a hub in each of them first."""
    lengths = np.asarray(lengths)
    n = len(lengths)
    rng = np.random.default_rng([n, int(lengths.sum())])
    rows = [rng.permutation(n) for _ in range(n)]
    if hub is not None:
        rows = [np.append(hub, row[row != hub]) for row in rows]
    indices = np.concatenate([row[:k] for row, k in zip(rows, lengths, strict=True)])
    weights = rng.random(len(indices), dtype=np.float32)
    if zeros:
        weights[rng.random(len(weights)) < 0.3] = 0
    return np.append(0, np.cumsum(lengths)), indices.astype(np.int32), weights


def assert_equal(found: ops.Edges, graph: Graph, operation: str, ratio: float) -> None:
    starts, indices, weights = graph
    options = {"mix_ratio": ratio} if operation == "mix" else {}
    wanted = ops.symmetrize(indices, weights, operation, indptr=starts, **options)
    for a, b in zip(found, wanted, strict=True):
        assert torch.equal(a, b)


# Registers of a group hold 16 a lane: rows of 16, 32, 64, 128 and 256 fill 1, 2, 4, 8 and 16.
@pytest.mark.parametrize("k", [1, 15, 16, 17, 32, 33, 64, 65, 128, 129, 255, 256, 257, 300])
def test_each_length_of_rows(symmetrize: Callable[..., ops.Edges], k: int) -> None:
    graph = graph_of(np.full(max(k, 40), k))
    assert_equal(symmetrize(graph, "union", 1.0), graph, "union", 1.0)


@pytest.mark.parametrize(("operation", "ratio"), OPERATIONS)
@pytest.mark.parametrize("zeros", [False, True])
def test_ragged_rows(
    symmetrize: Callable[..., ops.Edges], operation: str, ratio: float, zeros: bool
) -> None:
    lengths = np.random.default_rng(3).integers(0, 20, 90)
    lengths[[0, 40, 41, -1]] = 0
    graph = graph_of(lengths, zeros=zeros)
    assert_equal(symmetrize(graph, operation, ratio), graph, operation, ratio)


@pytest.mark.parametrize(("operation", "ratio"), OPERATIONS)
@pytest.mark.parametrize("longest", [30, 257])
def test_hubs_are_joined_by_a_block(
    symmetrize: Callable[..., ops.Edges], operation: str, ratio: float, longest: int
) -> None:
    """Of 700 neighbours, beyond 512, in a block with short rows; and by the sort of long rows."""
    graph = graph_of(np.random.default_rng(5).integers(1, 31, 700), hub=37)
    assert_equal(symmetrize(graph, operation, ratio, longest), graph, operation, ratio)


@pytest.mark.parametrize("k", [255, 256, 257])
def test_around_what_a_group_joins(symmetrize: Callable[..., ops.Edges], k: int) -> None:
    """Rows of 510 to 514 neighbours in both directions, each point k others'."""
    n = 600
    indices = (np.arange(n)[:, None] + np.arange(1, k + 1)) % n
    weights = np.random.default_rng(k).random((n, k), dtype=np.float32)
    graph = (np.arange(n + 1) * k, indices.astype(np.int32).ravel(), weights.ravel())
    assert_equal(symmetrize(graph, "union", 1.0), graph, "union", 1.0)


def test_a_row_of_all_points(symmetrize: Callable[..., ops.Edges]) -> None:
    n = 1500
    lengths = np.zeros(n, dtype=np.int64)
    lengths[700] = n
    graph = graph_of(lengths)
    assert_equal(symmetrize(graph, "mean", 1.0), graph, "mean", 1.0)


def test_one_point_and_no_edges(symmetrize: Callable[..., ops.Edges]) -> None:
    for graph in (graph_of([1]), graph_of([0]), graph_of([0, 0, 0])):
        assert_equal(symmetrize(graph, "union", 1.0), graph, "union", 1.0)


def test_a_neighbor_that_comes_twice_is_seen(symmetrize: Callable[..., ops.Edges]) -> None:
    """Its edge stands there twice, which ops.symmetrize looks for after a device's kernels."""
    starts, indices = np.array([0, 3, 5, 5, 6]), np.array([1, 2, 1, 0, 3, 0], np.int32)
    graph = (starts, indices, np.full(6, 0.5, np.float32))
    for longest in (3, 257):
        edges = symmetrize(graph, "union", 1.0, longest)
        twice = (edges.heads.diff() == 0) & (edges.tails.diff() == 0)
        assert bool(twice.any())
        assert edges.heads.min() == 0  # no place is left unwritten
        assert bool(edges.weights.isfinite().all())
