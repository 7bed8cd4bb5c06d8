"""Watches a phase for losses and weights that are no longer finite."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from fastparadime import exceptions


class _Finding(NamedTuple):
    """What was found in some steps, on its way to the host."""

    first: int  # step
    losses: torch.Tensor
    fine: torch.Tensor  # bool (), all of it and of the looks before, in the host's memory
    arrived: torch.cuda.Event | None


class DivergenceMonitor:
    """Stops a phase whose loss or weights are no longer finite, and takes good weights back.

    Losses are looked at some steps at a time. On a device the look itself is work of the device,
    which also keeps the good weights; the host reads what was found a look later, so that no step
    waits for it.

    Parameters
    ----------
    model : torch.nn.Module
    name : str, optional
        Of the phase, for the error.
    steps : int
        Those that were made before, for the error.
    """

    _STEPS = 100

    def __init__(self, model: torch.nn.Module, name: str | None, steps: int = 0) -> None:
        self._weights: list[torch.Tensor] = [p for p in model.parameters() if p.requires_grad]
        self._good = [p.detach().clone() for p in self._weights]
        self._name = name
        self._losses: list[torch.Tensor] = []
        self._steps = steps
        self._fine: torch.Tensor | None = None
        self._looks: list[_Finding] = []

    def watch(self, losses: torch.Tensor) -> None:
        """Takes the losses of steps that were made: a tensor () or (steps,)."""
        self._losses.append(losses.detach().reshape(-1))
        self._steps += losses.numel()
        if self._steps % self._STEPS < losses.numel():
            self._look()
            if len(self._looks) > 1 or self._looks[0].arrived is None:
                self._read()

    def check(self) -> None:
        """Looks at all that was watched.

        Raises
        ------
        TrainingDivergedError
            After the weights went back to where they were last found good.
        """
        if self._losses:
            self._look()
        while self._looks:
            self._read()

    @torch.no_grad()
    def _look(self) -> None:
        losses = torch.cat(self._losses)
        self._losses.clear()
        found = [losses.isfinite().all()]
        found += [p.isfinite().all().to(losses.device) for p in self._weights]
        fine = torch.stack(found).all()
        self._fine = fine if self._fine is None else self._fine & fine
        for good, weight in zip(self._good, self._weights, strict=True):
            good.copy_(torch.where(self._fine.to(good.device), weight, good))
        first = self._steps - len(losses)
        if losses.is_cuda:
            host = torch.empty((), dtype=torch.bool, pin_memory=True)
            host.copy_(self._fine, non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record()
            self._looks.append(_Finding(first, losses, host, arrived))
        else:
            self._looks.append(_Finding(first, losses, self._fine, None))

    @torch.no_grad()
    def _read(self) -> None:
        look = self._looks.pop(0)
        if look.arrived is not None:
            look.arrived.synchronize()
        if bool(look.fine):
            return
        for good, weight in zip(self._good, self._weights, strict=True):
            weight.copy_(good)
        losses = look.losses.tolist()
        bad = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), None)
        found = "the weights are not finite" if bad is None else f"the loss is {losses[bad]}"
        step = look.first + (len(losses) if bad is None else bad + 1)
        raise exceptions.TrainingDivergedError(
            f"{found} in step {step} of training phase {self._name!r}; the model has its "
            f"weights of step {look.first}. A smaller learning_rate, or data of a smaller scale, "
            "may help."
        )
