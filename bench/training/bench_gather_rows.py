"""Gathering rows of 784 floats, beside torch's index_select."""

import torch
from timing import Case, main

from fastparadime import ops


def _table(rows, device):
    generator = torch.Generator(device=device).manual_seed(0)
    table = torch.rand(70_000, 784, generator=generator, device=device)
    size = (rows,)
    return table, torch.randint(
        0, 70_000, size, generator=generator, device=device, dtype=torch.int32
    )


def own(rows, device):
    table, indices = _table(rows, device)
    call = lambda: ops.gather_rows(table, indices)
    return Case(f"gather {rows:,} x 784", call, 2 * 4 * 784 * rows)


def torchs(rows, device):
    table, indices = _table(rows, device)
    call = lambda: table.index_select(0, indices)
    return Case(f"torch index_select {rows:,} x 784", call, 2 * 4 * 784 * rows)


if __name__ == "__main__":
    main(own, (2_500, 10_000, 100_000))
    main(torchs, (2_500, 10_000, 100_000))
