"""Centroids of clusters that hold about as many points each."""

from __future__ import annotations

from collections.abc import Callable

import torch

from fastparadime import ops
from fastparadime.neighbors.read_rows import Rows
from fastparadime.utils.seed import derive

# The `count` nearest centroids of each row, int (m, count), of rows (m, d) and centroids.
Nearest = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]


def find_centroids(
    X: Rows,
    count: int,
    sampled: int,
    moves: int,
    seed: int,
    nearest: Nearest,
    start: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Means of a sample's clusters after some of Lloyd's iterations.

    Parameters
    ----------
    X : float32 tensor (n, d)
    count : int
        Clusters at first. An empty one is given up.
    sampled : int
        Rows a cluster that are drawn, with replacement: a permutation of all would be large.
    moves : int
    seed : int
    nearest : callable
    start : float32 tensor (count, d), optional
        Where centroids are at first; drawn rows if None.

    Returns
    -------
    centroids : float32 tensor (clusters, d)
    sizes : int64 tensor (clusters,)
        How many of the drawn rows were nearest to each before its last move.
    """
    sample = X[drawn_numbers(len(X), count * sampled, seed).to(X.device)]
    return moved_centroids(sample, sample[:count] if start is None else start, moves, nearest)


def drawn_numbers(n: int, most: int, seed: int) -> torch.Tensor:
    """The numbers of the rows that centroids are moved by, at most so many of n, int64."""
    generator = torch.Generator().manual_seed(derive(seed, "clusters"))
    return torch.randint(n, (min(n, most),), generator=generator)


def moved_centroids(
    sample: torch.Tensor, centroids: torch.Tensor, moves: int, nearest: Nearest
) -> tuple[torch.Tensor, torch.Tensor]:
    """Centroids and sizes as of `find_centroids`, of a sample and of where centroids are at first."""
    ones = torch.ones((len(sample), 1), dtype=torch.float64, device=sample.device)
    for _ in range(moves):
        labels = nearest(sample, centroids, 1)[:, 0]
        order = labels.argsort(stable=True)
        sizes = labels.bincount(minlength=len(centroids))
        sizes = sizes[sizes > 0]
        segments = ops.Segments(sizes.cpu(), sample.device)
        sums = segments.gram(ones, sample[order].double())[:, 0]
        centroids = (sums / sizes[:, None]).float()
    return centroids, sizes
