"""Lists of 32 by differences for 8,192 of n rows of 16."""

import torch
from timing import Case, main

from fastparadime import ops

ROWS, COLUMNS = 8192, 16


def case(n, device):
    generator = torch.Generator(device=device).manual_seed(0)
    X = torch.randn((n, COLUMNS), generator=generator, device=device)
    points = torch.arange(ROWS, dtype=torch.int32, device=device) % n
    # A difference and a product that is added, where the unit that multiplies does either at once.
    operations = 4.0 * ROWS * n * COLUMNS
    label = f"nearest_by_differences {ROWS:,} x {n:,}"
    call = lambda: ops.nearest_by_differences(X, points, 32)
    return Case(label, call, 4 * n * COLUMNS, operations, torch.float32)


if __name__ == "__main__":
    main(case, (8_192, 131_072))
