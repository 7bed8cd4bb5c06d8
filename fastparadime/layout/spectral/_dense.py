"""Eigenvectors of many small components by a dense solver, those of one size together."""

from __future__ import annotations

import numpy as np
import torch

from fastparadime.layout.signs import DIGITS, signs_of
from fastparadime.layout.spectral._components import weighted_degrees
from fastparadime.ops import Edges
from fastparadime.types import Array
from fastparadime.utils.convert import to_numpy

MOST_POINTS = 128  # of a component, or more for many vectors

_STACK_BYTES = 64 * 2**20  # of matrices solved at a time


def leading_vectors(edges: Edges, sizes: Array, out_dim: int) -> torch.Tensor:
    """Eigenvectors beside the trivial ones, float64 (n, out_dim), on the host.

    Parameters
    ----------
    edges : Edges
        A symmetric graph whose components are consecutive points.
    sizes : int array (components,)
    out_dim : int
    """
    host = Edges(*(part.cpu() for part in edges))
    indptr, _, tails, weights = (to_numpy(part) for part in host)
    scale = to_numpy(weighted_degrees(host).rsqrt())
    heads = np.repeat(np.arange(len(scale)), np.diff(indptr))
    entries = scale[heads] * weights * scale[tails]
    starts = np.cumsum(sizes) - sizes
    component = np.repeat(np.arange(len(sizes)), sizes)[heads]
    positions = np.zeros((len(scale), out_dim))
    for size in np.unique(sizes):
        alike = np.flatnonzero(sizes == size)
        rows = starts[alike][:, None] + np.arange(size)
        if size <= out_dim + 1:
            # Too few points for as many eigenvectors: spread along the first axes.
            positions[rows] = np.eye(size, out_dim) * np.arange(1, size + 1)[:, None]
            continue
        place = np.full(len(sizes), -1)
        for chunk in np.array_split(
            np.arange(len(alike)), -(-8 * rows.size * size // _STACK_BYTES)
        ):
            place[:] = -1
            place[alike[chunk]] = np.arange(len(chunk))
            inner = np.flatnonzero(place[component] >= 0)
            first = starts[component[inner]]
            stack = np.zeros((len(chunk), size, size))
            at = place[component[inner]], heads[inner] - first, tails[inner] - first
            stack[at] = entries[inner]
            vectors = np.linalg.eigh(stack)[1][:, :, -2 : -out_dim - 2 : -1]
            positions[rows[chunk]] = _same_for_any_threads(vectors)
    return torch.from_numpy(positions)


def _same_for_any_threads(vectors: Array) -> Array:
    """Eigenvectors (graphs, points, vectors) without what LAPACK leaves to BLAS's number of threads.

    Those are the last digits, and with OpenBLAS 0.3.21 of numpy 1.24 the sign.
    """
    vectors = np.round(vectors * DIGITS) / DIGITS
    return vectors * signs_of(vectors, 1)
