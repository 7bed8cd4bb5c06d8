"""scikit-learn's own checks of estimators, all but one: stochastic layouts differ between rows that
are repeated and those that weigh as much, as scikit-learn's own KMeans does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastparadime import UMAP, KNNTransformer, ParametricUMAP


def expected_failures(estimator: Any) -> dict[str, str]:
    if isinstance(estimator, KNNTransformer):
        return {}
    kinds = ("dense", "sparse")
    reason = "weights and repeated rows are the same on average; tests/ops/layout has that"
    return {f"check_sample_weight_equivalence_on_{kind}_data": reason for kind in kinds}


# Some checks fit ten rows, or one that shares no column with others.
@pytest.mark.filterwarnings("ignore:n_neighbors is lowered:UserWarning")
@pytest.mark.filterwarnings("ignore:1 of 12 points have no neighbour:UserWarning")
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
        UMAP(metric="manhattan", n_epochs=20, random_state=0),
        UMAP(output_metric="manhattan", n_epochs=20, random_state=0),
        KNNTransformer(metric="hellinger"),
    ],
    expected_failed_checks=expected_failures,
)
def test_sklearn_contract(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
