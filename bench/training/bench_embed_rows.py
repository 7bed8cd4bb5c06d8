"""A network applied to rows of 128 columns, 128-100-100-2."""

import itertools

import torch
from timing import Case, main

from fastparadime import ops

WIDTHS = (128, 100, 100, 2)


def case(rows, device):
    table = torch.randn(rows, WIDTHS[0], device=device)
    pairs = list(itertools.pairwise(WIDTHS))
    weights = [torch.randn(high, low, device=device) / low**0.5 for low, high in pairs]
    biases = [torch.zeros(high, device=device) for _, high in pairs]
    moved = 4 * rows * (WIDTHS[0] + WIDTHS[-1])
    operations = 2 * rows * sum(low * high for low, high in pairs)
    return Case(
        f"network on {rows:,} rows",
        lambda: ops.embed_rows(table, weights, biases, "softplus"),
        moved,
        operations,
    )


if __name__ == "__main__":
    main(case, (10_000, 100_000))
