"""Peaks of 2,000 anchors by scores as a network gives them, two dimensions."""

import torch
from timing import Case, main

from fastparadime import ops

ANCHORS = 2000


def case(rows, device):
    generator = torch.Generator(device=device).manual_seed(0)
    anchors = 10 * torch.rand(ANCHORS, 2, generator=generator, device=device)
    places = 10 * torch.rand(rows, 2, generator=generator, device=device)
    # A peak as wide as anchors are apart: about a hundred are not neglected.
    scores = -(torch.cdist(places, anchors) / 0.3).square()
    windows = torch.full((ANCHORS,), 0.3, device=device)
    call = lambda: ops.anchor_modes(scores, anchors, windows)
    return Case(f"anchor modes {rows:,} x {ANCHORS:,}", call, 4 * ANCHORS * rows)


if __name__ == "__main__":
    main(case, (2_000, 10_000))
