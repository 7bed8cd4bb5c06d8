"""Labels as classes: one a point, in the order that a reader expects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastparadime.types import Array, TensorLike
from fastparadime.utils.labels import known_labels


def check_labels(
    labels: TensorLike | Sequence[Any], n: int, name: str = "labels"
) -> tuple[Array, Array]:
    """One value for each of n points, an array (n,) that can be sorted, and which are known."""
    values, known = known_labels(labels)
    if values.shape not in ((n,), (n, 1)):
        raise ValueError(
            f"{name} must have one value for each of the {n} points, but have shape {values.shape}"
        )
    if values.dtype.kind == "M":  # numbers of nanoseconds would say nothing
        values = np.datetime_as_string(values, unit="auto")
    # Objects of several types have no order, but their names do.
    return values.ravel().astype(str) if values.dtype.kind == "O" else values.ravel(), known.ravel()


def classes_of(
    values: Array, known: Array, order: list[Any] | None = None
) -> tuple[list[Any], Array]:
    """The distinct values that are known, and which of them each point has: -1 if none.

    They have the order of the categories given; words have the natural one, "c2" before "c10".
    """
    distinct, found = np.unique(values[known], return_inverse=True)
    classes = distinct.tolist()
    ranks = {str(category): rank for rank, category in enumerate(order or [])}
    if ranks:
        order_of = sorted(range(len(classes)), key=lambda i: ranks.get(str(classes[i]), len(ranks)))
    elif distinct.dtype.kind == "U":
        order_of = sorted(range(len(classes)), key=lambda i: _natural(classes[i]))
    else:
        order_of = list(range(len(classes)))
    codes = np.full(len(values), -1)
    codes[known] = np.argsort(order_of)[found] if classes else found
    return [classes[i] for i in order_of], codes


def category_order(labels: Any) -> list[Any] | None:
    """The categories of pandas' categorical labels, in their order; None of others."""
    categories = getattr(getattr(labels, "cat", labels), "categories", None)
    return None if categories is None else list(categories)


def _natural(name: str) -> list[tuple[bool, float, str]]:
    """A key by which numbers within names are ordered as numbers."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(i % 2 == 0, 0.0 if i % 2 == 0 else float(part), part) for i, part in enumerate(parts)]
