"""The steps of a training phase."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import torch

from fastparadime import exceptions, models, ops, stepping, stopping
from fastparadime import loss as losses
from fastparadime.optim import make_optimizer
from fastparadime.phases import TrainingPhase
from fastparadime.relationdata import RelationData
from fastparadime.relations import DistsFromTo, Relations, euclidean_rows
from fastparadime.sampling import Entries, NegativeEdgeBatches, item_batches
from fastparadime.transforms import ModifiedCauchyTransform
from fastparadime.utils.logging import log
from fastparadime.utils.seed import derive


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

    def loss(self, step: int) -> torch.Tensor:
        heads, tails = self.batches.draw(step)
        ids = torch.cat((heads, tails.flatten()))
        data = self.batches.entries[self.batches.data_key]
        if data.device.type == "cpu":
            # Shapes may vary here, so a point drawn twice is embedded once.
            nodes, positions = ops.unique_nodes(ids)
            rows = self._embed(data.index_select(0, nodes)).index_select(0, positions)
        else:
            rows = self._embed(data.index_select(0, ids))
        head_rows, tail_rows = rows.split((len(heads), tails.numel()))
        return ops.negative_edge_cross_entropy(
            head_rows, tail_rows.view(*tails.shape, -1), *self.curve
        )


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


def _batches_per_epoch(phase: TrainingPhase, n: int) -> int:
    if phase.sampling == "standard":
        return -(-n // phase.batch_size)
    if phase.batches_per_epoch != -1:
        return phase.batches_per_epoch
    edges = max(phase.batch_size, math.ceil(n / (phase.neg_sampling_rate + 1)))
    return -(-edges // phase.batch_size)


def _step_losses(
    model: torch.nn.Module, phase: TrainingPhase, data: TrainingData, seed: int, total: int
) -> Iterator[torch.Tensor]:
    """The loss of each step in turn, ready for its backward pass."""
    arguments = (model, data.global_relations, data.batch_relations)
    if phase.sampling == "standard":
        for epoch in range(phase.epochs):
            for batch in item_batches(data.entries, phase.batch_size, derive(seed, epoch)):
                yield phase.loss(*arguments, batch, data.device)
        return
    batches = _edge_batches(phase, data, seed)
    curve = fused_curve(phase.loss, data.batch_relations, phase)
    if curve is None:
        for step in range(total):
            yield phase.loss(*arguments, batches.batch(step), data.device)
        return
    method = cast(losses.RelationLoss, phase.loss).embedding_method
    fused = _FusedEdgeStep(batches, model, method, curve)
    for step in range(total):
        value = fused.loss(step)
        phase.loss.accumulate(value)
        yield value


def _torch_steps(
    model: torch.nn.Module, phase: TrainingPhase, data: TrainingData, total: int
) -> Iterator[torch.Tensor]:
    """Takes the steps of a phase and gives the loss of each."""
    optimizer = make_optimizer(phase.optimizer, model, phase.learning_rate, **phase.kwargs)
    for step, loss in enumerate(_step_losses(model, phase, data, data.seed, total)):
        if phase.schedule != "constant":
            for group in optimizer.param_groups:
                group["lr"] = phase.learning_rate_at(step, total)
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
    batches = itertools.chain.from_iterable(
        item_batches(data.entries, phase.batch_size, derive(data.seed, epoch))
        for epoch in range(phase.epochs)
    )
    return stepping.position_steps(network, loss, table, batches, rate)  # type: ignore[arg-type]


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


class _Guard:
    """Stops a phase whose loss or weights are no longer finite, and takes good weights back.

    Looking at every loss would make each step on a device wait for the last one, so the losses of
    some steps are looked at together.
    """

    _STEPS = 100

    def __init__(self, model: torch.nn.Module, phase: TrainingPhase) -> None:
        self._weights: list[torch.Tensor] = [p for p in model.parameters() if p.requires_grad]
        self._good = [p.detach().clone() for p in self._weights]
        self._phase = phase
        self._losses: list[torch.Tensor] = []
        self._steps = 0  # looked at so far

    def watch(self, loss: torch.Tensor) -> None:
        """Takes the loss of a step that was made."""
        self._losses.append(loss.detach())
        if len(self._losses) == self._STEPS:
            self.check()

    @torch.no_grad()
    def check(self) -> None:
        """Looks at what was watched.

        Raises
        ------
        TrainingDivergedError
            After the weights went back to where they were last found good.
        """
        if not self._losses:
            return
        losses = torch.stack(self._losses).tolist()
        bad = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), None)
        if bad is None and all(bool(p.isfinite().all()) for p in self._weights):
            self._losses.clear()
            self._steps += len(losses)
            for good, weight in zip(self._good, self._weights, strict=True):
                good.copy_(weight)
            return
        for good, weight in zip(self._good, self._weights, strict=True):
            weight.copy_(good)
        found = "the weights are not finite" if bad is None else f"the loss is {losses[bad]}"
        step = self._steps + (len(losses) if bad is None else bad + 1)
        raise exceptions.TrainingDivergedError(
            f"{found} in step {step} of training phase {self._phase.name!r}; the model has its "
            f"weights of step {self._steps}. A smaller learning_rate, or data of a smaller scale, "
            "may help."
        )


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
    is_flat = _early_stop(model, phase, data)
    guard = _Guard(model, phase)
    steps = _native_steps(model, phase, data, total) or _torch_steps(model, phase, data, total)
    with tqdm(total=total, desc=phase.name, unit="step", disable=not progress) as bar:
        for step, loss in enumerate(steps, start=1):
            guard.watch(loss)
            bar.update()
            if step % per_epoch == 0:
                phase.loss.checkpoint()
                epoch = step // per_epoch - 1
                if verbose and epoch % phase.report_interval == 0:
                    log(f"Loss after epoch {epoch}: {phase.loss.history[-1]}")
                if is_flat():
                    break
        guard.check()
