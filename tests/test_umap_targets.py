"""Labels and numbers in UMAP's graph, against umap-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastparadime import UMAP

Table = npt.NDArray[np.float32]


def random_rows(n: int = 150, dim: int = 5, seed: int = 0) -> Table:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def fitted_graph(X: Table, y: Any = None, **options: Any) -> Any:
    return UMAP(n_epochs=0, random_state=0, **options).fit(X, y).graph_


def graph_of_umap_learn(X: Table, y: Any, **options: Any) -> Any:
    umap = pytest.importorskip("umap", reason="umap-learn is not installed")
    options = {"n_epochs": 11, "init": "random", "transform_mode": "graph", **options}
    return umap.UMAP(**options).fit(X, y).graph_


def test_categories_give_the_graph_of_umap_learn() -> None:
    X, y = random_rows(), np.random.default_rng(1).integers(-1, 3, 150)
    expected = graph_of_umap_learn(X, y)
    np.testing.assert_allclose(fitted_graph(X, y).toarray(), expected.toarray(), atol=1e-5)


# umap-learn stops its bisections at 1e-5 of a row's sum, and small powers enlarge the difference.
@pytest.mark.parametrize(
    "options",
    [
        {"target_metric": "euclidean"},
        {"target_metric": "l1", "target_weight": 0.2},
        {"target_metric": "euclidean", "target_weight": 0.8},
        {"target_metric": "euclidean", "target_weight": 0.0},
        {"target_metric": "euclidean", "target_weight": 1.0},
        {"target_metric": "euclidean", "target_n_neighbors": 5},
        {"target_metric": "euclidean", "set_op_mix_ratio": 0.5},
    ],
)
def test_numbers_give_the_graph_of_umap_learn(options: dict[str, Any]) -> None:
    X, y = random_rows(), np.random.default_rng(1).normal(size=150)
    expected, found = graph_of_umap_learn(X, y, **options), fitted_graph(X, y, **options)
    np.testing.assert_allclose(found.toarray(), expected.toarray(), rtol=0, atol=3e-4)
    assert np.abs((found - fitted_graph(X, **options)).toarray()).max() > 0.2


@pytest.mark.parametrize(
    ("metric", "kwds"), [("manhattan", None), ("minkowski", {"p": 3}), ("cosine", None)]
)
def test_several_columns_of_numbers(metric: str, kwds: dict[str, Any] | None) -> None:
    X, y = random_rows(), np.random.default_rng(1).normal(size=(150, 3))
    options = {"target_metric": metric, "target_metric_kwds": kwds}
    expected = graph_of_umap_learn(X, y, **options)
    found = fitted_graph(X, y, **options)
    np.testing.assert_allclose(found.toarray(), expected.toarray(), rtol=0, atol=3e-4)


def test_numbers_far_from_zero_keep_their_digits() -> None:
    X, y = random_rows(), np.random.default_rng(1).normal(size=150)
    near = fitted_graph(X, y, target_metric="euclidean")
    far = fitted_graph(X, y + 1.7e9, target_metric="euclidean")  # as times are counted
    np.testing.assert_allclose(near.toarray(), far.toarray(), rtol=0, atol=1e-3)


def test_a_function_of_two_rows_and_unique_rows() -> None:
    X, y = random_rows(40), np.random.default_rng(1).normal(size=40)

    def distance(x: Any, z: Any, weight: float) -> float:
        return float(weight * np.abs(x - z).sum())

    own = fitted_graph(X, y, target_metric=distance, target_metric_kwds={"weight": 3.0})
    named = fitted_graph(X, 3 * y, target_metric="manhattan")
    np.testing.assert_allclose(own.toarray(), named.toarray(), rtol=0, atol=1e-4)
    twice = fitted_graph(
        np.repeat(X, 2, axis=0), np.repeat(y, 2), target_metric="manhattan", unique=True
    )
    assert twice.shape == (40, 40)


def test_numbers_order_the_embedding() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 5)).astype(np.float32), rng.random(300)

    def correlation(**options: Any) -> float:
        found = UMAP(n_epochs=200, random_state=0, target_metric="euclidean", **options)
        near = np.argsort(
            np.linalg.norm((e := found.fit_transform(X, y))[:, None] - e[None], axis=2), axis=1
        )
        return float(np.corrcoef(y, y[near[:, 1:6]].mean(axis=1))[0, 1])

    assert correlation(target_weight=0.0) < 0.3
    assert correlation(target_weight=0.95) > 0.9


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.full(150, np.inf), "y must hold finite numbers"),
        (np.array(["a"] * 150), "y must hold numbers"),
        (np.zeros((150, 2, 2)), "y must hold numbers, in one column or several"),
        (np.zeros(149), "inconsistent numbers of samples"),
    ],
)
def test_bad_targets(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted_graph(random_rows(), y, target_metric="euclidean")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_metric": "no such"}, "target_metric must be one of"),
        ({"target_metric": "precomputed"}, "target_metric must be a metric of y's rows"),
        ({"target_metric_kwds": {"p": 3}}, "target_metric_kwds must be empty for categories"),
        ({"target_n_neighbors": 1}, "target_n_neighbors must be an integer >= 2"),
    ],
)
def test_bad_parameters(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted_graph(random_rows(), np.zeros(150), **options)


@pytest.mark.parametrize("options", [{"target_metric": 3}, {"target_metric_kwds": 3}])
def test_bad_types(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"{next(iter(options))} must"):
        fitted_graph(random_rows(), np.zeros(150), **options)
