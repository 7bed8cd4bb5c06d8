"""Coarser graphs with the same components: points join roots that no edge connects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from fastparadime.layout.spectral._components import PART, edge_places
from fastparadime.ops import Edges, Segments
from fastparadime.types import Array
from fastparadime.utils import disk
from fastparadime.utils.convert import to_numpy

_MOST_LEFT = 0.8  # of the points, beyond which coarsening is given up


@dataclass(frozen=True)
class CoarseGraph:
    """A graph of aggregates; weights within one stand on the diagonal.

    Attributes
    ----------
    edges : Edges
        Without heads; sums of the weights between the points of two aggregates.
    sizes : int array (components,)
        Aggregates of each component.
    owners : int64 tensor (n,)
        The aggregate of each point.
    """

    edges: Edges
    sizes: Array
    owners: torch.Tensor


def coarsened(edges: Edges, segments: Segments, least: int, seed: int) -> CoarseGraph | None:
    """The graph of aggregates of a point and its neighbours, None where it would hardly be smaller.

    Parameters
    ----------
    edges : Edges
        A symmetric graph.
    segments : Segments
        Its components, consecutive points.
    least : int
        Components of up to so many points stay as they are, and those that would be left with less
        than a fourth of it.
    seed : int
        Of the order in which points become roots.
    """
    of = segments.of.long()
    larger = (of.bincount() > least)[of]
    roots, owners = _aggregates(edges, larger, seed)
    enough = (of[roots].bincount() >= least // 4)[of]
    larger &= enough
    if roots[larger].count_nonzero() >= _MOST_LEFT * larger.count_nonzero():
        return None
    own = torch.arange(len(of), device=of.device)
    roots, owners = roots | ~enough, torch.where(enough, owners, own)
    owners = (roots.long().cumsum(0) - 1)[owners]
    sizes = of[roots].bincount().cpu().numpy()
    count = int(sizes.sum())
    merge = merged_by_sorting if edges.weights.is_cuda else _merged_on_the_host
    return CoarseGraph(merge(edges, owners, count), sizes, owners)


def _aggregates(edges: Edges, larger: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A maximal set of unconnected points, and the one that each point joins.

    Luby's algorithm: a point is a root if its priority is the highest among its neighbours, whose
    places are then taken; what is left goes on among itself. Points outside of `larger` are their
    own.
    """
    n = len(larger)
    generator = torch.Generator().manual_seed(seed)
    priorities = (torch.randperm(n, generator=generator) + 1.0).double().to(larger.device)
    roots = ~larger
    # Of each point, the heaviest edge to a root: the bits of positive floats are in their order.
    joined = torch.full((n,), -1, dtype=torch.int64, device=larger.device)
    left = larger.nonzero()[:, 0]
    while len(left):
        found = torch.cat([_highest(part, edges, priorities) for part in left.split(PART)])
        roots[found] = True
        for part in found.split(PART):
            places, indptr = edge_places(edges.indptr, part)
            keys = edges.weights[places].view(torch.int32).long() << 31
            keys += part.repeat_interleave(indptr.diff())
            tails = edges.tails[places].long()
            joined.scatter_reduce_(0, tails, keys, "amax")
            priorities[tails] = priorities[part] = 0.0
        left = left[priorities[left] > 0]
    own = torch.arange(n, device=larger.device)
    return roots, torch.where(roots, own, joined & (2**31 - 1))


def _highest(points: torch.Tensor, edges: Edges, priorities: torch.Tensor) -> torch.Tensor:
    """Those of some points that have no neighbour of a higher priority."""
    places, indptr = edge_places(edges.indptr, points)
    highest = torch.segment_reduce(
        priorities[edges.tails[places]], "max", offsets=indptr, unsafe=True, initial=0.0
    )
    return points[priorities[points] >= highest]  # a point may be its own neighbour


def _merged_on_the_host(edges: Edges, owners: torch.Tensor, count: int) -> Edges:
    import scipy.sparse

    n = len(owners)
    order = owners.argsort(stable=True)
    begins = np.searchsorted(to_numpy(owners[order]), np.arange(count + 1))
    step = max(1, count * PART // n)
    parts = [disk.Appended(dtype) for dtype in (torch.int32, torch.int32, torch.float32)]
    for first in range(0, count, step):
        last = min(count, first + step)
        points = order[begins[first] : begins[last]]
        places, indptr = edge_places(edges.indptr, points)
        tails = to_numpy(owners[edges.tails[places]])
        entries = (to_numpy(edges.weights[places]), tails, to_numpy(indptr))
        graph = scipy.sparse.csr_matrix(entries, shape=(len(points), count))
        ones, own = np.ones(len(points)), np.arange(len(points))
        rows = ones, own, begins[first : last + 1] - begins[first]
        merged = scipy.sparse.csr_matrix(rows, shape=(last - first, len(points))) @ graph
        for part, array in zip(
            parts, (np.diff(merged.indptr), merged.indices, merged.data), strict=True
        ):
            part.add(torch.from_numpy(array))
    lengths, coarse_tails, weights = (part.whole() for part in parts)
    coarse_indptr = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]).long()
    return Edges(coarse_indptr, edges.heads[:0], coarse_tails, weights)


def merged_by_sorting(edges: Edges, owners: torch.Tensor, count: int) -> Edges:
    """The graph of `count` aggregates, on the device of the edges."""
    heads = owners.repeat_interleave(edges.indptr.diff())
    pairs, place = (heads * count + owners[edges.tails]).unique(return_inverse=True)
    # Integers: their sums do not depend on the order.
    unit = 2.0**-30 * edges.weights.max().clamp_min(torch.finfo().tiny).double()
    whole = (edges.weights / unit).round().long().clamp_min(1)
    sums = torch.zeros_like(pairs).index_add_(0, place, whole)
    rows = (pairs // count).bincount(minlength=count)
    indptr = torch.cat([rows.new_zeros(1), rows.cumsum(0)])
    return Edges(indptr, edges.heads[:0], (pairs % count).int(), (sums * unit).float())
