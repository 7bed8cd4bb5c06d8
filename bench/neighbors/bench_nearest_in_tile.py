"""A tile of cosines joining the lists of its rows: a list of 32 that has seen ten tiles before."""

import torch
from timing import Case, main

from fastparadime import ops

ROWS = 4096


def case(columns, device):
    generator = torch.Generator(device=device).manual_seed(0)
    norms = torch.rand(columns, generator=generator, device=device) + 0.5
    lists = ops.Candidates(torch.ones(ROWS, device=device), 32)
    for tile in range(10):
        cosines = torch.rand((ROWS, columns), generator=generator, device=device)
        lists.update(cosines, norms, tile * columns, slack=1e-3)
    bounds, indices = lists.bounds.clone(), lists.indices.clone()

    def call():
        lists.bounds.copy_(bounds)
        lists.indices.copy_(indices)
        lists.update(cosines, norms, 10 * columns, slack=1e-3)

    return Case(f"nearest_in_tile {ROWS:,} x {columns:,}", call, 4 * ROWS * columns)


if __name__ == "__main__":
    main(case, (1_024, 4_096, 16_384))
