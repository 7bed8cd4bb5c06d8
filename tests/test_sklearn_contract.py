"""scikit-learn's own checks of estimators, all but those of `OF_WEIGHTS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fastparadime import UMAP, KNNTransformer, ParametricUMAP
from tests.contract import OLD, with_checks


# Some checks fit ten rows, or one that shares no column with others.
@pytest.mark.filterwarnings("ignore:n_neighbors is lowered:UserWarning")
@pytest.mark.filterwarnings("ignore:1 of 12 points have no neighbour:UserWarning")
@with_checks(
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
)
def test_sklearn_contract(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


@pytest.mark.skipif(OLD, reason="scikit-learn before 1.6 has no such tags")
@pytest.mark.parametrize("kind", [UMAP, KNNTransformer])
@pytest.mark.parametrize("metric", ["precomputed", "cosine", "nan_euclidean", "hellinger", max])
def test_versions_before_the_tags_are_told_the_same(kind: Any, metric: Any) -> None:
    estimator = kind(metric=metric)
    old, tags = estimator._more_tags(), estimator.__sklearn_tags__()
    assert old["preserves_dtype"] == tags.transformer_tags.preserves_dtype
    assert old["pairwise"] == tags.input_tags.pairwise == (metric == "precomputed")
    assert old["allow_nan"] == tags.input_tags.allow_nan == (metric == "nan_euclidean")
    assert old["requires_positive_X"] == tags.input_tags.positive_only == (metric == "hellinger")
    assert ("sparse" in old["X_types"]) == tags.input_tags.sparse
