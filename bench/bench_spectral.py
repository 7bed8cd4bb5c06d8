"""Spectral positions, beside ARPACK where the graph is on the CPU.

ARPACK solves each component with SciPy's default basis, to 1e-4 of the eigenvalue as umap-learn does.
"""

import pathlib
import statistics

import numpy as np
import torch
from data import data_parser, load
from timing import keep, seconds_of

from fastparadime import neighbors, ops
from fastparadime.layout import spectral

K = 15


def arpack(edges):
    """Two eigenvectors beside the trivial one of each component, through SciPy."""
    from scipy.sparse import csr_matrix, diags
    from scipy.sparse.csgraph import connected_components
    from scipy.sparse.linalg import eigsh

    graph = csr_matrix((edges.weights.numpy(), edges.tails.numpy(), edges.indptr.numpy()))
    count, labels = connected_components(graph, directed=False)
    for component in range(count):
        rows = np.flatnonzero(labels == component)
        block = graph[rows][:, rows].astype(np.float64)
        scale = diags(np.asarray(block.sum(axis=1)).ravel() ** -0.5)
        start = np.random.default_rng(0).standard_normal(len(rows))
        eigsh(scale @ block @ scale, k=3, which="LA", v0=start, tol=1e-4)


def main():
    parser = data_parser(__doc__.splitlines()[0])
    parser.add_argument("--edges", help="a file that keeps the graph between runs")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    try:
        edges = ops.Edges(*torch.load(arguments.edges, map_location=device))
    except (FileNotFoundError, AttributeError):
        graph = neighbors.knn(load(arguments)[0], K, device=device)
        edges = ops.symmetrize(graph.indices, ops.smooth_knn(graph.distances, "umap").weights)
        if arguments.edges:
            torch.save(list(edges), arguments.edges)
    calls = {"spectral_positions": spectral.spectral_positions}
    if device.type == "cpu":
        calls["ARPACK"] = arpack
    n = len(edges.indptr) - 1
    print(f"{n:,} points, {len(edges.tails):,} edges")
    for name, call in calls.items():
        found = seconds_of(lambda call=call: call(edges), device, arguments.repeats)
        print(f"{name:<20}{statistics.median(found):8.2f} s ({min(found):.2f} to {max(found):.2f})")
        keep(arguments.json, case=f"{name} {n:,}", seconds=statistics.median(found))


if __name__ == "__main__":
    main()
