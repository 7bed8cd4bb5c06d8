"""densMAP's term on a graph of 15 neighbours in two dimensions: local radii and pulls."""

import torch
from timing import Case, knn_graph, main

from fastparadime import ops

A, B = 1.577, 0.8951


def case(n, device):
    indices, distances = knn_graph(n, 15, device)
    edges = ops.symmetrize(indices, ops.smooth_knn(distances, "umap").weights)
    generator = torch.Generator(device=device).manual_seed(0)
    positions = 10 * torch.rand((n, 2), generator=generator, device=device)
    term = ops.DensityTerm(edges, torch.rand(n, generator=generator, device=device), A, B)
    # An edge's tail, the position there, and two sums of each point.
    moved = (4 + 8) * len(edges.tails) + 8 * n
    return Case(f"density radii and pulls {n:,} x 15", lambda: term.pulls(positions), moved)


if __name__ == "__main__":
    main(case, (10_000, 100_000, 1_000_000))
