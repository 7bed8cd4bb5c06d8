"""The 19 nearest of each point so far, joined by the 19 that another search has found."""

import torch
from timing import Case, main

from fastparadime import ops

WIDTH, OTHERS = 19, 200  # numbers that are named, so that some are named again


def case(n, device):
    generator = torch.Generator(device).manual_seed(0)
    points = torch.arange(n)

    def found():
        indices = torch.randint(OTHERS, (n, WIDTH), generator=generator, device=device)
        return indices.int(), torch.rand((n, WIDTH), generator=generator, device=device)

    first, second = found(), found()

    def call():
        lists = ops.NearestLists(n, WIDTH)
        lists.join(points, *first)
        lists.join(points, *second)

    return Case(f"join_lists {n:,} x {WIDTH}", call, 2 * 3 * 8 * n * WIDTH)


if __name__ == "__main__":
    main(case, (10_000, 100_000, 1_000_000))
