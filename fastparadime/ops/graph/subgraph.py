"""Parts of a graph."""

from __future__ import annotations

import torch

from fastparadime import _core
from fastparadime.ops._checks import as_indices, check_form, on_device, target_of
from fastparadime.ops.graph.symmetrize import Edges
from fastparadime.types import TensorLike


def subgraph(edges: Edges, points: TensorLike) -> torch.Tensor:
    """The square matrix of a graph's weights among some of its points.

    Parameters
    ----------
    edges : Edges
        The graph of n points.
    points : int (m,)
        Within [0, n), repeated ones included.

    Returns
    -------
    float32 tensor (m, m)
        Entry (i, j) is the weight of the edge from ``points[i]`` to ``points[j]``, else 0.
    """
    check_form(edges)
    n = len(edges.indptr) - 1
    points = as_indices(points, "points", 1, n).to(edges.weights.device)
    m = len(points)
    order = torch.arange(m, dtype=torch.int32, device=points.device)
    with on_device(edges.weights):
        places = torch.full((n,), -1, dtype=torch.int32, device=points.device)
        places[points] = order
        if not torch.equal(places[points], order):
            distinct, inverse = points.unique(return_inverse=True)
            return subgraph(edges, distinct)[inverse][:, inverse]
        out = edges.weights.new_zeros((m, m))
        _core.subgraph(
            out.data_ptr(),
            points.data_ptr(),
            places.data_ptr(),
            edges.indptr.data_ptr(),
            edges.tails.data_ptr(),
            edges.weights.data_ptr(),
            m,
            target_of(out),
        )
    return out
