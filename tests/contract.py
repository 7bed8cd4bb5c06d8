"""scikit-learn's own checks of estimators, as it asks for them in each of its versions."""

from __future__ import annotations

from typing import Any

import pytest
import sklearn
from sklearn.utils.estimator_checks import parametrize_with_checks

# Stochastic layouts differ between rows that are repeated and those that weigh as much, as
# scikit-learn's own KMeans does; tests/ops/layout has that they are the same on average.
OF_WEIGHTS = (
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
    "check_sample_weights_invariance",  # before 1.6
)
_REASON = "weights and repeated rows are the same on average"
OLD = tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 6)


def with_checks(estimators: list[Any]) -> pytest.MarkDecorator:
    """Gives a test `estimator` and `check`; those of `OF_WEIGHTS` are expected to fail."""
    if not OLD:
        return parametrize_with_checks(
            estimators, expected_failed_checks=lambda one: dict.fromkeys(expected(one), _REASON)
        )
    marker = parametrize_with_checks(estimators)
    names, cases = marker.args
    return pytest.mark.parametrize(names, [_marked(*case) for case in cases], **marker.kwargs)


def expected(estimator: Any) -> tuple[str, ...]:
    """The checks that fail: those of weights, where an estimator takes weights."""
    return () if type(estimator).__name__ == "KNNTransformer" else OF_WEIGHTS


def _marked(estimator: Any, check: Any) -> Any:
    fails = check.func.__name__ in expected(estimator) and check.keywords.get("kind") == "zeros"
    # All but one kind of the check hold.
    marks = [pytest.mark.xfail(reason=_REASON)] if fails else []
    return pytest.param(estimator, check, marks=marks)
