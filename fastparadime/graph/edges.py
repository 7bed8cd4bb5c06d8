"""Edges of graphs as arrays: their ends, and values looked up by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime.types import Array

Ends = tuple[Array, Array]  # heads and tails of edges


def ends_of(edges: ops.Edges) -> Ends:
    return edges.heads.numpy(), edges.tails.numpy()


def values_at(n: int, wanted: Ends, known: Ends, values: Array) -> Array:
    """The values (edges,) of a directed graph of n points at some edges, NaN where it has none."""
    keys, sought = (heads.astype(np.int64) * n + tails for heads, tails in (known, wanted))
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    if not len(keys):
        return np.full(len(sought), np.nan)
    places = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
    found: Array = np.where(keys[places] == sought, values[order][places], np.nan)
    return found


def edges_of_csr(graph: Any) -> ops.Edges:
    """The edges of a CSR matrix (n, n)."""
    heads = np.repeat(np.arange(graph.shape[0], dtype=np.int32), np.diff(graph.indptr))
    parts = (graph.indptr.astype(np.int64), heads, graph.indices.astype(np.int32), graph.data)
    return ops.Edges(*(torch.from_numpy(part) for part in parts))
