"""umap-learn's distances between single labels, by which the edges between them are weakened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastparadime.types import Array

LABEL_METRICS = ("ordinal", "count", "string", "myers", "hierarchical_categorical")
_MOST_COUNTS = 2**24  # between the least and the largest: each has an entry in a table
_CELLS = 2**20  # of the edit distances that are found at once


@dataclass(frozen=True)
class LabelMetric:
    """One of `LABEL_METRICS`; `hierarchy` maps the categories to groups, the finest level first."""

    name: str
    hierarchy: tuple[Mapping[Any, Any], ...] = ()

    def check(self, labels: Array) -> Array:
        """Known labels (m,) as `distances` takes them, with a row or an entry for each.

        Raises
        ------
        ValueError
            For labels that are not of the metric's kind.
        """
        if self.name == "hierarchical_categorical":
            return _groups(labels, self.hierarchy)
        if self.name in ("string", "myers"):
            if not all(isinstance(label, str) for label in labels.tolist()):
                raise ValueError(
                    f"y must hold strings for target_metric={self.name!r}, not {labels.dtype}"
                )
            return labels.astype(str)
        if labels.dtype.kind not in "biuf" or not np.isfinite(labels).all():
            raise ValueError(f"y must hold finite numbers for target_metric={self.name!r}")
        numbers: Array = labels.astype(np.float64)
        return _counts(numbers) if self.name == "count" else numbers

    def distances(self, labels: Array, heads: Array, tails: Array) -> Array:
        """The distance of the labels of each edge, float64 (edges,)."""
        if self.name == "hierarchical_categorical":
            return _hierarchical(labels, heads, tails)
        if self.name in ("string", "myers"):
            return _between_strings(labels, heads, tails)
        places = _surprises(labels) if self.name == "count" else labels
        between: Array = np.abs(places[heads] - places[tails])
        half = np.ptp(places) / 2
        return between / half if half > 0 else between


def check_label_metric(name: str, kwds: dict[str, Any] | None) -> LabelMetric:
    """The metric of that name, its keywords checked.

    Raises
    ------
    TypeError, ValueError
        For keywords that the metric does not take.
    """
    options = dict(kwds or {})
    hierarchy = options.pop("cat_hierarchy", None)
    if options or (hierarchy is not None and name != "hierarchical_categorical"):
        raise ValueError(
            f"target_metric_kwds must be empty for target_metric={name!r}, but for 'cat_hierarchy' "
            f"of 'hierarchical_categorical', not {kwds!r}"
        )
    if name != "hierarchical_categorical":
        return LabelMetric(name)
    levels = tuple(hierarchy) if isinstance(hierarchy, (list, tuple)) else ()
    if not levels or not all(isinstance(level, Mapping) for level in levels):
        raise TypeError(
            "target_metric_kwds['cat_hierarchy'] must be a list of dictionaries from categories to "
            f"their groups, the finest level first, not {hierarchy!r}"
        )
    return LabelMetric(name, levels)


def _counts(numbers: Array) -> Array:
    if (numbers < 0).any() or (numbers != np.floor(numbers)).any():
        raise ValueError("y must hold whole numbers >= 0 for target_metric='count'")
    if len(numbers) and np.ptp(numbers) > _MOST_COUNTS:
        raise ValueError(
            f"y must not span more than {_MOST_COUNTS} counts for target_metric='count', but goes "
            f"from {numbers.min():.0f} to {numbers.max():.0f}: 'ordinal' compares any numbers"
        )
    return numbers


def _surprises(counts: Array) -> Array:
    """Sums of -log P(k) up to each count, P being Poisson's distribution of the counts' mean.

    umap-learn means the same, but its factorials are those of the count before (below ten) or lag
    behind, and a count of zero makes them infinite.
    """
    from scipy.special import gammaln

    mean, least = counts.mean(), counts.min()
    if mean == 0:
        return counts
    steps = np.arange(least, counts.max())
    sums = np.zeros(len(steps) + 1)
    np.cumsum(mean - steps * np.log(mean) + gammaln(steps + 1), out=sums[1:])
    found: Array = sums[(counts - least).astype(np.int64)]
    return found


def _groups(labels: Array, hierarchy: tuple[Mapping[Any, Any], ...]) -> Array:
    """The group of each label on each level, as numbers (n, levels)."""
    columns = []
    for depth, level in enumerate(hierarchy):
        codes: dict[Any, int] = {}
        missing = sorted({str(label) for label in labels.tolist() if label not in level})
        if missing:
            raise ValueError(
                f"y must hold categories of target_metric_kwds['cat_hierarchy'] alone, but level "
                f"{depth} lacks {', '.join(missing[:5])}"
            )
        columns.append([codes.setdefault(level[label], len(codes)) for label in labels.tolist()])
    return np.array(columns, dtype=np.int64).reshape(len(hierarchy), len(labels)).T


def _hierarchical(groups: Array, heads: Array, tails: Array) -> Array:
    """The share of levels below the first one at which both are of one group."""
    same = groups[heads] == groups[tails]
    found: Array = np.where(same.any(axis=1), same.argmax(axis=1) / groups.shape[1], 1.0)
    return found


def _between_strings(labels: Array, heads: Array, tails: Array) -> Array:
    """Edit distances over a third of the longest string's length, at most 1."""
    words, codes = np.unique(labels, return_inverse=True)
    lengths = np.array([len(word) for word in words.tolist()])
    limit = lengths.max() / 3
    letters = words.view(np.uint32).reshape(len(words), -1)
    ends = np.sort(np.stack([codes[heads], codes[tails]], axis=1), axis=1)
    pairs, places = np.unique(ends, axis=0, return_inverse=True)
    found = np.where(pairs[:, 0] == pairs[:, 1], 0.0, 1.0)
    near = np.abs(lengths[pairs[:, 0]] - lengths[pairs[:, 1]]) <= limit
    wanted = np.flatnonzero((found > 0) & near)
    stride = max(1, _CELLS // max(1, letters.shape[1]))
    for first in range(0, len(wanted), stride):
        block = wanted[first : first + stride]
        distances = _edit_distances(letters, lengths, *pairs[block].T)
        found[block] = np.minimum(distances / limit, 1.0)
    return found[places.reshape(-1)]


def _edit_distances(letters: Array, lengths: Array, left: Array, right: Array) -> Array:
    """Levenshtein distances of pairs of strings, a row of all their tables at a time."""
    order = np.argsort(-lengths[left], kind="stable")  # finished pairs come last
    left, right = left[order], right[order]
    columns = np.arange(letters.shape[1] + 1)
    rows = np.tile(columns, (len(left), 1))
    for i in range(int(lengths[left[0]])):
        active = int((lengths[left] > i).sum())
        before = rows[:active]
        after = np.empty_like(before)
        after[:, 0] = i + 1
        changed = letters[left[:active], i, None] != letters[right[:active]]
        after[:, 1:] = np.minimum(before[:, 1:] + 1, before[:, :-1] + changed)
        # An insertion costs 1 a column: a running minimum of what lies above the columns' numbers.
        rows[:active] = np.minimum.accumulate(after - columns, axis=1) + columns
    found = np.empty(len(left), dtype=np.int64)
    found[order] = rows[np.arange(len(left)), lengths[right]]
    return found
