"""The weights among 500 points of a graph with about 20 edges a point."""

import torch
from timing import Case, knn_graph, main

from fastparadime import ops

POINTS = 500


def case(n, device):
    indices, distances = knn_graph(n, 15, device)
    edges = ops.symmetrize(indices, ops.smooth_knn(distances).weights)
    points = torch.randperm(n, device=device)[:POINTS]
    call = lambda: ops.subgraph(edges, points)
    bytes_moved = 4 * POINTS**2 + 4 * n + 8 * POINTS * len(edges.heads) / n
    return Case(f"subgraph {POINTS} of {n:,} points", call, bytes_moved)


if __name__ == "__main__":
    main(case, (10_000, 100_000, 1_000_000))
