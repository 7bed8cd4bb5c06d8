"""Rescaling of n x 15 distances."""

from timing import Case, knn_graph, main

from fastparadime import ops


def case(n, device):
    _, distances = knn_graph(n, 15, device)
    return Case(f"smooth_knn {n:,} x 15", lambda: ops.smooth_knn(distances), 2 * 4 * 15 * n + 8 * n)


if __name__ == "__main__":
    main(case, (10_000, 100_000, 1_000_000, 10_000_000))
