"""Checks and conversions of raw relations, below the containers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fastparadime.ops import Edges
from fastparadime.types import IndexList
from fastparadime.utils.convert import is_triangular, to_torch, value_range
from fastparadime.utils.masks import without_mask


def has_form(relations: Any, form: str) -> bool:
    """Whether relations are an array or tensor of a form: square, triangular or flat."""
    if not isinstance(relations, (np.ndarray, torch.Tensor)):
        return False
    if form == "square":
        return relations.ndim == 2 and relations.shape[0] == relations.shape[1]
    if relations.ndim != 1:
        return False
    return form == "flat" or is_triangular(len(relations))


def points_of(indices: IndexList, n: int) -> torch.Tensor:
    """Indices of points int64 (m,), checked to lie in [0, n)."""
    points = torch.as_tensor(indices)
    if points.numel() == 0:
        return points.long()
    if points.ndim != 1 or points.is_floating_point() or points.dtype == torch.bool:
        raise TypeError(
            f"indices must be a list of integers, not {points.dtype} of shape {tuple(points.shape)}"
        )
    low, high = (int(value) for value in value_range(points))
    if low < 0 or high >= n:
        raise ValueError(f"indices must lie in [0, {n}), but hold {low if low < 0 else high}")
    return points.long()


def edges_of(matrix: Any) -> Edges:
    """The edges of a square SciPy sparse matrix, repeated ones summed."""
    import scipy.sparse

    if not scipy.sparse.issparse(matrix) or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            "SparseRelationArray takes a square SciPy sparse matrix, not "
            f"{type(matrix).__name__} of shape {getattr(matrix, 'shape', None)}"
        )
    csr = scipy.sparse.csr_matrix(matrix, copy=True)
    csr.sum_duplicates()
    indptr = torch.from_numpy(csr.indptr.astype(np.int64))
    tails = torch.from_numpy(csr.indices.astype(np.int32))
    rows = torch.arange(matrix.shape[0], dtype=torch.int32)
    heads = torch.repeat_interleave(rows, indptr.diff())
    return Edges(indptr, heads, tails, torch.from_numpy(csr.data.astype(np.float32)))


def filled_rows(edges: Edges) -> tuple[torch.Tensor, torch.Tensor]:
    """Neighbours and values (n, k) of a graph, k the most edges of a point.

    Points with fewer edges are filled up with the first others, at value 0: what is missing from a
    sparse matrix is zero, so the relations stay the same.
    """
    n, counts = len(edges.indptr) - 1, edges.indptr.diff()
    k = int(counts.max()) if n else 0
    heads, tails = edges.heads.long(), edges.tails.long()
    order = torch.arange(len(heads), device=heads.device) - edges.indptr[heads]
    indices = tails.new_zeros((n, k)).index_put((heads, order), tails)
    values = edges.weights.new_zeros((n, k)).index_put((heads, order), edges.weights)
    if len(heads) == n * k:
        return indices, values
    # k + 1 candidates leave k - count that are neither neighbours nor the point itself.
    candidates = torch.arange(min(n, k + 1), device=heads.device)
    free = torch.arange(n, device=heads.device)[:, None] != candidates
    early = tails < free.shape[1]
    free[heads[early], tails[early]] = False
    missing = k - counts
    chosen = free & (free.cumsum(dim=1) <= missing[:, None])
    places = torch.arange(k, device=heads.device) >= counts[:, None]
    indices[places] = chosen.nonzero()[:, 1]
    return indices, values


def neighbor_parts(relations: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices and values of a neighbour tuple, checked; an index of -1 is no neighbour."""
    if not isinstance(relations, tuple) or len(relations) != 2:
        raise ValueError(f"expected a tuple (indices, values), not {type(relations).__name__}")
    indices, values = (to_torch(part) for part in without_mask(relations, "relations"))
    if indices.ndim != 2 or indices.shape != values.shape:
        raise ValueError(
            "indices and values must have one shape (n, k), not "
            f"{tuple(indices.shape)} and {tuple(values.shape)}"
        )
    low, high = value_range(indices) if indices.numel() else (0, -1)
    if low < -1 or high >= len(indices):
        raise ValueError(
            f"indices must lie in [0, {len(indices)}), or be -1 for no neighbor, but hold "
            f"{low if low < -1 else high}"
        )
    return indices, values
