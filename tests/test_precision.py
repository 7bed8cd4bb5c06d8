"""The precision of products in training: what a phase's `tf32` sets, and where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fastparadime import dr, loss, models
from fastparadime.utils import precision

N, DIM = 120, 6
MATMUL: Any = torch.backends.cuda.matmul
SETTING = "fp32_precision" if hasattr(MATMUL, "fp32_precision") else "allow_tf32"
ROUNDED = "tf32" if SETTING == "fp32_precision" else True


class OwnNetwork(models.FullyConnectedEmbeddingModel):
    """Not one of the package's classes, so that its steps are torch's on the CPU too."""


def network(*hidden_dims: int) -> OwnNetwork:
    return OwnNetwork(DIM, 2, hidden_dims, generator=torch.Generator().manual_seed(7))


def trained(
    model: torch.nn.Module, chosen: loss.Loss | None = None, **settings: Any
) -> list[torch.Tensor]:
    """The model's weights after 16 steps."""
    X = np.random.default_rng(3).standard_normal((N, DIM)).astype(np.float32)
    phase = dr.TrainingPhase(
        "items", epochs=4, batch_size=30, learning_rate=2.0**-7,
        loss=chosen or loss.PositionLoss(position_key="start"), **settings,
    )  # fmt: skip
    dataset = {"main": X, "start": X[:, :2].copy()}
    dr.ParametricDR(model=model, dataset=dataset, training_phases=[phase], seed=7).train()
    return [p.detach().clone() for p in model.parameters()]


class Products(TorchDispatchMode):
    """Torch's setting at each matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.settings: list[Any] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name in ("aten::mm", "aten::addmm"):
            self.settings.append(getattr(MATMUL, SETTING))
        return func(*args, **(kwargs or {}))


@pytest.fixture
def rounding_on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU's hidden layers round too."""
    monkeypatch.setattr(precision, "DEVICES", {"cpu", "cuda"})


def test_tf32_is_torchs_setting_and_put_back() -> None:
    before = getattr(MATMUL, SETTING)
    with precision.tf32_products(wanted=False):
        assert getattr(MATMUL, SETTING) == before
    seen = []

    class Watching(loss.PositionLoss):
        def forward(self, *arguments: Any) -> torch.Tensor:
            seen.append(getattr(MATMUL, SETTING))
            return super().forward(*arguments)

    for tf32 in (False, "hidden", True):
        trained(network(5), Watching(position_key="start"), tf32=tf32)
    assert seen == 32 * [before] + 16 * [ROUNDED]
    assert getattr(MATMUL, SETTING) == before


def test_a_product_that_rounds_is_torchs_with_its_setting() -> None:
    x, weight, bias = (torch.randn(shape).requires_grad_() for shape in ((7, 3), (4, 3), (4,)))
    before, gradient = getattr(MATMUL, SETTING), torch.randn(7, 4)
    with Products() as products:
        out = precision.tf32_linear(x, weight, bias)
        found = torch.autograd.grad(out, (x, weight, bias), gradient)
    assert products.settings == 3 * [ROUNDED]
    assert getattr(MATMUL, SETTING) == before
    plain = torch.nn.functional.linear(x, weight, bias)
    for one, other in zip(
        (out, *found),
        (plain, *torch.autograd.grad(plain, (x, weight, bias), gradient)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_on_the_cpu_nothing_rounds() -> None:
    exact = trained(network(16, 12), tf32=False)
    for setting in ("hidden", True):
        for one, other in zip(exact, trained(network(16, 12), tf32=setting), strict=True):
            assert torch.equal(one, other)


@pytest.mark.usefixtures("rounding_on_cpu")
@pytest.mark.parametrize("hidden_dims", [(16, 12), (16, 12, 9)])
def test_products_between_hidden_layers_round(hidden_dims: tuple[int, ...]) -> None:
    exact = trained(network(*hidden_dims), tf32=False)
    rounded = trained(network(*hidden_dims))
    moved = [
        float((one - other).norm() / other.norm())
        for one, other in zip(rounded, exact, strict=True)
    ]
    assert max(moved) < 1e-2
    assert min(moved[1:]) > 1e-6  # all but alpha, which no loss uses
    for one, other in zip(rounded, trained(network(*hidden_dims), tf32=True), strict=True):
        assert torch.equal(one, other)


@pytest.mark.usefixtures("rounding_on_cpu")
def test_one_hidden_layer_has_no_product_to_round() -> None:
    exact = trained(network(16), tf32=False)
    for one, other in zip(trained(network(16)), exact, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("rounding_on_cpu")
def test_layers_that_do_more_are_called() -> None:
    hooked, parametrized = network(16, 12), network(16, 12)
    calls = []
    hooked.layers[1].register_forward_hook(lambda *_: calls.append(1))
    torch.nn.utils.parametrizations.weight_norm(parametrized.layers[1])
    exact = trained(network(16, 12), tf32=False)
    for one, other in zip(trained(hooked), exact, strict=True):
        assert torch.equal(one, other)
    assert len(calls) == 17  # of 16 steps, and where the model is tried before them
    trained(parametrized)
    assert isinstance(parametrized.layers[1].weight, torch.Tensor)


@pytest.mark.usefixtures("rounding_on_cpu")
def test_applying_a_model_rounds_nothing() -> None:
    model, x = network(16, 12), torch.randn(9, DIM)
    exact = model.layers[0](x)
    for layer in model.layers[1:]:
        exact = layer(torch.nn.functional.softplus(exact))
    assert torch.equal(model(x), exact)


@pytest.mark.usefixtures("rounding_on_cpu")
def test_float64_does_not_round() -> None:
    model = network(16, 12).double()
    x = torch.randn(9, DIM, dtype=torch.float64)
    plain = model(x)
    with precision.training_products("hidden"):
        assert torch.equal(model(x), plain)


@pytest.mark.parametrize("tf32", ["all", None, 1, "True"])
def test_other_settings(tf32: Any) -> None:
    with pytest.raises(ValueError, match="tf32 must be one of 'hidden', True, False"):
        dr.TrainingPhase(tf32=tf32)
