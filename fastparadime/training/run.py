"""Running a phase: its steps, their losses, and when it ends."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing

import torch

from fastparadime.training import cuda_graphs, early_stopping
from fastparadime.training.batches import (
    TrainingData,
    batches_per_epoch,
    edge_batches,
    embedded_entry,
    noise_of,
    shuffled_batches,
)
from fastparadime.training.divergence import DivergenceMonitor
from fastparadime.training.fused_steps import fused_step
from fastparadime.training.kernel_steps import kernel_steps
from fastparadime.training.native_steps import native_steps
from fastparadime.training.optim import make_optimizer
from fastparadime.training.phases import TrainingPhase
from fastparadime.training.progress import PhaseProgress
from fastparadime.training.recorded_steps import recorded_steps
from fastparadime.training.sampling import with_noise
from fastparadime.utils.checkpoints import NOTHING, Course
from fastparadime.utils.logging import log
from fastparadime.utils.precision import training_products
from fastparadime.utils.progress import stage


def run_phase(
    model: torch.nn.Module,
    phase: TrainingPhase,
    data: TrainingData,
    *,
    verbose: bool = False,
    progress: bool = False,
    ends: Callable[[int], bool] = lambda _: False,
    course: Course = NOTHING,
) -> bool:
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
    ends : callable (epoch) -> bool
        Called after each epoch, counted from 0: whether the phase ends with it.
    course : Course, optional
        Keeps what the phase is after some of its epochs, from where it goes on.

    Returns
    -------
    bool
        Whether `ends` said so.

    Raises
    ------
    TrainingDivergedError
        If the loss or the weights are no longer finite; the weights are then those of at most 100
        steps before.
    """
    from tqdm import tqdm

    n = len(next(iter(data.entries.values())))
    per_epoch = batches_per_epoch(phase, n, joins_single=data.joins_single)
    if verbose:
        log(f"Beginning training phase '{phase.name}'.")
    total = phase.epochs_of(per_epoch) * per_epoch
    plateau = None if phase.patience is None else early_stopping.Plateau(phase.patience)
    kept = PhaseProgress(model, phase, course, plateau)
    if kept.over:
        return kept.ended
    done, ended = kept.step(data), False
    is_flat = _early_stop(model, phase, data, plateau)
    guard = DivergenceMonitor(model, phase.name, done)
    with (
        stage(phase.name or "training", total) as advance,
        tqdm(total=total, initial=done, desc=phase.name, unit="step", disable=not progress) as bar,
        training_products(phase.tf32),
        cuda_graphs.own_stream(data.device),
        closing(_steps(model, phase, data, total, kept)) as steps,
    ):
        for made in steps:
            guard.watch(made)
            bar.update(made.numel())
            done += made.numel()
            if advance is not None:
                advance(done)
            if done % per_epoch == 0:
                phase.loss.checkpoint()
                epoch = done // per_epoch - 1
                if verbose and epoch % phase.report_interval == 0:
                    log(f"Loss after epoch {epoch}: {phase.loss.history[-1]}")
                ended = ends(epoch)
                if ended or is_flat():
                    break
                if kept.is_due():
                    guard.check()  # what is kept is finite
                    kept.write(epoch + 1)
        guard.check()
    kept.write(phase.epochs_of(per_epoch), over=True, ended=ended)
    return ended


def _steps(
    model: torch.nn.Module,
    phase: TrainingPhase,
    data: TrainingData,
    steps: int,
    progress: PhaseProgress,
) -> Generator[torch.Tensor, None, None]:
    """Makes the steps in the fastest way that applies; yields the losses of one or several."""
    yield from (
        kernel_steps(model, phase, data, steps)
        or recorded_steps(model, phase, data, steps)
        or native_steps(model, phase, data, steps, progress)
        or _plain_steps(model, phase, data, steps, progress)
    )


def _step_losses(
    model: torch.nn.Module,
    phase: TrainingPhase,
    data: TrainingData,
    steps: range,
    first_epoch: int,
) -> Iterator[torch.Tensor]:
    """The loss of each step in turn, ready for its backward pass."""
    arguments = (model, data.global_relations, data.batch_relations)
    if phase.sampling == "standard":
        noise = noise_of(phase, data)
        plain_batches = shuffled_batches(phase, data, first_epoch)
        for step, plain in zip(steps, plain_batches, strict=True):
            batch = plain if noise is None else with_noise(plain, *noise, step)
            yield phase.loss(*arguments, batch, data.device)
        return
    fused = fused_step(model, phase, data)
    if fused is None:
        batches = edge_batches(phase, data, data.seed)
        for step in steps:
            yield phase.loss(*arguments, batches.batch(step), data.device)
        return
    for step in steps:
        value = fused.loss(step)
        phase.loss.accumulate(value)
        yield value


def _plain_steps(
    model: torch.nn.Module,
    phase: TrainingPhase,
    data: TrainingData,
    total: int,
    progress: PhaseProgress,
) -> Iterator[torch.Tensor]:
    """Makes the steps one by one; yields the loss of each, a tensor ()."""
    optimizer = make_optimizer(phase.optimizer, model, phase.learning_rate, **phase.kwargs)
    progress.attach(optimizer)
    steps = range(progress.step(data), total)
    losses = _step_losses(model, phase, data, steps, progress.epoch)
    for step, loss in zip(steps, losses, strict=True):
        if phase.schedule != "constant":
            for group in optimizer.param_groups:
                group["lr"] = phase.learning_rate_at(step, total)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.detach()


def _early_stop(
    model: torch.nn.Module,
    phase: TrainingPhase,
    data: TrainingData,
    plateau: early_stopping.Plateau | None,
) -> Callable[[], bool]:
    """Whether the loss of held-out edges is flat, asked at the end of each epoch."""
    if plateau is None:
        return lambda: False
    edges = data.global_relations[phase.edge_rel_key].to_sparse_array().edges
    data_key = embedded_entry(phase.loss, data.batch_relations)
    batch = early_stopping.held_out_batch(edges, data.entries, phase, data_key, data.seed)
    arguments = (data.global_relations, data.batch_relations, batch, data.device)
    return lambda: plateau.reached(early_stopping.evaluate(model, phase.loss, *arguments))
