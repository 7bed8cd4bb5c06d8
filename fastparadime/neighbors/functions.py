"""Distances by a function of two rows, plain or compiled by numba."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from fastparadime.types import Array


def function_distances(queries: Array, rows: Array, metric: Callable[..., Any]) -> Array:
    """The distances (m, n) in float64.

    Parameters
    ----------
    queries : array (m, d)
    rows : array (n, d)
        Given to the function as they are, in their dtype.
    metric : callable
        Gives a number, or a pair (distance, gradient) as some of umap-learn's do.

    Raises
    ------
    TypeError
        If it gives something else.
    """
    found = np.empty((len(queries), len(rows)))
    if not found.size:
        return found
    first = metric(queries[0], rows[0])
    pairs = isinstance(first, tuple)
    try:
        float(first[0] if pairs else first)
    except (TypeError, ValueError, IndexError):
        raise TypeError(
            "metric must give a number or a pair (distance, gradient), not "
            f"{type(first).__name__} {first!r}"
        ) from None
    fill = _compiled_loop(metric, pairs) if is_compiled(metric) else None
    if fill is not None:
        fill(queries, rows, found)
        return found
    for x, out in zip(queries, found, strict=True):
        if pairs:
            out[:] = [metric(x, y)[0] for y in rows]
        else:
            out[:] = [metric(x, y) for y in rows]
    return found


def is_compiled(metric: Callable[..., Any]) -> bool:
    """Whether numba compiled a function."""
    numba = sys.modules.get("numba")
    return numba is not None and isinstance(metric, numba.core.dispatcher.Dispatcher)


@functools.lru_cache(maxsize=16)
def _compiled_loop(metric: Callable[..., Any], pairs: bool) -> Callable[..., None] | None:
    """A loop over all pairs compiled together with the function: a call from Python takes longer."""
    import numba

    if metric.targetoptions.get("forceobj"):  # type: ignore[attr-defined]
        return None

    def distances(queries: Array, rows: Array, found: Array) -> None:
        for i in range(len(queries)):
            for j in range(len(rows)):
                found[i, j] = metric(queries[i], rows[j])

    def first_of_pairs(queries: Array, rows: Array, found: Array) -> None:
        for i in range(len(queries)):
            for j in range(len(rows)):
                found[i, j] = metric(queries[i], rows[j])[0]

    compiled: Any = numba.njit(first_of_pairs if pairs else distances)
    return cast("Callable[..., None]", compiled)
