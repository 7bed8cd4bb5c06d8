"""Set operations on fuzzy graphs of the same points, edge by edge."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from fastparadime import ops
from fastparadime.graph.edges import ends_of, values_at
from fastparadime.types import Array

# Half of a graph's weakest edge stands for those that it lacks, within limits, as in umap-learn.
_LEAST, _MOST_OF_SECOND = 1e-8, 1e-4
_METRIC_NEIGHBORS = 15  # whose log2 the strengths of a point's edges sum to, as in umap-learn
_TOLERANCE = 1e-5  # of that sum
_FLAT = 1e-12  # of its slope, above which only strengths of 1 are left
_MOST_STEPS = 64  # of Newton's method; some six are needed


class AlignedGraphs(NamedTuple):
    """The edges of two graphs of n points, and the strengths each gives them, NaN where it has none."""

    indptr: torch.Tensor  # (n + 1,)
    heads: Array  # (edges,)
    tails: Array  # (edges,)
    first: Array  # (edges,), float64
    second: Array  # (edges,), float64

    @staticmethod
    def of(first: ops.Edges, second: ops.Edges) -> AlignedGraphs:
        import scipy.sparse

        n = len(first.indptr) - 1
        of_first, of_second = (
            scipy.sparse.csr_matrix((np.ones(len(part.tails), np.int8), ends_of(part)), (n, n))
            for part in (first, second)
        )
        both = of_first + of_second
        both.sort_indices()
        heads = np.repeat(np.arange(n), np.diff(both.indptr))
        strengths = (
            values_at(n, (heads, both.indices), ends_of(part), part.weights.double().numpy())
            for part in (first, second)
        )
        indptr = torch.from_numpy(both.indptr.astype(np.int64))
        return AlignedGraphs(indptr, heads, both.indices, *strengths)


def intersection(graphs: AlignedGraphs, weight: float = 0.5) -> Array:
    """Strengths first^(1/r) second or first second^r, r being the second's weight over the rest."""
    first = _filled(graphs.first)
    second = _filled(graphs.second, _MOST_OF_SECOND)
    if weight < 0.5:
        second = second ** (weight / (1 - weight))
    else:
        first = first ** ((1 - weight) / weight)
    strengths: Array = first * second
    return strengths


def union(graphs: AlignedGraphs) -> Array:
    """Strengths first + second - first second."""
    first, second = _filled(graphs.first), _filled(graphs.second)
    strengths: Array = first + second - first * second
    return strengths


def difference(graphs: AlignedGraphs) -> Array:
    """Strengths first (1 - second); an edge that the second graph lacks keeps its own."""
    strengths: Array = np.nan_to_num(graphs.first) * (1 - np.nan_to_num(graphs.second))
    return strengths


def reset_local_connectivity(
    indptr: torch.Tensor,
    heads: Array,
    tails: Array,
    strengths: Array,
    *,
    reset_metrics: bool = False,
) -> ops.Edges:
    """The union of a graph and its transpose after each point's strongest edge is made 1.

    With `reset_metrics`, strengths are first raised to the power, one for each point, with which its
    edges sum to log2(15).
    """
    n = len(indptr) - 1
    largest = np.zeros(n)
    np.maximum.at(largest, heads, strengths)
    strongest = largest[heads]
    scaled = np.divide(strengths, strongest, out=np.zeros_like(strengths), where=strongest > 0)
    if reset_metrics:
        scaled = reset_local_metrics(scaled, heads, n)
    columns = torch.from_numpy(tails.astype(np.int32, copy=False))
    return ops.symmetrize(columns, scaled.astype(np.float32), "union", indptr=indptr)


def _filled(strengths: Array, most: float = np.inf) -> Array:
    least = min(max(float(np.nanmin(strengths, initial=1.0)) / 2, _LEAST), most)
    return np.where(np.isnan(strengths), least, strengths)


def reset_local_metrics(strengths: Array, heads: Array, n: int) -> Array:
    """Strengths to the power, one for each point, with which its edges sum to log2(15)."""
    # The sum of powers falls and is convex in the exponent, so that Newton's steps from 0 never
    # pass the root; a point with too few edges stays at 0, where all of them count 1. Where too
    # many are 1, no power is enough: the steps end once the others have vanished.
    logs = np.log(np.maximum(strengths, np.finfo(np.float64).tiny))
    exponents = np.zeros(n)
    for _ in range(_MOST_STEPS):
        powers = np.exp(exponents[heads] * logs)
        excess = np.bincount(heads, powers, n) - np.log2(_METRIC_NEIGHBORS)
        slope = np.bincount(heads, powers * logs, n)
        moving = (excess > _TOLERANCE) & (slope < -_FLAT)
        if not moving.any():
            break
        exponents[moving] -= excess[moving] / slope[moving]
    raised: Array = np.exp(exponents[heads] * logs)
    return raised
