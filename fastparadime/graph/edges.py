"""Edges of graphs as arrays: their ends, and values looked up by them."""

from __future__ import annotations

import torch

from fastparadime import ops

Ends = tuple[torch.Tensor, torch.Tensor]  # heads and tails of edges


def ends_of(edges: ops.Edges) -> Ends:
    return edges.heads, edges.tails


def values_at(n: int, wanted: Ends, known: Ends, values: torch.Tensor) -> torch.Tensor:
    """The values (edges,) of a directed graph of n points at some edges, NaN where it has none."""
    keys, sought = (heads.long() * n + tails for heads, tails in (known, wanted))
    if not len(keys):
        return values.new_full((len(sought),), torch.nan)
    if bool((keys.diff() < 0).any()):
        keys, order = keys.sort(stable=True)
        values = values[order]
    places = torch.searchsorted(keys, sought).clamp_max_(len(keys) - 1)
    return torch.where(keys[places] == sought, values[places], torch.nan)


def sums_by_head(edges: ops.Edges, values: torch.Tensor) -> torch.Tensor:
    """The sum of each point's values, float64 (n,), of float64 ones (edges,), in their order."""
    return torch.segment_reduce(values, "sum", offsets=edges.indptr, unsafe=True, initial=0.0)
