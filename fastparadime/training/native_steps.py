"""Training steps without torch, for the package's own networks on the CPU.

torch's threads spin for milliseconds after each of its parallel calls and take the cores from
whatever follows, so a native operation within a torch step gains nothing: the whole step is native,
or none of it. The weights are the model's own throughout.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import cast

import numpy as np
import torch

from fastparadime import loss as losses
from fastparadime import models, ops
from fastparadime.training.batches import (
    TrainingData,
    edge_batches,
    embedded_entry,
    noise_of,
    shuffled_batches,
)
from fastparadime.training.fused_steps import fused_curve
from fastparadime.training.phases import TrainingPhase
from fastparadime.training.progress import PhaseProgress
from fastparadime.training.sampling import Batch, NegativeEdgeBatches, Noise

_REGRESSIONS = losses.PositionLoss, losses.AnchorLoss
LearningRate = Callable[[int], float]  # of a step, counted from 0


def native_steps(
    model: torch.nn.Module,
    phase: TrainingPhase,
    data: TrainingData,
    total: int,
    progress: PhaseProgress,
) -> Iterator[torch.Tensor] | None:
    """Makes the steps of a phase without torch where that is possible, else None."""
    loss = cast(losses.PositionLoss | losses.RelationLoss, phase.loss)
    curve = fused_curve(loss, data.batch_relations, phase)
    if isinstance(loss, losses.PositionLoss) and phase.sampling == "standard":
        if type(loss) not in _REGRESSIONS:
            return None
        data_key, rows, method = loss.data_key, phase.batch_size, loss.trained_method
    elif curve is not None:
        data_key = embedded_entry(loss, data.batch_relations)
        rows = phase.batch_size * (2 + phase.neg_sampling_rate)
        method = loss.embedding_method
    else:
        return None
    table = data.entries[data_key]
    rows = min(rows, len(table))
    narrow = table.dtype == torch.float16 or not table.is_floating_point()
    like = table[:0].float() if narrow else table  # which becomes float32 batch by batch
    network = network_of(model, phase, method, like, rows)
    if network is None:
        return None
    rate = functools.partial(phase.learning_rate_at, steps=total)
    if curve is not None:
        edges = edge_batches(phase, data, data.seed)
        steps = range(progress.step(data), total)
        return edge_steps(network, loss, edges, curve, steps, rate, progress)  # type: ignore[arg-type]
    noise = noise_of(phase, data)
    batches = enumerate(shuffled_batches(phase, data, progress.epoch), progress.step(data))
    table_noise = None if noise is None else noise[1]
    return position_steps(network, loss, table, batches, rate, progress, table_noise)  # type: ignore[arg-type]


def network_of(
    model: torch.nn.Module, phase: TrainingPhase, method: str, table: torch.Tensor, rows: int
) -> ops.Mlp | None:
    """The model as a native network, None where only torch can take its steps.

    Native steps need a model of exactly one of the package's classes, with float32 weights on the
    CPU that are all trained, without hooks on it or its tensors, called by `embed` or `forward`, or
    `scores` of anchors; torch's Adam with its defaults; and a contiguous float32 table on the CPU.

    Parameters
    ----------
    model : torch.nn.Module
    phase : TrainingPhase
    method : str
        The method of the model that the loss calls.
    table : tensor (n, ...)
        Rows that are embedded.
    rows : int
        Most rows of a step.
    """
    if not isinstance(model, models.FullyConnectedEmbeddingModel):
        return None
    own = model
    if not is_the_cores(own, phase, method, table) or table.device.type != "cpu":
        return None
    return models.core_network(own, rows)


def is_the_cores(
    model: torch.nn.Module, phase: TrainingPhase, method: str, table: torch.Tensor
) -> bool:
    """Whether the core knows all that a phase's steps do to a model, on the device of the table.

    See `network_of`.
    """
    methods: dict[type, tuple[str, ...]] = {
        models.FullyConnectedEmbeddingModel: ("embed", "forward"),
        models.ScaledEmbeddingModel: ("embed", "forward"),
        models.PrototypeEmbeddingModel: ("embed", "forward") if model.training else (),
        models.AnchorEmbeddingModel: ("scores",),
    }
    if method not in methods.get(type(model), ()):
        return False
    own = cast(models.FullyConnectedEmbeddingModel, model)
    return (
        phase.optimizer is torch.optim.Adam
        and not phase.kwargs
        and method not in vars(model)
        and table.shape[1:] == (own.in_dim,)
        and all(_is_trained_linear(layer) for layer in own.layers)
        and all(_is_plain(tensor, table.device) for tensor in (table, *_tensors_of(own)))
        and not models.runs_hooks(own)
    )


def _is_trained_linear(layer: torch.nn.Module) -> bool:
    return models.is_plain_linear(layer) and all(p.requires_grad for p in layer.parameters())


def _tensors_of(model: torch.nn.Module) -> list[torch.Tensor]:
    return [*model.parameters(), *model.buffers()]


def _is_plain(tensor: torch.Tensor, device: torch.device) -> bool:
    return tensor.device == device and tensor.dtype == torch.float32 and tensor.is_contiguous()


def edge_steps(
    network: ops.Mlp,
    loss: losses.RelationLoss,
    batches: NegativeEdgeBatches,
    curve: tuple[float, float],
    steps: Iterable[int],
    learning_rate: LearningRate,
    progress: PhaseProgress,
) -> Iterator[torch.Tensor]:
    """Takes steps of the fused edge loss and gives the loss of each."""
    table = batches.entries[batches.data_key]
    adam = ops.Adam(network.parameters, network.gradients)
    progress.attach(adam)
    for step in steps:
        nodes, places = ops.unique_nodes(batches.draw(step))
        ends = ops.gather_rows(network.forward(*_float_rows(table, nodes)), places)
        value, gradient = ops.negative_edge_gradients(ends, batches.batch_size, *curve)
        network.backward(ops.scatter_add(gradient, places, len(nodes)))
        adam.step(learning_rate(step))
        loss.accumulate(value)
        yield value


def _float_rows(table: torch.Tensor, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A float32 table and the rows of it that are meant: the table itself, or a copy of narrow ones."""
    if table.dtype == torch.float32:
        return table, ids
    # By numpy, on one thread: torch's would spin on.
    rows = table.numpy()[ids.numpy()].astype(np.float32)
    return torch.from_numpy(rows), torch.arange(len(rows))


def position_steps(
    network: ops.Mlp,
    loss: losses.PositionLoss,
    table: torch.Tensor,
    batches: Iterable[tuple[int, Batch]],
    learning_rate: LearningRate,
    progress: PhaseProgress,
    noise: Noise | None = None,
) -> Iterator[torch.Tensor]:
    """Takes steps of a regression onto positions and gives the loss of each.

    The loss function is torch's or the user's; it sees two columns a row, so it costs little.
    """
    adam = ops.Adam(network.parameters, network.gradients)
    progress.attach(adam)
    for step, batch in batches:
        source, ids = _float_rows(table, batch["indices"])
        if noise is not None:
            if source is table:
                source, ids = ops.gather_rows(table, ids), torch.arange(len(ids))
            # By numpy, on one thread: torch's would spin on.
            rows = source.numpy()
            np.add(rows, noise.piece(step, len(rows)).numpy(), out=rows)
        value, gradient = loss.gradients(network.forward(source, ids), batch[loss.position_key])
        network.backward(gradient)
        adam.step(learning_rate(step))
        loss.accumulate(value)
        yield value
