"""Columns joining lists of 32 by products with 8,192 unit rows of 128; some were seen before."""

import torch
from timing import Case, main

from fastparadime import ops

ROWS, COLUMNS, SEEN = 8192, 128, 16_384


def case(n, device):
    generator = torch.Generator(device=device).manual_seed(0)
    options = {"generator": generator, "device": device}
    columns = torch.nn.functional.normalize(torch.randn((SEEN + n, COLUMNS), **options)).half()
    norms = torch.rand(SEEN + n, **options) + 0.5
    lists = ops.Candidates(norms[:ROWS], 32)
    lists.update_from_units(columns[:ROWS], columns[:SEEN], norms[:SEEN], 0, slack=1e-3)
    bounds, indices = lists.bounds.clone(), lists.indices.clone()

    def call():
        lists.bounds.copy_(bounds)
        lists.indices.copy_(indices)
        lists.update_from_units(columns[:ROWS], columns[SEEN:], norms[SEEN:], SEEN, slack=1e-3)

    operations = 2.0 * ROWS * n * COLUMNS
    # The CPU converts halves.
    precision = torch.float16 if device.type == "cuda" else torch.float32
    label = f"nearest_by_cosines {ROWS:,} x {n:,}"
    return Case(label, call, 2 * n * COLUMNS, operations, precision)


if __name__ == "__main__":
    main(case, (8_192, 32_768))
