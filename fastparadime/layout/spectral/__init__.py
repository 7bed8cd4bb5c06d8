"""Initial positions from the graph: eigenvectors of its normalised Laplacian."""

from __future__ import annotations

import numpy as np
import torch

from fastparadime.layout.spectral import _components, _dense
from fastparadime.layout.spectral._coarsening import CoarseGraph, coarsened
from fastparadime.layout.spectral._eigenvectors import (
    block_width,
    most_solved_at_once,
    smooth_vectors,
)
from fastparadime.ops import Edges, Segments
from fastparadime.types import Array
from fastparadime.utils.progress import memory_for
from fastparadime.utils.validate import check_integer

__all__ = ["CoarseGraph", "coarsened", "spectral_positions"]


def spectral_positions(edges: Edges, out_dim: int = 2, *, seed: int = 0) -> torch.Tensor:
    """The lowest non-trivial eigenvectors of the symmetric normalised Laplacian, standardised.

    A graph in several components has each of them embedded on its own and placed side by side,
    in an area that grows with its size.

    Parameters
    ----------
    edges : Edges
        A symmetric graph of n points.
    out_dim : int
        Columns of the result.
    seed : int
        Of the solver's start.

    Returns
    -------
    float32 tensor (n, out_dim)
        Each column with mean 0 and standard deviation 1, on the edges' device, where the work is
        done but for matrices of some ten columns and components of up to some hundred points.

    Raises
    ------
    DeviceMemoryError
        If a GPU runs out of memory.

    Notes
    -----
    The eigenvectors of a coarser graph, where points have joined their neighbours, are the start of
    the iteration, so that long shapes such as closed curves take no more of it than round ones. Each
    lies within 0.01 radians of the span of those wanted and the next five by its residual, or within
    0.05 by what the last filter has changed of its Ritz value, or is the best of 60 products with
    the graph, of up to 200 with less than 67,000 points: those of a ring of 70,000 are then within a
    degree.
    """
    out_dim = check_integer(out_dim, "out_dim", minimum=1)
    n = len(edges.indptr) - 1
    # Five blocks of vectors; the graph by component, its pairs of aggregates and their order.
    needed = 5 * 8 * n * block_width(out_dim) + 64 * len(edges.tails)
    with memory_for("the spectral start", "start from 'pca' instead", total=needed):
        return _positions(edges, out_dim, seed)


def _positions(edges: Edges, out_dim: int, seed: int) -> torch.Tensor:
    n = len(edges.indptr) - 1
    whole = Segments([n], edges.weights.device)
    labels = _components.labels_of(edges)
    if int(labels.max()) == 0:
        positions = _component_positions(edges, np.array([n]), out_dim, seed)
    else:
        order, sizes = _components.by_size(labels)
        parts = _component_positions(_components.permuted(edges, order), sizes, out_dim, seed)
        positions = torch.empty_like(parts)
        positions[order] = _placed(parts, sizes)
    return _standardised(positions, whole).to(torch.float32)


def _component_positions(edges: Edges, sizes: Array, out_dim: int, seed: int) -> torch.Tensor:
    """Standardised eigenvectors within each component, float64 (n, out_dim).

    Components are consecutive points, the largest first.
    """
    large = int((sizes > most_solved_at_once(out_dim)).sum())
    rows = int(sizes[:large].sum())
    parts = []
    if large:
        graph = _components.rows_of(edges, 0, rows)
        parts.append(smooth_vectors(graph, sizes[:large], out_dim, seed))
    if large < len(sizes):
        rest = _components.rows_of(edges, rows, int(sizes.sum()))
        found = _dense.leading_vectors(rest, sizes[large:], out_dim)
        parts.append(found.to(edges.weights.device))
    return _standardised(torch.cat(parts), Segments(sizes, edges.weights.device))


def _standardised(positions: torch.Tensor, segments: Segments) -> torch.Tensor:
    """Each column with mean 0 and deviation 1 within each segment, or 0 where it is constant."""
    counts = segments.gram(ones := positions.new_ones((len(positions), 1)), ones)
    centred = positions - (segments.gram(ones, positions) / counts)[:, 0][segments.of]
    spreads = (segments.gram(ones, centred.square()) / counts)[:, 0].sqrt()
    return centred / torch.where(spreads > 0, spreads, 1.0)[segments.of]


def _placed(parts: torch.Tensor, sizes: Array) -> torch.Tensor:
    # Standardised parts span about +-2: a radius of sqrt(size) keeps their density even.
    of = torch.repeat_interleave(torch.arange(len(sizes)), torch.from_numpy(sizes)).to(parts.device)
    centres = torch.from_numpy(_components.centres(sizes, parts.shape[1])).to(parts.device)
    radii = torch.from_numpy(sizes**0.5 / 2).to(parts.device)
    return centres[of] + parts * radii[of][:, None]
