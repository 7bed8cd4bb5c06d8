"""UMAP of tables without any spread, and of some rows far from all others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from fastparadime import UMAP


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "correlation", "jaccard"])
@pytest.mark.parametrize("options", [{}, {"init": "pca"}, {"densmap": True}])
def test_equal_rows(metric: str, options: dict[str, Any]) -> None:
    X = np.ones((500, 10), np.float32)
    fit = UMAP(metric=metric, random_state=0, **options).fit(X)
    assert (fit.graph_.data == 1).all()
    assert np.isfinite(fit.embedding_).all()
    assert np.ptp(fit.embedding_, axis=0).max() < 8  # one cloud, wherever it lies
    assert len(np.unique(fit.embedding_, axis=0)) == 500
    np.testing.assert_array_equal(fit.transform(X[:2]), fit.embedding_[[0, 0]])


def test_equal_rows_without_a_distance() -> None:
    fit = UMAP(metric="precomputed", random_state=0).fit(np.zeros((300, 300)))
    assert (fit.graph_.data == 1).all()
    assert np.isfinite(fit.embedding_).all()
    with pytest.raises(ValueError, match="at least 2 distinct rows for unique=True"):
        UMAP(unique=True).fit(np.ones((300, 3)))


@pytest.mark.parametrize("options", [{}, {"init": "pca"}])
def test_wild_outliers_leave_the_others_as_they_are(options: dict[str, Any]) -> None:
    X = np.random.default_rng(0).normal(size=(1000, 10)).astype(np.float32)
    others = np.setdiff1d(np.arange(1000), [5, 77, 900])
    far = X.copy()
    far[[5, 77, 900]] *= 1e4
    fit = UMAP(random_state=0, **options).fit(far)
    alone = UMAP(random_state=0, **options).fit(X[others])
    # The strengths among the others are theirs: no outlier is among their neighbours.
    directed = [fit._knn_indices[others], others[alone._knn_indices]]
    np.testing.assert_array_equal(*directed)
    np.testing.assert_allclose(fit._sigmas[others], alone._sigmas, rtol=1e-4)
    quality = [
        trustworthiness(X[others], found, n_neighbors=15)
        for found in (fit.embedding_[others], alone.embedding_)
    ]
    assert quality[0] > quality[1] - 0.01
    spread = fit.embedding_[others].std(axis=0) / alone.embedding_.std(axis=0)
    np.testing.assert_allclose(spread, 1.0, atol=0.2)
