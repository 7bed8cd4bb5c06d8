"""smooth_knn against its float64 definition, and what it promises at the borders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference

Floats = npt.NDArray[np.float32]

RULES = ("paradime", "umap")
# One block of rows has 16 lanes, one piece of work 2048 rows.
SHAPES = [(1, 1), (1, 2), (33, 2), (16, 15), (15, 16), (50, 17), (40, 100), (2100, 5)]


def random_distances(n: int, k: int, scale: float = 1.0) -> Floats:
    rng = np.random.default_rng(1000 * n + k)
    return (rng.gamma(2.0, size=(n, k)) * scale).astype(np.float32)


def assert_equals_reference(
    result: ops.SmoothKnn, distances: npt.ArrayLike, rule: str, **options: Any
) -> None:
    weights, rho, sigma = reference.smooth_knn(np.asarray(distances, np.float32), rule, **options)
    np.testing.assert_allclose(result.rho.cpu(), rho, rtol=1e-6)
    np.testing.assert_allclose(result.sigma.cpu(), sigma, rtol=1e-5)
    # x exp(-x) <= 1/e: sigma off by 2e-6 of itself moves a weight by less than 1e-6. An interpolated
    # rho is rounded to 1.2e-7 of itself, which moves x = (d - rho) / sigma by that times rho / sigma.
    interpolated = options.get("local_connectivity", 1.0) % 1 != 0
    slack = 1e-6 + (1.2e-7 * rho / sigma if interpolated else 0 * rho)[:, None]
    assert bool((np.abs(result.weights.cpu().numpy() - weights) <= slack + 1e-5 * weights).all())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("n", "k"), SHAPES)
def test_equals_reference(n: int, k: int, rule: str, device: torch.device) -> None:
    distances = random_distances(n, k)
    result = ops.smooth_knn(torch.from_numpy(distances).to(device), rule)
    assert {t.dtype for t in result} == {torch.float32}
    assert {t.device.type for t in result} == {device.type}
    assert [tuple(t.shape) for t in result] == [(n, k), (n,), (n,)]
    assert_equals_reference(result, distances, rule)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("k", [1, 2, 16, 17])
def test_any_scale(k: int, scale: float, rule: str, device: torch.device) -> None:
    distances = random_distances(40, k, scale)
    result = ops.smooth_knn(torch.from_numpy(distances).to(device), rule)
    assert_equals_reference(result, distances, rule)


@pytest.mark.parametrize("connectivity", [0.5, 1.0, 1.5, 2.0, 3.25, 20.0])
def test_local_connectivity(connectivity: float, device: torch.device) -> None:
    distances = random_distances(60, 6)
    distances[::3, :2] = 0  # fewer non-zero distances, and ties among them
    distances[::4, 3] = distances[::4, 4]
    result = ops.smooth_knn(
        torch.from_numpy(distances).to(device), "umap", local_connectivity=connectivity
    )
    assert_equals_reference(result, distances, "umap", local_connectivity=connectivity)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n_neighbors", [1, 4, 5.5, 30])
def test_n_neighbors(n_neighbors: float, rule: str, device: torch.device) -> None:
    distances = random_distances(30, 8)
    result = ops.smooth_knn(torch.from_numpy(distances).to(device), rule, n_neighbors=n_neighbors)
    assert_equals_reference(result, distances, rule, n_neighbors=n_neighbors)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("connectivity", [1.0, 2.5])
def test_rows_that_lack_neighbours(rule: str, connectivity: float, device: torch.device) -> None:
    distances = random_distances(60, 6)
    distances[np.random.default_rng(0).random(distances.shape) < 0.2] = np.inf
    distances[5], distances[6, 1:], distances[7] = np.inf, np.inf, [0, 0, 0, 0, 0, np.inf]
    options = {"local_connectivity": connectivity} if rule == "umap" else {}
    result = ops.smooth_knn(torch.from_numpy(distances).to(device), rule, **options)
    assert_equals_reference(result, distances, rule, **options)
    finite = np.isfinite(distances)
    lacking = ~finite.all(axis=1)
    assert 10 < lacking.sum() < 50
    np.testing.assert_array_equal(result.weights.cpu()[lacking], finite[lacking])
    assert bool((result.sigma.cpu()[lacking] == np.inf).all())
    whole = ops.smooth_knn(torch.from_numpy(distances[~lacking]).to(device), rule, **options)
    assert torch.equal(result.weights[torch.from_numpy(~lacking)], whole.weights)


@pytest.mark.parametrize("rule", RULES)
def test_duplicates_take_the_floor(rule: str, device: torch.device) -> None:
    distances = random_distances(50, 10)
    distances[:20, :5] = 0  # more at the smallest distance than the target, log2(10) or log2(11)
    distances[20:30, :5] = distances[20:30].min(axis=1, keepdims=True)
    result = ops.smooth_knn(torch.from_numpy(distances).to(device), rule)
    assert_equals_reference(result, distances, rule)
    means = distances.mean(axis=1, dtype=np.float64)
    counted = 1.0 if rule == "paradime" else 10 / 11
    np.testing.assert_allclose(result.sigma[20:30].cpu(), 1e-3 * counted * means[20:30], rtol=1e-5)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("value", [0.0, 1.5, 1e30])
@pytest.mark.parametrize("k", [1, 3, 20])
def test_equal_distances_weigh_one(k: int, value: float, rule: str, device: torch.device) -> None:
    result = ops.smooth_knn(torch.full((18, k), value, device=device), rule)
    assert bool((result.weights == 1).all())
    assert bool((result.rho == value).all())
    assert bool(torch.isfinite(result.sigma).all())


@pytest.mark.parametrize("n_neighbors", [8, 64])
def test_out_of_reach_target_stays_finite(n_neighbors: int, device: torch.device) -> None:
    distances = torch.tensor([[1.0, 2.0, 3.0]], device=device)
    weights, _, sigma = ops.smooth_knn(distances, n_neighbors=n_neighbors)  # a sum of at most 3
    assert bool(torch.isfinite(sigma).all())
    # The sum 3 - x / sigma comes as close to the target as float32 resolves: every strength is 1.
    np.testing.assert_allclose(weights.cpu(), 1.0, rtol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_weights_sum_to_the_target(rule: str, device: torch.device) -> None:
    weights = ops.smooth_knn(torch.from_numpy(random_distances(300, 12)).to(device), rule).weights
    target = np.log2(12 if rule == "paradime" else 13)
    np.testing.assert_allclose(weights.double().sum(1).cpu(), target, rtol=1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_order_within_a_row_is_free(rule: str, device: torch.device) -> None:
    distances = random_distances(40, 9)
    ordered = ops.smooth_knn(torch.from_numpy(np.sort(distances)).to(device), rule)
    result = ops.smooth_knn(torch.from_numpy(distances).to(device), rule)
    np.testing.assert_allclose(result.sigma.cpu(), ordered.sigma.cpu(), rtol=1e-5)
    np.testing.assert_allclose(
        np.sort(result.weights.cpu())[:, ::-1], ordered.weights.cpu(), rtol=1e-5, atol=1e-6
    )


def test_empty(device: torch.device) -> None:
    for rule in RULES:
        weights, rho, sigma = ops.smooth_knn(torch.empty((0, 3), device=device), rule)
        assert (weights.shape, rho.shape, sigma.shape) == ((0, 3), (0,), (0,))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.double(),
        lambda d: d.T.contiguous().T,
        lambda d: torch.stack((d, d), 2)[:, :, 0],
        lambda d: d.clone().requires_grad_(),
    ],
    ids=["float64", "transposed", "strided", "requires_grad"],
)
def test_any_layout(change: Callable[[torch.Tensor], torch.Tensor], device: torch.device) -> None:
    distances = torch.from_numpy(random_distances(40, 7)).to(device)
    expected = ops.smooth_knn(distances)
    result = ops.smooth_knn(change(distances))
    assert all(torch.equal(a, b) for a, b in zip(result, expected, strict=True))


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i4"])
def test_numpy_input(dtype: str) -> None:
    distances = np.round(random_distances(20, 6) * 4).astype(dtype)
    before = distances.copy()
    distances.flags.writeable = False
    assert_equals_reference(ops.smooth_knn(distances), distances, "paradime")
    np.testing.assert_array_equal(distances, before)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("shape", [(5000, 5), (4097, 17)])
def test_threads_do_not_matter(
    shape: tuple[int, int], rule: str, assert_same_bits: Callable[[Any], None]
) -> None:
    distances = torch.from_numpy(random_distances(*shape))
    before = distances.clone()
    assert_same_bits(lambda: ops.smooth_knn(distances, rule))
    assert torch.equal(distances, before)


@pytest.mark.parametrize(
    ("distances", "options", "error", "message"),
    [
        (np.ones(3), {}, ValueError, r"distances must have 2 dimensions.*\(3,\)"),
        (np.ones((2, 2, 2)), {}, ValueError, r"distances must have 2 dimensions"),
        (np.ones((3, 0)), {}, ValueError, r"distances must have at least one column.*\(3, 0\)"),
        ([[1.0, 2.0], [-1.0, 2.0]], {}, ValueError, r"distances must be .*-1.0 at \[1, 0\]"),
        ([[np.inf, np.nan]], {}, ValueError, r"distances must be numbers .*nan at \[0, 1\]"),
        ([[np.inf, -np.inf]], {}, ValueError, r"distances must be .*-inf at \[0, 1\]"),
        (np.ones((2, 2), "c8"), {}, TypeError, "distances must be real"),
        (torch.eye(3).to_sparse(), {}, TypeError, "distances must be real and dense"),
        (np.array([["a"]]), {}, TypeError, "dtype"),
        ("text", {}, TypeError, "tensor, numpy array or list"),
        (np.ones((2, 2)), {"rule": "other"}, ValueError, "rule must be one of 'paradime', 'umap'"),
        (np.ones((2, 2)), {"n_neighbors": 0}, ValueError, "n_neighbors"),
        (np.ones((2, 2)), {"n_neighbors": "15"}, TypeError, "n_neighbors"),
        (
            np.ones((2, 2)),
            {"rule": "umap", "local_connectivity": -1.0},
            ValueError,
            "local_connectivity",
        ),
    ],
)
def test_bad_input(
    distances: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ops.smooth_knn(distances, **options)
