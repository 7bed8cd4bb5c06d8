"""UMAP's layout, 200 epochs in two dimensions, on a graph of 15 neighbours.

    python bench/run.py sgd_layout [--sizes 70000] [--umap]

`--umap` times umap-learn's layout of the same graph and start beside it, compiled, on one thread
(as with a seed) and on all (without).
"""

import sys
import time

import numpy as np
import torch
from timing import Case, knn_graph, main

from fastparadime import ops

A, B = 1.577, 0.8951
EPOCHS = 200
BESIDE_UMAP = False


def graph_and_start(n, device):
    indices, distances = knn_graph(n, 15, device)
    weights = ops.smooth_knn(distances, "umap").weights
    edges = ops.symmetrize(indices, weights)
    start = np.random.default_rng(0).uniform(0, 10, (n, 2)).astype(np.float32)
    return edges, torch.from_numpy(start).to(device)


def case(n, device):
    edges, start = graph_and_start(n, device)
    if BESIDE_UMAP:
        report_umap(n, edges, start)
    # Each sampled edge reads six pairs of positions and its own place in the graph.
    sampled = EPOCHS * float(edges.weights.sum() / edges.weights.max())
    scanned = EPOCHS * len(edges.weights) * 8
    return Case(
        f"layout {n:,} x {EPOCHS} epochs, {sampled:.2e} edges",
        lambda: ops.sgd_layout(start, edges, A, B, EPOCHS),
        scanned + sampled * 7 * 8,
    )


def report_umap(n, edges, start):
    from umap.layouts import optimize_layout_euclidean
    from umap.umap_ import make_epochs_per_sample

    heads, tails, weights = (part.cpu().numpy() for part in edges[1:])
    kept = weights >= weights.max() / EPOCHS
    per_sample = make_epochs_per_sample(weights[kept], EPOCHS)
    state = np.array([1, 2, 3], dtype=np.int64)
    for parallel in (False, True):
        for epochs in (1, EPOCHS):  # the first compiles
            positions, clock = start.cpu().numpy().copy(), time.perf_counter()
            optimize_layout_euclidean(
                positions, positions, heads[kept], tails[kept], epochs, n, per_sample, A, B,
                state, parallel=parallel, move_other=True, tqdm_kwds={"disable": True},
            )  # fmt: skip
        seconds = time.perf_counter() - clock
        print(f"umap-learn {n:,}, parallel={parallel}: {1e3 * seconds:.0f} ms")


if __name__ == "__main__":
    BESIDE_UMAP = "--umap" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--umap"]
    main(case, (10_000, 70_000, 200_000))
