"""The layout of some points among all, step by step."""

from __future__ import annotations

import torch

from fastparadime import _core
from fastparadime.ops._checks import as_positive, target_of
from fastparadime.ops.graph.symmetrize import Edges
from fastparadime.ops.layout._many_points import narrow_shares, windows_of
from fastparadime.ops.layout._run import checked_counts, checked_graph, finite, steps_of
from fastparadime.types import TensorLike
from fastparadime.utils.validate import check_integer


class LayoutShard:
    """The steps of `sgd_layout` for some rows in turn, where others move the other rows.

    A step reads the positions where it begins, so the shards of all rows together, between whose
    steps `positions` takes what each of them gives, move the points as one layout does, bit for bit.

    Parameters
    ----------
    positions : (n, dim) array
        Of all points, on the CPU; copied.
    edges : Edges
        Of the shard's rows; their tails are any of the n points.
    first_row : int
        The number of the shard's first row.
    a, b : float
    n_epochs : int
    learning_rate, repulsion_strength, negative_sample_rate, seed
        As of `sgd_layout`.
    largest_weight, total_weight : float
        Of the edges of all points.

    Attributes
    ----------
    positions : float32 tensor (n, dim)
        To be updated by the caller between two steps.
    steps : int
        Of an epoch.

    Raises
    ------
    TypeError, ValueError
        As `sgd_layout`, and for positions that are not on the CPU.
    """

    def __init__(
        self,
        positions: TensorLike,
        edges: Edges,
        first_row: int,
        a: float,
        b: float,
        n_epochs: int,
        *,
        largest_weight: float,
        total_weight: float,
        learning_rate: float = 1.0,
        repulsion_strength: float = 1.0,
        negative_sample_rate: int = 5,
        seed: int = 0,
    ) -> None:
        self.positions = finite(positions, "positions").clone()
        n, self._dim = self.positions.shape
        if self.positions.device.type != "cpu":
            raise ValueError(f"positions must be on the CPU, not on {self.positions.device}")
        self._count = len(edges.indptr) - 1
        self._first = check_integer(first_row, "first_row", minimum=0, maximum=n - self._count)
        self._edges = checked_graph(edges, self._count, n)
        self._curve = (as_positive(a, "a"), as_positive(b, "b"))
        counts = checked_counts(n_epochs, negative_sample_rate, seed)
        self._n_epochs, self._negatives, self._seed = counts
        self._rate = as_positive(learning_rate, "learning_rate", zero_ok=True)
        self._strength = as_positive(repulsion_strength, "repulsion_strength", zero_ok=True)
        top = as_positive(largest_weight, "largest_weight", zero_ok=True)
        total = as_positive(total_weight, "total_weight", zero_ok=True)
        self._largest = top or 1.0  # without any edge
        self.steps = steps_of(None, n, total / self._largest)
        self._shares = narrow_shares(self._edges.weights, self._largest, n, fixed=False)
        self._lanes = torch.arange(n, dtype=torch.int32)
        self._next = torch.empty_like(self.positions)
        size = _core.sgd_layout_scratch(
            self._count, len(self._edges.weights), self.steps, target_of(self.positions)
        )
        self._scratch = torch.empty(size, dtype=torch.uint8)

    def step(self, epoch: int, part: int) -> torch.Tensor:
        """Where a step takes the shard's rows, float32 (rows, dim), to be read before the next.

        Parameters
        ----------
        epoch : int
            In [0, n_epochs).
        part : int
            In [0, steps). Those of an epoch are asked for in turn.
        """
        epoch = check_integer(epoch, "epoch", minimum=0, maximum=self._n_epochs - 1)
        part = check_integer(part, "part", minimum=0, maximum=self.steps - 1)
        edges = self._edges
        in_order = False  # of a device's scratch
        args = _core.SgdLayoutArgs(
            self.positions.data_ptr(), self._next.data_ptr(), self._scratch.data_ptr(), 0,
            edges.indptr.data_ptr(), edges.tails.data_ptr(), edges.weights.data_ptr(),
            self._lanes.data_ptr(), self._count, len(edges.weights), self._dim,
            len(self.positions), self._negatives, self.steps, epoch, epoch + 1, self._n_epochs,
            self._rate, self._largest, self._seed, *self._curve, self._strength, 0, 0, 0.0,
            in_order, 0, self._first, *windows_of(len(self.positions), fixed=False),
            0 if self._shares is None else self._shares.data_ptr(),
        )  # fmt: skip
        _core.sgd_layout_part(args, part, target_of(self.positions))
        return self._next[self._first : self._first + self._count]
