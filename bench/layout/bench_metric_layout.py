"""Layouts by other metrics between positions, 20 epochs in two columns (three on the sphere)."""

import torch
from bench_sgd_layout import A, B, graph_and_start
from timing import Case, main

from fastparadime import ops

EPOCHS = 20


def case(n, device):
    edges, start = graph_and_start(n, device)
    unit = torch.nn.functional.normalize(torch.cat([start - 5, torch.ones(n, 1)], dim=1))
    sampled = EPOCHS * float(edges.weights.sum() / edges.weights.max())
    metric = ops.LayoutMetric("sphere")
    return Case(
        f"layout on a sphere {n:,} x {EPOCHS} epochs, {sampled:.2e} edges",
        lambda: ops.sgd_layout(unit, edges, A, B, EPOCHS, metric=metric),
        EPOCHS * len(edges.weights) * 8 + sampled * 7 * 12,
    )


if __name__ == "__main__":
    main(case, (10_000, 100_000))
