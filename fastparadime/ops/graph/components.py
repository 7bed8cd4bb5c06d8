"""Connected components, on the CPU."""

from __future__ import annotations

import torch

from fastparadime import _core
from fastparadime.ops._checks import check_form
from fastparadime.ops.graph.symmetrize import Edges


def component_roots(edges: Edges) -> torch.Tensor:
    """The first point of each point's component, in one pass over the edges.

    Parameters
    ----------
    edges : Edges
        A symmetric graph of n points, on the CPU.

    Returns
    -------
    int32 tensor (n,)

    Raises
    ------
    TypeError, ValueError
        For arrays of another form.

    Notes
    -----
    Tarjan and van Leeuwen, "Worst-case analysis of set union algorithms", J. ACM 31, 1984: trees
    whose paths are halved as they are followed.
    """
    check_form(edges)
    n = len(edges.indptr) - 1
    roots = torch.empty(n, dtype=torch.int32)
    _core.components(roots.data_ptr(), edges.indptr.data_ptr(), edges.tails.data_ptr(), n)
    return roots
