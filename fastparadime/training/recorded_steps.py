"""Steps of a phase on a device, recorded as CUDA graphs and replayed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from fastparadime import loss as losses
from fastparadime import models
from fastparadime.training import cuda_graphs
from fastparadime.training.batches import TrainingData, batches_per_epoch, noise_of
from fastparadime.training.fused_steps import FusedEdgeStep, fused_curve, fused_step
from fastparadime.training.optim import make_optimizer, recordable_options
from fastparadime.training.phases import TrainingPhase
from fastparadime.training.sampling import ItemBatches, Noise, with_noise
from fastparadime.utils.seed import derive

# Losses whose steps do the same work for any batch, and keep nothing on the host.
_ITEM_LOSSES = (
    losses.PositionLoss,
    losses.AnchorLoss,
    losses.ClassificationLoss,
    losses.ReconstructionLoss,
)


@dataclass(frozen=True)
class _ItemStep:
    """The loss of a batch of `size` items, by the number of its step."""

    batches: ItemBatches
    size: int
    model: torch.nn.Module
    item_loss: losses.Loss
    data: TrainingData
    noise: tuple[str, Noise] | None

    def loss(self, step: torch.Tensor) -> torch.Tensor:
        batch = self.batches.batch(step, self.size)
        if self.noise is not None:
            batch = with_noise(batch, *self.noise, step)
        relations = (self.data.global_relations, self.data.batch_relations)
        # Not by calling the loss, which would sum its values: they are kept by their step.
        return self.item_loss.forward(self.model, *relations, batch, self.data.device)


def recorded_steps(
    model: torch.nn.Module, phase: TrainingPhase, data: TrainingData, steps: int
) -> Iterator[torch.Tensor] | None:
    """Makes the steps by replaying recorded ones; None where that does not apply.

    It applies on a device to the fused operation and to the plain losses of items: each of their
    steps does the same work. Yields the losses of steps, tensors (count,).
    """
    fused = fused_curve(phase.loss, data.batch_relations, phase) is not None
    plain = phase.sampling == "standard" and type(phase.loss) in _ITEM_LOSSES
    if not (phase.cuda_graph and data.device.type in cuda_graphs.DEVICES and (fused or plain)):
        return None
    if models.runs_hooks(
        model
    ):  # they would be called while the steps are recorded, and never again
        cuda_graphs.warn_not_recorded("the model has hooks")
        return None
    options = recordable_options(phase.optimizer, model, phase.kwargs)
    if options is None:
        cuda_graphs.warn_not_recorded(f"{phase.optimizer.__name__} keeps state on the host")
        return None
    return _replayed_steps(model, phase, data, steps, options)


def _replayed_steps(
    model: torch.nn.Module,
    phase: TrainingPhase,
    data: TrainingData,
    steps: int,
    options: Mapping[str, Any],
) -> Iterator[torch.Tensor]:
    n, joins = len(next(iter(data.entries.values()))), data.joins_single
    per_epoch = batches_per_epoch(phase, n, joins_single=joins)
    changing = phase.schedule != "constant"
    rates = [phase.learning_rate_at(step, steps) for step in range(steps)] if changing else None
    progress = cuda_graphs.Progress(steps, data.device, rates)
    rate = phase.learning_rate if progress.rate is None else progress.rate
    optimizer = make_optimizer(phase.optimizer, model, rate, **options)
    kinds: list[FusedEdgeStep | _ItemStep]
    fused, items = fused_step(model, phase, data), None
    if fused is not None:
        whole, kinds = per_epoch, [fused]
    else:
        items = ItemBatches(
            data.entries, phase.batch_size, joins_single=joins, weights=data.row_weights
        )
        sizes = (phase.batch_size, items.sizes[-1])
        whole = items.sizes.count(phase.batch_size)
        noise = noise_of(phase, data)
        kinds = [_ItemStep(items, size, model, phase.loss, data, noise) for size in sizes]
    count = cuda_graphs.steps_per_graph(steps, whole)
    # The short batch at the end of an epoch is one step.
    made_by_torch = [cuda_graphs.TorchStep(kind.loss, optimizer, progress) for kind in kinds]
    recorded = [
        cuda_graphs.RecordedStep(step, data.device, times)
        for step, times in zip(made_by_torch, (count, 1), strict=False)
    ]
    try:
        for epoch in range(steps // per_epoch):
            if items is not None:
                items.begin_epoch(derive(data.seed, epoch))
            first, done = epoch * per_epoch, 0
            while done < per_epoch:
                made = recorded[0].advance(whole - done) if done < whole else recorded[1].advance(1)
                done += made
                if done == per_epoch:
                    phase.loss.accumulate(progress.losses[first : first + done].sum())
                yield progress.losses[first + done - made : first + done]
    finally:  # also where the phase ends early
        optimizer.zero_grad()  # gradients are in the memory of the graphs
