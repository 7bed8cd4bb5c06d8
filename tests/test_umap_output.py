"""UMAP's output metrics: on the sphere and the hyperboloid, gaussians, and functions."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.manifold import trustworthiness

from fastparadime import UMAP

Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def iris() -> Floats:
    return load_iris().data


def quick(**options: Any) -> UMAP:
    return UMAP(**{"n_neighbors": 10, "min_dist": 0.01, "random_state": 42, **options})


def on_sphere(embedding: npt.NDArray[Any]) -> Floats:
    """As umap-learn's documentation draws it: the first coordinate is the angle from the pole."""
    theta, phi = embedding.T.astype(np.float64)
    return np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], 1)


def euclidean(x: Floats, y: Floats) -> tuple[float, Floats]:
    distance = float(np.linalg.norm(x - y))
    return distance, (x - y) / (distance + 1e-6)


def test_a_map_on_the_sphere(iris: Floats) -> None:
    estimator = quick(n_epochs=200, output_metric="haversine").fit(iris)
    embedding = estimator.embedding_
    assert embedding.shape == (150, 2)
    assert embedding.dtype == np.float64
    assert 0 <= embedding[:, 0].min() <= embedding[:, 0].max() <= np.pi
    points = on_sphere(embedding)
    # umap-learn's own bound is 0.80; it has 0.898.
    assert trustworthiness(iris, points, n_neighbors=10, metric="cosine") > 0.88
    angles = np.arccos(np.clip(points @ points.T, -1, 1))
    assert angles.max() > 2  # the sphere is used, not a corner of it
    again = quick(n_epochs=200, output_metric="haversine").fit(iris)
    np.testing.assert_array_equal(again.embedding_, embedding)
    copied = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(copied.transform(iris[:3] + 0.1), again.transform(iris[:3] + 0.1))


def test_new_rows_on_the_sphere(iris: Floats) -> None:
    X = np.random.default_rng(0).normal(size=(300, 3))
    X /= np.linalg.norm(X, axis=1)[:, None]
    estimator = UMAP(output_metric="haversine", n_epochs=150, random_state=0).fit(X[:250])
    np.testing.assert_array_equal(estimator.transform(X[:5]), estimator.embedding_[:5])
    placed, anchors = on_sphere(estimator.transform(X[250:])), on_sphere(estimator.embedding_)
    # Nearest anchors in the map are near in the data, wherever the angles wrap around.
    nearest = (placed @ anchors.T).argmax(axis=1)
    assert np.median((X[250:] * X[nearest]).sum(axis=1)) > np.cos(0.5)
    before = anchors[:250]
    estimator.update(X[250:])
    assert estimator.embedding_.shape == (300, 2)
    moved = np.arccos(np.clip((on_sphere(estimator.embedding_[:250]) * before).sum(axis=1), -1, 1))
    assert np.median(moved) < 0.8
    assert np.isfinite(iris).all()


def test_back_from_the_sphere(iris: Floats) -> None:
    estimator = quick(n_epochs=100, output_metric="haversine").fit(iris)
    theta, phi = estimator.embedding_[::10].T
    found = estimator.inverse_transform(estimator.embedding_[::10])
    assert np.abs(found - iris[::10]).mean() < 0.3
    # The same point of the sphere by other angles.
    same = np.stack([theta, phi + 2 * np.pi], axis=1)
    np.testing.assert_allclose(estimator.inverse_transform(same), found, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "options", "bound"),
    [
        ("l2", {}, 0.97),
        ("hyperboloid", {}, 0.90),
        ("manhattan", {}, 0.96),
        ("chebyshev", {}, 0.95),
        ("wminkowski", {"output_metric_kwds": {"p": 3, "w": [1.0, 2.0]}}, 0.96),
        ("seuclidean", {"output_metric_kwds": {"V": [1.0, 4.0]}}, 0.96),
        ("mahalanobis", {"output_metric_kwds": {"VI": [[1.0, 0.2], [0.2, 2.0]]}}, 0.96),
        ("spherical_gaussian_energy", {"n_components": 3}, 0.96),
        ("diagonal_gaussian_energy", {"n_components": 4}, 0.96),
        ("gaussian_energy", {"n_components": 5}, 0.95),
        (euclidean, {}, 0.96),
    ],
)
def test_other_output_metrics(iris: Floats, name: Any, options: Any, bound: float) -> None:
    estimator = quick(n_epochs=100, output_metric=name, **options).fit(iris[::2])
    assert trustworthiness(iris[::2], estimator.embedding_[:, :2], n_neighbors=8) > bound
    placed = estimator.transform(iris[1::2])
    assert placed.shape == (75, estimator.n_components)
    assert trustworthiness(iris[1::2], placed[:, :2], n_neighbors=8) > 0.85


def test_euclidean_by_another_name_is_the_plain_map(iris: Floats) -> None:
    plain, named = quick(n_epochs=30).fit(iris), quick(n_epochs=30, output_metric="l2").fit(iris)
    np.testing.assert_array_equal(plain.embedding_, named.embedding_)
    # The same draws: the moves differ by the rounding of the layout's coarse powers.
    options = {"n_epochs": 2, "learning_rate": 0.05}
    few = quick(**options).fit_transform(iris)
    by_function = quick(**options, output_metric=euclidean).fit_transform(iris)
    np.testing.assert_allclose(by_function, few, rtol=0, atol=0.01)


