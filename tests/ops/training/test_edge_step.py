"""EdgeStep: draws, loss, gradients and weights of whole steps, by the blocks of the kernels."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import _core, ops
from fastparadime.ops import reference

CURVE = (1.577, 0.895)
N = 90
# Input, hidden layers, output: of one block and of several, whole products and broken ones.
WIDTHS = [
    (1, 1, 1), (5, 3, 2), (784, 100, 100, 100, 2), (64, 16, 16, 16), (70, 33, 17, 3), (36, 128, 9),
    (200, 128, 128, 40), (8,) * 10, (7, 12, 128),
]  # fmt: skip


class Case:
    """A network, a table and a graph, and what steps on them should give."""

    def __init__(self, widths: Sequence[int], batch: int, negatives: int) -> None:
        rng = np.random.default_rng([*widths, batch, negatives])
        self.batch, self.negatives = batch, negatives
        self.table = rng.normal(size=(N, widths[0])).astype(np.float32)
        gain = 2 if len(widths) > 5 else 1  # so deep, all points would be one
        shapes = [(high, low) for low, high in itertools.pairwise(widths)]
        self.weights = [
            (gain * rng.normal(size=shape) / np.sqrt(shape[1])).astype(np.float32)
            for shape in shapes
        ]
        self.biases = [rng.normal(size=shape[0]).astype(np.float32) for shape in shapes]
        ends = rng.integers(0, N, (2, 300))
        self.graph = (*ends, rng.random(300).astype(np.float32))

    def step(
        self,
        device: torch.device | str = "cpu",
        activation: str = "softplus",
        shift: int = 0,
        **options: Any,
    ) -> tuple[ops.EdgeStep, list[torch.Tensor]]:
        """The operation, and the weights and biases that it changes, so many floats shifted."""

        def there(arrays: Sequence[np.ndarray]) -> list[torch.Tensor]:
            found = []
            for array in arrays:
                room = torch.empty(shift + array.size, device=device)[shift:].view(array.shape)
                found.append(room.copy_(torch.from_numpy(array)))
            return found

        graph = (torch.from_numpy(array).to(device) for array in self.graph)
        sampler = ops.EdgeSampler(*graph, N, seed=3)
        weights, biases = there(self.weights), there(self.biases)
        (table,) = there([self.table])
        settings = {"steps": 5, "learning_rate": 0.01, "keep_gradients": True, **options}
        step = ops.EdgeStep(
            sampler, table, weights, biases, activation, self.batch, self.negatives, *CURVE,
            **settings,
        )  # fmt: skip
        return step, [tensor for pair in zip(weights, biases, strict=True) for tensor in pair]

    def expected(
        self, step: int, parameters: Sequence[np.ndarray], activation: str
    ) -> tuple[float, list[np.ndarray]]:
        """The loss of a step with these weights, and its gradients."""
        heads, tails = reference.draw_edges(*self.graph, N, self.batch, self.negatives, 3, step)
        ends = np.concatenate((heads, tails.ravel()))
        rows, first = self.table[ends].astype(np.float64), parameters[0].astype(np.float64)
        sums = rows @ first.T + parameters[1]
        hidden = (sums, list(parameters[2::2]), list(parameters[3::2]), activation)
        out, _ = reference.hidden_layers(*hidden, np.zeros((len(ends), len(parameters[-1]))))
        loss, head_grad, tail_grad = reference.negative_edge_cross_entropy(
            out[: self.batch], out[self.batch :].reshape(self.batch, 1 + self.negatives, -1), *CURVE
        )
        out_grad = np.concatenate((head_grad, tail_grad.reshape(-1, out.shape[1])))
        _, (sum_grad, *behind) = reference.hidden_layers(*hidden, out_grad)
        return loss, [sum_grad.T @ rows, sum_grad.sum(axis=0), *behind]


def arrays_of(tensors: Sequence[torch.Tensor]) -> list[np.ndarray]:
    return [tensor.cpu().numpy().copy() for tensor in tensors]


def assert_close(
    found: Sequence[torch.Tensor], expected: Sequence[np.ndarray], bound: float
) -> None:
    # All of them together: the last bias has a gradient of rounding alone, since the loss is blind
    # to translation.
    scale = np.sqrt(sum((e**2).sum() for e in expected))
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert np.linalg.norm(one.cpu().numpy() - other) <= bound * scale


def assert_steps_equal(
    case: Case, activation: str, device: torch.device, bound: float, **options: Any
) -> None:
    step, parameters = case.step(device, activation, **options)
    for number in range(2):
        before = arrays_of(parameters)
        step()
        loss, gradients = case.expected(number, before, activation)
        np.testing.assert_allclose(float(step.losses[number]), loss, rtol=bound)
        assert step.gradients is not None
        assert_close(step.gradients, gradients, bound)


# One factor of tf32 in some thousands goes to the other neighbour, which the slope of a near
# negative edge makes larger.
ROUNDED = 1e-3


@pytest.mark.parametrize(("batch", "negatives"), [(1, 0), (70, 3), (9, 30)])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_equals_the_reference(
    widths: tuple[int, ...], batch: int, negatives: int, device: torch.device
) -> None:
    # Without a layer between hidden ones nothing rounds; near ends make much of the last bits.
    bound = 5e-5 if len(widths) == 3 else ROUNDED
    assert_steps_equal(Case(widths, batch, negatives), "softplus", device, bound)


@pytest.mark.parametrize("activation", ops.POINTWISE_ACTIVATIONS)
@pytest.mark.parametrize(("widths", "batch"), [((70, 33, 17, 3), 300), ((33, 20, 2), 1000)])
def test_activations(
    widths: tuple[int, ...], batch: int, activation: str, device: torch.device
) -> None:
    # More tiles than slots, so that blocks take several.
    bound = 5e-5 if len(widths) == 3 else ROUNDED
    assert_steps_equal(Case(widths, batch, 1), activation, device, bound)


def one(widths: tuple[int, ...] = (70, 33, 17, 3), batch: int = 40, negatives: int = 3) -> Case:
    return Case(widths, batch, negatives)


@pytest.mark.parametrize("kilobytes", [227, 163, 130, 99, 80])
def test_tiles_that_fit_into_less_shared_memory(kilobytes: int) -> None:
    # From tiles with all weights to tiles of few rows that load a layer's weights for each use.
    case = Case((784, 100, 100, 100, 2), 70, 3)
    assert_steps_equal(case, "softplus", torch.device("cpu"), ROUNDED, shared_bytes=kilobytes << 10)


def bits_after(steps: int, *made: tuple[ops.EdgeStep, list[torch.Tensor]]) -> list[torch.Tensor]:
    """Losses and weights after so many steps, the same of all that are given."""
    found = []
    for step, parameters in made:
        for _ in range(steps):
            step()
        found.append([step.losses, *parameters])
    for others in found[1:]:
        for one_tensor, other in zip(found[0], others, strict=True):
            assert torch.equal(one_tensor, other)
    return found[0]


@pytest.mark.parametrize("widths", [(72, 16, 2), (36, 24, 24, 2)])
def test_rows_at_any_address(widths: tuple[int, ...], device: torch.device) -> None:
    """Copies by fours and one by one give the same bits."""
    bits_after(2, *(one(widths).step(device, shift=shift) for shift in (0, 1)))


def test_weights_that_stay_and_that_are_loaded(device: torch.device) -> None:
    case = Case((30, 100, 100, 100, 2), 8, 3)
    bits_after(2, *(case.step(device, shared_bytes=size << 10) for size in (163, 99)))


def test_same_bits_for_any_number_of_threads(
    assert_same_bits: Callable[[Callable[[], object]], None],
) -> None:
    assert_same_bits(lambda: bits_after(2, one(batch=300).step()))


@pytest.mark.cuda
def test_same_bits_each_time(cuda: torch.device) -> None:
    case = Case((784, 100, 100, 100, 2), 500, 3)
    bits_after(5, case.step(cuda), case.step(cuda))


@pytest.mark.parametrize("rates", [0.01, [0.01, 0.02, 0.0, 0.005]])
def test_updates_are_adams(rates: float | list[float], device: torch.device) -> None:
    step, parameters = one().step(device, steps=4, learning_rate=rates)
    start, gradients = arrays_of(parameters), []
    for _ in range(4):
        step()
        assert step.gradients is not None
        gradients.append(arrays_of(step.gradients))
    used = rates if isinstance(rates, list) else [rates] * 4
    for number, parameter in enumerate(parameters):
        expected = reference.adam(start[number], [g[number] for g in gradients], used)
        np.testing.assert_allclose(parameter.cpu().numpy(), expected, atol=1e-6)


def test_steps_beyond_the_last_change_nothing(device: torch.device) -> None:
    step, parameters = one().step(device, steps=1)
    first = [tensor.clone() for tensor in bits_after(1, (step, parameters))]
    again = bits_after(2, (step, parameters))
    assert all(map(torch.equal, first, again))


def test_places_are_those_of_the_instruction() -> None:
    """PTX, 9.7.14: fragments of mma.m16n8k8 with factors of tf32."""
    for lane in range(32):
        group, thread = lane >> 2, lane % 4
        found = _core.product_places(lane)
        assert found[:4] == [
            (group, thread), (group + 8, thread), (group, thread + 4), (group + 8, thread + 4)
        ]  # fmt: skip
        assert found[4:6] == [(thread, group), (thread + 4, group)]
        assert found[6:] == [(group + 8 * (i >= 2), 2 * thread + (i & 1)) for i in range(4)]


@pytest.mark.parametrize(
    ("widths", "negatives", "fits"),
    [
        ((784, 100, 100, 100, 2), 3, True),
        ((5000, 128, 2), 30, True),
        ((3, 2, 2), 31, False),
        ((3, 2), 3, False),  # no hidden layer
        ((3, 129, 2), 3, False),
        ((3, 8, 129), 3, False),
        ((2,) * 11, 3, False),
    ],
)
def test_what_fits(
    widths: tuple[int, ...], negatives: int, fits: bool, device: torch.device
) -> None:
    assert ops.EdgeStep.fits(widths, negatives, device) is fits
    if not fits and len(widths) > 2:
        with pytest.raises(ValueError, match="weights and negatives must fit"):
            Case(widths, 4, negatives).step(device)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"table": torch.ones(N, 4).double()}, TypeError, "table must be a float32 tensor"),
        ({"table": torch.ones(N, 8)[:, ::2]}, ValueError, "the table must be contiguous"),
        ({"table": torch.ones(N, 5)}, ValueError, r"weights\[0\] must have 5 columns"),
        ({"table": torch.ones(N + 1, 4)}, ValueError, "a row for each of the sampler's 90 points"),
        ({"biases": [torch.ones(3)]}, ValueError, "weights and biases must be as many"),
        ({"biases": [torch.ones(3), torch.ones(3)]}, ValueError, r"biases\[1\] as many values"),
        (
            {
                "weights": [torch.ones(3, 4), torch.ones(0, 3)],
                "biases": [torch.ones(3), torch.ones(0)],
            },
            ValueError,
            r"biases\[1\] must have",
        ),
        ({"activation": "tanh"}, ValueError, "activation"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"negatives": -1}, ValueError, "negatives"),
        ({"a": 0.0}, ValueError, "a must"),
        ({"learning_rate": -1.0}, ValueError, "learning_rate"),
        ({"learning_rate": [0.1]}, ValueError, "one for each of 2 steps, not 1"),
    ],
)
def test_bad_input(change: dict[str, object], error: type[Exception], message: str) -> None:
    ends = torch.tensor([0, 1])
    arguments = {
        "sampler": ops.EdgeSampler(ends, ends.flip(0), torch.ones(2), N),
        "table": torch.ones(N, 4), "weights": [torch.ones(3, 4), torch.ones(2, 3)],
        "biases": [torch.ones(3), torch.ones(2)], "activation": "relu", "batch_size": 3,
        "negatives": 1, "a": 1.0, "b": 1.0, "steps": 2, "learning_rate": 0.1,
    }  # fmt: skip
    with pytest.raises(error, match=message):
        ops.EdgeStep(**(arguments | change))  # type: ignore[arg-type]
