"""How far a training phase has got: weights and the optimizer's state, kept in a course."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch

from fastparadime.training.batches import TrainingData, batches_per_epoch
from fastparadime.training.early_stopping import Plateau
from fastparadime.training.phases import TrainingPhase
from fastparadime.utils.checkpoints import NOTHING, Course

_MODEL, _OPTIMIZER = "model.", "optimizer."


class Resumable(Protocol):
    """An optimizer, torch's or our own, whose state can be read and set."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> object: ...


class PhaseProgress:
    """Where a phase begins, and what is kept of it at the ends of its epochs.

    The model and the phase's loss get what a run before has kept. On a GPU, where recorded steps
    keep the state of their own, a phase is kept when it is over.

    Parameters
    ----------
    model : torch.nn.Module
    phase : TrainingPhase
    course : Course
    plateau : Plateau, optional
        Of early stopping.

    Attributes
    ----------
    epoch : int
        How many are done.
    over, ended : bool
        Whether no more are to follow, and whether the callback said so.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        phase: TrainingPhase,
        course: Course = NOTHING,
        plateau: Plateau | None = None,
    ) -> None:
        self._model, self._phase, self._course, self._plateau = model, phase, course, plateau
        self._optimizer: Resumable | None = None
        self._state: dict[str, torch.Tensor] = {}
        self._before = len(phase.loss.history)
        self.epoch, self.over, self.ended = 0, False, False
        stage = course.read("training")
        if stage is None:
            return
        model.load_state_dict(_within(stage.arrays, _MODEL))
        self._state = _within(stage.arrays, _OPTIMIZER)
        about = stage.about
        phase.loss.history.extend(about["losses"])
        self.epoch, self.over, self.ended = about["epoch"], about["over"], about["ended"]
        if plateau is not None:
            plateau.state = about["plateau"]

    def step(self, data: TrainingData) -> int:
        """How many steps are done."""
        n = len(next(iter(data.entries.values())))
        return self.epoch * batches_per_epoch(self._phase, n, joins_single=data.joins_single)

    def attach(self, optimizer: Resumable) -> None:
        """Takes the optimizer of the steps that follow, and gives it the state it had."""
        self._optimizer = optimizer
        if self._state:
            load_optimizer(optimizer, self._state)

    def is_due(self) -> bool:
        """Whether the time has come to write, and there is an optimizer to be written."""
        return self._optimizer is not None and self._course.is_due()

    def write(self, epoch: int, *, over: bool = False, ended: bool = False) -> None:
        """Keeps what the phase is after so many epochs."""
        if not self._course.keeps:
            return
        weights = {f"{_MODEL}{name}": part for name, part in self._model.state_dict().items()}
        if not over and self._optimizer is not None:
            state = optimizer_state(self._optimizer)
            weights.update({f"{_OPTIMIZER}{name}": value for name, value in state.items()})
        about = {
            "epoch": epoch,
            "over": over,
            "ended": ended,
            "losses": self._phase.loss.history[self._before :],
            "plateau": None if self._plateau is None else self._plateau.state,
        }
        self._course.write("training", weights, about, weights=True)


def _within(arrays: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    found = {name: value for name, value in arrays.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): value for name, value in found.items()}


def optimizer_state(optimizer: Resumable) -> dict[str, torch.Tensor]:
    """The state of an optimizer as tensors by name.

    Raises
    ------
    TypeError
        If the optimizer keeps anything else than tensors and numbers for a parameter.
    """
    state = optimizer.state_dict()
    if "param_groups" not in state:
        return state
    found: dict[str, torch.Tensor] = {}
    for number, parts in state["state"].items():
        for name, value in parts.items():
            if isinstance(value, (torch.Tensor, int, float)):
                found[f"{number}.{name}"] = torch.as_tensor(value)
            elif value is not None:
                raise TypeError(
                    f"checkpoint keeps tensors and numbers of an optimizer, but "
                    f"{type(optimizer).__name__} keeps {type(value).__name__} as {name!r}"
                )
    return found


def load_optimizer(optimizer: Resumable, state: dict[str, torch.Tensor]) -> None:
    """Sets what `optimizer_state` gave."""
    own = optimizer.state_dict()
    if "param_groups" not in own:
        optimizer.load_state_dict(state)
        return
    parts: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in state.items():
        number, _, name = key.partition(".")
        parts.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": parts, "param_groups": own["param_groups"]})