def test_functions_of_numba_are_called_natively(iris: Floats) -> None:
    distances = pytest.importorskip("umap.distances", reason="umap-learn is not installed")
    named = quick(n_epochs=20, output_metric="hyperboloid").fit(iris)
    by_function = quick(n_epochs=20, output_metric=distances.hyperboloid_grad).fit(iris)
    # umap-learn keeps arccosh from its pole at 1 by 1e-8.
    assert np.abs(named.embedding_ - by_function.embedding_).max() < 0.5
    kept = pickle.loads(pickle.dumps(by_function))
    np.testing.assert_array_equal(
        kept.transform(iris[:2] + 0.1), by_function.transform(iris[:2] + 0.1)
    )
    with_options = quick(
        n_epochs=2, output_metric=distances.minkowski_grad, output_metric_kwds={"p": 3.0}
    )
    wanted = quick(n_epochs=2, output_metric="minkowski", output_metric_kwds={"p": 3.0})
    np.testing.assert_allclose(
        with_options.fit_transform(iris), wanted.fit_transform(iris), rtol=0, atol=0.02
    )


def test_positions_kept_and_clones(iris: Floats) -> None:
    estimator = quick(n_epochs=[0, 5, 10], output_metric="haversine")
    kept = clone(estimator).fit(iris).embedding_list_
    assert [table.shape for table in kept] == [(150, 2)] * 3
    np.testing.assert_array_equal(
        kept[2], quick(n_epochs=10, output_metric="haversine").fit_transform(iris)
    )
    # A start lies on a patch, so nothing wraps around.
    assert np.ptp(kept[0][:, 0]) == pytest.approx(2 * np.pi / 3, rel=0.01)
    assert np.ptp(kept[0][:, 1]) == pytest.approx(4 * np.pi / 3, rel=0.01)


def test_fits_on_the_sphere_are_combined(iris: Floats) -> None:
    first = quick(n_epochs=20, output_metric="haversine").fit(iris[:, :2])
    second = quick(n_epochs=20, output_metric="haversine").fit(iris[:, 2:])
    assert np.isfinite((first * second).embedding_).all()
    with pytest.raises(ValueError, match="fits of one output_metric"):
        first * quick(n_epochs=20).fit(iris)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_metric": "foobar"}, "output_metric must be one of .* not 'foobar'"),
        ({"output_metric": "precomputed"}, "output_metric must be one of .* not 'precomputed'"),
        ({"output_metric": "hamming"}, "output_metric must be one of .* not 'hamming'"),
        ({"output_metric": 3}, "output_metric must be one of .* not 3"),
        ({"output_metric": "haversine", "n_components": 3}, "needs n_components=2, not 3"),
        ({"output_metric": "gaussian_energy"}, "needs n_components=5, not 2"),
        ({"output_metric": lambda x, y: x @ y}, "must give .*distance, gradient of 2 numbers"),
        ({"output_metric": lambda x, y: (x @ y, [1.0])}, "must give .*distance, gradient"),
        ({"output_metric_kwds": {"p": 3}}, r"output_metric_kwds \['p'\] are none of 'euclidean'"),
        ({"output_metric": "minkowski", "output_metric_kwds": {"p": 0.5}}, "at least 1, not 0.5"),
        ({"output_metric": "wminkowski", "output_metric_kwds": {"w": [1.0]}}, r"of shape \(2,\)"),
        ({"output_metric": "seuclidean", "output_metric_kwds": {"V": [1, 0]}}, "must be positive"),
        (
            {"output_metric": "mahalanobis", "output_metric_kwds": {"VI": [[1, 2], [2, 1]]}},
            "positive semi-definite",
        ),
        ({"output_metric": "haversine", "densmap": True}, "densmap=True needs output_metric="),
        ({"output_metric": "haversine", "output_dens": True}, "output_dens=True needs"),
    ],
)
def test_refused(iris: Floats, options: dict[str, Any], message: str) -> None:
    estimator = quick(**options)
    with pytest.raises(ValueError, match=message):
        estimator.fit(iris)
    assert not hasattr(estimator, "embedding_")


@pytest.mark.parametrize(
    ("name", "dim"), [("hyperboloid", 2), ("spherical_gaussian_energy", 3), ("gaussian_energy", 5)]
)
def test_no_way_back_where_umap_learn_has_none(iris: Floats, name: str, dim: int) -> None:
    estimator = quick(n_epochs=5, output_metric=name, n_components=dim).fit(iris)
    with pytest.raises(ValueError, match="inverse_transform is not available for output_metric"):
        estimator.inverse_transform(estimator.embedding_[:3])


@pytest.mark.parametrize("name", ["manhattan", "minkowski", "mahalanobis", euclidean])
def test_back_to_the_data(iris: Floats, name: Any) -> None:
    estimator = quick(n_epochs=60, output_metric=name).fit(iris)
    found = estimator.inverse_transform(estimator.embedding_[::10])
    assert np.abs(found - iris[::10]).mean() < 0.3
