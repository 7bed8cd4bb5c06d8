"""Connected components of a graph: which they are, their order and where they are placed."""

from __future__ import annotations

import numpy as np
import torch

from fastparadime import ops
from fastparadime.ops import Edges, Segments
from fastparadime.ops.graph.components import component_roots
from fastparadime.types import Array
from fastparadime.utils import disk

PART = 2**16  # points whose edges are looked at together: those of all take more than the graph


def labels_of(edges: Edges) -> torch.Tensor:
    """The component of each point, int64 (n,), numbered by their first points."""
    if edges.weights.is_cuda:
        return propagated_labels(edges)
    labels: torch.Tensor = component_roots(edges).unique(return_inverse=True)[1]
    return labels


def propagated_labels(edges: Edges) -> torch.Tensor:
    """`labels_of` in a few passes over the edges, on their device.

    Each point points at the smallest point known to be connected with it; pointers are hooked to
    those of neighbours and followed to their ends in turn.
    """
    heads, tails = edges.heads.long(), edges.tails.long()
    roots = torch.arange(len(edges.indptr) - 1, device=heads.device)
    while True:
        hooked = roots.scatter_reduce(0, roots[heads], roots[tails], "amin")
        while not torch.equal(ends := hooked[hooked], hooked):
            hooked = ends
        if torch.equal(hooked, roots):
            labels: torch.Tensor = roots.unique(return_inverse=True)[1]
            return labels
        roots = hooked


def by_size(labels: torch.Tensor) -> tuple[torch.Tensor, Array]:
    """The points by component, the largest first, and the sizes of the components."""
    sizes = labels.bincount()
    ranks = sizes.argsort(descending=True, stable=True)
    place = torch.empty_like(ranks)
    place[ranks] = torch.arange(len(ranks), device=ranks.device)
    return place[labels].argsort(stable=True), sizes[ranks].cpu().numpy()


def components_of(edges: Edges, segments: Segments, chosen: Array) -> tuple[torch.Tensor, Edges]:
    """The points of some components, which are consecutive points, and the graph of these."""
    points = torch.from_numpy(chosen).to(edges.weights.device)[segments.of].nonzero()[:, 0]
    return points, permuted(edges, points)


def permuted(edges: Edges, order: torch.Tensor) -> Edges:
    """The graph whose point i is point ``order[i]``, of all or of whole components.

    The tails of a row are in no order.
    """
    place = torch.empty(len(edges.indptr) - 1, dtype=torch.int32, device=order.device)
    place[order] = torch.arange(len(order), dtype=torch.int32, device=order.device)
    lengths = edges.indptr.diff()[order]
    total = int(lengths.sum())
    tails, weights = (disk.empty_like(part[:total]) for part in (edges.tails, edges.weights))
    done = 0
    for part in order.split(PART):
        source, indptr = edge_places(edges.indptr, part)
        here = slice(done, done := done + len(source))
        tails[here], weights[here] = place[edges.tails[source]], edges.weights[source]
    indptr = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    return Edges(indptr, edges.heads.new_empty(0), tails, weights)  # nobody asks for the heads


def edge_places(indptr: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the edges of some points stand, point by point, and where each point's begin."""
    lengths = indptr.diff()[points]
    begins = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    places = torch.arange(int(begins[-1]), device=points.device)
    places += (indptr[points] - begins[:-1]).repeat_interleave(lengths)
    return places, begins


def rows_of(edges: Edges, first: int, last: int) -> Edges:
    """The graph of points [first, last), which have no edges to others."""
    indptr = edges.indptr[first : last + 1]
    inner = slice(int(indptr[0]), int(indptr[-1]))
    tails = edges.tails[inner]
    return Edges(
        indptr - indptr[0],
        edges.heads[:0],
        tails - first if first else tails,
        edges.weights[inner],
    )


def centres(sizes: Array, out_dim: int) -> Array:
    """Places of components, the largest first: shelves of squares as wide as their roots."""
    sides = 3 * np.asarray(sizes, np.float64) ** 0.5  # their diameter and a gap
    places = np.zeros((len(sizes), out_dim))
    shelf_width = np.sqrt((sides**2).sum()) if out_dim > 1 else np.inf
    x = y = height = 0.0
    for place, side in zip(places, sides, strict=True):
        if x > 0 and x + side > shelf_width:
            x, y, height = 0.0, y + height, 0.0
        place[0] = x + side / 2
        if out_dim > 1:
            place[1] = y + side / 2
        x, height = x + side, max(height, side)
    return places


def weighted_degrees(edges: Edges) -> torch.Tensor:
    """Sums of each row's weights, float64 (n,), not 0."""
    n = len(edges.indptr) - 1
    ones = torch.ones(n, dtype=torch.float64, device=edges.weights.device)
    degrees = ops.graph_matmul(edges, ones, ones[:, None])[:, 0]
    return degrees.clamp_min(torch.finfo(torch.float64).tiny)
