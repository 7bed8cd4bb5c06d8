"""UMAP's further methods and attributes: epochs kept, the graph alone, inverse, update, metrics."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from fastparadime import UMAP

Table = npt.NDArray[np.float32]


def blobs(n: int = 150, dim: int = 6, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, dim)) + 4 * (np.arange(n) % 3)[:, None]).astype(np.float32)


def quick(**options: Any) -> UMAP:
    return UMAP(**{"n_epochs": 30, "random_state": 0, **options})


def test_positions_after_listed_epochs() -> None:
    X = blobs()
    estimator = quick(n_epochs=[20, 0, 30, 7, 20]).fit(X)
    kept = estimator.embedding_list_
    assert [table.shape for table in kept] == [(150, 2)] * 4
    np.testing.assert_array_equal(kept[0], quick(n_epochs=0).fit(X).embedding_)
    np.testing.assert_array_equal(kept[3], estimator.embedding_)
    np.testing.assert_array_equal(kept[3], quick().fit(X).embedding_)
    assert not np.array_equal(kept[1], kept[2])
    assert np.isfinite(estimator.transform(X[:3] + 0.1)).all()
    assert not hasattr(estimator.set_params(n_epochs=30).fit(X), "embedding_list_")


def test_the_graph_alone() -> None:
    X = blobs()
    estimator = quick(transform_mode="graph")
    graph = estimator.fit_transform(X[:120])
    assert (graph != quick().fit(X[:120]).graph_).nnz == 0
    assert not hasattr(estimator, "embedding_")
    assert len(estimator.get_feature_names_out()) == 120
    for method in (estimator.inverse_transform, estimator.update):
        with pytest.raises(ValueError, match=r"not available for .*transform_mode='graph'"):
            method(X[:5])


@pytest.mark.parametrize("connectivity", [1.0, 1.5, 3.0])
def test_memberships_of_new_rows_are_those_of_umap_learn(connectivity: float) -> None:
    umap_ = pytest.importorskip("umap.umap_", reason="umap-learn is not installed")
    X = blobs()
    distances = np.linalg.norm(X[120:, None] - X[None, :120], axis=2)
    indices = np.argsort(distances, axis=1)[:, :15]
    nearest = np.take_along_axis(distances, indices, axis=1).astype(np.float32)
    # As its `transform` calls them.
    sigmas, rhos = umap_.smooth_knn_dist(nearest, 15.0, local_connectivity=connectivity - 1)
    strengths = umap_.compute_membership_strengths(indices, nearest, sigmas, rhos, bipartite=True)
    rows, columns, values, _ = strengths
    expected = scipy.sparse.coo_matrix((values, (rows, columns)), shape=(30, 120)).toarray()
    estimator = quick(transform_mode="graph", local_connectivity=connectivity).fit(X[:120])
    found = estimator.transform(X[120:])
    assert found.shape == (30, 120)
    np.testing.assert_allclose(found.toarray(), expected, rtol=0, atol=1e-4)


def test_new_rows_lie_as_densely_as_those_of_the_fit() -> None:
    X = np.random.default_rng(0).normal(size=(1000, 20)).astype(np.float32)
    mapper = UMAP(n_epochs=200, random_state=0).fit(X[:700])
    search = NearestNeighbors(n_neighbors=15).fit(mapper.embedding_)
    sparse = np.quantile(search.kneighbors()[0][:, -1], 0.95)
    distances, _ = search.kneighbors(mapper.transform(X[700:]))
    assert (distances[:, -1] > sparse).mean() < 0.05


def test_inverse_of_digits(digits: Any) -> None:
    X, _ = digits
    estimator = UMAP(random_state=0).fit(X[:1500])
    positions = estimator.transform(X[1500:])
    back = estimator.inverse_transform(positions)
    assert back.shape == (297, 64)
    assert back.dtype == np.float32
    # umap-learn 0.5.12's own of its own positions: 0.196, here 0.168.
    assert float(np.sqrt(((back - X[1500:]) ** 2).mean())) < 0.196 * 1.05
    np.testing.assert_array_equal(estimator.inverse_transform(positions[7:9]), back[7:9])
    own = estimator.inverse_transform(estimator.embedding_[:300])
    assert float(np.sqrt(((own - X[:300]) ** 2).mean())) < 0.178 * 1.05


def test_what_has_no_inverse() -> None:
    X = blobs()
    distances = np.linalg.norm(X[:, None] - X[None], axis=2)
    for estimator, data, message in (
        (quick(), scipy.sparse.csr_matrix(X), "sparse data"),
        (quick(metric="precomputed"), distances, "metric 'precomputed'"),
        (quick(metric="hamming"), X, "metric 'hamming'"),
        (quick(densmap=True), X, "densmap=True"),
    ):
        estimator.fit(data)
        with pytest.raises(ValueError, match=f"inverse_transform is not available for {message}"):
            estimator.inverse_transform(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="X must have n_components = 2 columns, not 3"):
        quick().fit(X).inverse_transform(np.zeros((2, 3)))


def test_update_adds_rows(digits: Any) -> None:
    X, _ = digits
    estimator = UMAP(random_state=0).fit(X[:1200])
    before, start = estimator.embedding_.copy(), estimator.transform(X[1200:])
    assert estimator.update(X[1200:]) is estimator
    assert estimator.graph_.shape == (1797, 1797)
    assert (estimator.graph_ != UMAP(n_epochs=0).fit(X).graph_).nnz == 0
    after = estimator.embedding_
    # The map stays what it was: points move by a small part of its width.
    width = float(np.ptp(before, axis=0).mean())
    moved = np.linalg.norm(after - np.concatenate([before, start]), axis=1)
    assert float(np.median(moved)) < 0.05 * width
    # A whole fit reaches 0.986 to 0.988.
    assert trustworthiness(X, after, n_neighbors=15) > 0.975
    np.testing.assert_array_equal(estimator.transform(X), after)


def test_what_cannot_be_updated() -> None:
    X = blobs()
    distances = np.linalg.norm(X[:, None] - X[None], axis=2)
    for estimator, message in (
        (quick(metric="precomputed").fit(distances), "metric='precomputed'"),
        (quick().fit(X, np.arange(150) % 3), "labels"),
        (quick(unique=True).fit(X), "unique=True"),
    ):
        graph = estimator.graph_
        with pytest.raises(ValueError, match=f"update is not available for a fit with {message}"):
            estimator.update(X[:10])
        assert estimator.graph_ is graph


@pytest.mark.parametrize(
    ("metric", "given"),
    [
        ("seuclidean", {}),
        ("seuclidean", {"V": np.arange(1.0, 7.0)}),
        ("mahalanobis", {}),
        ("mahalanobis", {"V": np.diag(np.arange(1.0, 7.0))}),
        ("mahalanobis", {"VI": np.diag(np.arange(1.0, 7.0))}),
        ("minkowski", {"p": 3}),
        ("minkowski", {"p": 3, "w": np.arange(1.0, 7.0)}),
    ],
)
def test_options_of_metrics(metric: str, given: dict[str, Any]) -> None:
    from scipy.spatial.distance import cdist

    X = blobs() * np.array([1, 10, 0.1, 1, 3, 2], np.float32)
    full = dict(given)
    if metric == "seuclidean" and not given:
        full["V"] = X[:120].var(axis=0, ddof=1)
    if metric == "mahalanobis" and "VI" not in given:
        full = {"VI": np.linalg.inv(given["V"] if given else np.cov(X[:120].T.astype(float)))}
    estimator = quick(metric=metric, metric_kwds=given).fit(X[:120])
    known = quick(metric="precomputed").fit(cdist(X[:120], X[:120], metric, **full))
    np.testing.assert_allclose(
        estimator.graph_.toarray(), known.graph_.toarray(), rtol=0, atol=1e-4
    )
    distances, indices = estimator._rows.query(X[120:], 3)[::-1]
    expected = cdist(X[120:], X[:120], metric, **full)
    np.testing.assert_array_equal(indices, np.argsort(expected, axis=1)[:, :3])
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :3], rtol=1e-4)
    new = estimator.transform(X[120:])
    np.testing.assert_array_equal(estimator.transform(X[125:127]), new[5:7])
    np.testing.assert_array_equal(estimator.transform(X[:120]), estimator.embedding_)


def test_functions_of_two_rows_with_keywords() -> None:
    X = blobs(60)

    def distance(x: Any, y: Any, power: float) -> float:
        return float((np.abs(x - y) ** power).sum() ** (1 / power))

    by_function = quick(metric=distance, metric_kwds={"power": 3}).fit(X)
    by_name = quick(metric="minkowski", metric_kwds={"p": 3}).fit(X)
    np.testing.assert_allclose(
        by_name.graph_.toarray(), by_function.graph_.toarray(), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize(
    ("metric", "given", "message"),
    [
        ("seuclidean", {"V": np.ones(5)}, r"metric_kwds\['V'\] must hold 6 numbers"),
        ("seuclidean", {"V": -np.ones(6)}, "not negative"),
        ("seuclidean", {"V": np.full(6, np.nan)}, r"metric_kwds\['V'\] must hold finite numbers"),
        ("mahalanobis", {"VI": np.ones((5, 5))}, "must be a symmetric matrix of shape"),
        ("mahalanobis", {"VI": np.triu(np.ones((6, 6)))}, "must be a symmetric matrix"),
        ("mahalanobis", {"VI": -np.eye(6)}, "must be positive semi-definite"),
        ("minkowski", {"p": 0}, r"metric_kwds\['p'\] must be a finite number > 0"),
    ],
)
def test_bad_options_of_metrics(metric: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quick(metric=metric, metric_kwds=given).fit(blobs())


def test_arguments_of_cuml() -> None:
    X = blobs()
    accepted = UMAP(
        hash_input=True, build_algo="auto", build_kwds=None, device_ids=None,
        handle=None, force_serial_epochs=True, n_epochs=30, random_state=0,
    )  # fmt: skip
    np.testing.assert_array_equal(
        accepted.fit_transform(X, convert_dtype=True), quick().fit_transform(X)
    )
    assert "hash_input" not in accepted.get_params()
    assert "hash_input" not in inspect.signature(UMAP).parameters
    for name, value, advice in (
        ("build_algo", "nn_descent", "precomputed_knn"),
        ("device_ids", [0, 1], "device='cuda:0'"),
        ("handle", object(), "stream"),
    ):
        with pytest.raises(TypeError, match=f"UMAP has no {name}=.*{advice}"):
            UMAP(**{name: value})
    with pytest.raises(TypeError, match="unexpected keyword argument 'no_such'"):
        UMAP(no_such=1)


def test_options_of_fit() -> None:
    X = blobs()
    with pytest.raises(ValueError, match="ensure_all_finite must be True, False"):
        quick().fit(X, ensure_all_finite="no")
    with pytest.raises(TypeError, match="convert_dtype must be a bool"):
        quick().fit(X).transform(X, convert_dtype="yes")
    with pytest.raises(ValueError, match="unique=True cannot be combined"):
        quick(unique=True).fit(X, knn_graph=np.zeros((150, 150)))


def test_attributes_that_others_read() -> None:
    X = blobs()
    estimator = quick().fit(X)
    np.testing.assert_array_equal(estimator._raw_data, X)
    assert estimator._small_data
    assert not estimator._sparse_data
    assert not estimator._supervised
    assert quick().fit(X, np.arange(150) % 3)._supervised
    assert estimator._n_neighbors == 15
    assert estimator._disconnection_distance == np.inf
    assert estimator._metric_kwds == {}
    assert estimator._initial_alpha == 1.0
    assert (estimator._a, estimator._b) == pytest.approx((1.577, 0.895), abs=1e-3)
    umap_ = pytest.importorskip("umap.umap_", reason="umap-learn is not installed")
    distances = np.linalg.norm(X[:, None] - X[None], axis=2)
    np.testing.assert_array_equal(estimator._knn_indices, np.argsort(distances, axis=1)[:, :15])
    np.testing.assert_allclose(
        estimator._knn_dists, np.sort(distances, axis=1)[:, :15], rtol=1e-5, atol=1e-6
    )
    sigmas, rhos = umap_.smooth_knn_dist(estimator._knn_dists, 15.0)
    np.testing.assert_allclose(estimator._sigmas, sigmas, rtol=1e-3)
    np.testing.assert_allclose(estimator._rhos, rhos, rtol=1e-5)
    indices, _ = estimator._knn_search_index.query(X, k=15)
    np.testing.assert_array_equal(indices, estimator._knn_indices)


def test_pickles_without_what_queries_keep() -> None:
    X = blobs()
    estimator = quick().fit(X)
    size = len(pickle.dumps(estimator))
    new = estimator.transform(X[:5] + 0.1)
    assert len(pickle.dumps(estimator)) == size
    loaded = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(loaded.transform(X[:5] + 0.1), new)


def test_large_tables_are_searched_exactly() -> None:
    rng = np.random.default_rng(0)
    # Of decaying columns, as images have them: bounds in few dimensions prove most rows.
    X = (rng.normal(size=(12_000, 600)) * 0.99 ** np.arange(600)).astype(np.float32)
    queries = np.concatenate([X[:3], (X[3:100] + X[100:197]) / 2, 50 * X[:5]])
    estimator = UMAP(n_epochs=0, init="random", random_state=0, transform_mode="graph").fit(X)
    index = estimator._rows.index
    assert index._ready[0].projection is not None
    indices, distances = (part.numpy() for part in index.nearest(queries, 15))
    squares = (queries.astype(float) ** 2).sum(axis=1)[:, None] + (X.astype(float) ** 2).sum(axis=1)
    expected = np.sqrt(np.maximum(squares - 2 * queries.astype(float) @ X.T.astype(float), 0))
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :15], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        np.take_along_axis(expected, indices.astype(np.int64), axis=1), distances, rtol=1e-5,
        atol=1e-5,
    )  # fmt: skip
    alone = index.nearest(queries[50:52], 15)
    np.testing.assert_array_equal(alone[0], indices[50:52])
    np.testing.assert_array_equal(alone[1], distances[50:52])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the packages that draw
def test_pictures_of_umap_learn() -> None:
    import matplotlib as mpl
    from umap import plot

    mpl.use("Agg")
    X = blobs()
    estimator = quick().fit(X)
    for axes in (
        plot.points(estimator, labels=np.arange(150) % 3),
        plot.connectivity(estimator),
        plot.diagnostic(estimator, diagnostic_type="neighborhood"),
        plot.diagnostic(estimator, diagnostic_type="pca"),
    ):
        assert axes.images or axes.collections
    mpl.pyplot.close("all")
