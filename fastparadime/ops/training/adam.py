"""The optimizer of a native training step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from fastparadime import _core
from fastparadime.ops._checks import check_plain
from fastparadime.utils.validate import check_positive


class Adam:
    """Adam (Kingma & Ba 2015) with the defaults of `torch.optim.Adam`, on the CPU.

    Parameters
    ----------
    parameters, gradients : sequences of float32 tensors
        Contiguous and of the same shapes; both are read in place at each step.
    """

    _BETAS = (0.9, 0.999)
    _EPSILON = 1e-8

    def __init__(
        self, parameters: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor]
    ) -> None:
        self._tensors = []
        for number, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
            check_plain(parameter, f"parameters[{number}]", tuple(parameter.shape))
            check_plain(gradient, f"gradients[{number}]", tuple(parameter.shape))
            parameter = parameter.detach()
            state = (torch.zeros_like(parameter), torch.zeros_like(parameter))
            self._tensors.append((parameter, *state, gradient))
        self._steps = 0

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What the next step depends on beside parameters and gradients: moments, and steps made."""
        state = {"steps": torch.tensor(self._steps)}
        for number, (_, mean, square, _) in enumerate(self._tensors):
            state.update({f"mean.{number}": mean, f"square.{number}": square})
        return state

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Takes what `state_dict` gave, of parameters of the same shapes."""
        self._steps = int(state["steps"])
        for number, (_, mean, square, _) in enumerate(self._tensors):
            mean.copy_(state[f"mean.{number}"])
            square.copy_(state[f"square.{number}"])

    def step(self, learning_rate: float) -> None:
        """Updates the parameters by their gradients."""
        learning_rate = check_positive(learning_rate, "learning_rate", zero_ok=True)
        self._steps += 1
        first, second = (1.0 - beta**self._steps for beta in self._BETAS)
        for parameter, mean, square, gradient in self._tensors:
            _core.adam(
                parameter.data_ptr(),
                mean.data_ptr(),
                square.data_ptr(),
                gradient.data_ptr(),
                parameter.numel(),
                *self._BETAS,
                self._EPSILON,
                learning_rate / first,
                second**-0.5,
                torch.get_num_threads(),
            )
