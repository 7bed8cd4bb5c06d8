"""The components of a graph with about 20 edges a point, on the CPU."""

from timing import Case, knn_graph, main

from fastparadime import ops
from fastparadime.ops.graph.components import component_roots


def case(n, device):
    indices, distances = knn_graph(n, 15, device)
    edges = ops.symmetrize(indices, ops.smooth_knn(distances).weights)
    edges = ops.Edges(*(part.cpu() for part in edges))
    return Case(f"components {n:,}", lambda: component_roots(edges), 4 * len(edges.tails) + 16 * n)


if __name__ == "__main__":
    main(case, (10_000, 100_000, 1_000_000))
