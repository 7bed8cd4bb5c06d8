"""How long an exact search takes, roughly, said before it begins."""

from __future__ import annotations

import torch

from fastparadime.exceptions import SlowSearchWarning
from fastparadime.neighbors.functions import is_compiled
from fastparadime.neighbors.metrics import SCIPY_METRICS, Metric
from fastparadime.utils.warning import warn

_LONG = 600.0  # seconds
# Nanoseconds of one core for each pair of coordinates, measured on a server of 2024.
_COORDINATES = {
    "manhattan": 0.05,
    "chebyshev": 0.6,
    "minkowski": 2.0,
    "canberra": 0.4,
    "braycurtis": 0.3,
    "jensenshannon": 1.5,
    "hamming": 0.05,
    "nan_euclidean": 0.1,
    "seuclidean": 0.7,
}
_PRODUCTS = 0.05
# In multiply-adds of products, measured: an exact search a candidate of a list, and clusters.
_LISTED_EXACTLY = 3e4
LISTED = 2e3
GATHERED = 10.0  # a coordinate of a candidate
_LOOKED_AT, _LOOKED_AT_COLUMN = 900.0, 4.0  # a neighbour of a neighbour, and for each column
_MAHALANOBIS = 0.3  # and this for each column
_PAIR = 5.0  # a pair of rows, for the order
_SCIPY_PAIR = 15.0
_FUNCTION = 2000.0  # a call from Python, at the least
_COMPILED = 20.0  # of a function that numba compiled, and for each column:
_COMPILED_COLUMN = 1.0


def estimate_seconds(n: int, d: int, metric: Metric, threads: int) -> float:
    """Seconds that an exact search of n rows of d columns takes, within a factor of about two."""
    if callable(metric):
        compiled = _COMPILED + d * _COMPILED_COLUMN
        return 1e-9 * n * n * (compiled if is_compiled(metric) else _FUNCTION)
    if metric in SCIPY_METRICS:  # which uses one thread
        each = _MAHALANOBIS * d if metric == "mahalanobis" else _COORDINATES[metric]
        return 1e-9 * n * n * (_SCIPY_PAIR + d * each)
    return 1e-9 * n * n * (_PAIR + d * _COORDINATES.get(metric, _PRODUCTS)) / threads


def exact_products(n: int, d: int, k: int) -> float:
    """Multiply-adds that an exact search by products is worth."""
    return 0.5 * n * n * d + _LISTED_EXACTLY * n * k


def refinement_products(n: int, columns: int, max_candidates: int) -> float:
    """Multiply-adds that a look through the neighbours of neighbours is worth."""
    return float(n) * max_candidates**2 * (_LOOKED_AT + _LOOKED_AT_COLUMN * columns)


def warn_if_slow(n: int, d: int, metric: Metric) -> None:
    """Warns of an exact search on the CPU that takes longer than ten minutes, and how to go on."""
    name = getattr(metric, "__name__", metric) if callable(metric) else repr(metric)
    seconds = estimate_seconds(n, d, metric, torch.get_num_threads())
    warn_of_seconds(seconds, f"{n} rows of {d} columns by metric {name}")


def warn_of_seconds(seconds: float, what: str) -> None:
    """Warns of an exact search of what `what` says, if it takes longer than ten minutes."""
    if seconds <= _LONG:
        return
    warn(
        f"an exact search of {what} takes about {_readable(seconds)}. Faster ways: 'euclidean', "
        "'cosine' or 'correlation' of suitable columns with a recall below 1; fewer rows or "
        "columns; neighbors found otherwise, as a pair (indices, distances)",
        SlowSearchWarning,
    )


def _readable(seconds: float) -> str:
    for unit, length in (("days", 86400.0), ("hours", 3600.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 60:.0f} minutes"
