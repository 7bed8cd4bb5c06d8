"""The 24 nearest of all rows of 784 columns by products."""

import torch
from timing import Case, main

from fastparadime import ops

COLUMNS, WIDTH = 784, 24


def case(n, device):
    rows = torch.rand((n, COLUMNS), generator=torch.Generator().manual_seed(0), device=device)

    def call():
        return ops.ProductTable(rows, rows.mean(dim=0)).nearest(WIDTH)

    # Half of the pairs: a product serves both.
    return Case(f"nearest_by_products {n:,} x {COLUMNS}", call, 4 * n * COLUMNS, n * n * COLUMNS)


if __name__ == "__main__":
    main(case, (1_000, 5_000, 10_000))
