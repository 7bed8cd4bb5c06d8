"""Symmetrization of n x 15 edges, alone and after their rescaling."""

from timing import Case, knn_graph, main

from fastparadime import ops


def case(n, device):
    indices, distances = knn_graph(n, 15, device)

    def rescale_and_symmetrize():
        return ops.symmetrize(indices, ops.smooth_knn(distances).weights)

    edges = len(rescale_and_symmetrize().heads)
    # Distances, indices and weights once each, and 12 bytes an edge out.
    return Case(
        f"smooth_knn + symmetrize {n:,} x 15",
        rescale_and_symmetrize,
        4 * 15 * n * 4 + 12 * edges + 8 * n,
    )


if __name__ == "__main__":
    main(case, (10_000, 100_000, 1_000_000, 10_000_000))
