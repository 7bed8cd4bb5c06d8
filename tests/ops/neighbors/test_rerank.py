"""rerank: true distances and order, for every metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference

DIMENSIONS = [1, 2, 15, 16, 17, 100]  # sums run over 16 lanes


def random_points(n: int, dim: int, metric: str = "euclidean") -> npt.NDArray[np.float32]:
    rng = np.random.default_rng([n, dim])
    points = rng.normal(size=(n, dim))
    if metric == "jensenshannon":
        points = rng.gamma(0.7, size=(n, dim))
        points /= points.sum(axis=1, keepdims=True)
    if metric == "hamming":
        points = np.round(points)
    if metric == "nan_euclidean":
        points[rng.random((n, dim)) < 0.1] = np.nan
    if metric == "inner_product":
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points.astype(np.float32)


def random_candidates(rows: int, count: int, n: int) -> npt.NDArray[np.int64]:
    """With empty and repeated entries, and often the row itself."""
    rng = np.random.default_rng([rows, count, n])
    candidates = rng.integers(-2, n, size=(rows, count))
    candidates[:, 0] = np.arange(rows)
    return candidates


def assert_equals_reference(
    result: tuple[torch.Tensor, torch.Tensor],
    points: npt.NDArray[np.float32],
    candidates: npt.NDArray[np.int64],
    *options: Any,
    **more: Any,
) -> None:
    indices, distances = (part.cpu().numpy() for part in result)
    expected = reference.rerank(points, candidates, *options, **more)
    np.testing.assert_array_equal(indices, expected[0])
    if options[1] == "jensenshannon":  # the root of a sum whose terms, up to 1 in all, cancel
        there = np.isfinite(expected[1])
        np.testing.assert_array_equal(np.isfinite(distances), there)
        roots = (distances[there], expected[1][there])
        np.testing.assert_allclose(roots[0] ** 2, roots[1] ** 2, rtol=1e-5, atol=3e-7)
        return
    # 1 - <x, y> of unit rows is a difference of numbers up to 1, each rounded at 6e-8.
    least = 3e-7 if options[1] == "inner_product" else 0.0
    np.testing.assert_allclose(distances, expected[1], rtol=1e-5, atol=least)


# One coordinate leaves ties under these, which float64 breaks by its own rounding.
TIED = ("inner_product", "jensenshannon", "canberra", "braycurtis")
CASES = [(d, m) for d in DIMENSIONS for m in ops.METRICS if d > 1 or m not in TIED]


@pytest.mark.parametrize(("dim", "metric"), CASES)
def test_equals_reference(dim: int, metric: str, device: torch.device) -> None:
    points, candidates = random_points(60, dim, metric), random_candidates(60, 25, 60)
    on_device = (torch.from_numpy(part).to(device) for part in (points, candidates))
    result = ops.rerank(*on_device, 12, metric)
    assert [part.dtype for part in result] == [torch.int32, torch.float32]
    assert [part.device.type for part in result] == [device.type] * 2
    assert_equals_reference(result, points, candidates, 12, metric)


@pytest.mark.parametrize("k", [1, 2, 15, 16, 17, 100])
def test_any_k(k: int, device: torch.device) -> None:
    points, candidates = random_points(200, 5), random_candidates(200, 90, 200)
    on_device = (torch.from_numpy(part).to(device) for part in (points, candidates))
    result = ops.rerank(*on_device, k)
    assert result[0].shape == result[1].shape == (200, k)
    assert_equals_reference(result, points, candidates, k, "euclidean")


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 3.5, 10.0])
def test_minkowski(p: float, device: torch.device) -> None:
    points, candidates = random_points(40, 7), random_candidates(40, 20, 40)
    on_device = (torch.from_numpy(part).to(device) for part in (points, candidates))
    result = ops.rerank(*on_device, 10, "minkowski", p=p)
    assert_equals_reference(result, points, candidates, 10, "minkowski", p)


@pytest.mark.parametrize("first_row", [0, 1, 17, 40])
def test_first_row(first_row: int, device: torch.device) -> None:
    points, candidates = random_points(50, 6), random_candidates(10, 30, 50)
    candidates[:, 1] = first_row + np.arange(10)
    on_device = (torch.from_numpy(part).to(device) for part in (points, candidates))
    result = ops.rerank(*on_device, 20, first_row=first_row)
    assert not bool((result[0].cpu() == first_row + torch.arange(10)[:, None]).any())
    assert_equals_reference(result, points, candidates, 20, "euclidean", first_row=first_row)


def test_scattered_points(device: torch.device) -> None:
    points, candidates = random_points(50, 6), random_candidates(4, 30, 50)
    of = np.array([41, 3, 3, 17])
    candidates[:, 1] = of
    on_device = [torch.from_numpy(part).to(device) for part in (points, candidates, of)]
    indices, distances = ops.rerank(*on_device[:2], 20, points=on_device[2])
    for i, point in enumerate(of):
        row = (indices[i : i + 1], distances[i : i + 1])
        assert_equals_reference(
            row, points, candidates[i : i + 1], 20, "euclidean", first_row=int(point)
        )


def test_self_repeated_and_empty_entries_are_dropped(device: torch.device) -> None:
    points = torch.tensor([[0.0], [3.0], [1.0], [7.0]], device=device)
    candidates = torch.tensor([[3, 0, 3, -1, 2, 2], [-5, -1, 1, 1, -1, -1]], device=device)
    indices, distances = ops.rerank(points, candidates, 4)
    assert indices.tolist() == [[2, 3, -1, -1], [-1, -1, -1, -1]]
    assert distances.tolist() == [[1.0, 7.0, np.inf, np.inf], [np.inf] * 4]


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "manhattan", "chebyshev"])
def test_ties_go_to_the_smaller_index(metric: str, device: torch.device) -> None:
    rng = np.random.default_rng(1)
    points = rng.integers(3, size=(80, 2)).astype(np.float32)  # few distances, exact in float32
    candidates = rng.permuted(np.tile(np.arange(80), (80, 1)), axis=1)
    on_device = (torch.from_numpy(part).to(device) for part in (points, candidates))
    result = ops.rerank(*on_device, 79, metric)
    assert_equals_reference(result, points, candidates, 79, metric)


@pytest.mark.parametrize("metric", ops.METRICS)
def test_duplicates_are_neighbours_at_no_distance(metric: str, device: torch.device) -> None:
    points = torch.from_numpy(random_points(1, 20, metric)).repeat(6, 1).to(device)
    candidates = torch.arange(6, device=device).repeat(6, 1)
    indices, distances = ops.rerank(points, candidates, 5, metric)
    for row in range(6):
        assert indices[row].tolist() == [other for other in range(6) if other != row]
    np.testing.assert_allclose(distances.cpu(), 0.0, atol=3e-7 * (metric == "inner_product"))


@pytest.mark.parametrize("metric", ["canberra", "braycurtis", "jensenshannon", "minkowski"])
def test_zero_rows_stay_finite(metric: str, device: torch.device) -> None:
    points = torch.zeros((3, 5), device=device)
    points[2, 1] = 1
    distances = ops.rerank(points, torch.tensor([[1, 2]], device=device), 2, metric)[1]
    assert bool(torch.isfinite(distances).all())
    assert float(distances[0, 0]) == 0


@pytest.mark.parametrize("metric", ["manhattan", "chebyshev", "canberra", "braycurtis"])
def test_huge_values(metric: str, device: torch.device) -> None:
    points, candidates = 1e30 * random_points(20, 9), random_candidates(20, 15, 20)
    on_device = (torch.from_numpy(part).to(device) for part in (points, candidates))
    assert_equals_reference(ops.rerank(*on_device, 8, metric), points, candidates, 8, metric)


@pytest.mark.parametrize(("rows", "count", "k"), [(0, 4, 2), (3, 0, 2), (3, 4, 1)])
def test_empty_and_small(rows: int, count: int, k: int, device: torch.device) -> None:
    candidates = torch.full((rows, count), -1, device=device)
    indices, distances = ops.rerank(torch.ones((5, 2), device=device), candidates, k)
    assert indices.tolist() == [[-1] * k] * rows
    assert distances.tolist() == [[np.inf] * k] * rows


def test_layouts_and_unchanged_inputs(device: torch.device) -> None:
    points, candidates = (
        torch.from_numpy(part).to(device)
        for part in (random_points(30, 6), random_candidates(30, 9, 30))
    )
    before = (points.clone(), candidates.clone())
    expected = ops.rerank(points, candidates, 5)
    for given in (
        (points.double(), candidates.int()),
        (points.T.contiguous().T, candidates.T.contiguous().T),
    ):
        result = ops.rerank(*given, 5)
        assert all(torch.equal(a, b) for a, b in zip(result, expected, strict=True))
    assert torch.equal(points, before[0])
    assert torch.equal(candidates, before[1])


# A piece of work is 64 rows.
@pytest.mark.parametrize("metric", ["euclidean", "minkowski"])
def test_threads_do_not_matter(metric: str, assert_same_bits: Callable[[Any], None]) -> None:
    points = torch.from_numpy(random_points(500, 33))
    candidates = torch.from_numpy(random_candidates(500, 40, 500))
    assert_same_bits(lambda: ops.rerank(points, candidates, 15, metric))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"metric": "jaccard"}, ValueError, "metric must be one of 'euclidean'"),
        ({"X": torch.ones(3)}, ValueError, r"X must have 2 dimensions, not shape \(3,\)"),
        ({"X": torch.ones((3, 2), dtype=torch.complex64)}, TypeError, "X must be real"),
        ({"candidates": torch.tensor([[3]])}, ValueError, "candidates must lie below 3.*holds 3"),
        ({"candidates": torch.tensor([[2**32]])}, ValueError, "candidates must lie below 3"),
        ({"candidates": torch.tensor([[1.5]])}, TypeError, "candidates must hold integers"),
        ({"candidates": torch.tensor([1])}, ValueError, "candidates must have 2 dim"),
        ({"first_row": 3}, ValueError, r"candidates must belong to rows of X, not to 3 \+ 1 rows"),
        ({"first_row": -1}, ValueError, "first_row must be an integer >= 0"),
        ({"points": [3]}, ValueError, r"points must lie in \[0, 3\), but holds 3"),
        ({"points": [0, 1]}, ValueError, "points must name the 1 rows of candidates, not 2"),
        ({"k": 0}, ValueError, "k must be an integer"),
        ({"k": -1}, ValueError, "k must be an integer"),
        ({"k": 1.5}, ValueError, "k must be an integer"),
        ({"metric": "minkowski", "p": 0.0}, ValueError, "p must be"),
        ({"metric": "minkowski", "p": np.nan}, ValueError, "p must be"),
    ],
)
def test_bad_input(change: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments = {"X": torch.ones((3, 2)), "candidates": torch.tensor([[1]]), "k": 1, **change}
    with pytest.raises(error, match=message):
        ops.rerank(**arguments)


def test_devices_must_agree() -> None:
    X, candidates = torch.ones((3, 2), device="meta"), torch.tensor([[1]])
    with pytest.raises(ValueError, match="one device, not X on meta, candidates on cpu"):
        ops.rerank(X, candidates, 1)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_queries_beside_the_table(metric: str, device: torch.device) -> None:
    points, candidates = random_points(60, 9, metric), random_candidates(20, 25, 40)
    table, queries, found = (
        torch.from_numpy(part).to(device) for part in (points[:40], points[40:], candidates)
    )
    beside = ops.rerank(table, found, 5, metric, queries=queries)
    below = ops.rerank(torch.cat([table, queries]), found, 5, metric, first_row=40)
    for part, same in zip(beside, below, strict=True):
        assert torch.equal(part, same)
    with pytest.raises(ValueError, match=r"queries must have shape \(20, 9\), not \(19, 9\)"):
        ops.rerank(table, found, 5, metric, queries=queries[1:])
