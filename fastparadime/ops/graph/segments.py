"""The small dense algebra of an eigensolver over the components of a graph."""

from __future__ import annotations

import torch

from fastparadime import _core
from fastparadime.ops._checks import as_real, check_same_device, on_device, target_of
from fastparadime.types import TensorLike
from fastparadime.utils.convert import share

_PIECE_ROWS = 4096  # summed one after the other; the sums of pieces are added in their order


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
        sizes = share(sizes)
        whole = sizes.numel() == 0 or not (sizes.is_floating_point() or sizes.is_complex())
        sizes = sizes.to("cpu", torch.int64)
        if not whole or sizes.ndim != 1 or (len(sizes) > 0 and int(sizes.min()) < 1):
            raise ValueError("sizes must be 1-D and hold positive numbers of rows")
        ends = sizes.cumsum(0)
        self.sizes, self.count, self.rows = sizes, len(sizes), int(sizes.sum())
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
        matrices = as_real(share(matrices), "matrices", torch.float64).to(x.device)
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
