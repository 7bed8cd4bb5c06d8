"""The fused edge loss with both gradients, five negatives, two dimensions."""

import torch
from timing import Case, main

from fastparadime import ops


def case(batch, device):
    heads = torch.randn(batch, 2, device=device, requires_grad=True)
    tails = torch.randn(batch, 6, 2, device=device, requires_grad=True)

    def forward_and_backward():
        loss = ops.negative_edge_cross_entropy(heads, tails, 1.577, 0.895)
        return torch.autograd.grad(loss, (heads, tails))

    return Case(f"edge loss and gradients {batch:,} x 6", forward_and_backward, 2 * 4 * 14 * batch)


if __name__ == "__main__":
    main(case, (500, 10_000, 100_000, 1_000_000))
