"""Neighbours that stand by each other: those with which a point has neighbours in common."""

from __future__ import annotations

from dataclasses import replace

import torch

from fastparadime import ops
from fastparadime.neighbors import NeighborGraph

_TOGETHER = 2**17  # points whose neighbours are chosen at a time


def candidates_for(n: int, k: int) -> int:
    """How many neighbours of n points `with_shared_neighbors` chooses k from."""
    return min(n - 1, 2 * k + 2)


def with_shared_neighbors(nearest: NeighborGraph, k: int, least: int) -> NeighborGraph:
    """The k nearest neighbours of each point that have enough neighbours in common with it.

    An edge between points that have none in common is a shortcut: it draws two neighbourhoods
    together that nothing else connects.

    Parameters
    ----------
    nearest : NeighborGraph
        More than k neighbours of each point.
    k : int
    least : int
        How many of its k nearest a neighbour has in common with the point, at the least. Where too
        few have as many, the nearest of the others fill up.

    Returns
    -------
    NeighborGraph
        Of k neighbours, nearest first. The recall is that of `nearest`.
    """
    counts = ops.shared_neighbors(nearest.indices, min(k, nearest.indices.shape[1]))
    indices = nearest.indices.new_empty((len(counts), min(k, counts.shape[1])))
    distances = nearest.distances.new_empty(indices.shape)
    replaced = 0
    for rows in torch.arange(len(counts), device=counts.device).split(_TOGETHER):
        lacking = counts[rows] < least
        replaced += int(lacking[:, :k].sum())
        places = lacking.to(torch.uint8).argsort(dim=1, stable=True)[:, :k].sort(dim=1).values
        indices[rows] = nearest.indices[rows].gather(1, places)
        distances[rows] = nearest.distances[rows].gather(1, places)
    share = replaced / max(1, indices.numel())
    engine = f"{nearest.engine}; {share:.1%} had fewer than {least} neighbors in common"
    return replace(nearest, indices=indices, distances=distances, engine=engine)
