"""Products of a sparse graph with dense columns."""

from __future__ import annotations

import torch

from fastparadime import _core
from fastparadime.ops._checks import as_real, check_form, check_same_device, on_device, target_of
from fastparadime.ops.graph.symmetrize import Edges
from fastparadime.types import TensorLike
from fastparadime.utils.convert import share


def graph_matmul(
    edges: Edges,
    scale: TensorLike,
    x: TensorLike,
    *,
    step: tuple[TensorLike, TensorLike, TensorLike] | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """S G S x for a graph G and the diagonal S of `scale`: the normalised Laplacian's product.

    Parameters
    ----------
    edges : Edges
        The graph of n points.
    scale : (n,) array
    x : (n, columns) array
    step : gain (n,), shift (n,) and previous (n, columns), optional
        Gives gain (S G S x) + shift x - previous instead, row by row: one step of a three-term
        recurrence, as of Chebyshev polynomials.
    out : float64 tensor (n, columns), optional
        Contiguous, where the result is written; it may be ``previous``, but not `x`.

    Returns
    -------
    float64 tensor (n, columns)

    Raises
    ------
    TypeError, ValueError
        For shapes that disagree, or arrays of another form.
    """
    scale, x = share(scale), share(x)
    if x.ndim != 2:
        raise ValueError(f"x must have 2 dimensions, not shape {tuple(x.shape)}")
    n, columns = x.shape
    check_form(edges)
    if len(edges.indptr) != n + 1 or scale.shape != (n,):
        raise ValueError(f"edges, scale and x must be of one number of points, not {n} in x")
    x, scale = as_real(x, "x", torch.float64), as_real(scale, "scale", torch.float64)
    check_same_device(weights=edges.weights, scale=scale, x=x)
    terms = []
    if step is not None:
        terms = [as_real(share(term), "step", torch.float64) for term in step]
        if [tuple(term.shape) for term in terms] != [(n,), (n,), (n, columns)]:
            raise ValueError(
                f"step must be gain ({n},), shift ({n},) and previous ({n}, {columns}), not "
                + ", ".join(str(tuple(term.shape)) for term in terms)
            )
        check_same_device(x=x, gain=terms[0], shift=terms[1], previous=terms[2])
    gain, shift, previous = [term.data_ptr() for term in terms] or [0, 0, 0]
    with on_device(x):
        out = torch.empty_like(x) if out is None else _checked_out(out, x)
        _core.graph_matmul(
            out.data_ptr(),
            x.data_ptr(),
            scale.data_ptr(),
            gain,
            shift,
            previous,
            edges.indptr.data_ptr(),
            edges.tails.data_ptr(),
            edges.weights.data_ptr(),
            n,
            columns,
            target_of(x),
        )
    return out


def _checked_out(out: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    fits = out.shape == x.shape and out.dtype == x.dtype and out.is_contiguous()
    if not fits or out.device != x.device or out.data_ptr() == x.data_ptr():
        raise ValueError(
            f"out must be a contiguous float64 tensor {tuple(x.shape)} on {x.device} other than x, "
            f"not {out.dtype}, {tuple(out.shape)} on {out.device}"
        )
    return out
