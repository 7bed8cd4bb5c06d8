"""Neighbour descent with a fixed effort; `bench_neighbors.py` has the searches of `knn`."""

import torch
from data import mixture
from timing import Case, main

from fastparadime import ops

K = 15


def case(n, device):
    rows = torch.from_numpy(mixture(n)).to(device)
    # What it has to read once: no count of its comparisons is a floor.
    return Case(f"nn_descent {n:,} x 50", lambda: ops.nn_descent(rows, K), rows.nbytes)


if __name__ == "__main__":
    main(case, (10_000, 100_000, 1_000_000))
