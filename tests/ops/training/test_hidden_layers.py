"""hidden_layers: values and gradients by tiles of rows, products rounded to tf32 between layers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference

WIDTHS = [
    (1, 1), (5, 2), (100, 100, 100, 2), (17, 33, 3), (16, 16, 16), (3, 1, 1, 5), (128, 128, 40),
    (2,) * 9,
]  # fmt: skip


class Case:
    """Random layers and rows; sums of whole numbers of eighths where `exact`."""

    def __init__(self, widths: Sequence[int], rows: int, *, exact: bool = False) -> None:
        rng = np.random.default_rng([*widths, rows])

        def draw(*shape: int) -> np.ndarray:
            if exact:
                return rng.integers(-2, 3, shape).astype(np.float32) / 2
            return rng.normal(size=shape).astype(np.float32)

        pairs = list(itertools.pairwise(widths))
        self.sums = draw(rows, widths[0])
        scale = 1 if exact else widths[0] ** -0.5
        self.weights = [draw(high, wide) * np.float32(scale) for wide, high in pairs]
        self.biases = [draw(high) for _, high in pairs]
        self.out_grad = draw(rows, widths[-1])

    def leaves(self, device: torch.device | str = "cpu") -> list[torch.Tensor]:
        pairs = zip(self.weights, self.biases, strict=True)
        arrays = [self.sums, *(array for pair in pairs for array in pair)]
        return [torch.from_numpy(array).to(device).requires_grad_() for array in arrays]

    def run(self, activation: str, device: torch.device | str = "cpu") -> list[torch.Tensor]:
        """The output, and the gradients in sums, weight, bias, ..."""
        leaves = self.leaves(device)
        out = ops.hidden_layers(leaves[0], leaves[1::2], leaves[2::2], activation)
        gradient = torch.from_numpy(self.out_grad).to(device)
        return [out.detach(), *torch.autograd.grad(out, leaves, gradient)]

    def expected(self, activation: str) -> list[np.ndarray]:
        out, gradients = reference.hidden_layers(
            self.sums, self.weights, self.biases, activation, self.out_grad
        )
        return [out, *gradients]


@pytest.mark.parametrize("activation", ["softplus", "silu"])
@pytest.mark.parametrize("rows", [1, 31, 32, 33, 300])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_equals_the_reference(
    widths: tuple[int, ...], rows: int, activation: str, device: torch.device
) -> None:
    case = Case(widths, rows)
    for found, expected in zip(
        case.run(activation, device), case.expected(activation), strict=True
    ):
        assert found.dtype == torch.float32
        assert found.device.type == device.type
        assert found.shape == expected.shape
        # A float32 sum that lies between two of tf32 may go to the other one: one factor in some
        # thousands is off by 2^-11 of it.
        error = np.linalg.norm(found.cpu().numpy() - expected)
        assert error <= 2e-4 * np.linalg.norm(expected)


@pytest.mark.parametrize("rows", [1, 33, 4100])
@pytest.mark.parametrize("widths", [(5, 2), (20, 33, 3), (7, 7, 7, 2)], ids=str)
def test_sums_without_rounding_are_exact(
    widths: tuple[int, ...], rows: int, device: torch.device
) -> None:
    # More rows than there are slots for, and every value a float32 without loss.
    case = Case(widths, rows, exact=True)
    for found, expected in zip(case.run("relu", device), case.expected("relu"), strict=True):
        np.testing.assert_array_equal(found.cpu().numpy(), expected)


@pytest.mark.parametrize("last", [False, True])
def test_which_products_round(last: bool, device: torch.device) -> None:
    x = 1 + 2.0**-11 + 2.0**-12  # goes to 1 + 2^-10
    sums, one = torch.full((1, 1), x, device=device), torch.ones(1, 1, device=device)
    weights = [one] if last else [one, one]
    biases = [torch.zeros(1, device=device)] * len(weights)
    out = ops.hidden_layers(sums, weights, biases, "relu")
    assert float(out) == (np.float32(x) if last else 1 + 2.0**-10)


def test_rounding_of_the_reference() -> None:
    step = 2.0**-10
    x = [1 + step / 2, 1 + step * 0.49, 1 + step * 1.51, -(1 + step / 2), 3.0, 0.0, 2.0**-120]
    expected = [1 + step, 1.0, 1 + 2 * step, -(1 + step), 3.0, 0.0, 2.0**-120]
    np.testing.assert_array_equal(reference.to_tf32(np.array(x)), expected)


def test_values_beyond_all_bounds_stay(device: torch.device) -> None:
    # NaN as CUDA makes it has all bits of its mantissa set.
    bits = torch.tensor([0x7FFFFFFF, 0x7F800000], dtype=torch.int32)
    sums = bits.view(torch.float32)[:, None].to(device)
    one, zero = torch.ones(1, 1, device=device), torch.zeros(1, device=device)
    out = ops.hidden_layers(sums, [one, one], [zero, zero], "softplus").flatten()
    assert bool(torch.isnan(out[0]))
    assert float(out[1]) == np.inf


def test_same_bits_for_any_number_of_threads(
    assert_same_bits: Callable[[Callable[[], object]], None],
) -> None:
    assert_same_bits(lambda: Case((20, 30, 10, 2), 6000).run("softplus"))


@pytest.mark.cuda
def test_same_bits_each_time(cuda: torch.device) -> None:
    case = Case((100, 100, 100, 2), 6000)
    for one, other in zip(case.run("silu", cuda), case.run("silu", cuda), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("widths", [(129, 7, 2), (5, 300, 2), (2,) * 10], ids=str)
def test_layers_that_do_not_fit_are_torchs_products(
    widths: tuple[int, ...], device: torch.device
) -> None:
    case = Case(widths, 40)
    for found, expected in zip(case.run("silu", device), case.expected("silu"), strict=True):
        # Torch's products round on a CUDA device alone: 2^-11 of each factor at most.
        error = np.linalg.norm(found.cpu().numpy() - expected)
        assert error <= 3 * len(widths) * 2.0**-11 * np.linalg.norm(expected)


def test_no_rows(device: torch.device) -> None:
    out, *gradients = Case((4, 5, 2), 0).run("silu", device)
    assert out.shape == (0, 2)
    assert gradients[0].shape == (0, 4)
    assert all(bool((gradient == 0).all()) for gradient in gradients)


def test_without_gradients(device: torch.device) -> None:
    case = Case((9, 8, 2), 50)
    sums, *parameters = case.leaves(device)
    with torch.no_grad():
        out = ops.hidden_layers(sums, parameters[::2], parameters[1::2], "silu")
    assert not out.requires_grad
    assert torch.equal(out, case.run("silu", device)[0])


def test_tensors_that_are_views(device: torch.device) -> None:
    case = Case((9, 8, 2), 50)
    sums, *parameters = case.leaves(device)
    with torch.no_grad():
        views = [t.T.contiguous().T if t.ndim == 2 else t for t in (sums, *parameters)]
    views = [view.requires_grad_() for view in views]
    assert not views[0].is_contiguous()
    out = ops.hidden_layers(views[0], views[1::2], views[2::2], "silu")
    out.backward(torch.from_numpy(case.out_grad).to(device))
    found = [out.detach(), *(view.grad for view in views)]
    for one, other in zip(found, case.run("silu", device), strict=True):
        assert torch.equal(one, other)


def test_gradients_of_gradients() -> None:
    # A single layer rounds nothing.
    case = Case((4, 3), 6)
    leaves = case.leaves()
    plain = [leaf.detach().clone().requires_grad_() for leaf in leaves]
    results = []
    for sums, weight, bias in (leaves, plain):
        if sums is leaves[0]:
            out = ops.hidden_layers(sums, [weight], [bias], "silu")
        else:
            out = torch.nn.functional.linear(torch.nn.functional.silu(sums), weight, bias)
        (gradient,) = torch.autograd.grad(out.square().sum(), sums, create_graph=True)
        results.append(torch.autograd.grad(gradient.square().sum(), (sums, weight, bias)))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"sums": torch.ones(3, 4).double()}, TypeError, "sums must be a float32 tensor"),
        ({"sums": torch.ones(3)}, ValueError, "sums must have 2 dimensions"),
        ({"sums": torch.ones(3, 5)}, ValueError, r"weights\[0\] must have 5 columns"),
        ({"weights": []}, ValueError, "weights and biases must be as many"),
        ({"biases": [torch.ones(2), torch.ones(2)]}, ValueError, "are 1 and 2"),
        ({"biases": [torch.ones(3)]}, ValueError, r"biases\[0\] as many values"),
        ({"weights": [torch.ones(2)]}, ValueError, r"weights\[0\] must have 2 dimensions"),
        ({"activation": "tanh"}, ValueError, "activation"),
    ],
)
def test_bad_input(change: dict[str, object], error: type[Exception], message: str) -> None:
    arguments = {
        "sums": torch.ones(3, 4), "weights": [torch.ones(2, 4)], "biases": [torch.ones(2)],
        "activation": "relu",
    }  # fmt: skip
    with pytest.raises(error, match=message):
        ops.hidden_layers(**(arguments | change))  # type: ignore[arg-type]
