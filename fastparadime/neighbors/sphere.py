"""Neighbours on the sphere: the great-circle distance of latitudes and longitudes in radians."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fastparadime.neighbors.blocks import SPARE
from fastparadime.neighbors.neighbor_graph import NeighborGraph
from fastparadime.types import Array

_QUERIES = 2**14  # between two looks for Ctrl-C
_POLE = np.pi / 2 + 1e-6  # a latitude of 90 degrees, rounded


def check_positions(X: Array, name: str = "X") -> Array:
    """Latitudes and longitudes (n, 2) in float64.

    Raises
    ------
    ValueError
        For other numbers of columns, and latitudes beyond the poles, naming the first row.
    """
    if X.shape[1] != 2:
        raise ValueError(
            f"{name} must have two columns for 'haversine', latitude and longitude in radians, not "
            f"{X.shape[1]}"
        )
    positions: Array = np.asarray(X, dtype=np.float64)
    bad = np.flatnonzero(np.abs(positions[:, 0]) > _POLE)
    if len(bad):
        raise ValueError(
            f"{name} must hold latitude and longitude in radians for 'haversine', but row {bad[0]} "
            f"has a latitude of {positions[bad[0], 0]:.6g}: convert degrees with numpy.radians"
        )
    return positions


def haversine(x: Array, y: Array) -> Array:
    """Angles between positions (..., 2), by differences, which keep their digits for close ones."""
    latitude, longitude = (np.square(np.sin((x - y) / 2))[..., i] for i in range(2))
    share = latitude + np.cos(x[..., 0]) * np.cos(y[..., 0]) * longitude
    angles: Array = 2 * np.arcsin(np.sqrt(np.minimum(share, 1.0)))
    return angles


class Sphere:
    """Positions, whose order by distance is that of chords: Euclidean, between unit vectors.

    Parameters
    ----------
    positions : float64 array (n, 2)
        As of `check_positions`.
    """

    def __init__(self, positions: Array) -> None:
        from scipy.spatial import cKDTree

        self._positions = positions
        self._tree: Any = cKDTree(_unit_vectors(positions))

    def nearest(
        self, queries: Array, k: int, first: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The k nearest positions to each query, ties by index among those found.

        Parameters
        ----------
        queries : float64 array (m, 2)
        k : int
        first : int, optional
            The position that the first query is, the others following: not among its neighbours.

        Returns
        -------
        indices, distances : int32 and float32 tensors (m, k)
            Ascending.
        """
        n, threads = len(self._positions), torch.get_num_threads()
        count = min(n, k + SPARE + (first is not None))
        parts = []
        for start in range(0, max(1, len(queries)), _QUERIES):
            some = queries[start : start + _QUERIES]
            ranks = np.arange(1, count + 1)
            candidates = self._tree.query(_unit_vectors(some), ranks, workers=threads)[1]
            distances = haversine(some[:, None], self._positions[candidates])
            if first is not None:
                own = first + start + np.arange(len(some))
                distances[candidates == own[:, None]] = np.inf
            order = np.lexsort((candidates, distances.astype(np.float32)))[:, :k]
            parts.append(
                [np.take_along_axis(part, order, axis=1) for part in (candidates, distances)]
            )
        indices, angles = (np.concatenate(part) for part in zip(*parts, strict=True))
        return torch.from_numpy(indices.astype(np.int32)), torch.from_numpy(
            angles.astype(np.float32)
        )


def sphere_knn(X: Array, k: int) -> NeighborGraph:
    """Exact neighbours of all rows (n, 2) by ``"haversine"``."""
    positions = check_positions(X)
    return NeighborGraph(*Sphere(positions).nearest(positions, k, first=0), "k-d tree, exact")


def sphere_bytes(n: int, k: int) -> int:
    """Bytes that `sphere_knn` takes beside `X`, the result included."""
    return 8 * n * k + 128 * n + 80 * (k + 1 + SPARE) * min(n, _QUERIES) + 12 * n * k


def _unit_vectors(positions: Array) -> Array:
    latitudes, longitudes = positions[:, 0], positions[:, 1]
    across = np.cos(latitudes)
    return np.column_stack(
        (across * np.cos(longitudes), across * np.sin(longitudes), np.sin(latitudes))
    )
