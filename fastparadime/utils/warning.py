"""Warnings in the name of the caller's line."""

from __future__ import annotations

import sys
import warnings


def warn(message: str, category: type[Warning]) -> None:
    """Warns with the line that called into this package, through scikit-learn or not."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _is_between(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_between(module: str) -> bool:
    # scikit-learn wraps `transform`, and calls the steps of pipelines; contextlib our own methods.
    return module.split(".", 1)[0] in (__name__.split(".", 1)[0], "sklearn", "contextlib")
