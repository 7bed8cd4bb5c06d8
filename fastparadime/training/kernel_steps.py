"""Steps of the package's own networks on a device, each in four kernels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch

from fastparadime import loss as losses
from fastparadime import models, ops
from fastparadime.training import cuda_graphs
from fastparadime.training.batches import (
    TrainingData,
    batches_per_epoch,
    edge_batches,
    embedded_entry,
)
from fastparadime.training.fused_steps import fused_curve
from fastparadime.training.native_steps import is_the_cores
from fastparadime.training.phases import TrainingPhase

DEVICES = {"cuda"}  # whose steps are made so


def kernel_steps(
    model: torch.nn.Module, phase: TrainingPhase, data: TrainingData, steps: int
) -> Iterator[torch.Tensor] | None:
    """Makes the steps of a phase by `ops.EdgeStep`; None where that does not apply.

    It applies to the fused loss of negative edges, not shared and without weights of rows, of a plain network of the package
    with Adam and ``tf32="hidden"``, where `EdgeStep.fits`. Yields the losses of steps, tensors
    (count,).
    """
    curve = fused_curve(phase.loss, data.batch_relations, phase)
    if curve is None or data.device.type not in DEVICES or phase.tf32 != "hidden":
        return None
    method = cast(losses.RelationLoss, phase.loss).embedding_method
    table = data.entries[embedded_entry(phase.loss, data.batch_relations)]
    if (
        type(model) is not models.FullyConnectedEmbeddingModel
        or model.activation not in ops.POINTWISE_ACTIVATIONS
        or phase.shared_negatives
        or data.row_weights is not None
        or not is_the_cores(model, phase, method, table)
    ):
        return None
    widths = [table.shape[1], *(len(layer.weight) for layer in _layers_of(model))]
    if not ops.EdgeStep.fits(widths, phase.neg_sampling_rate, data.device):
        return None
    return _steps(model, phase, data, curve, steps)


def _layers_of(model: models.FullyConnectedEmbeddingModel) -> list[torch.nn.Linear]:
    return cast(list[torch.nn.Linear], list(model.layers))


def _steps(
    model: models.FullyConnectedEmbeddingModel,
    phase: TrainingPhase,
    data: TrainingData,
    curve: tuple[float, float],
    steps: int,
) -> Iterator[torch.Tensor]:
    batches = edge_batches(phase, data, data.seed)
    layers = _layers_of(model)
    changing = phase.schedule != "constant"
    rates = [phase.learning_rate_at(step, steps) for step in range(steps)] if changing else None
    step = ops.EdgeStep(
        batches.sampler,
        batches.entries[batches.data_key],
        [layer.weight.detach() for layer in layers],
        [layer.bias.detach() for layer in layers],
        model.activation,
        phase.batch_size,
        phase.neg_sampling_rate,
        *curve,
        steps=steps,
        learning_rate=phase.learning_rate if rates is None else rates,
    )
    per_epoch = batches_per_epoch(phase, len(next(iter(data.entries.values()))))
    count = cuda_graphs.steps_per_graph(steps, per_epoch)
    recorded = cuda_graphs.RecordedStep(step, data.device, count, recordable=phase.cuda_graph)
    for first in range(0, steps - steps % per_epoch, per_epoch):
        done = 0
        while done < per_epoch:
            made = recorded.advance(per_epoch - done)
            done += made
            if done == per_epoch:
                phase.loss.accumulate(step.losses[first : first + done].sum())
            yield step.losses[first + done - made : first + done]
