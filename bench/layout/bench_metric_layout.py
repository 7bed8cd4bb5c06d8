"""Layouts by another metric between positions, 20 epochs on a graph of 15 neighbours: the sphere's."""

import torch
from timing import Case, knn_graph, main

from fastparadime import ops

A, B = 1.577, 0.8951
EPOCHS = 20


def case(n, device):
    indices, distances = knn_graph(n, 15, device)
    edges = ops.symmetrize(indices, ops.smooth_knn(distances, "umap").weights)
    start = torch.randn((n, 3), generator=torch.Generator().manual_seed(0))
    start = torch.nn.functional.normalize(start, dim=1)
    # Each sampled edge reads seven positions and its own place in the graph.
    sampled = EPOCHS * float(edges.weights.sum() / edges.weights.max())
    metric = ops.LayoutMetric("sphere")
    return Case(
        f"layout on a sphere {n:,} x {EPOCHS} epochs, {sampled:.2e} edges",
        lambda: ops.sgd_layout(start, edges, A, B, EPOCHS, metric=metric),
        EPOCHS * len(edges.weights) * 8 + sampled * 7 * 12,
    )


if __name__ == "__main__":
    main(case, (10_000, 100_000))
