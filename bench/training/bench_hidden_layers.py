"""The layers behind a network's first, 100-100-100-2, forward and backward."""

import itertools

import torch
from timing import Case, main

from fastparadime import ops

WIDTHS = (100, 100, 100, 2)


def case(rows, device):
    pairs = list(itertools.pairwise(WIDTHS))
    options = {"device": device, "requires_grad": True}
    sums = torch.randn(rows, WIDTHS[0], **options)
    weights = [torch.randn(high, low, **options) for low, high in pairs]
    biases = [torch.randn(high, **options) for _, high in pairs]
    gradient = torch.randn(rows, WIDTHS[-1], device=device)

    def forward_and_backward():
        out = ops.hidden_layers(sums, weights, biases, "softplus")
        return torch.autograd.grad(out, (sums, *weights, *biases), gradient)

    multiply_adds = 3 * rows * sum(low * high for low, high in pairs)
    moved = 4 * rows * (2 * WIDTHS[0] + 2 * sum(WIDTHS[1:]))
    label = f"hidden layers and gradients {rows:,}"
    return Case(label, forward_and_backward, moved, 2 * multiply_adds)


if __name__ == "__main__":
    main(case, (3500, 14_000, 100_000))
