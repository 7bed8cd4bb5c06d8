"""Perplexity rescaling of n x 90 distances, three times a perplexity of 30."""

from timing import Case, knn_graph, main

from fastparadime import ops


def case(n, device):
    _, distances = knn_graph(n, 90, device)
    call = lambda: ops.perplexity(distances, 30)
    return Case(f"perplexity {n:,} x 90", call, 2 * 4 * 90 * n + 4 * n)


if __name__ == "__main__":
    main(case, (10_000, 100_000, 1_000_000))
