"""The steps of a training phase."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch

from fastparadime import loss as losses
from fastparadime import models, ops, recording, stepping, stopping
from fastparadime.guard import Guard
from fastparadime.optim import make_optimizer, recordable_options
from fastparadime.phases import TrainingPhase
from fastparadime.relationdata import RelationData
from fastparadime.relations import DistsFromTo, Relations, euclidean_rows
from fastparadime.sampling import (
    Batch,
    Entries,
    ItemBatches,
    NegativeEdgeBatches,
    Noise,
    item_batches,
    with_noise,
)
from fastparadime.transforms import ModifiedCauchyTransform
from fastparadime.utils.logging import log
from fastparadime.utils.precision import training_products
from fastparadime.utils.seed import derive

# Losses whose steps do the same work for any batch, and keep nothing on the host.
_ITEM_LOSSES = (losses.PositionLoss, losses.ClassificationLoss, losses.ReconstructionLoss)


@dataclass(frozen=True)
class TrainingData:
    """What a phase trains on: dataset entries, relations, and where the model is."""

    entries: Entries
    global_relations: Mapping[str, RelationData]
    batch_relations: Mapping[str, Relations]
    device: torch.device
    seed: int


@dataclass(frozen=True)
class _FusedEdgeStep:
    """The loss of a negative-edge batch through the fused operation."""

    batches: NegativeEdgeBatches
    model: torch.nn.Module
    method: str
    curve: tuple[float, float]

    def _embed(self, rows: torch.Tensor) -> torch.Tensor:
        embedded: torch.Tensor = getattr(self.model, self.method)(models.as_input(self.model, rows))
        return embedded

    def loss(self, step: int | torch.Tensor) -> torch.Tensor:
        ids = self.batches.draw(step)
        data = self.batches.entries[self.batches.data_key]
        if data.device.type == "cpu":
            # Shapes may vary here, so a point drawn twice is embedded once.
            nodes, positions = ops.unique_nodes(ids)
            rows = self._embed(data.index_select(0, nodes)).index_select(0, positions)
        else:
            rows = self._embed(data.index_select(0, ids))
        value, _ = ops.negative_edge_gradients(rows, self.batches.batch_size, *self.curve)
        return value


def fused_curve(
    loss: losses.Loss, relations: Mapping[str, Relations], phase: TrainingPhase
) -> tuple[float, float] | None:
    """The curve (a, b) of a phase that the fused operation computes exactly, else None."""
    if type(loss) is not losses.RelationLoss or phase.sampling != "negative_edge":
        return None
    relation = relations[loss.batch_relation_key]
    if (
        loss.loss_function is not losses.cross_entropy_loss
        or loss.global_relation_key != "rel"
        or type(relation) is not DistsFromTo
        or relation.metric is not euclidean_rows
        or [type(tf) for tf in relation.transform] != [ModifiedCauchyTransform]
    ):
        return None
    curve = cast(ModifiedCauchyTransform, relation.transform[0])
    if isinstance(curve.a, torch.Tensor) or isinstance(curve.b, torch.Tensor):
        return None  # trainable: they need gradients too
    return float(curve.a), float(curve.b)


def _edge_batches(phase: TrainingPhase, data: TrainingData, seed: int) -> NegativeEdgeBatches:
    edges = data.global_relations[phase.edge_rel_key].to_sparse_array().edges
    heads, tails, weights = (part.to(data.device) for part in edges[1:])
    if phase.patience is not None:
        weights = weights.masked_fill(stopping.held_out(edges, seed).to(data.device), 0.0)
    n = len(edges.indptr) - 1
    sampler = ops.EdgeSampler(heads, tails, weights, n, seed=seed)
    data_key = _embedded_entry(phase.loss, data.batch_relations)
    return NegativeEdgeBatches(
        data.entries,
        sampler,
        phase.batch_size,
        phase.neg_sampling_rate,
        data_key,
        phase.shared_negatives,
    )


def _embedded_entry(loss: losses.Loss, relations: Mapping[str, Relations]) -> str:
    """The entry whose rows at the ends of edges are embedded: that of the first relation loss."""
    parts = loss.losses if isinstance(loss, losses.CompoundLoss) else [loss]
    keys = [part.batch_relation_key for part in parts if isinstance(part, losses.RelationLoss)]
    return relations[keys[0]].data_key if keys else "main"


def _noise(phase: TrainingPhase, data: TrainingData) -> tuple[str, Noise] | None:
    """The entry that a batch of items embeds, and the noise on its rows."""
    if not phase.noise:
        return None
    parts = phase.loss.losses if isinstance(phase.loss, losses.CompoundLoss) else [phase.loss]
    keys = [str(part.data_key) for part in parts if hasattr(part, "data_key")]
    key = keys[0] if keys else _embedded_entry(phase.loss, data.batch_relations)
    table = data.entries[key]
    rows = min(phase.batch_size, len(table))
    return key, Noise(table, phase.noise, rows, derive(data.seed, "noise"))


def _item_batches(phase: TrainingPhase, data: TrainingData) -> Iterator[Batch]:
    """All batches of a phase of standard sampling, without noise."""
    for epoch in range(phase.epochs):
        yield from item_batches(data.entries, phase.batch_size, derive(data.seed, epoch))


def _batches_per_epoch(phase: TrainingPhase, n: int) -> int:
    if phase.sampling == "standard":
        return -(-n // phase.batch_size)
    if phase.batches_per_epoch != -1:
        return phase.batches_per_epoch
    edges = max(phase.batch_size, math.ceil(n / (phase.neg_sampling_rate + 1)))
    return -(-edges // phase.batch_size)


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


def _fused_step(
    model: torch.nn.Module, phase: TrainingPhase, data: TrainingData
) -> _FusedEdgeStep | None:
    curve = fused_curve(phase.loss, data.batch_relations, phase)
    if curve is None:
        return None
    method = cast(losses.RelationLoss, phase.loss).embedding_method
    return _FusedEdgeStep(_edge_batches(phase, data, data.seed), model, method, curve)


def _step_losses(
    model: torch.nn.Module, phase: TrainingPhase, data: TrainingData, steps: int
) -> Iterator[torch.Tensor]:
    """The loss of each step in turn, ready for its backward pass."""
    arguments = (model, data.global_relations, data.batch_relations)
    if phase.sampling == "standard":
        noise = _noise(phase, data)
        for step, plain in enumerate(_item_batches(phase, data)):
            batch = plain if noise is None else with_noise(plain, *noise, step)
            yield phase.loss(*arguments, batch, data.device)
        return
    fused = _fused_step(model, phase, data)
    if fused is None:
        batches = _edge_batches(phase, data, data.seed)
        for step in range(steps):
            yield phase.loss(*arguments, batches.batch(step), data.device)
        return
    for step in range(steps):
        value = fused.loss(step)
        phase.loss.accumulate(value)
        yield value


def _plain_steps(
    model: torch.nn.Module, phase: TrainingPhase, data: TrainingData, steps: int
) -> Iterator[torch.Tensor]:
    """Makes the steps one by one; yields the loss of each, a tensor ()."""
    optimizer = make_optimizer(phase.optimizer, model, phase.learning_rate, **phase.kwargs)
    for step, loss in enumerate(_step_losses(model, phase, data, steps)):
        if phase.schedule != "constant":
            for group in optimizer.param_groups:
                group["lr"] = phase.learning_rate_at(step, steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.detach()


def _native_steps(
    model: torch.nn.Module, phase: TrainingPhase, data: TrainingData, total: int
) -> Iterator[torch.Tensor] | None:
    """The same without torch where that is possible, else None."""
    loss = cast(losses.PositionLoss | losses.RelationLoss, phase.loss)
    curve = fused_curve(loss, data.batch_relations, phase)
    if type(loss) is losses.PositionLoss and phase.sampling == "standard":
        data_key, rows = loss.data_key, phase.batch_size
    elif curve is not None:
        data_key = _embedded_entry(loss, data.batch_relations)
        rows = phase.batch_size * (2 + phase.neg_sampling_rate)
    else:
        return None
    table = data.entries[data_key]
    rows = min(rows, len(table))
    network = stepping.network_of(model, phase, loss.embedding_method, table, rows)
    if network is None:
        return None
    rate = functools.partial(phase.learning_rate_at, steps=total)
    if curve is not None:
        edges = _edge_batches(phase, data, data.seed)
        return stepping.edge_steps(network, loss, edges, curve, total, rate)  # type: ignore[arg-type]
    noise, batches = _noise(phase, data), _item_batches(phase, data)
    table_noise = None if noise is None else noise[1]
    return stepping.position_steps(network, loss, table, batches, rate, table_noise)  # type: ignore[arg-type]


def _early_stop(
    model: torch.nn.Module, phase: TrainingPhase, data: TrainingData
) -> Callable[[], bool]:
    """Whether the loss of held-out edges is flat, asked at the end of each epoch."""
    if phase.patience is None:
        return lambda: False
    edges = data.global_relations[phase.edge_rel_key].to_sparse_array().edges
    data_key = _embedded_entry(phase.loss, data.batch_relations)
    batch = stopping.held_out_batch(edges, data.entries, phase, data_key, data.seed)
    arguments = (data.global_relations, data.batch_relations, batch, data.device)
    plateau = stopping.Plateau(phase.patience)
    return lambda: plateau.reached(stopping.evaluate(model, phase.loss, *arguments))


def _recorded_steps(
    model: torch.nn.Module, phase: TrainingPhase, data: TrainingData, steps: int
) -> Iterator[torch.Tensor] | None:
    """Makes the steps by replaying recorded ones; None where that does not apply.

    It applies on a device to the fused operation and to the plain losses of items: each of their
    steps does the same work. Yields the losses of steps, tensors (count,).
    """
    fused = fused_curve(phase.loss, data.batch_relations, phase) is not None
    plain = phase.sampling == "standard" and type(phase.loss) in _ITEM_LOSSES
    if not (phase.cuda_graph and data.device.type in recording.DEVICES and (fused or plain)):
        return None
    options = recordable_options(phase.optimizer, model, phase.kwargs)
    if options is None:
        recording.warn_not_recorded(f"{phase.optimizer.__name__} keeps state on the host")
        return None
    return _replayed_steps(model, phase, data, steps, options)


def _replayed_steps(
    model: torch.nn.Module,
    phase: TrainingPhase,
    data: TrainingData,
    steps: int,
    options: Mapping[str, Any],
) -> Iterator[torch.Tensor]:
    per_epoch = _batches_per_epoch(phase, len(next(iter(data.entries.values()))))
    changing = phase.schedule != "constant"
    rates = [phase.learning_rate_at(step, steps) for step in range(steps)] if changing else None
    progress = recording.Progress(steps, data.device, rates)
    rate = phase.learning_rate if progress.rate is None else progress.rate
    optimizer = make_optimizer(phase.optimizer, model, rate, **options)
    kinds: list[_FusedEdgeStep | _ItemStep]
    fused, items = _fused_step(model, phase, data), None
    if fused is not None:
        whole, kinds = per_epoch, [fused]
    else:
        items = ItemBatches(data.entries, phase.batch_size)
        whole, left = divmod(len(items), phase.batch_size)
        sizes = (phase.batch_size, left)
        noise = _noise(phase, data)
        kinds = [_ItemStep(items, size, model, phase.loss, data, noise) for size in sizes]
    count = recording.steps_per_graph(steps, whole)
    recorded = [recording.RecordedStep(kind.loss, optimizer, progress, count) for kind in kinds]
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
    optimizer.zero_grad()  # gradients are in the memory of the graphs


def run_phase(
    model: torch.nn.Module,
    phase: TrainingPhase,
    data: TrainingData,
    *,
    verbose: bool = False,
    progress: bool = False,
) -> None:
    """Runs a phase: the model is trained in place, the phase's loss keeps its history.

    Parameters
    ----------
    model : torch.nn.Module
    phase : TrainingPhase
    data : TrainingData
    verbose : bool
        Whether losses are reported as paraDime does.
    progress : bool
        Whether a progress bar is shown on standard error.

    Raises
    ------
    TrainingDivergedError
        If the loss or the weights are no longer finite; the weights are then those of at most 100
        steps before.
    """
    from tqdm import tqdm

    n = len(next(iter(data.entries.values())))
    per_epoch = _batches_per_epoch(phase, n)
    if verbose:
        log(f"Beginning training phase '{phase.name}'.")
    total = phase.epochs_of(per_epoch) * per_epoch
    is_flat, done = _early_stop(model, phase, data), 0
    guard = Guard(model, phase.name)
    with (
        tqdm(total=total, desc=phase.name, unit="step", disable=not progress) as bar,
        training_products(phase.tf32),
        recording.own_stream(data.device),
    ):
        steps = _recorded_steps(model, phase, data, total) or _native_steps(
            model, phase, data, total
        )
        for made in steps or _plain_steps(model, phase, data, total):
            guard.watch(made)
            bar.update(made.numel())
            done += made.numel()
            if done % per_epoch == 0:
                phase.loss.checkpoint()
                epoch = done // per_epoch - 1
                if verbose and epoch % phase.report_interval == 0:
                    log(f"Loss after epoch {epoch}: {phase.loss.history[-1]}")
                if is_flat():
                    break
        guard.check()
