"""Regression onto positions by several processes, whose steps have the same bits for any number.

A batch is cut in 16 slices, each of rows of one slice of the data. The gradients of slices are
added in pairs, pairs of pairs and so on, so that a rank which has whole branches of that tree sends
their sums alone; then each rank takes the same step of Adam.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch

from fastparadime import loss as losses
from fastparadime import models, ops
from fastparadime.distributed import SLICES, Exchange, Ranks, Shards
from fastparadime.distributed.shards import slices_of
from fastparadime.training.divergence import DivergenceMonitor
from fastparadime.training.native_steps import network_of
from fastparadime.training.phases import TrainingPhase
from fastparadime.training.progress import PhaseProgress
from fastparadime.training.sampling import Noise
from fastparadime.utils.checkpoints import NOTHING, Course
from fastparadime.utils.progress import stage
from fastparadime.utils.seed import derive

Branch = tuple[int, int]  # of the tree over all slices: the first, and one past the last


@dataclass(frozen=True)
class SlicedData:
    """Rows of this rank, and what all ranks know of all rows.

    Attributes
    ----------
    rows, positions : float32 tensors (m, d), (m, dim)
        Those that this rank was dealt.
    ids : list of int64 tensors
        Which of them are trained on, of each own slice.
    counts : list of int
        How many those are, of each of the 16 slices.
    shown : float32 tensor (some, d)
        Rows of all ranks that show their spread.
    """

    rows: torch.Tensor
    positions: torch.Tensor
    ids: list[torch.Tensor]
    counts: list[int]
    shown: torch.Tensor

    @staticmethod
    def of(
        rows: torch.Tensor,
        positions: torch.Tensor,
        shown: torch.Tensor,
        ranks: Ranks,
        shards: Shards,
    ) -> SlicedData:
        """Of rows, of which those without a finite position are left out. Collective."""
        known = positions.isfinite().all(dim=1)
        ids = [known[part].nonzero().flatten() + part.start for part in shards.slices(shards.rank)]
        told = ranks.told([len(part) for part in ids])
        return SlicedData(rows, positions, ids, [n for counts in told for n in counts], shown)


def regress_in_slices(
    model: models.ScaledEmbeddingModel,
    phase: TrainingPhase,
    data: SlicedData,
    ranks: Ranks,
    seed: int,
    course: Course = NOTHING,
) -> None:
    """Trains a network, the same on all ranks, by a phase with a `PositionLoss` or an
    `AnchorLoss`. Collective.

    Each row is seen once in an epoch; the phase's loss keeps the history, and the course weights on
    the way.

    Raises
    ------
    TrainingDivergedError
        As ``training.run.run_phase``.
    """
    steps = -(-sum(data.counts) // phase.batch_size)
    kept = PhaseProgress(model, phase, course)
    if kept.over:
        return
    guard = DivergenceMonitor(model, phase.name, kept.epoch * steps)
    with ranks.together():
        sliced = _Slices(model, phase, data, ranks, seed, steps)
        adam = ops.Adam(sliced.network.parameters, sliced.network.gradients)
        kept.attach(adam)
    with stage(phase.name or "regression", phase.epochs) as advance:
        for epoch in range(kept.epoch, phase.epochs):
            for step in range(steps):
                number = epoch * steps + step
                value = sliced.take_gradient(epoch, step)
                adam.step(phase.learning_rate_at(number, phase.epochs * steps))
                phase.loss.accumulate(value)
                guard.watch(value)
            phase.loss.checkpoint()
            if advance is not None:
                advance(epoch + 1)
            if kept.is_due():
                guard.check()  # what is kept is finite
                kept.write(epoch + 1)
    guard.check()
    kept.write(phase.epochs, over=True)


class _Slices:
    """The gradients of batches, of which this rank has some slices."""

    def __init__(
        self,
        model: models.ScaledEmbeddingModel,
        phase: TrainingPhase,
        data: SlicedData,
        ranks: Ranks,
        seed: int,
        steps: int,
    ) -> None:
        self._data, self._steps = data, steps
        assert isinstance(phase.loss, losses.PositionLoss)
        self._loss = phase.loss
        most = max(1, max(-(-count // steps) for count in data.counts))
        network = network_of(model, phase, phase.loss.trained_method, data.rows, most)
        assert network is not None  # of the package's own kind
        self.network = network
        noise = derive(seed, "noise")
        self._noise = Noise(data.shown, phase.noise, max(most, phase.batch_size), noise)
        self._size = sum(part.numel() for part in network.gradients) + 1  # and the loss
        self._branches = [
            branches(slices.start, slices.stop)
            for slices in (slices_of(rank, ranks.size) for rank in range(ranks.size))
        ]
        self._own = self._branches[ranks.rank]
        self._exchange = Exchange(ranks, [len(some) * self._size for some in self._branches])
        own = slices_of(ranks.rank, ranks.size)
        orders = functools.partial(_drawn, dict(zip(own, data.ids, strict=True)), seed)
        # Not a method's: a cycle would keep the rows, and the group beyond its end.
        self._order = functools.lru_cache(len(data.ids))(orders)

    def take_gradient(self, epoch: int, step: int) -> torch.Tensor:
        """Leaves the gradient of a batch in the network; the batch's loss, a tensor ()."""
        parts = self._exchange.of(lambda: self._own_sums(epoch, step))
        found = {
            branch: sums
            for some, block in zip(self._branches, parts, strict=True)
            for branch, sums in zip(some, block.view(-1, self._size), strict=True)
        }
        total = _joined((0, SLICES), found)
        sizes = [part.numel() for part in self.network.gradients]
        for gradient, values in zip(self.network.gradients, total[:-1].split(sizes), strict=True):
            gradient.copy_(values.view_as(gradient))
        return total[-1]

    def _own_sums(self, epoch: int, step: int) -> torch.Tensor:
        """Gradients and losses of the own branches, (branches, size)."""
        if not self._own:
            return torch.empty((0, self._size))
        rows = sum(len(self._part(count, step)) for count in self._data.counts)
        return torch.stack(
            [self._sum_of(*branch, epoch=epoch, step=step, rows=rows) for branch in self._own]
        )

    def _sum_of(self, first: int, last: int, **batch: int) -> torch.Tensor:
        if last - first == 1:
            return self._of_slice(first, **batch)
        middle = (first + last) // 2
        return self._sum_of(first, middle, **batch).add_(self._sum_of(middle, last, **batch))

    def _part(self, count: int, step: int) -> range:
        """Which rows of a slice's order a step takes."""
        return range(count * step // self._steps, count * (step + 1) // self._steps)

    def _of_slice(self, number: int, *, epoch: int, step: int, rows: int) -> torch.Tensor:
        """The gradient and the loss of a slice of a batch, as parts of the batch's means."""
        part = self._part(self._data.counts[number], step)
        if not part:
            return torch.zeros(self._size)
        ids = self._order(epoch, number)[part.start : part.stop]
        source = ops.gather_rows(self._data.rows, ids)
        place = (epoch * self._steps + step) * SLICES + number
        # By numpy, on one thread: torch's would spin on.
        np.add(source.numpy(), self._noise.piece(place, len(ids)).numpy(), out=source.numpy())
        embedded = self.network.forward(source, torch.arange(len(ids)))
        value, gradient = self._loss.gradients(embedded, self._data.positions[ids])
        share = len(ids) / rows
        # By numpy, as above.
        np.multiply(gradient.numpy(), np.float32(share), out=gradient.numpy())
        self.network.backward(gradient)
        return torch.cat([*(g.flatten() for g in self.network.gradients), share * value[None]])


def _drawn(ids: dict[int, torch.Tensor], seed: int, epoch: int, number: int) -> torch.Tensor:
    """The order of the rows of a slice in an epoch."""
    generator = torch.Generator().manual_seed(derive(seed, epoch, number))
    return ids[number][torch.randperm(len(ids[number]), generator=generator)]


def branches(first: int, last: int) -> list[Branch]:
    """The fewest branches of the tree over 16 slices that make up some consecutive ones."""
    found = []
    while first < last:
        size = SLICES if first == 0 else first & -first  # of the largest branch that starts there
        while first + size > last:
            size //= 2
        found.append((first, first + size))
        first += size
    return found


def _joined(branch: Branch, found: dict[Branch, torch.Tensor]) -> torch.Tensor:
    if branch in found:
        return found[branch]
    first, last = branch
    middle = (first + last) // 2
    return _joined((first, middle), found) + _joined((middle, last), found)
