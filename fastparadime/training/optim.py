"""Optimizers of training phases."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import torch


class Optimizer(Protocol):
    """What a training step asks of an optimizer, torch's or our own."""

    param_groups: list[dict[str, Any]]

    def zero_grad(self) -> None: ...
    def step(self) -> Any: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


class Adam:
    """Adam (Kingma & Ba 2015) with the defaults of `torch.optim.Adam`, through torch's fused kernel.

    The same update; constructing one of torch's optimizers imports its compiler, which takes more
    than a second and 70 MB.

    Parameters
    ----------
    parameters : iterable of floating-point tensors
    learning_rate : float or tensor ()

    Attributes
    ----------
    param_groups : list of one dict
        Its 'lr' is the learning rate of the next step, as in torch's optimizers: a number, or a
        float32 tensor () on the parameters' device that is read when the step runs.
    """

    _BETAS = (0.9, 0.999)
    _EPSILON = 1e-8

    def __init__(
        self, parameters: Iterable[torch.Tensor], learning_rate: float | torch.Tensor
    ) -> None:
        self.param_groups = [{"lr": learning_rate}]
        self._state = {
            p: (torch.zeros_like(p), torch.zeros_like(p), torch.zeros((), device=p.device))
            for p in parameters
            if p.requires_grad
        }

    def zero_grad(self) -> None:
        """Forgets all gradients."""
        for parameter in self._state:
            parameter.grad = None

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What the next step depends on beside parameters and gradients: moments, and steps made."""
        names = ("mean", "square", "steps")
        return {
            f"{name}.{number}": part
            for number, parts in enumerate(self._state.values())
            for name, part in zip(names, parts, strict=True)
        }

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Takes what `state_dict` gave, of parameters of the same shapes."""
        for name, part in self.state_dict().items():
            part.copy_(state[name])

    @torch.no_grad()
    def step(self) -> None:
        """Updates the parameters that have a gradient."""
        used = [(p, *state) for p, state in self._state.items() if p.grad is not None]
        if not used:
            return
        parameters, means, squares, steps = (list(column) for column in zip(*used, strict=True))
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            parameters,
            [p.grad for p in parameters],
            means,
            squares,
            [],
            steps,
            lr=self.param_groups[0]["lr"],
            beta1=self._BETAS[0],
            beta2=self._BETAS[1],
            weight_decay=0.0,
            eps=self._EPSILON,
            amsgrad=False,
            maximize=False,
        )


def make_optimizer(
    kind: type[torch.optim.Optimizer],
    model: torch.nn.Module,
    learning_rate: float | torch.Tensor,
    **options: Any,
) -> Optimizer:
    """An optimizer of the model's parameters, of a torch class."""
    parameters = list(model.parameters())
    if _is_own(kind, model, options):
        return Adam(parameters, learning_rate)
    return kind(parameters, lr=learning_rate, **options)  # type: ignore[call-arg]


def _is_own(
    kind: type[torch.optim.Optimizer], model: torch.nn.Module, options: Mapping[str, Any]
) -> bool:
    floating = all(p.is_floating_point() for p in model.parameters())
    return kind is torch.optim.Adam and not options and floating


def recordable_options(
    kind: type[torch.optim.Optimizer], model: torch.nn.Module, options: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Options with which all that an optimizer changes stays on the parameters' device.

    None if there are none: replayed from a CUDA graph, its steps would not go on as they should.
    """
    if _is_own(kind, model, options):
        return {}
    if not kind.__module__.startswith("torch.optim."):
        return None  # a subclass may keep what it likes on the host
    accepted = inspect.signature(kind).parameters
    needed = "fused" if kind is torch.optim.SGD else "capturable"
    if needed not in accepted or not options.get(needed, True):
        return None
    return {**options, needed: True}
