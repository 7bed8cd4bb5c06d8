"""Batches of edges: drawn by weight, and each of their points once."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch

from fastparadime import _core
from fastparadime.ops._checks import (
    MAX_POINTS,
    as_indices,
    as_non_negative,
    check_same_device,
    on_device,
    target_of,
)
from fastparadime.types import TensorLike
from fastparadime.utils.convert import to_torch
from fastparadime.utils.validate import check_integer

_GUIDE_SHARE = 8  # edges to one entry of the sampler's guide table


class EdgeBatch(NamedTuple):
    """Drawn edges: ``heads`` int32 (batch,), ``tails`` int32 (batch, 1 + negatives).

    Slot 0 of ``tails`` is the positive edge's, the others are uniform draws from all points.
    """

    heads: torch.Tensor
    tails: torch.Tensor


class EdgeSampler:
    """Draws of positive edges by weight, with replacement, and of uniform negative tails.

    Parameters
    ----------
    heads, tails : (edges,) integer arrays
        Ends of the edges, in [0, n).
    weights : (edges,) array
        Not negative, at least one positive; an edge is drawn in proportion to its weight.
    n : int
        Number of points that negative tails are drawn from, fewer than 2^31.
    seed : int
        Key of the Philox generator, in [0, 2^64).

    Notes
    -----
    Weights are held as integers of 32 bits below the largest one, so a draw is exact in integer
    arithmetic: CPU and CUDA draw the same edges from the same seed and step, and the number of
    edges is bounded by memory alone (9 bytes an edge).
    """

    def __init__(
        self, heads: TensorLike, tails: TensorLike, weights: TensorLike, n: int, *, seed: int = 0
    ) -> None:
        self.n = check_integer(n, "n", minimum=1, maximum=MAX_POINTS)
        self.seed = check_integer(seed, "seed", minimum=0, maximum=2**64 - 1)
        self._heads = as_indices(heads, "heads", 1, self.n)
        self._tails = as_indices(tails, "tails", 1, self.n)
        weights = as_non_negative(weights, "weights", 1)
        check_same_device(heads=self._heads, tails=self._tails, weights=weights)
        size = len(weights)
        if not len(self._heads) == len(self._tails) == size:
            raise ValueError(
                "heads, tails and weights must have one length, not "
                f"{len(self._heads)}, {len(self._tails)} and {size}"
            )
        largest = float(weights.max()) if size else 0.0
        if largest <= 0.0:
            raise ValueError(f"weights must hold a positive value, but none of {size} is")
        # The sum of all quantised weights stays below 2^62.
        bits = min(32, 61 - math.ceil(math.log2(size + 1)))
        self._guide_bits = max(0, int(math.log2(max(1, size // _GUIDE_SHARE))))
        with on_device(weights):
            options: dict[str, Any] = {"dtype": torch.int64, "device": weights.device}
            self._cumulative = torch.empty(size, **options)
            self._guide = torch.empty(2**self._guide_bits + 1, **options)
            target = target_of(weights)
            scratch_size = _core.edge_table_scratch(size, target)
            scratch = torch.empty(scratch_size, dtype=torch.uint8, device=weights.device)
            _core.edge_table(
                self._cumulative.data_ptr(),
                self._guide.data_ptr(),
                scratch.data_ptr(),
                weights.data_ptr(),
                size,
                self._guide_bits,
                2.0**bits / largest,
                target,
            )

    def __len__(self) -> int:
        return len(self._cumulative)

    def draw(self, batch_size: int, negatives: int, step: int | torch.Tensor) -> EdgeBatch:
        """The edges of one step: a function of the seed, the step and the arguments alone.

        Views of what `draw_ends` gives, with its parameters and errors.
        """
        ends = self.draw_ends(batch_size, negatives, step)
        return EdgeBatch(ends[:batch_size], ends[batch_size:].view(batch_size, 1 + negatives))

    def draw_ends(self, batch_size: int, negatives: int, step: int | torch.Tensor) -> torch.Tensor:
        """The ends of one step's edges: the heads, and after them the tails of each in turn.

        Parameters
        ----------
        batch_size, negatives : int
            Positive edges, and negative ones to each.
        step : int or int64 tensor (1,)
            A tensor, on the device of the edges, is read when the draw runs: the host never waits
            for it, and a draw recorded in a CUDA graph draws anew at each replay.

        Returns
        -------
        int32 tensor (batch_size (2 + negatives),)

        Raises
        ------
        TypeError, ValueError
            If an argument is not an integer, `batch_size` or `step` is negative, or a tensor is of
            another shape, dtype or device.
        """
        batch_size = check_integer(batch_size, "batch_size", minimum=0, maximum=2**32 - 1)
        negatives = check_integer(negatives, "negatives", minimum=0, maximum=2**31 - 2)
        counter = 0
        if isinstance(step, torch.Tensor):
            counter, number = self._address_of(step), 0
        else:
            number = check_integer(step, "step", minimum=0, maximum=2**64 - 1)
        with on_device(self._heads):
            ends = self._heads.new_empty(batch_size * (2 + negatives))
            _core.edge_draw(
                ends.data_ptr(),
                ends[batch_size:].data_ptr(),
                *self.addresses(),
                batch_size,
                negatives,
                self.n,
                self.seed,
                number,
                counter,
                target_of(self._heads),
            )
        return ends

    @property
    def device(self) -> torch.device:
        """Where the edges are."""
        return self._heads.device

    def addresses(self) -> tuple[int, int, int, int, int, int]:
        """What the core draws from: the running sums, their guide, sizes of both, heads, tails."""
        tables = self._cumulative.data_ptr(), self._guide.data_ptr()
        ends = self._heads.data_ptr(), self._tails.data_ptr()
        return *tables, len(self), self._guide_bits, *ends

    def _address_of(self, step: torch.Tensor) -> int:
        if step.dtype != torch.int64 or step.shape != (1,):
            raise ValueError(
                f"step must be an integer or an int64 tensor (1,), not {step.dtype} of shape "
                f"{tuple(step.shape)}"
            )
        check_same_device(step=step, heads=self._heads)
        return step.data_ptr()


def unique_nodes(ids: TensorLike) -> tuple[torch.Tensor, torch.Tensor]:
    """Distinct ids in order of first appearance, and the place of each id among them.

    On the CPU only: on a device a batch keeps a fixed shape and embeds a repeated point twice.

    Returns
    -------
    nodes, positions : int32 tensors (m,) and the shape of `ids`
    """
    ids = to_torch(ids)
    ids = as_indices(ids, "ids", ids.ndim, MAX_POINTS)
    if ids.device.type != "cpu":
        raise ValueError(f"ids must be on the CPU, not on {ids.device}")
    nodes, positions = torch.empty(ids.numel(), dtype=torch.int32), torch.empty_like(ids)
    m = _core.unique_nodes(nodes.data_ptr(), positions.data_ptr(), ids.data_ptr(), ids.numel())
    return nodes[:m], positions
