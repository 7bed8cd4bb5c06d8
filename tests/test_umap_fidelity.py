"""UMAP's whole fit: equal bits for any number of threads, the cross-entropy of umap-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fastparadime import UMAP, neighbors, ops

A, B = 1.577, 0.8951  # min_dist 0.1, spread 1


@pytest.mark.slow
def test_same_bits_for_any_number_of_threads(
    assert_same_bits: Callable[[Callable[[], Any]], None],
) -> None:
    # So much data that neighbour descent finds the neighbours and every stage has several pieces.
    centres = np.random.default_rng(0).normal(scale=4, size=(20, 120))
    rows = np.random.default_rng(1).normal(size=(30_000, 120))
    X = (rows + centres[np.arange(len(rows)) % 20]).astype(np.float32)

    def embedding() -> torch.Tensor:
        return torch.from_numpy(UMAP(random_state=3, n_epochs=5).fit_transform(X))

    assert_same_bits(embedding)


def cross_entropy(positions: npt.NDArray[np.float32], edges: ops.Edges) -> float:
    """UMAP's, without what no position changes, in the mean of the points."""
    places = positions.astype(np.float64)
    n = len(places)
    weights = np.zeros((n, n))
    weights[edges.heads.numpy(), edges.tails.numpy()] = edges.weights.numpy()
    power = A * (np.square(places[:, None] - places).sum(axis=2) + 1e-12) ** B
    terms = weights * np.log1p(power) + (1 - weights) * np.log1p(1 / power)
    np.fill_diagonal(terms, 0)
    return float(terms.sum() / n)


def test_cross_entropy_is_that_of_umap_learn(digits: tuple[Any, Any]) -> None:
    layouts = pytest.importorskip("umap.layouts", reason="umap-learn is not installed")
    umap_ = pytest.importorskip("umap.umap_", reason="umap-learn is not installed")
    X = digits[0]
    n, epochs = len(X), 200
    graph = neighbors.knn(X, 14)
    edges = ops.symmetrize(graph.indices, ops.smooth_knn(graph.distances, "umap").weights)
    heads, tails, weights = (part.numpy() for part in edges[1:])
    kept = weights >= weights.max() / epochs
    ratios = []
    # Either package's maps differ by a percent from start to start, and by the lanes of a machine.
    for seed in range(6):
        start = UMAP(n_epochs=0, random_state=seed).fit_transform(X)
        expected = start.copy()
        layouts.optimize_layout_euclidean(
            expected, expected, heads[kept], tails[kept], epochs, n,
            umap_.make_epochs_per_sample(weights[kept], epochs), A, B,
            np.array([1, 2, 3], dtype=np.int64), move_other=True, tqdm_kwds={"disable": True},
        )  # fmt: skip
        found = ops.sgd_layout(start, edges, A, B, epochs).numpy()
        ratios.append(cross_entropy(found, edges) / cross_entropy(expected, edges))
    assert abs(np.mean(ratios) - 1) < 0.02
