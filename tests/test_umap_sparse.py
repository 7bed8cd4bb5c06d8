"""UMAP of sparse rows and of sparse distances: what it gives for dense ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse

from fastparadime import UMAP
from fastparadime.estimators._rows import distinct, row_streams


def sparse_rows(n: int = 150, dim: int = 40, seed: int = 0) -> Any:
    return scipy.sparse.random(
        n, dim, density=0.2, format="csr", dtype=np.float32, random_state=seed
    )


def quick(**options: Any) -> UMAP:
    return UMAP(**{"n_epochs": 30, "random_state": 0, **options})


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_equals_the_dense_rows(metric: str, form: str) -> None:
    X = sparse_rows()
    sparse = quick(metric=metric).fit(X[:120].asformat(form))
    dense = quick(metric=metric).fit(X[:120].toarray())
    assert np.abs((sparse.graph_ - dense.graph_).toarray()).max() < 1e-4
    assert scipy.sparse.issparse(sparse._raw_data)
    assert sparse._sparse_data
    assert np.isfinite(sparse.transform(X[120:].asformat(form))).all()
    graphs = quick(metric=metric, transform_mode="graph")
    new = graphs.fit(X[:120].asformat(form)).transform(X[120:].asformat(form))
    same = graphs.fit(X[:120].toarray()).transform(X[120:].toarray())
    assert np.abs((new - same).toarray()).max() < 1e-4


def test_a_row_is_placed_by_itself() -> None:
    X = sparse_rows()
    estimator = quick().fit(X[:120])
    whole = estimator.transform(X)
    np.testing.assert_array_equal(whole[:120], estimator.embedding_)
    np.testing.assert_array_equal(estimator.transform(X[130:133]), whole[130:133])
    np.testing.assert_array_equal(estimator.transform(X[130:133].toarray()), whole[130:133])


def test_the_input_is_left_alone() -> None:
    X = sparse_rows()
    X.data[::7] = 0  # stored zeros
    before = X.copy()
    quick().fit(X)
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(X, name), getattr(before, name))


def test_principal_components_as_a_start() -> None:
    start = quick(init="pca", n_epochs=0).fit_transform(sparse_rows())
    assert float(np.abs(start.max(axis=0) - 10).max()) < 0.5


def test_unique_rows() -> None:
    X = sparse_rows(60)
    doubled = scipy.sparse.vstack([X, X]).tocsr()
    estimator = quick(unique=True)
    embedding = estimator.fit_transform(doubled)
    assert estimator.graph_.shape == (60, 60)
    np.testing.assert_array_equal(embedding[:60], embedding[60:])


def test_streams_are_those_of_the_dense_rows() -> None:
    X = sparse_rows()
    X.data[X.indptr[3] : X.indptr[4]] = 0
    X.eliminate_zeros()
    np.testing.assert_array_equal(row_streams(X), row_streams(X.toarray()))


def test_distinct_rows() -> None:
    X = sparse_rows(30)[[0, 1, 0, 2, 1]]
    first, inverse = distinct(X)
    np.testing.assert_array_equal(X[first][inverse].toarray(), X.toarray())
    assert len(first) == 3


def test_updated_with_sparse_rows() -> None:
    X = sparse_rows()
    estimator = quick().fit(X[:120]).update(X[120:])
    assert estimator.embedding_.shape == (150, 2)
    assert np.isfinite(estimator.embedding_).all()


def test_sparse_distances() -> None:
    X = sparse_rows().toarray()
    distances = np.linalg.norm(X[:, None] - X[None], axis=2)
    kept = np.where(distances <= np.sort(distances, axis=1)[:, 19:20], distances, 0)
    kept = np.maximum(kept, kept.T)
    dense = quick(metric="precomputed").fit(distances[:120, :120])
    sparse = quick(metric="precomputed").fit(scipy.sparse.csr_matrix(distances[:120, :120]))
    assert (dense.graph_ != sparse.graph_).nnz == 0
    near = quick(metric="precomputed").fit(scipy.sparse.csr_matrix(kept))
    whole = quick(metric="precomputed").fit(distances)
    assert np.abs((near.graph_ - whole.graph_).toarray()).max() < 1e-6
    few = scipy.sparse.csr_matrix(distances[120:, :120])
    np.testing.assert_array_equal(
        sparse.transform(few), dense.transform(distances[120:, :120].astype(np.float32))
    )


def test_sparse_neighbors_given() -> None:
    X = sparse_rows().toarray()
    distances = np.linalg.norm(X[:, None] - X[None], axis=2)
    plain = quick().fit(X)
    for given in (distances, scipy.sparse.csr_matrix(distances)):
        for found in (quick(precomputed_knn=given).fit(X), quick().fit(X, knn_graph=given)):
            assert np.abs((found.graph_ - plain.graph_).toarray()).max() < 1e-4


def test_bad_data() -> None:
    X = sparse_rows()
    with pytest.raises(ValueError, match=r"metric must be one of .* for sparse data, not 'mahala"):
        quick(metric="mahalanobis").fit(X)
    few = scipy.sparse.csr_matrix(np.diag(np.ones(20), 1) + np.diag(np.ones(20), -1))
    with pytest.raises(ValueError, match=r"matrix of distances of shape \(150, 150\)"):
        quick(precomputed_knn=few).fit(X)
    X.data[5] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        quick().fit(X)
