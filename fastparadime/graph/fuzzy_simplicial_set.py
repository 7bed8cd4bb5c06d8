"""UMAP's weighted graph of neighbours: the fuzzy simplicial set, and the strengths of new rows."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from fastparadime import ops
from fastparadime.neighbors import NeighborGraph

_ROWS = 2**18  # looked at at a time: marks of all would take more than the distances


class FuzzySimplicialSet(NamedTuple):
    """The fuzzy simplicial set of neighbours."""

    edges: ops.Edges
    rho: torch.Tensor  # (n,) offsets of the nearest
    sigma: torch.Tensor  # (n,) widths
    removed: int  # edges that were too long


def fuzzy_simplicial_set(
    found: NeighborGraph,
    *,
    set_op_mix_ratio: float = 1.0,
    local_connectivity: float = 1.0,
    disconnection_distance: float = math.inf,
) -> FuzzySimplicialSet:
    """The fuzzy simplicial set of neighbours, without edges of the disconnection distance or longer."""
    indices, distances = found
    parts = zip(indices.split(_ROWS), distances.split(_ROWS), strict=True)
    removed = sum(
        int(((away >= disconnection_distance) & (some >= 0)).sum()) for some, away in parts
    )
    if removed:  # they keep a place in the rows, as neighbours that are lacking
        too_long = (distances >= disconnection_distance) & (indices >= 0)
        distances = distances.masked_fill(too_long, math.inf)
    weights, rho, sigma = ops.smooth_knn(distances, "umap", local_connectivity=local_connectivity)
    edges = ops.symmetrize(indices, weights, "mix", mix_ratio=set_op_mix_ratio)
    return FuzzySimplicialSet(edges, rho, sigma, removed)


def query_strengths(
    distances: torch.Tensor, *, local_connectivity: float, disconnection_distance: float
) -> torch.Tensor:
    """Membership strengths (m, k) of the neighbours of new rows; all but the first's sum to log2(k).

    Offsets count from zero, not from the nearest one: a new row need not be connected. A
    `local_connectivity` above 1 leaves what is above 1. Neighbours too far to be related have 0.
    """
    k = distances.shape[1]
    mean = distances.new_zeros(len(distances), dtype=torch.float64)
    for j in range(k):  # in one order, whatever the number of rows
        mean += distances[:, j].nan_to_num(posinf=0.0) / k
    # A neighbour next to nothing away stands for the row itself. It adds 1 to the sum, and
    # log2(2 k) is 1 more than log2(k); with its offset above zero, a result depends on its own row
    # alone.
    itself = (1e-6 * mean).float()[:, None]
    offsets = distances
    if local_connectivity > 1:
        rho = ops.smooth_knn(
            torch.cat([itself, distances], dim=1),
            "umap",
            local_connectivity=local_connectivity,
        ).rho
        offsets = (distances - rho[:, None]).clamp_min(0.0)
    extended = torch.cat([itself, offsets[:, 1:]], dim=1)
    strengths, _, sigma = ops.smooth_knn(extended, "umap", n_neighbors=2 * k)
    nearest = offsets[:, 0]
    strengths[:, 0] = torch.where(nearest > 0, torch.exp(-nearest / sigma), 1.0)
    if k == 1:  # nothing to tell a scale by
        strengths.fill_(1.0)
    related = distances < disconnection_distance
    return strengths.masked_fill(~related, 0.0)
