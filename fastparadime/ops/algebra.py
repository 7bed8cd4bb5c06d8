"""Products with a graph, and the small dense algebra of an eigensolver over its components."""

from __future__ import annotations

import torch

from fastparadime import _core
from fastparadime.ops._checks import as_real, check_form, check_same_device, on_device, target_of
from fastparadime.ops.graph import Edges
from fastparadime.types import TensorLike
from fastparadime.utils.convert import share

_PIECE_ROWS = 4096  # summed one after the other; the sums of pieces are added in their order


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


class Segments:
    """Consecutive rows that belong together, such as the components of a sorted graph.

    Parameters
    ----------
    sizes : sequence of int
        Rows of each segment, each at least 1.
    device : torch.device or str
        Where the rows live.
    """

    def __init__(self, sizes: TensorLike | list[int], device: torch.device | str = "cpu") -> None:
        sizes = torch.as_tensor(sizes, dtype=torch.int64)
        if sizes.ndim != 1 or (len(sizes) > 0 and int(sizes.min()) < 1):
            raise ValueError("sizes must be 1-D and hold positive numbers of rows")
        ends = sizes.cumsum(0)
        self.count, self.rows = len(sizes), int(sizes.sum())
        of = torch.repeat_interleave(torch.arange(len(sizes), dtype=torch.int32), sizes)
        pieces = (sizes + _PIECE_ROWS - 1) // _PIECE_ROWS
        first = torch.cat([pieces.new_zeros(1), pieces.cumsum(0)])
        owner = torch.repeat_interleave(torch.arange(len(sizes)), pieces)
        place = torch.arange(int(first[-1])) - first[owner]
        starts = (ends - sizes)[owner] + place * _PIECE_ROWS
        self._piece_starts = torch.cat([starts, starts.new_tensor([self.rows])]).to(device)
        self._first_pieces = first.to(device)
        self.of = of.to(device)

    def gram(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The sums of x_r y_r^T over the rows of each segment, in an order of their own.

        Parameters
        ----------
        x, y : float64 tensors (rows, p) and (rows, q)

        Returns
        -------
        float64 tensor (segments, p, q)
            The same bits for any number of threads.
        """
        x, y = self._checked(x, "x"), self._checked(y, "y")
        p, q = x.shape[1], y.shape[1]
        count = len(self._piece_starts) - 1
        with on_device(x):
            out = x.new_empty((self.count, p, q))
            partials = x.new_empty((count, p, q))
            _core.segment_gram(
                out.data_ptr(),
                partials.data_ptr(),
                x.data_ptr(),
                y.data_ptr(),
                self._piece_starts.data_ptr(),
                self._first_pieces.data_ptr(),
                count,
                self.count,
                p,
                q,
                target_of(x),
            )
        return out

    def matmul(self, x: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
        """Each row of `x` (rows, p) times the matrix of its segment, of (segments, p, q)."""
        x = self._checked(x, "x")
        matrices = as_real(matrices, "matrices", torch.float64).to(x.device)
        if matrices.ndim != 3 or matrices.shape[:2] != (self.count, x.shape[1]):
            raise ValueError(
                f"matrices must have shape ({self.count}, {x.shape[1]}, q), not "
                f"{tuple(matrices.shape)}"
            )
        with on_device(x):
            out = x.new_empty((self.rows, matrices.shape[2]))
            _core.segment_matmul(
                out.data_ptr(),
                x.data_ptr(),
                matrices.data_ptr(),
                self.of.data_ptr(),
                self.rows,
                x.shape[1],
                matrices.shape[2],
                target_of(x),
            )
        return out

    def _checked(self, x: torch.Tensor, name: str) -> torch.Tensor:
        x = as_real(share(x), name, torch.float64)
        if x.ndim != 2 or len(x) != self.rows:
            raise ValueError(f"{name} must have {self.rows} rows, not shape {tuple(x.shape)}")
        check_same_device(segments=self.of, **{name: x})
        return x
