"""Labels with distances between them in UMAP's graph, against umap-learn where that runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastparadime import UMAP
from fastparadime.graph.label_metrics import LabelMetric

N = 150
FAMILIES = {"cat": "pet", "dog": "pet", "cow": "stock", "hen": "stock"}


def random_rows() -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(N, 5)).astype(np.float32)


def fitted_graph(y: Any = None, **options: Any) -> Any:
    return UMAP(transform_mode="graph", random_state=0, **options).fit(random_rows(), y).graph_


def weakened(distances: npt.NDArray[np.float64], weight: float = 0.5) -> npt.NDArray[np.float64]:
    """What a matrix of distances makes of the graph."""
    graph = fitted_graph().toarray() * np.exp(-2.5 / (1 - weight) * distances)
    scaled = graph / graph.max(axis=1, keepdims=True)
    joined: npt.NDArray[np.float64] = scaled + scaled.T - scaled * scaled.T
    return joined


def similar_words(seed: int = 1) -> Any:
    """Words of twelve letters of which at most four differ: a third, where distances end."""
    rng = np.random.default_rng(seed)
    return np.array(["aaaabbbb" + "".join(rng.choice(list("xyz"), 4)) for _ in range(N)])


@pytest.mark.parametrize("weight", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize(
    ("metric", "y", "tolerance"),
    [
        ("ordinal", np.random.default_rng(1).integers(-3, 6, N), 1e-5),
        ("ordinal", np.random.default_rng(1).normal(size=N), 1e-5),
        ("string", similar_words(), 1e-5),
    ],
)
def test_the_graph_is_that_of_umap_learn(
    metric: str, y: Any, tolerance: float, weight: float
) -> None:
    umap = pytest.importorskip("umap", reason="umap-learn is not installed")
    options = {"target_metric": metric, "target_weight": weight}
    expected = umap.UMAP(
        n_epochs=11, init="random", transform_mode="graph", **options
    ).fit(random_rows(), y).graph_  # fmt: skip
    found = fitted_graph(y, **options)
    np.testing.assert_allclose(found.toarray(), expected.toarray(), rtol=0, atol=tolerance)
    assert np.abs((found - fitted_graph()).toarray()).max() > 0.2


# Its factorials begin right from ten on and lag behind by the logarithm of the way since.
def test_large_counts_are_near_those_of_umap_learn() -> None:
    distances = pytest.importorskip("umap.distances", reason="umap-learn is not installed")
    y = np.random.default_rng(1).poisson(300, N)
    options = distances.get_discrete_params(y, "count")
    expected = [distances.count_distance(a, b, **options) for a in y[:20] for b in y]
    heads, tails = np.repeat(np.arange(20), N), np.tile(np.arange(N), 20)
    metric = LabelMetric("count")
    found = metric.distances(metric.check(y), heads, tails)
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.03)


@pytest.mark.parametrize("mean", [0.7, 8.0, 120.0])
def test_counts_are_as_far_apart_as_what_lies_between_is_unlikely(mean: float) -> None:
    from scipy.stats import poisson

    y = np.random.default_rng(1).poisson(mean, N)
    unlikely = -poisson.logpmf(np.arange(y.max() + 1), y.mean())
    sums = np.concatenate([[0], np.cumsum(unlikely)])[y]
    between = np.abs(sums[:, None] - sums[None])
    expected = weakened(2 * between / between.max())
    found = fitted_graph(y, target_metric="count").toarray()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def edit_distance(x: str, y: str) -> int:
    row = list(range(len(y) + 1))
    for i, letter in enumerate(x):
        before, row = row, [i + 1]
        for j, other in enumerate(y):
            row.append(min(before[j + 1] + 1, row[j] + 1, before[j] + (letter != other)))
    return row[-1]


@pytest.mark.parametrize("metric", ["string", "myers"])
def test_strings_are_as_far_apart_as_their_edits(metric: str) -> None:
    rng = np.random.default_rng(1)
    y = ["".join(rng.choice(list("abä"), rng.integers(0, 13))) for _ in range(N)]
    limit = max(map(len, y)) / 3
    expected = weakened(np.array([[min(edit_distance(a, b) / limit, 1) for b in y] for a in y]))
    found = fitted_graph(y, target_metric=metric).toarray()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_categories_in_a_hierarchy() -> None:
    y = np.random.default_rng(1).choice(list(FAMILIES), N)
    levels = [{name: name for name in FAMILIES}, FAMILIES]
    kwds = {"cat_hierarchy": levels}
    family = np.array([FAMILIES[name] for name in y])
    same, near = y[:, None] == y[None], family[:, None] == family[None]
    expected = weakened(np.where(same, 0.0, np.where(near, 0.5, 1.0)))
    options = {"target_metric": "hierarchical_categorical", "target_metric_kwds": kwds}
    found = fitted_graph(y, **options).toarray()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    estimator = UMAP(n_epochs=10, random_state=0, **options).fit(random_rows(), y)
    assert np.isfinite(estimator.embedding_).all()


@pytest.mark.parametrize(
    ("metric", "y"),
    [
        ("ordinal", np.ones(N)),
        ("count", np.zeros(N)),
        ("count", np.full(N, 7)),
        ("string", [""] * N),
    ],
)
def test_labels_that_are_all_equal_change_nothing(metric: str, y: Any) -> None:
    found = fitted_graph(y, target_metric=metric).toarray()
    np.testing.assert_allclose(found, weakened(np.zeros((N, N))), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("metric", "y", "message"),
    [
        ("ordinal", ["a"] * N, "y must hold finite numbers for target_metric='ordinal'"),
        ("ordinal", np.full(N, np.inf), "y must hold finite numbers"),
        ("ordinal", np.zeros((N, 2)), "y should be a 1d array"),
        ("ordinal", np.zeros(N - 1), "inconsistent numbers of samples"),
        ("count", np.full(N, -1), "y must hold whole numbers >= 0"),
        ("count", np.full(N, 0.5), "y must hold whole numbers >= 0"),
        ("count", np.arange(N) * 2**20, "y must not span more than 16777216 counts"),
        ("string", np.arange(N), "y must hold strings for target_metric='string'"),
    ],
)
def test_bad_labels(metric: str, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted_graph(y, target_metric=metric)


def test_bad_hierarchies() -> None:
    y = np.random.default_rng(1).choice(list(FAMILIES), N)
    for kwds in (None, {"cat_hierarchy": FAMILIES}, {"cat_hierarchy": []}):
        with pytest.raises(TypeError, match=r"cat_hierarchy'\] must be a list of dictionaries"):
            fitted_graph(y, target_metric="hierarchical_categorical", target_metric_kwds=kwds)
    with pytest.raises(ValueError, match="level 0 lacks cow, hen"):
        fitted_graph(
            y,
            target_metric="hierarchical_categorical",
            target_metric_kwds={"cat_hierarchy": [{"cat": 0, "dog": 0}]},
        )
    with pytest.raises(ValueError, match="target_metric_kwds must be empty"):
        fitted_graph(y, target_metric="ordinal", target_metric_kwds={"support_size": 3})
