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
from fastparadime.training.recorded_steps import recorded_steps
from fastparadime.training.sampling import with_noise
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
    is_flat, done, ended = _early_stop(model, phase, data), 0, False
    guard = DivergenceMonitor(model, phase.name)
    with (
        stage(phase.name or "training", total) as advance,
        tqdm(total=total, desc=phase.name, unit="step", disable=not progress) as bar,
        training_products(phase.tf32),
        cuda_graphs.own_stream(data.device),
        closing(_steps(model, phase, data, total)) as steps,
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
        guard.check()
    return ended


def _steps(
    model: torch.nn.Module, phase: TrainingPhase, data: TrainingData, steps: int
) -> Generator[torch.Tensor, None, None]:
    """Makes the steps in the fastest way that applies; yields the losses of one or several."""
    yield from (
        kernel_steps(model, phase, data, steps)
        or recorded_steps(model, phase, data, steps)
        or native_steps(model, phase, data, steps)
        or _plain_steps(model, phase, data, steps)
    )


def _step_losses(
    model: torch.nn.Module, phase: TrainingPhase, data: TrainingData, steps: int
) -> Iterator[torch.Tensor]:
    """The loss of each step in turn, ready for its backward pass."""
    arguments = (model, data.global_relations, data.batch_relations)
    if phase.sampling == "standard":
        noise = noise_of(phase, data)
        for step, plain in enumerate(shuffled_batches(phase, data)):
            batch = plain if noise is None else with_noise(plain, *noise, step)
            yield phase.loss(*arguments, batch, data.device)
        return
    fused = fused_step(model, phase, data)
    if fused is None:
        batches = edge_batches(phase, data, data.seed)
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


def _early_stop(
    model: torch.nn.Module, phase: TrainingPhase, data: TrainingData
) -> Callable[[], bool]:
    """Whether the loss of held-out edges is flat, asked at the end of each epoch."""
    if phase.patience is None:
        return lambda: False
    edges = data.global_relations[phase.edge_rel_key].to_sparse_array().edges
    data_key = embedded_entry(phase.loss, data.batch_relations)
    batch = early_stopping.held_out_batch(edges, data.entries, phase, data_key, data.seed)
    arguments = (data.global_relations, data.batch_relations, batch, data.device)
    plateau = early_stopping.Plateau(phase.patience)
    return lambda: plateau.reached(early_stopping.evaluate(model, phase.loss, *arguments))
