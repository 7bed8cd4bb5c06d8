"""Set operations on fuzzy graphs of the same points, edge by edge."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from fastparadime import ops
from fastparadime.graph.edges import ends_of, sums_by_head, values_at

# Half of a graph's weakest edge stands for those that it lacks, within limits, as in umap-learn.
_LEAST, _MOST_OF_SECOND = 1e-8, 1e-4
_METRIC_NEIGHBORS = 15  # whose log2 the strengths of a point's edges sum to, as in umap-learn
_TOLERANCE = 1e-5  # of that sum
_FLAT = 1e-12  # of its slope, above which only strengths of 1 are left
_MOST_STEPS = 64  # of Newton's method; some six are needed


class AlignedGraphs(NamedTuple):
    """The edges of two graphs of n points, and the strengths each gives them, NaN where it has none."""

    indptr: torch.Tensor  # (n + 1,)
    heads: torch.Tensor  # (edges,)
    tails: torch.Tensor  # (edges,)
    first: torch.Tensor  # (edges,), float64
    second: torch.Tensor  # (edges,), float64

    @staticmethod
    def of(first: ops.Edges, second: ops.Edges) -> AlignedGraphs:
        n = len(first.indptr) - 1
        joined = joined_by_sorting if first.weights.is_cuda else _joined_on_the_host
        indptr, tails = joined(first, second)
        heads = torch.arange(n, device=tails.device).repeat_interleave(indptr.diff())
        strengths = (
            values_at(n, (heads, tails), ends_of(part), part.weights.double())
            for part in (first, second)
        )
        return AlignedGraphs(indptr, heads, tails, *strengths)


def _joined_on_the_host(first: ops.Edges, second: ops.Edges) -> tuple[torch.Tensor, torch.Tensor]:
    import scipy.sparse

    n = len(first.indptr) - 1
    of_first, of_second = (
        scipy.sparse.csr_matrix(
            (np.ones(len(part.tails), np.int8), tuple(end.numpy() for end in ends_of(part))), (n, n)
        )
        for part in (first, second)
    )
    both = of_first + of_second
    both.sort_indices()
    return torch.from_numpy(both.indptr.astype(np.int64)), torch.from_numpy(both.indices).int()


def joined_by_sorting(first: ops.Edges, second: ops.Edges) -> tuple[torch.Tensor, torch.Tensor]:
    """Row starts (n + 1,) and tails of the edges of either graph, on their device."""
    n = len(first.indptr) - 1
    keys = torch.cat([heads.long() * n + tails for heads, tails in map(ends_of, (first, second))])
    keys = keys.unique()
    counts = (keys // n).bincount(minlength=n)
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)]), (keys % n).int()


def intersection(graphs: AlignedGraphs, weight: float = 0.5) -> torch.Tensor:
    """Strengths first^(1/r) second or first second^r, r being the second's weight over the rest."""
    first = _filled(graphs.first)
    second = _filled(graphs.second, _MOST_OF_SECOND)
    if weight < 0.5:
        second = second ** (weight / (1 - weight))
    else:
        first = first ** ((1 - weight) / weight)
    return first * second


def union(graphs: AlignedGraphs) -> torch.Tensor:
    """Strengths first + second - first second."""
    first, second = _filled(graphs.first), _filled(graphs.second)
    return first + second - first * second


def difference(graphs: AlignedGraphs) -> torch.Tensor:
    """Strengths first (1 - second); an edge that the second graph lacks keeps its own."""
    return graphs.first.nan_to_num() * (1 - graphs.second.nan_to_num())


def reset_local_connectivity(
    indptr: torch.Tensor,
    heads: torch.Tensor,
    tails: torch.Tensor,
    strengths: torch.Tensor,
    *,
    reset_metrics: bool = False,
) -> ops.Edges:
    """The union of a graph and its transpose after each point's strongest edge is made 1.

    With `reset_metrics`, strengths are first raised to the power, one for each point, with which its
    edges sum to log2(15).
    """
    n = len(indptr) - 1
    largest = strengths.new_zeros(n).scatter_reduce_(0, heads.long(), strengths, "amax")
    strongest = largest[heads]
    scaled = torch.where(strongest > 0, strengths / strongest, 0.0)
    if reset_metrics:
        scaled = reset_local_metrics(scaled, ops.Edges(indptr, heads, tails, scaled))
    return ops.symmetrize(tails.int(), scaled.float(), "union", indptr=indptr)


def _filled(strengths: torch.Tensor, most: float = math.inf) -> torch.Tensor:
    known = strengths.nan_to_num(1.0)
    weakest = float(known.min()) if len(known) else 1.0
    return torch.where(strengths.isnan(), min(max(min(weakest, 1.0) / 2, _LEAST), most), strengths)


def reset_local_metrics(strengths: torch.Tensor, graph: ops.Edges) -> torch.Tensor:
    """Strengths to the power, one for each point, with which its edges sum to log2(15)."""
    # The sum of powers falls and is convex in the exponent, so that Newton's steps from 0 never
    # pass the root; a point with too few edges stays at 0, where all of them count 1. Where too
    # many are 1, no power is enough: the steps end once the others have vanished.
    logs = strengths.clamp_min(torch.finfo(torch.float64).tiny).log()
    exponents = logs.new_zeros(len(graph.indptr) - 1)
    for _ in range(_MOST_STEPS):
        powers = torch.exp(exponents[graph.heads] * logs)
        excess = sums_by_head(graph, powers) - math.log2(_METRIC_NEIGHBORS)
        slope = sums_by_head(graph, powers * logs)
        moving = (excess > _TOLERANCE) & (slope < -_FLAT)
        if not bool(moving.any()):
            break
        exponents -= torch.where(moving, excess / slope, 0.0)
    return torch.exp(exponents[graph.heads] * logs)
