"""scikit-learn's contract of names of columns, for frames that are arrays by now."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

_MOST_LISTED = 5  # as scikit-learn lists


def check_names(columns: Sequence[str], fitted: Sequence[str]) -> None:
    """Raises ValueError, in scikit-learn's words, for names that are not those of the fit in order."""
    if list(columns) == list(fitted):
        return
    message = "The feature names should match those that were passed during fit.\n"
    unseen, missing = sorted(set(columns) - set(fitted)), sorted(set(fitted) - set(columns))
    if unseen:
        message += "Feature names unseen at fit time:\n" + _lines(unseen)
    if missing:
        message += "Feature names seen at fit time, yet now missing:\n" + _lines(missing)
    if not unseen and not missing:
        message += (
            "Feature names must be in the same order as they were in fit.\n"
            "X[list(estimator.feature_names_in_)] is in that order.\n"
        )
    raise ValueError(message)


def warn_of_names(estimator: Any) -> None:
    """Warns that a fit had no names with which to compare those there are."""
    warnings.warn(
        f"X has feature names, but {type(estimator).__name__} was fitted without feature names",
        UserWarning,
        stacklevel=5,
    )


def _lines(names: Sequence[str]) -> str:
    more = "- ...\n" if len(names) > _MOST_LISTED else ""
    return "".join(f"- {name}\n" for name in names[:_MOST_LISTED]) + more
