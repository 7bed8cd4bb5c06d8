"""KNNTransformer: scikit-learn's KNeighborsTransformer, and what takes its graph."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.sparse import csr_matrix
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.cluster import DBSCAN
from sklearn.exceptions import NotFittedError
from sklearn.manifold import TSNE, Isomap
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsTransformer,
    sort_graph_by_row_values,
)
from sklearn.pipeline import make_pipeline

from fastparadime import UMAP, KNNTransformer, ops

Table = npt.NDArray[np.float32]


def blobs(n: int = 200, dim: int = 6, seed: int = 0) -> tuple[Table, npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    return (rng.normal(size=(n, dim)) + 6 * labels[:, None]).astype(np.float32), labels


@pytest.mark.parametrize("mode", ["distance", "connectivity"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan", "chebyshev", "canberra"])
def test_the_same_graph_as_scikit_learn(mode: str, metric: str) -> None:
    X, _ = blobs()
    new, _ = blobs(30, seed=1)
    ours = KNNTransformer(mode=mode, n_neighbors=7, metric=metric)
    theirs = KNeighborsTransformer(mode=mode, n_neighbors=7, metric=metric, algorithm="brute").fit(
        X
    )
    among = ours.fit_transform(X)
    for graph, expected in (
        (among, theirs.transform(X)),
        (ours.transform(new), theirs.transform(new)),
    ):
        assert graph.format == "csr"
        assert graph.shape == expected.shape
        assert graph.nnz == expected.nnz
        np.testing.assert_array_equal(graph.indptr, expected.indptr)
        np.testing.assert_allclose(graph.toarray(), expected.toarray(), rtol=1e-5, atol=1e-6)
    again = ours.transform(X).toarray()
    np.testing.assert_allclose(again, among.toarray(), rtol=1e-5, atol=1e-6)


def test_rows_are_sorted_and_begin_with_the_point() -> None:
    X, _ = blobs()
    X[50:60] = X[0]  # ten more at distance 0
    graph = KNNTransformer(n_neighbors=12).fit_transform(X)
    indices, distances = (part.reshape(len(X), 13) for part in (graph.indices, graph.data))
    np.testing.assert_array_equal(indices[:, 0], np.arange(len(X)))
    assert (distances[:, 0] == 0).all()
    assert (np.diff(distances, axis=1) >= 0).all()
    assert (distances[0, :11] == 0).all()
    assert distances[0, 11] > 0
    assert sort_graph_by_row_values(graph, copy=False) is graph  # it is, without a warning


def test_minkowski_and_a_function() -> None:
    X, _ = blobs(60)
    for metric, p in (("minkowski", 3.0), (lambda x, y: abs(x - y).max(), None)):
        params = None if p is None else {"p": p}
        ours = KNNTransformer(metric=metric, metric_params=params).fit(X)
        theirs = KNeighborsTransformer(metric=metric, p=p or 2).fit(X)
        np.testing.assert_allclose(
            ours.transform(X[:9]).toarray(), theirs.transform(X[:9]).toarray(), rtol=1e-5, atol=1e-6
        )


def test_a_single_neighbour() -> None:
    X, _ = blobs(20)
    only = KNNTransformer(mode="connectivity", n_neighbors=1).fit_transform(X)
    np.testing.assert_array_equal(only.toarray(), np.eye(20))
    assert KNNTransformer(n_neighbors=19).fit_transform(X).nnz == 400


def test_dtypes_and_attributes() -> None:
    X, _ = blobs(50)
    for dtype in (np.float32, np.float64):
        assert KNNTransformer().fit_transform(X.astype(dtype)).dtype == dtype
    transformer = KNNTransformer(random_state=4).fit(X)
    assert transformer.seed_ == 4
    assert transformer.n_samples_fit_ == 50
    assert transformer.n_features_in_ == 6
    assert len(transformer.get_feature_names_out()) == 50
    assert clone(transformer).get_params() == transformer.get_params()


def test_rows_are_made_ready_once_and_pickled_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    X, _ = blobs(50)
    transformer = KNNTransformer().fit(X)
    size = len(pickle.dumps(transformer))
    graph = transformer.transform(X)
    pickled = pickle.dumps(transformer)
    assert len(pickled) == size
    assert (pickle.loads(pickled).transform(X) != graph).nnz == 0
    monkeypatch.delattr(ops, "ProductTable")
    assert (transformer.transform(X) != graph).nnz == 0


def test_what_was_fitted_stays() -> None:
    X, _ = blobs(50)
    transformer = KNNTransformer().fit(X)
    before = transformer.transform(X[:5]).toarray()
    new = X[:5].copy()
    X[:] = 0
    transformer.set_params(n_neighbors=9, mode="connectivity")
    np.testing.assert_array_equal(transformer.transform(new).toarray(), before)


def test_approximate_graphs_are_reproducible(set_threads: Any) -> None:
    X = np.random.default_rng(0).normal(size=(20_000, 260)).astype(np.float32)  # n^2 d > 1e11
    X[:, 10:] *= 0.01
    graphs = []
    for threads in (1, 2):
        set_threads(threads)
        graphs.append(KNNTransformer(n_neighbors=10, random_state=0).fit_transform(X))
    assert graphs[0].nnz == 20_000 * 11
    np.testing.assert_array_equal(graphs[0].indices, graphs[1].indices)
    np.testing.assert_array_equal(graphs[0].data, graphs[1].data)
    some = X[:200]
    exact = KNNTransformer(n_neighbors=10).fit(X).transform(some)
    found = graphs[0][:200].multiply(exact != 0).nnz / (exact.nnz - 200)
    assert found > 0.9


def test_before_estimators_of_scikit_learn(digits: Any) -> None:
    X, y = digits[0][:400], digits[1][:400]
    graph = KNNTransformer(n_neighbors=100)
    tsne = TSNE(metric="precomputed", init="random", random_state=0, perplexity=20)
    isomap = Isomap(n_neighbors=15, metric="precomputed")
    for estimator, least in ((tsne, 0.9), (isomap, 0.6)):
        embedding = make_pipeline(graph, estimator).fit_transform(X)
        assert embedding.shape == (400, 2)
        assert KNeighborsClassifier(5).fit(embedding, y).score(embedding, y) > least
    classes = make_pipeline(graph, KNeighborsClassifier(5, metric="precomputed"))
    direct = KNeighborsClassifier(5).fit(X, y)
    np.testing.assert_array_equal(
        classes.fit(X, y).predict(digits[0][400:500]), direct.predict(digits[0][400:500])
    )
    found = make_pipeline(graph, DBSCAN(eps=1.2, metric="precomputed")).fit(X)[-1].labels_
    np.testing.assert_array_equal(found, DBSCAN(eps=1.2).fit(X).labels_)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        (
            {"mode": "both"},
            ValueError,
            "mode must be one of 'distance', 'connectivity', not 'both'",
        ),
        ({"n_neighbors": 0}, ValueError, r"n_neighbors .* in \[1, 19\], not 0"),
        ({"n_neighbors": 20}, ValueError, r"n_neighbors .* in \[1, 19\], not 20"),
        ({"n_neighbors": 21, "mode": "connectivity"}, ValueError, r"in \[1, 20\], not 21"),
        ({"n_neighbors": "5"}, TypeError, "n_neighbors .* not '5'"),
        ({"metric": "l3"}, ValueError, "metric must be one of .* 'l3'"),
        ({"metric": 3}, TypeError, "metric must be a name .* not 3"),
        ({"metric": "inner_product"}, NotImplementedError, "inner_product.* use 'cosine'"),
        ({"metric_params": 3}, TypeError, "metric_params must be a dict.* not 3"),
        ({"metric_params": {"p": 3}}, NotImplementedError, r"metric_params \['p'\]"),
        ({"metric": "minkowski", "metric_params": {"p": 0}}, ValueError, r"metric_params\['p'\]"),
        (
            {"metric": "seuclidean", "metric_params": {"V": np.ones(5)}},
            ValueError,
            r"metric_params\['V'\] must hold 6 numbers",
        ),
        (
            {"metric": "mahalanobis", "metric_params": {"VI": -np.eye(6)}},
            ValueError,
            "metric_params of 'mahalanobis' must be positive",
        ),
        ({"recall": 1.5}, ValueError, r"recall must lie in \(0, 1\], not 1.5"),
        ({"n_jobs": 0}, ValueError, "n_jobs .* not 0"),
        ({"random_state": -1}, ValueError, "random_state .* not -1"),
    ],
)
def test_bad_parameters(options: dict[str, Any], error: type[Exception], match: str) -> None:
    X, _ = blobs(20)
    transformer = KNNTransformer(**options)
    for call in (transformer.fit, transformer.fit_transform):
        with pytest.raises(error, match=match):
            call(X)
    with pytest.raises(NotFittedError):
        transformer.transform(X)


def test_bad_data() -> None:
    X, _ = blobs(20)
    with pytest.raises(ValueError, match="NaN"):
        KNNTransformer().fit(np.where(X > 8, np.nan, X))
    with pytest.raises(ValueError, match="1 sample"):
        KNNTransformer().fit(X[:1])
    with pytest.raises(ValueError, match="5 features"):
        KNNTransformer().fit(X).transform(X[:, :5])


@pytest.mark.parametrize("metric", ["seuclidean", "mahalanobis"])
def test_new_rows_are_measured_by_the_fit(metric: str) -> None:
    X, queries = blobs(60)[0], blobs(80)[0][60:]
    found = KNNTransformer(n_neighbors=4, metric=metric).fit(X).transform(queries)
    of_fit = np.cov(X.T) if metric == "mahalanobis" else X.var(axis=0, ddof=1)
    scale = {"VI": np.linalg.inv(of_fit)} if metric == "mahalanobis" else {"V": of_fit}
    wanted = np.sort(cdist(queries, X, metric, **scale), axis=1)[:, :5]
    np.testing.assert_allclose(found.data.reshape(-1, 5), wanted, rtol=1e-4)


@pytest.mark.parametrize(
    ("metric", "params"),
    [
        ("minkowski", {"p": 3.0, "w": np.arange(1.0, 7.0)}),
        ("seuclidean", {"V": np.arange(1.0, 7.0)}),
        ("mahalanobis", {"VI": np.diag(np.arange(1.0, 7.0))}),
        (lambda x, y, power: (np.abs(x - y) ** power).sum(), {"power": 1.5}),
    ],
    ids=["minkowski", "seuclidean", "mahalanobis", "function"],
)
def test_options_of_metrics(metric: Any, params: dict[str, Any]) -> None:
    X, queries = blobs()[0], blobs(30, seed=1)[0]
    ours = KNNTransformer(n_neighbors=4, metric=metric, metric_params=params).fit(X)
    D = cdist(queries.astype(float), X.astype(float), metric, **params)
    found = ours.transform(queries).data.reshape(30, 5)
    np.testing.assert_allclose(found, np.sort(D, axis=1)[:, :5], rtol=1e-4)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_sparse_rows_are_dense_ones(metric: str) -> None:
    X, _ = blobs()
    X[np.abs(X) < 0.3] = 0
    ours = KNNTransformer(n_neighbors=6, metric=metric)
    dense, sparse = ours.fit_transform(X), ours.fit_transform(csr_matrix(X))
    np.testing.assert_allclose(sparse.toarray(), dense.toarray(), rtol=1e-4, atol=1e-5)
    new = ours.transform(csr_matrix(X[:9] + 1))
    np.testing.assert_allclose(
        new.toarray(), ours.fit(X).transform(X[:9] + 1).toarray(), rtol=1e-4, atol=1e-5
    )
    with pytest.raises(ValueError, match="for sparse data, not 'mahalanobis'"):
        KNNTransformer(metric="mahalanobis").fit(csr_matrix(X))


def test_before_our_umap() -> None:
    X, _ = blobs()
    steps = KNNTransformer(n_neighbors=15), UMAP(metric="precomputed", random_state=0, n_epochs=50)
    graph = make_pipeline(*steps).fit(X)[-1].graph_.toarray()
    direct = UMAP(random_state=0, n_epochs=50).fit(X).graph_.toarray()
    np.testing.assert_allclose(graph, direct, atol=1e-6)


def test_light_import_and_no_global_state() -> None:
    threads, seed = torch.get_num_threads(), torch.initial_seed()
    KNNTransformer(random_state=3).fit_transform(blobs(20)[0])
    assert torch.get_num_threads() == threads
    assert torch.initial_seed() == seed
