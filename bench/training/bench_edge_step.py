"""A training step of 784-100-100-100-2 on negative-sampled edges, 3 to each positive one."""

import itertools

import torch
from timing import Case, main

from fastparadime import ops

WIDTHS = (784, 100, 100, 100, 2)
N, NEGATIVES = 5000, 3


def case(batch, device):
    table = torch.randn(N, WIDTHS[0], device=device)
    ends = torch.randint(0, N, (2, 16 * N), device=device)
    sampler = ops.EdgeSampler(*ends, torch.rand(16 * N, device=device), N)
    pairs = list(itertools.pairwise(WIDTHS))
    weights = [torch.randn(high, low, device=device) / low**0.5 for low, high in pairs]
    biases = [torch.zeros(high, device=device) for _, high in pairs]
    step = ops.EdgeStep(
        sampler, table, weights, biases, "softplus", batch, NEGATIVES, 1.577, 0.895,
        steps=10**6, learning_rate=1e-3,
    )  # fmt: skip
    rows = batch * (2 + NEGATIVES)
    # Twice the first layer's products, which has no gradient in its input; thrice the others'.
    sizes = [low * high for low, high in pairs]
    multiply_adds = rows * (2 * sizes[0] + 3 * sum(sizes[1:]))
    return Case(f"step of {batch:,} edges", step, 4 * rows * WIDTHS[0], 2 * multiply_adds)


if __name__ == "__main__":
    main(case, (500, 2000, 10_000))
