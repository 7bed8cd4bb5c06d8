"""The edge sampler: building it, then a batch of 500 x (1 + 5)."""

import torch
from timing import Case, main

from fastparadime import ops


def _edges(size, device):
    generator = torch.Generator(device=device).manual_seed(0)
    n = max(2, size // 20)
    ends = torch.randint(0, n, (2, size), generator=generator, device=device, dtype=torch.int32)
    return *ends, torch.rand(size, generator=generator, device=device), n


def build(size, device):
    heads, tails, weights, n = _edges(size, device)
    call = lambda: ops.EdgeSampler(heads, tails, weights, n)
    return Case(f"EdgeSampler of {size:,} edges", call, (4 + 8) * size)


def draw(size, device):
    sampler = ops.EdgeSampler(*_edges(size, device))
    steps = iter(range(10**9))
    call = lambda: sampler.draw(500, 5, next(steps))
    return Case(f"draw 500 x (1 + 5) from {size:,} edges", call, 500 * (4 * 8 + 7 * 4))


if __name__ == "__main__":
    main(build, (10_000, 1_000_000, 20_000_000))
    main(draw, (10_000, 1_000_000, 20_000_000))
