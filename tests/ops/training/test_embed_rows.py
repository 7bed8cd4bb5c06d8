"""embed_rows: a whole network by tiles of rows, as exact as float32's products."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference

WIDTHS = [
    (1, 1, 1), (128, 100, 100, 2), (70, 33, 17, 3), (784, 100, 50, 2), (36, 128, 128),
    (8,) * 10, (5, 12, 40),
]  # fmt: skip


class Case:
    def __init__(self, widths: Sequence[int], rows: int) -> None:
        rng = np.random.default_rng([*widths, rows])
        self.rows = rng.normal(size=(rows, widths[0])).astype(np.float32)
        shapes = [(high, low) for low, high in itertools.pairwise(widths)]
        self.weights = [
            (rng.normal(size=shape) / np.sqrt(shape[1])).astype(np.float32) for shape in shapes
        ]
        self.biases = [rng.normal(size=shape[0]).astype(np.float32) for shape in shapes]

    def run(self, device: torch.device | str = "cpu", activation: str = "silu") -> torch.Tensor:
        rows, *parameters = (
            torch.from_numpy(array).to(device) for array in (self.rows, *self.weights, *self.biases)
        )
        count = len(self.weights)
        return ops.embed_rows(rows, parameters[:count], parameters[count:], activation)

    def expected(self, activation: str = "silu") -> np.ndarray:
        width = self.weights[-1].shape[0]
        plain = (np.zeros(self.rows.shape[1]), 1.0, np.zeros(width), 1.0)
        out_grad = np.zeros((len(self.rows), width))
        return reference.mlp(self.rows, self.weights, self.biases, activation, out_grad, plain)[0]


def assert_equals_the_reference(case: Case, activation: str, device: torch.device) -> None:
    found, expected = case.run(device, activation), case.expected(activation)
    assert found.device.type == device.type
    assert found.shape == expected.shape
    error = np.linalg.norm(found.cpu().numpy() - expected)
    assert error <= 2e-6 * np.linalg.norm(expected)


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 500])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_equals_the_reference(widths: tuple[int, ...], rows: int, device: torch.device) -> None:
    assert_equals_the_reference(Case(widths, rows), "silu", device)


@pytest.mark.parametrize("activation", ops.POINTWISE_ACTIVATIONS)
def test_activations(activation: str, device: torch.device) -> None:
    assert_equals_the_reference(Case((20, 30, 10, 2), 200), activation, device)


def test_a_row_is_the_same_in_any_tile(device: torch.device) -> None:
    case = Case((72, 33, 2), 300)
    whole = case.run(device)
    for part in (slice(7), slice(64, 65), slice(101, 299)):
        piece = Case((72, 33, 2), 300)
        piece.rows = case.rows[part]
        assert torch.equal(piece.run(device), whole[part])


def test_rows_at_any_address(device: torch.device) -> None:
    """Copies by fours and one by one give the same bits."""
    case = Case((72, 16, 2), 100)
    parameters = [torch.from_numpy(a).to(device) for a in (*case.weights, *case.biases)]
    shifted = torch.empty(1 + case.rows.size, device=device)[1:].view(case.rows.shape)
    shifted.copy_(torch.from_numpy(case.rows))
    found = ops.embed_rows(shifted, parameters[:2], parameters[2:], "silu")
    assert torch.equal(found, case.run(device))


def test_same_bits_for_any_number_of_threads(
    assert_same_bits: Callable[[Callable[[], object]], None],
) -> None:
    assert_same_bits(lambda: Case((20, 30, 2), 900).run())


def test_what_is_not_a_number_stays(device: torch.device) -> None:
    case = Case((9, 8, 8, 2), 70)
    case.rows[3, 2], case.rows[66, 0] = np.nan, np.inf
    wrong = (~case.run(device).isfinite()).any(dim=1).nonzero().flatten()
    assert wrong.tolist() == [3, 66]


def test_no_rows(device: torch.device) -> None:
    assert Case((9, 8, 2), 0).run(device).shape == (0, 2)


@pytest.mark.parametrize(
    ("widths", "fits"),
    [
        ((784, 100, 100, 100, 2), True),
        ((3, 2), False),  # no hidden layer
        ((3, 129, 2), False),
        ((3, 8, 129), False),
        ((2,) * 11, False),
        ((128,) * 10, False),  # too much for a block's memory
    ],
)
def test_what_fits(widths: tuple[int, ...], fits: bool) -> None:
    assert ops.embed_rows_fit(widths, torch.device("cpu")) is fits
    if not fits:
        with pytest.raises(ValueError, match="weights must fit: 2 to 9 layers"):
            Case(widths, 4).run()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"rows": torch.ones(3, 4).double()}, TypeError, "rows must be a float32 tensor"),
        ({"rows": torch.ones(3, 5)}, ValueError, r"weights\[0\] must have 5 columns"),
        ({"biases": [torch.ones(3)]}, ValueError, "weights and biases must be as many"),
        ({"activation": "tanh"}, ValueError, "activation"),
    ],
)
def test_bad_input(change: dict[str, object], error: type[Exception], message: str) -> None:
    arguments = {
        "rows": torch.ones(3, 4), "weights": [torch.ones(3, 4), torch.ones(2, 3)],
        "biases": [torch.ones(3), torch.ones(2)], "activation": "relu",
    }  # fmt: skip
    with pytest.raises(error, match=message):
        ops.embed_rows(**(arguments | change))  # type: ignore[arg-type]
