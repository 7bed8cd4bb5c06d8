"""Native Adam against the float64 reference and torch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference


@pytest.mark.parametrize("shape", [(1,), (3,), (17, 5), (40_000,), (0,)])
def test_takes_the_steps_of_the_reference_and_torch(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    start = rng.standard_normal(shape)
    rates = [0.01 * (1 - step / 20) for step in range(20)]
    gradients = [rng.standard_normal(shape) * 10.0 ** rng.integers(-6, 3) for _ in rates]
    parameter = torch.tensor(start, dtype=torch.float32)
    other = torch.nn.Parameter(parameter.clone())
    gradient = torch.zeros(shape)
    own, torchs = ops.Adam([parameter], [gradient]), torch.optim.Adam([other])
    for value, rate in zip(gradients, rates, strict=True):
        gradient.copy_(torch.from_numpy(value))
        own.step(rate)
        other.grad = gradient.clone()
        torchs.param_groups[0]["lr"] = rate
        torchs.step()
    expected = reference.adam(start.astype(np.float32), gradients, rates)
    np.testing.assert_allclose(parameter, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(parameter, other.detach(), rtol=1e-5, atol=1e-6)


def test_updates_every_parameter() -> None:
    parameters, gradients = [torch.ones(3), torch.ones(2, 2)], [torch.ones(3), -torch.ones(2, 2)]
    ops.Adam(parameters, gradients).step(0.1)
    torch.testing.assert_close(parameters[0], torch.full((3,), 0.9))
    torch.testing.assert_close(parameters[1], torch.full((2, 2), 1.1))


def test_threads_do_not_matter(assert_same_bits: Callable[[Any], None]) -> None:
    start, gradient = torch.randn(100_000), torch.randn(100_000)

    def three_steps() -> torch.Tensor:
        parameter = start.clone()
        adam = ops.Adam([parameter], [gradient])
        for _ in range(3):
            adam.step(0.01)
        return parameter

    assert_same_bits(three_steps)


@pytest.mark.parametrize(
    ("parameter", "gradient", "error", "message"),
    [
        (torch.ones(2), torch.ones(3), ValueError, r"gradients\[0\] must have shape \(2\)"),
        (torch.ones(2), torch.ones(2).double(), TypeError, r"gradients\[0\] must be a float32"),
        (torch.ones(4)[::2], torch.ones(2), ValueError, r"parameters\[0\] .* contig"),
    ],
)
def test_bad_input(parameter: Any, gradient: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ops.Adam([parameter], [gradient])


def test_goes_on_from_its_state() -> None:
    start, gradient = torch.randn(50), torch.randn(50)

    def steps(parameter: torch.Tensor, count: int, state: Any = None) -> dict[str, torch.Tensor]:
        adam = ops.Adam([parameter], [gradient])
        if state is not None:
            adam.load_state_dict(state)
        for _ in range(count):
            adam.step(0.01)
        return adam.state_dict()

    whole, parts = start.clone(), start.clone()
    steps(whole, 5)
    steps(parts, 3, steps(parts, 2))
    assert torch.equal(parts, whole)
