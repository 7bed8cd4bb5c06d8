"""Layouts by another metric: gradients, steps against the reference, functions, row weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference
from fastparadime.ops.reference.output_metrics import OUTPUT_METRICS, mahalanobis, minkowski
from tests.ops.layout.test_sgd_layout import A, B, random_graph, random_positions

Floats = npt.NDArray[np.float64]
MATRIX = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, -0.2], [0.1, -0.2, 0.5]])
WEIGHTS = np.array([0.5, 2.0, 1.0])
# Name, its options, the reference and the columns of positions.
CASES: list[tuple[str, dict[str, Any], Any, int]] = [
    *((name, {}, metric, ops.LAYOUT_METRICS[name] or 3) for name, metric in OUTPUT_METRICS.items()),
    ("minkowski", {"p": 3.0, "parameters": WEIGHTS}, minkowski(3.0, WEIGHTS), 3),
    ("minkowski", {"p": 1.0}, minkowski(1.0, np.ones(3)), 3),
    ("minkowski", {}, minkowski(2.0, np.ones(2)), 2),
    ("mahalanobis", {"parameters": MATRIX}, mahalanobis(MATRIX), 3),
]


def starts(name: str, n: int, dim: int) -> npt.NDArray[np.float32]:
    positions = random_positions(n, dim)
    if name == "sphere":
        positions /= np.linalg.norm(positions, axis=1, keepdims=True)
    return positions


@pytest.mark.parametrize(("name", "metric", "dim"), [(case[0], *case[2:]) for case in CASES])
def test_gradients_are_slopes_of_distances(name: str, metric: Any, dim: int) -> None:
    x, y = starts(name, 2, dim).astype(np.float64)
    distance, gradient = metric(x, y)
    for c in range(dim):
        step = np.zeros(dim)
        step[c] = 1e-6
        if name == "sphere":  # along the sphere alone
            step -= (step @ x) * x
        slope = (metric(x + step, y)[0] - metric(x - step, y)[0]) / 2e-6
        assert slope == pytest.approx(gradient[c], abs=1e-6)
    assert metric(y, x)[0] == pytest.approx(distance)


@pytest.mark.parametrize(("name", "options", "metric", "dim"), CASES)
def test_equals_reference(name: str, options: dict[str, Any], metric: Any, dim: int) -> None:
    edges, start = random_graph(60, 4), starts(name, 60, dim)
    layout = ops.LayoutMetric(name, **options)
    settings: dict[str, Any] = {"steps_per_epoch": 2, "seed": 7, "learning_rate": 0.01}
    found = ops.sgd_layout(start, edges, A, B, 3, metric=layout, **settings)
    graph = (edges.indptr.numpy(), edges.tails.numpy(), edges.weights.double().numpy())
    settings["steps_per_epoch"] = 2
    truth = reference.sgd_layout(
        start.astype(np.float64), *graph, A, B, 3, metric=metric, on_sphere=name == "sphere",
        **settings,
    )  # fmt: skip
    assert float(np.abs(truth - start).max()) > 0.005
    # A term is cut at 4, and float32 keeps positions to 4e-7.
    np.testing.assert_allclose(found.double().numpy(), truth, rtol=0, atol=2e-5)
    again = ops.sgd_layout(
        start, edges, A, B, 3, metric=ops.LayoutMetric(lambda x, y: metric(x, y)), **settings
    )
    if name != "sphere":  # a function does not say where positions stay
        np.testing.assert_allclose(again.double().numpy(), truth, rtol=0, atol=2e-5)


def test_euclidean_moves_are_those_of_the_layout() -> None:
    edges, start = random_graph(700, 5), random_positions(700, 2)
    plain = ops.sgd_layout(start, edges, A, B, 2, learning_rate=0.1)
    by_metric = ops.sgd_layout(
        start, edges, A, B, 2, learning_rate=0.1, metric=ops.LayoutMetric("minkowski")
    )
    assert float((plain - torch.from_numpy(start)).abs().max()) > 0.1
    # The layout's powers are coarse: 1e-3 of a term.
    np.testing.assert_allclose(by_metric, plain, rtol=0, atol=2e-3)


def test_any_number_of_threads_gives_the_same_bits(set_threads: Any) -> None:
    edges, start = random_graph(1500, 5), starts("sphere", 1500, 3)
    found = []
    for threads in (1, 2, 5):
        set_threads(threads)
        found.append(ops.sgd_layout(start, edges, A, B, 3, metric=ops.LayoutMetric("sphere")))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    np.testing.assert_allclose(found[0].norm(dim=1), 1, rtol=0, atol=1e-6)


def test_what_a_function_raises_is_raised_once() -> None:
    calls = []

    def metric(x: Floats, y: Floats) -> tuple[float, Floats]:
        calls.append((x, y))
        raise ArithmeticError("no distance")

    edges, start = random_graph(30, 3), random_positions(30, 2)
    with pytest.raises(ArithmeticError, match="no distance"):
        ops.sgd_layout(start, edges, A, B, 5, metric=ops.LayoutMetric(metric))
    assert len(calls) == 1


def test_a_function_may_write_to_its_rows() -> None:
    def metric(x: Floats, y: Floats) -> tuple[float, Floats]:
        distance, gradient = minkowski(2.0, np.ones(2))(x, y)
        x[:], y[:] = np.nan, np.nan
        return distance, gradient

    edges, start = random_graph(30, 3), random_positions(30, 2)
    found = ops.sgd_layout(start, edges, A, B, 2, metric=ops.LayoutMetric(metric))
    wanted = ops.sgd_layout(start, edges, A, B, 2, metric=ops.LayoutMetric("minkowski"))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "precomputed"}, "metric must be one of"),
        ({"metric": "minkowski", "p": 0.5}, "p must be at least 1, not 0.5"),
        ({"metric": "mahalanobis", "parameters": np.full((2, 2), np.nan)}, "must be finite"),
    ],
)
def test_bad_metrics(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.LayoutMetric(**arguments)


def test_bad_positions_and_combinations() -> None:
    edges, start = random_graph(30, 3), random_positions(30, 2)
    with pytest.raises(ValueError, match="positions must have 3 columns by 'sphere', not 2"):
        ops.sgd_layout(start, edges, A, B, 2, metric=ops.LayoutMetric("sphere"))
    wide = ops.LayoutMetric("minkowski", parameters=np.ones(3))
    with pytest.raises(ValueError, match=r"must have shape \(2,\), not \(3,\)"):
        ops.sgd_layout(start, edges, A, B, 2, metric=wide)
    term = ops.DensityTerm(edges, np.arange(30.0), A, B)
    with pytest.raises(ValueError, match="metric must be None"):
        ops.sgd_layout(
            start, edges, A, B, 2, density=term, density_epochs=1, metric=ops.LayoutMetric("cosine")
        )


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("metric", [None, "minkowski"])
def test_row_weights_equal_reference(dim: int, metric: str | None) -> None:
    edges, start = random_graph(60, 4), random_positions(60, dim)
    weights = np.random.default_rng(1).random(60)
    weights[:5] = 0
    graph = (edges.indptr.numpy(), edges.tails.numpy(), edges.weights.double().numpy())
    settings: dict[str, Any] = {"steps_per_epoch": 2, "seed": 3, "learning_rate": 0.05}
    truth = reference.sgd_layout(
        start.astype(np.float64), *graph, A, B, 3, row_weights=weights / weights.mean(), **settings
    )
    found = ops.sgd_layout(
        start, edges, A, B, 3, row_weights=weights, **settings,
        metric=None if metric is None else ops.LayoutMetric(metric),
    )  # fmt: skip
    np.testing.assert_allclose(found.double(), truth, rtol=0, atol=5e-5)


def test_equal_row_weights_change_no_bit() -> None:
    edges, start = random_graph(700, 4), random_positions(700, 2)
    plain = ops.sgd_layout(start, edges, A, B, 3)
    assert torch.equal(ops.sgd_layout(start, edges, A, B, 3, row_weights=np.full(700, 3.0)), plain)


def repeated(edges: ops.Edges, counts: npt.NDArray[np.int64]) -> tuple[ops.Edges, Any]:
    """The graph where each row is there so many times, and which row each is of."""
    import scipy.sparse

    n = len(counts)
    graph = scipy.sparse.csr_matrix(
        (edges.weights.numpy(), edges.tails.numpy(), edges.indptr.numpy()), shape=(n, n)
    )
    of = np.repeat(np.arange(n), counts)
    many = graph[of][:, of].tocsr()
    many.sort_indices()
    heads = np.repeat(np.arange(len(of)), np.diff(many.indptr))
    parts = (many.indptr.astype(np.int64), heads.astype(np.int32), many.indices, many.data)
    return ops.Edges(*(torch.from_numpy(part) for part in parts)), of


def test_a_weight_of_two_attracts_as_the_row_twice() -> None:
    edges, start = random_graph(50, 4), random_positions(50, 2)
    counts = np.random.default_rng(4).integers(1, 4, 50)
    many, of = repeated(edges, counts)
    settings: dict[str, Any] = {"negative_sample_rate": 0, "steps_per_epoch": 1}
    weighted = ops.sgd_layout(
        start, edges, A, B, 1, row_weights=counts, learning_rate=1e-3 * counts.mean(), **settings
    )
    whole = ops.sgd_layout(start[of], many, A, B, 1, learning_rate=1e-3, **settings)
    np.testing.assert_allclose(whole, weighted[of], rtol=0, atol=1e-6)
    assert float((weighted - torch.from_numpy(start)).abs().max()) > 1e-3


def test_a_weight_of_two_repels_as_the_row_twice_on_average() -> None:
    edges, start = random_graph(20, 3), random_positions(20, 2)
    counts = np.random.default_rng(4).integers(1, 4, 20)
    many, of = repeated(edges, counts)
    settings: dict[str, Any] = {"steps_per_epoch": 1, "repulsion_strength": 0.3}
    rate = 1e-3 * counts.mean()
    moves = np.stack([
        ops.sgd_layout(
            start, edges, A, B, 1, row_weights=counts, learning_rate=rate, seed=seed, **settings
        ).double().numpy() - start
        for seed in range(1000)
    ])  # fmt: skip
    wanted = np.stack([
        ops.sgd_layout(start[of], many, A, B, 1, learning_rate=1e-3, seed=seed, **settings)
        .double().numpy() - start[of]
        for seed in range(1000)
    ])  # fmt: skip
    firsts = np.searchsorted(of, np.arange(20))
    error = np.hypot(moves.std(axis=0), wanted[:, firsts].std(axis=0)) / np.sqrt(1000)
    difference = moves.mean(axis=0) - wanted[:, firsts].mean(axis=0)
    assert float((np.abs(difference) / (error + 1e-7)).max()) < 4.5


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(29), "an entry a row, 30, not 29"),
        (np.zeros(30), "must not all be zero"),
        (np.full(30, -1.0), "row_weights must"),
        (np.full(30, np.nan), "row_weights must"),
    ],
)
def test_bad_row_weights(weights: Floats, message: str) -> None:
    edges, start = random_graph(30, 3), random_positions(30, 2)
    with pytest.raises(ValueError, match=message):
        ops.sgd_layout(start, edges, A, B, 2, row_weights=weights)


def test_epochs_one_at_a_time_are_those_of_the_layout() -> None:
    edges, start = random_graph(80, 4), random_positions(80, 2)
    seen = []
    for done, positions in ops.layout_epochs(start, edges, A, B, 6, seed=2):
        seen.append(done)
        last = positions
    assert seen == [1, 2, 3, 4, 5, 6]
    assert torch.equal(last, ops.sgd_layout(start, edges, A, B, 6, seed=2))
    with pytest.raises(ValueError, match="n_epochs must"):
        ops.layout_epochs(start, edges, A, B, -1)


def test_true_ends_the_layout() -> None:
    edges, start = random_graph(80, 4), random_positions(80, 2)
    kept = {}

    def at_stop(done: int, positions: torch.Tensor) -> bool:
        kept[done] = positions.clone()
        return done == 3

    found = ops.sgd_layout(start, edges, A, B, 6, stops=range(1, 7), at_stop=at_stop)
    assert list(kept) == [1, 2, 3]
    assert torch.equal(found, kept[3])
