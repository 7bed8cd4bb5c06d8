"""The loss of 2,000 anchors with its gradient, two dimensions, beside torch's operations."""

import torch
from timing import Case, main

from fastparadime import ops

ANCHORS = 2000


def _batch(rows, device):
    generator = torch.Generator(device=device).manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, device=device)
    return (
        draw(rows, ANCHORS),
        draw(rows, 2),
        draw(ANCHORS, 2),
        torch.full((ANCHORS,), 0.05).to(device),
    )


def own(rows, device):
    batch = _batch(rows, device)
    call = lambda: ops.anchor_gradients(*batch)
    return Case(f"anchor loss and gradient {rows:,} x {ANCHORS:,}", call, 2 * 4 * ANCHORS * rows)


def torchs(rows, device):
    scores, positions, anchors, reaches = _batch(rows, device)
    scores.requires_grad_()

    def call():
        squares = (positions[:, None] - anchors).square().sum(dim=2)
        reach = reaches[squares.argmin(dim=1)][:, None]
        shares = torch.softmax(-squares / (2 * reach**2), dim=1)
        loss = torch.nn.functional.cross_entropy(scores, shares)
        return torch.autograd.grad(loss, scores)

    return Case(f"torch, the same {rows:,} x {ANCHORS:,}", call, 2 * 4 * ANCHORS * rows)


if __name__ == "__main__":
    main(own, (500, 10_000))
    main(torchs, (500, 10_000))
