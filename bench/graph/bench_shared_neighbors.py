"""Neighbours in common with each of 30 candidates, among the 15 nearest of both."""

from timing import Case, knn_graph, main

from fastparadime import ops


def case(n, device):
    indices, _ = knn_graph(n, 30, device)
    call = lambda: ops.shared_neighbors(indices, 15)
    return Case(f"shared_neighbors {n:,} x 30", call, n * 30 * (4 + 4 + 64))


if __name__ == "__main__":
    main(case, (10_000, 100_000, 1_000_000))
