"""sgd_layout: steps against the reference, the schedule, equal bits, anchors and borders."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference
from fastparadime.ops.layout import _many_points

A, B = 1.577, 0.8951  # min_dist 0.1, spread 1


def random_graph(n: int, k: int, seed: int = 0, device: Any = "cpu") -> ops.Edges:
    rng = np.random.default_rng([n, k, seed])
    indices = np.stack([rng.choice(n - 1, k, replace=False) for _ in range(n)])
    indices += indices >= np.arange(n)[:, None]
    weights = rng.random((n, k)).astype(np.float32)
    arrays = (torch.from_numpy(part).to(device) for part in (indices, weights))
    return ops.symmetrize(*arrays)


def random_positions(n: int, dim: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng([n, dim, seed]).normal(size=(n, dim), scale=3).astype(np.float32)


def expected(
    positions: npt.NDArray[np.float32], edges: ops.Edges, *args: Any, **options: Any
) -> npt.NDArray[np.float64]:
    indptr, _, tails, weights = (part.cpu().numpy() for part in edges)
    doubles = positions.astype(np.float64), indptr, tails, weights.astype(np.float64)
    return reference.sgd_layout(*doubles, *args, **options)


@pytest.mark.parametrize(("a", "b"), [(A, B), (1.0, 1.0), (0.5, 0.4), (5.0, 1.5)])
@pytest.mark.parametrize(
    ("n", "k", "dim"), [(3, 1, 2), (40, 4, 2), (600, 3, 2), (40, 4, 1), (50, 5, 7)]
)
def test_equals_reference(
    n: int, k: int, dim: int, a: float, b: float, device: torch.device
) -> None:
    edges, start = random_graph(n, k, device=device), random_positions(n, dim)
    options = {"seed": 7, "learning_rate": 0.1}  # larger steps multiply the rounding of float32
    places = torch.from_numpy(start).to(device)
    result = ops.sgd_layout(places, edges, a, b, 3, steps_per_epoch=2, **options)
    assert result.dtype == torch.float32
    assert result.device.type == device.type
    truth = expected(start, edges, a, b, 3, 2, **options)
    assert float(np.abs(truth - start).max()) > 0.01
    # Sums of some twenty terms of at most 4, each rounded at 1e-6 of its size, and once more
    # where products and sums are not fused: by SSE2, and in builds for a sanitizer (tests/sanitized.py).
    fused = ops.build_info()["simd_level"] != "sse2" and "san" not in os.environ.get(
        "LD_PRELOAD", ""
    )
    atol = 2e-5 if fused else 4e-5
    np.testing.assert_allclose(result.cpu().double(), truth, rtol=0, atol=atol)


@pytest.mark.parametrize(
    "options",
    [
        {"negative_sample_rate": 0},
        {"negative_sample_rate": 9},
        {"repulsion_strength": 0.0},
        {"repulsion_strength": 2.5, "learning_rate": 0.01},
    ],
)
def test_options(options: dict[str, Any], device: torch.device) -> None:
    options = {"learning_rate": 0.1, **options}
    edges, start = random_graph(60, 4, device=device), random_positions(60, 2)
    result = ops.sgd_layout(
        torch.from_numpy(start).to(device), edges, A, B, 2, steps_per_epoch=3, **options
    )
    options["negatives"] = options.pop("negative_sample_rate", 5)
    truth = expected(start, edges, A, B, 2, 3, **options)
    np.testing.assert_allclose(result.cpu().double(), truth, rtol=0, atol=2e-5)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> reference.Windows:
    """Has small layouts draw negatives and read shares as those of many points do."""
    windows = reference.Windows(size=16, heads_log2=3)
    monkeypatch.setattr(_many_points, "_MANY_POINTS", 20)
    monkeypatch.setattr(_many_points, "_WINDOW", windows.size)
    monkeypatch.setattr(_many_points, "_WINDOW_HEADS_LOG2", windows.heads_log2)
    return windows


@pytest.mark.parametrize(("n", "dim", "negatives"), [(600, 2, 5), (70, 3, 12)])
def test_negatives_from_windows(
    n: int, dim: int, negatives: int, windows: reference.Windows, device: torch.device
) -> None:
    edges, start = random_graph(n, 4, device=device), random_positions(n, dim)
    options = {"seed": 7 << 32 | 9, "learning_rate": 0.1}
    places = torch.from_numpy(start).to(device)
    result = ops.sgd_layout(
        places, edges, A, B, 3, steps_per_epoch=2, negative_sample_rate=negatives, **options
    )
    options |= {"negatives": negatives, "narrow_shares": True}
    truth = expected(start, edges, A, B, 3, 2, windows=windows, **options)
    np.testing.assert_allclose(result.cpu().double(), truth, rtol=0, atol=4e-5)
    other = expected(start, edges, A, B, 3, 2, **options)
    assert float(np.abs(truth - other).max()) > 0.01


def test_windows_are_uniform() -> None:
    windows, n = reference.Windows(size=8192, heads_log2=15), 1_000_003
    keys = [(seed, epoch, part, head) for seed in (0, 2**33) for epoch in range(20)
            for part in range(10) for head in (0, 2**15, 10**6)]  # fmt: skip
    starts = np.array([windows.start(*key, i, n) for key in keys for i in range(5)])
    assert len(np.unique(starts)) > 0.995 * len(starts)
    counts, _ = np.histogram(starts, 20, (0, n))
    wanted = len(starts) / 20
    assert ((counts - wanted) ** 2 / wanted).sum() < 45  # of 19 degrees of freedom: p 0.0007


@pytest.mark.parametrize("steps", [1, 3, 4])
def test_a_sample_moves_both_ends_alike(steps: int, device: torch.device) -> None:
    # Without negatives every move has its opposite in the same step, so the mean stays.
    edges, start = random_graph(300, 5, device=device), random_positions(300, 2)
    places = torch.from_numpy(start).to(device)
    options = {"negative_sample_rate": 0, "learning_rate": 0.02}
    result = ops.sgd_layout(places, edges, A, B, 3, steps_per_epoch=steps, **options)
    assert float((result - places).abs().max()) > 0.1
    np.testing.assert_allclose(result.mean(dim=0).cpu(), start.mean(axis=0), rtol=0, atol=1e-5)


def test_anchors_stay_and_attract_once(device: torch.device) -> None:
    rng = np.random.default_rng(3)
    anchors, start = random_positions(30, 2, seed=1), random_positions(8, 2)
    tails = rng.integers(0, 30, 8 * 3).astype(np.int32)
    weights = rng.random(8 * 3).astype(np.float32)
    indptr = np.arange(0, 8 * 3 + 1, 3)
    heads = np.repeat(np.arange(8, dtype=np.int32), 3)
    edges = ops.Edges(
        *(torch.from_numpy(part).to(device) for part in (indptr, heads, tails, weights))
    )
    fixed = torch.from_numpy(anchors).to(device)
    before = fixed.clone()
    result = ops.sgd_layout(
        torch.from_numpy(start).to(device),
        edges,
        A,
        B,
        5,
        anchors=fixed,
        steps_per_epoch=1,
        learning_rate=0.1,
    )
    truth = expected(start, edges, A, B, 5, 1, anchors=anchors, learning_rate=0.1)
    np.testing.assert_allclose(result.cpu().double(), truth, rtol=0, atol=2e-5)
    assert torch.equal(fixed, before)


def test_streams_make_a_point_independent_of_its_place() -> None:
    anchors, start = random_positions(30, 2, seed=1), random_positions(20, 2)
    rng = np.random.default_rng(5)
    tails = rng.integers(0, 30, (20, 4)).astype(np.int32)
    weights, streams = rng.random((20, 4)).astype(np.float32), rng.integers(0, 2**31 - 1, 20)

    def run(rows: npt.NDArray[np.int64]) -> torch.Tensor:
        edges = ops.Edges(
            torch.arange(len(rows) + 1) * 4,
            torch.arange(len(rows), dtype=torch.int32).repeat_interleave(4),
            torch.from_numpy(tails[rows].ravel()),
            torch.from_numpy(weights[rows].ravel()),
        )
        options = {"streams": streams[rows], "anchors": anchors, "largest_weight": 1.0}
        return ops.sgd_layout(start[rows], edges, A, B, 30, steps_per_epoch=2, **options)

    whole = run(np.arange(20))
    order = rng.permutation(20)
    assert torch.equal(run(order), whole[torch.from_numpy(order)])
    assert torch.equal(run(np.array([13])), whole[13:14])


@pytest.mark.parametrize(("weight", "samples"), [(1.0, 100), (0.5, 50), (0.301, 30), (0.009, 0)])
def test_samples_are_in_proportion_to_weights(
    weight: float, samples: int, device: torch.device
) -> None:
    # One point and an anchor: at a = 1, b = 1 a sample of the edge moves it by 2 d / (1 + d^2),
    # 1e-6 at d = 1 and this step size.
    indptr, tails = torch.tensor([0, 1]), torch.zeros(1, dtype=torch.int32)
    edges = ops.Edges(indptr, tails, tails, torch.tensor([weight]))
    start, anchor = np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32)
    arrays = ops.Edges(*(part.to(device) for part in edges))
    places = [torch.from_numpy(part).to(device) for part in (start, anchor)]
    result = ops.sgd_layout(
        places[0], arrays, 1.0, 1.0, 100,
        anchors=places[1], negative_sample_rate=0, learning_rate=1e-6, largest_weight=1.0,
    )  # fmt: skip
    epochs = np.arange(100)
    due = np.floor((epochs + 1) * weight) > np.floor(epochs * weight)
    assert due.sum() == samples
    np.testing.assert_allclose(float(result), 1e-6 * (1 - epochs / 100)[due].sum(), rtol=1e-3)


def test_same_bits_for_any_number_of_threads(
    assert_same_bits: Callable[[Callable[[], Any]], None],
) -> None:
    for n, dim in ((1700, 2), (1100, 3)):
        edges, start = random_graph(n, 6), random_positions(n, dim)
        assert_same_bits(lambda e=edges, s=start: ops.sgd_layout(s, e, A, B, 15, seed=3))


def test_seeds_differ() -> None:
    edges, start = random_graph(100, 5), random_positions(100, 2)
    first, second = (ops.sgd_layout(start, edges, A, B, 4, seed=seed) for seed in (1, 2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_coinciding_points_stay_finite(dim: int, device: torch.device) -> None:
    edges = random_graph(50, 5, device=device)
    start = torch.ones((50, dim), device=device)
    result = ops.sgd_layout(start, edges, A, B, 20)
    assert torch.equal(result, start)  # no direction is better than another


@pytest.mark.parametrize("scale", [1e-20, 1e15])
@pytest.mark.parametrize("b", [0.2, 1.0, 3.0])
def test_extreme_scales_stay_finite(scale: float, b: float, device: torch.device) -> None:
    edges = random_graph(50, 5, device=device)
    start = torch.from_numpy(random_positions(50, 2)).to(device) * scale
    assert bool(torch.isfinite(ops.sgd_layout(start, edges, A, b, 20)).all())


def test_a_hub_takes_bounded_steps(device: torch.device) -> None:
    n = 400
    indices = torch.zeros((n, 1), dtype=torch.int32)
    indices[0] = 1
    edges = ops.symmetrize(indices.to(device), torch.ones((n, 1), device=device))
    start = torch.from_numpy(random_positions(n, 2)).to(device)
    steps = 3
    result = ops.sgd_layout(start, edges, A, B, 1, steps_per_epoch=steps)
    assert float((result - start).abs().max()) <= 8 * steps * (1 + 1e-6)


def test_nothing_to_do(device: torch.device) -> None:
    start = torch.from_numpy(random_positions(5, 2)).to(device)
    empty = ops.Edges(
        torch.zeros(6, dtype=torch.int64, device=device),
        *(torch.empty(0, dtype=torch.int32, device=device) for _ in range(2)),
        torch.empty(0, device=device),
    )
    assert torch.equal(ops.sgd_layout(start, empty, A, B, 10), start)
    edges = random_graph(5, 2, device=device)
    assert torch.equal(ops.sgd_layout(start, edges, A, B, 0), start)
    none = ops.Edges(empty.indptr[:1], *empty[1:])
    assert ops.sgd_layout(start[:0], none, A, B, 10).shape == (0, 2)
    one = ops.Edges(empty.indptr[:2], *empty[1:])
    assert torch.equal(ops.sgd_layout(start[:1], one, A, B, 10), start[:1])


def test_input_is_left_alone_and_progress_is_reported() -> None:
    edges, start = random_graph(30, 3), random_positions(30, 2)
    before, seen = start.copy(), []
    ops.sgd_layout(start, edges, A, B, 25, progress=seen.append)
    np.testing.assert_array_equal(start, before)
    assert seen == [10, 20, 25]


def test_odd_numbers_of_steps_across_calls() -> None:
    # Epochs are handed over ten at a time, and the buffers change roles in every step.
    edges, start = random_graph(40, 3), random_positions(40, 2)
    options = {"steps_per_epoch": 1, "learning_rate": 0.01}
    result = ops.sgd_layout(start, edges, A, B, 13, **options)
    truth = expected(start, edges, A, B, 13, 1, learning_rate=0.01)
    np.testing.assert_allclose(result.double(), truth, rtol=0, atol=1e-5)


GRAPH = random_graph(6, 2)
START = random_positions(6, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": START[:5]}, "edges.indptr must have an entry more than positions, 6"),
        ({"positions": START[:, 0]}, "positions must have 2 dimensions"),
        ({"positions": START[:, :0]}, "positions must have at least 1 column"),
        (
            {"positions": np.where(np.eye(6, 2) > 0, np.nan, START)},
            "positions must be finite, but row 0",
        ),
        ({"edges": GRAPH._replace(tails=GRAPH.tails + 1)}, r"edges.tails must lie in \[0, 6\)"),
        ({"edges": GRAPH._replace(tails=GRAPH.tails[1:])}, "edges.tails and edges.weights"),
        ({"edges": GRAPH._replace(weights=-GRAPH.weights)}, "edges.weights must be finite and not"),
        ({"edges": GRAPH._replace(indptr=GRAPH.indptr.flip(0))}, "edges.indptr must ascend from 0"),
        ({"anchors": START[:, :1]}, "anchors must have 2 columns as positions, not 1"),
        ({"streams": [1, 2]}, "streams must have one entry a point, 6, not 2"),
        ({"a": 0.0}, "a must be a finite number > 0"),
        ({"b": -1.0}, "b must be a finite number > 0"),
        ({"n_epochs": -1}, "n_epochs must be an integer"),
        ({"learning_rate": -1.0}, "learning_rate must be a finite number >= 0"),
        ({"repulsion_strength": np.inf}, "repulsion_strength must be a finite number >= 0"),
        ({"negative_sample_rate": -1}, "negative_sample_rate must be an integer"),
        ({"negative_sample_rate": 2.5}, "negative_sample_rate must be an integer"),
        ({"steps_per_epoch": 0}, "steps_per_epoch must be an integer"),
        ({"largest_weight": 0.0}, "largest_weight must be a finite number > 0"),
        ({"seed": -1}, "seed must be an integer"),
    ],
)
def test_bad_input(change: dict[str, Any], message: str) -> None:
    arguments = {"positions": START, "edges": GRAPH, "a": A, "b": B, "n_epochs": 2, **change}
    with pytest.raises(ValueError, match=message):
        ops.sgd_layout(**arguments)


def test_stops_see_and_change_the_positions() -> None:
    edges, start = random_graph(40, 4), random_positions(40, 2)
    seen: dict[int, torch.Tensor] = {}
    final = ops.sgd_layout(
        start, edges, A, B, 23, stops=[5, 16, 23], at_stop=lambda e, x: seen.update({e: x.clone()})
    )
    assert torch.equal(final, ops.sgd_layout(start, edges, A, B, 23))
    assert list(seen) == [5, 16, 23]
    assert torch.equal(seen[23], final)
    assert not torch.equal(seen[5], seen[16])
    changed = ops.sgd_layout(
        start, edges, A, B, 23, stops=[23], at_stop=lambda _, x: x.mul_(2), steps_per_epoch=1
    )
    assert torch.equal(changed, 2 * ops.sgd_layout(start, edges, A, B, 23, steps_per_epoch=1))
    with pytest.raises(ValueError, match=r"stops must be an integer in \[1, 23\], not 24"):
        ops.sgd_layout(start, edges, A, B, 23, stops=[24])
