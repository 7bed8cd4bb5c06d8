"""Mlp against the float64 reference, and the reference against torch's own gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference


class Case:
    """A network of some widths, a table, and rows of it with the loss's gradient."""

    def __init__(self, widths: tuple[int, ...], rows: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.widths = widths
        self.table = rng.standard_normal((40, widths[0])).astype(np.float32)
        self.ids = rng.integers(40, size=rows)
        self.out_grad = rng.standard_normal((rows, widths[-1])).astype(np.float32)
        shapes = list(zip(widths[1:], widths[:-1], strict=True))
        self.weights = [
            (rng.standard_normal(shape) / np.sqrt(shape[1])).astype(np.float32) for shape in shapes
        ]
        self.biases = [rng.standard_normal(shape[0]).astype(np.float32) for shape in shapes]
        means = [rng.standard_normal(widths[end]).astype(np.float32) for end in (0, -1)]
        self.scales = (means[0], 1.75, means[1], 0.3)

    def network(self, activation: str, rows: int | None = None, scaled: bool = True) -> ops.Mlp:
        names = ("input_mean", "input_scale", "output_mean", "output_scale")
        options = {
            name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
            for name, value in zip(names, self.scales, strict=True)
        }
        return ops.Mlp(
            [torch.from_numpy(weight) for weight in self.weights],
            [torch.from_numpy(bias) for bias in self.biases],
            activation,
            max(1, len(self.ids)) if rows is None else rows,
            **(options if scaled else {}),
        )

    def run(self, network: ops.Mlp) -> list[torch.Tensor]:
        """The output and the gradients, as tensors of their own."""
        values = network.forward(torch.from_numpy(self.table), self.ids).clone()
        network.backward(torch.from_numpy(self.out_grad))
        return [values, *(gradient.clone() for gradient in network.gradients)]

    def expected(self, activation: str, scaled: bool = True) -> list[np.ndarray]:
        plain = (np.zeros(self.widths[0]), 1.0, np.zeros(self.widths[-1]), 1.0)
        values, gradients = reference.mlp(
            self.table[self.ids], self.weights, self.biases, activation, self.out_grad,
            self.scales if scaled else plain,
        )  # fmt: skip
        return [values, *gradients]


def relative_error(found: torch.Tensor, expected: np.ndarray) -> float:
    assert found.shape == expected.shape
    scale = np.linalg.norm(expected)
    return float(np.linalg.norm(found.numpy() - expected) / (scale if scale > 0 else 1.0))


WIDTHS = [
    (1, 1), (5, 2), (3, 1, 1, 1), (16, 16, 16), (13, 33, 17, 3), (129, 100, 100, 2), (7, 300, 2),
    (2, 20, 260),
]  # fmt: skip


@pytest.mark.parametrize("activation", ops.MLP_ACTIVATIONS)
@pytest.mark.parametrize("rows", [1, 31, 32, 33, 200])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_equals_the_reference(widths: tuple[int, ...], rows: int, activation: str) -> None:
    case = Case(widths, rows, seed=rows)
    for scaled in (False, True):
        found = case.run(case.network(activation, scaled=scaled))
        for tensor, expected in zip(found, case.expected(activation, scaled), strict=True):
            assert relative_error(tensor, expected) < 1e-5


@pytest.mark.parametrize("activation", ops.MLP_ACTIVATIONS)
def test_reference_has_torchs_gradients(activation: str) -> None:
    case = Case((6, 9, 8, 3), 12)
    mean, scale, out_mean, out_scale = case.scales
    x = (torch.from_numpy(case.table[case.ids]).double() - torch.from_numpy(mean)) / scale
    leaves = []
    for number, pair in enumerate(zip(case.weights, case.biases, strict=True)):
        weight, bias = (torch.from_numpy(part).double().requires_grad_() for part in pair)
        x = torch.nn.functional.linear(x, weight, bias)
        if number < 2:
            of_rows = {"dim": -1} if activation == "softmax" else {}
            x = getattr(torch.nn.functional, activation)(x, **of_rows)
        leaves += [weight, bias]
    values = x * out_scale + torch.from_numpy(out_mean)
    (values * torch.from_numpy(case.out_grad)).sum().backward()
    expected = [values.detach(), *(leaf.grad for leaf in leaves)]
    for found, tensor in zip(case.expected(activation), expected, strict=True):
        # torch's softplus is linear beyond 20, where the difference is 2e-9.
        np.testing.assert_allclose(found, tensor.numpy(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("activation", ops.POINTWISE_ACTIVATIONS)
def test_activations_over_the_range_of_sums(activation: str) -> None:
    sums = np.concatenate((np.linspace(-120, 120, 4001), [-1e4, 0.0, 1e-30, 1e4, 1e30]))
    table = sums.astype(np.float32)[:, None]
    one, zero = torch.ones(1, 1), torch.zeros(1)
    network = ops.Mlp([one, one], [zero, zero], activation, len(table))
    values = network.forward(torch.from_numpy(table), np.arange(len(table)))[:, 0].numpy()
    expected, slopes = reference.activate(activation, table[:, 0].astype(np.float64))
    # exp(-|z|) stops falling at exp(-87), 2e-38.
    np.testing.assert_allclose(values, expected, rtol=5e-7, atol=1e-33)
    for row in range(0, len(table), 97):  # a slope is the gradient in the first bias, of one row
        network.forward(torch.from_numpy(table), [row])
        network.backward(torch.ones(1, 1))
        np.testing.assert_allclose(network.gradients[1], slopes[row], rtol=1e-6, atol=1e-33)


def test_softmax_of_sums_far_apart() -> None:
    sums = torch.tensor([[0.0, 1e4, -1e30, 1e4], [-1e30, -1e30, -1e30, -1e30]])
    eye, zero = torch.eye(4), torch.zeros(4)
    network = ops.Mlp([eye, eye], [zero, zero], "softmax", 2)
    expected = torch.tensor([[0.0, 0.5, 0.0, 0.5], [0.25, 0.25, 0.25, 0.25]])
    # exp stops falling at exp(-87), 2e-38.
    torch.testing.assert_close(network.forward(sums, [0, 1]), expected, rtol=1e-6, atol=1e-36)


def test_not_a_number_is_kept() -> None:
    for activation in ("softplus", "silu", "softmax"):
        case = Case((4, 5, 2), 6)
        case.table[case.ids[3], 1] = np.nan
        values = case.run(case.network(activation))[0]
        bad = case.ids == case.ids[3]
        assert bool(values[bad].isnan().all())
        assert bool(values[~bad].isfinite().all())


def test_long_sums_keep_their_precision() -> None:
    case = Case((50, 64, 2), 20_000)
    for activation in ("softplus", "softmax"):
        found = case.run(case.network(activation))
        for tensor, expected in zip(found, case.expected(activation), strict=True):
            assert relative_error(tensor, expected) < 1e-5


def test_a_network_takes_batches_of_any_size() -> None:
    case = Case((5, 40, 3), 100)
    network = case.network("silu")
    whole = case.run(network)[0]
    for size in (100, 1, 33, 0, 64):
        part = network.forward(torch.from_numpy(case.table), case.ids[:size])
        torch.testing.assert_close(part, whole[:size], rtol=0, atol=0)
    network.backward(torch.from_numpy(case.out_grad[:64]))
    network.forward(torch.from_numpy(case.table), case.ids[:0])
    network.backward(torch.empty(0, 3))
    assert all(not bool(gradient.any()) for gradient in network.gradients)


def test_weights_are_read_in_place() -> None:
    case = Case((5, 4, 3), 10)
    network = case.network("relu")
    before = case.run(network)
    for parameter in network.parameters:
        parameter.mul_(2)
    for tensors in (case.weights, case.biases):
        assert all(np.abs(tensor).max() > 0 for tensor in tensors)
    for tensor, expected in zip(case.run(network), case.expected("relu"), strict=True):
        assert relative_error(tensor, expected) < 1e-5
    assert not torch.equal(before[0], case.run(network)[0])


@pytest.mark.parametrize("widths", [(60, 100, 100, 2), (300, 2)], ids=str)
def test_threads_do_not_matter(
    widths: tuple[int, ...], assert_same_bits: Callable[[Any], None]
) -> None:
    case = Case(widths, 1000)
    network = case.network("softplus")
    assert_same_bits(lambda: tuple(case.run(network)))


def good() -> dict[str, Any]:
    return {
        "weights": [torch.ones(4, 3), torch.ones(2, 4)],
        "biases": [torch.ones(4), torch.ones(2)],
        "activation": "relu",
        "rows": 5,
    }


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("weights", [], ValueError, "weights and biases must be as many, and not none, but are 0"),
        ("biases", [torch.ones(4)], ValueError, "as many, and not none, but are 2 and 1"),
        ("weights", [torch.ones(4, 3), torch.ones(2, 5)], ValueError,
         r"weights\[1\] must have shape \(any, 4\), not \(2, 5\)"),
        ("weights", [torch.ones(4), torch.ones(2, 4)], ValueError, r"weights\[0\] must have shape"),
        ("biases", [torch.ones(4), torch.ones(3)], ValueError, r"biases\[1\] must have shape \(2\)"),
        ("biases", [torch.ones(4).double(), torch.ones(2)], TypeError,
         r"biases\[0\] must be a float32 tensor, not torch.float64"),
        ("biases", [[1.0] * 4, torch.ones(2)], TypeError, r"biases\[0\] .* not list"),
        ("weights", [torch.ones(3, 4).t(), torch.ones(2, 4)], ValueError,
         r"weights\[0\] must be contiguous and on the CPU"),
        ("weights", [torch.ones(4, 3, device="meta"), torch.ones(2, 4)], ValueError, "on meta"),
        ("activation", "tanh", ValueError, "activation must be .* not 'tanh'"),
        ("rows", 0, ValueError, "rows"),
        ("input_mean", torch.ones(2), ValueError, r"input_mean must have shape \(3\)"),
        ("output_mean", torch.ones(3), ValueError, r"output_mean must have shape \(2\)"),
        ("input_scale", 0.0, ValueError, "input_scale must be a finite number > 0"),
        ("output_scale", float("nan"), ValueError, "output_scale must be a finite number"),
    ],
)  # fmt: skip
def test_bad_networks(name: str, value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ops.Mlp(**{**good(), name: value})


def test_bad_batches() -> None:
    network = ops.Mlp(**good())
    table = torch.ones(7, 3)
    with pytest.raises(RuntimeError, match="backward needs a forward pass"):
        network.backward(torch.ones(2, 2))
    with pytest.raises(ValueError, match=r"table must have shape \(any, 3\), not \(7, 2\)"):
        network.forward(torch.ones(7, 2), [0])
    with pytest.raises(TypeError, match="table must be a float32 tensor"):
        network.forward(table.double(), [0])
    with pytest.raises(ValueError, match=r"ids must lie in \[0, 7\), but holds 7"):
        network.forward(table, [7])
    with pytest.raises(ValueError, match="ids must be at most 5, the network's rows, not 6"):
        network.forward(table, [0] * 6)
    network.forward(table, [0, 1])
    with pytest.raises(ValueError, match=r"gradient must have shape \(2, 2\), not \(3, 2\)"):
        network.backward(torch.ones(3, 2))


def test_subnormal_numbers_are_zeros_in_a_network_and_nowhere_else() -> None:
    network = ops.Mlp([torch.full((2, 3), 1e-30)], [torch.zeros(2)], "softplus", 4)
    table, ids = torch.full((5, 3), 1e-10), np.arange(4)
    assert network.forward(table, ids).count_nonzero() == 0  # products of 1e-40
    network.backward(torch.full((4, 2), 1e-30))
    assert network.gradients[0].count_nonzero() == 0
    assert (torch.full((64,), 1e-30) * 1e-10 > 0).all()  # the thread is as it was
    assert ops.gather_rows(torch.full((1, 4), 1e-40), np.zeros(3, np.int64)).min() > 0
