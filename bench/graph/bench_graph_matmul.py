"""The normalised Laplacian's product with one column, about 20 edges a point."""

import torch
from timing import Case, knn_graph, main

from fastparadime import ops


def case(n, device):
    indices, distances = knn_graph(n, 15, device)
    edges = ops.symmetrize(indices, ops.smooth_knn(distances).weights)
    scale = torch.rand(n, dtype=torch.float64, device=device)
    x = torch.rand(n, 1, dtype=torch.float64, device=device)
    call = lambda: ops.graph_matmul(edges, scale, x)
    bytes_moved = 8 * len(edges.heads) + 8 * n * 4
    return Case(f"graph_matmul {n:,} points, {len(edges.heads):,} edges", call, bytes_moved)


if __name__ == "__main__":
    main(case, (10_000, 100_000, 1_000_000))
