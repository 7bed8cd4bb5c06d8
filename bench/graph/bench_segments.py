"""Gram matrices and small products of eight columns, in segments of at most 5,000 rows."""

import torch
from timing import Case, main

from fastparadime import ops


def case(n, device):
    rows = min(n, 5_000)
    segments = ops.Segments([rows] * (n // rows), device)
    x = torch.rand((n, 8), dtype=torch.float64, device=device)
    matrices = torch.rand((n // rows, 8, 8), dtype=torch.float64, device=device)
    call = lambda: (segments.gram(x, x), segments.matmul(x, matrices))
    return Case(f"gram and matmul {n:,} x 8", call, 8 * 8 * n * 3, 4 * 64 * n)


if __name__ == "__main__":
    main(case, (10_000, 100_000, 1_000_000))
