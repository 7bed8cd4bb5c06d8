"""Re-ranking of 45 candidates for 15 neighbours in 128 dimensions."""

import torch
from timing import Case, knn_graph, main

from fastparadime import ops


def case(n, device):
    X = torch.rand(n, 128, device=device)
    candidates, _ = knn_graph(n, 45, device)
    call = lambda: ops.rerank(X, candidates, 15)
    bytes_moved = 4.0 * 128 * 46 * n  # each candidate's row is read for each point
    return Case(f"rerank {n:,} x 45 candidates, 128 columns", call, bytes_moved)


if __name__ == "__main__":
    main(case, (10_000, 100_000))
