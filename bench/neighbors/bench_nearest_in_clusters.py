"""The 19 nearest of all rows of 100 columns among those of 6 of their clusters, by products.

Then a look through the neighbours of 10 neighbours, whose rows have to be fetched one by one.
"""

import torch
from timing import Case, main

from fastparadime import ops

COLUMNS, WIDTH, JOINED, MAX_CANDIDATES = 100, 19, 6, 10


def case(n, device):
    generator = torch.Generator().manual_seed(0)
    rows = torch.rand((n, COLUMNS), generator=generator, device=device)
    count = max(JOINED, round(n**0.5))
    centers = rows[:count].contiguous()
    joined = ops.ProductTable(centers).nearest_to(rows, JOINED)[0].T.flatten()
    members, sizes = joined.argsort(stable=True) % n, joined.bincount(minlength=count)

    def call():
        search = ops.ClusterSearch(rows, WIDTH)
        search.compare(members, sizes, centers)
        return search.nearest()

    # A product serves both rows of a pair.
    operations = float(sizes.double().square().sum()) * COLUMNS
    moved = 4 * COLUMNS * len(members) + 8 * n * WIDTH
    return Case(f"nearest_in_clusters {n:,} x {COLUMNS}", call, moved, operations)


def refine_case(n, device):
    generator = torch.Generator().manual_seed(0)
    search = ops.ClusterSearch(torch.rand((n, COLUMNS), generator=generator, device=device), WIDTH)
    order = torch.arange(n)
    search.compare(order, torch.full((n // 500,), 500), torch.zeros((n // 500, COLUMNS)))
    fetched = n * MAX_CANDIDATES * (2 * MAX_CANDIDATES + 1)
    moved = 4 * COLUMNS * fetched
    return Case(
        f"refine {n:,} x {COLUMNS}", lambda: search.refine(MAX_CANDIDATES, order), moved, 2 * moved
    )


if __name__ == "__main__":
    main(case, (10_000, 50_000, 200_000))
    main(refine_case, (10_000, 50_000, 200_000))
