"""scikit-learn's own checks of estimators, all of them and without an expected failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastparadime import UMAP, KNNTransformer, ParametricUMAP


# Some checks fit ten rows.
@pytest.mark.filterwarnings("ignore:n_neighbors is lowered:UserWarning")
@parametrize_with_checks(
    [
        UMAP(n_epochs=50, random_state=0),
        UMAP(n_neighbors=5, init="pca"),
        KNNTransformer(),
        KNNTransformer(mode="connectivity", metric="cosine"),
        KNNTransformer(metric="manhattan"),
        KNNTransformer(metric="canberra"),
        KNNTransformer(metric="mahalanobis"),
        KNNTransformer(metric="nan_euclidean"),
        UMAP(metric="chebyshev", n_epochs=20, random_state=0),
        UMAP(metric="hellinger", n_epochs=20, random_state=0),
        UMAP(metric="nan_euclidean", n_epochs=20, random_state=0),
        ParametricUMAP(quality="fast", hidden_dims=[8], n_epochs=20, random_state=0),
    ]
)
def test_sklearn_contract(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
