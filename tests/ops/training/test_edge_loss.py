"""negative_edge_cross_entropy: value, gradients, saturation and borders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fastparadime import ops
from fastparadime.loss import cross_entropy_loss
from fastparadime.ops import reference

A, B = 1.577, 0.8951  # min_dist 0.1, spread 1

# The loss is summed over 64 heads at a time, 1024 heads to a piece of work.
SHAPES = [(1, 1, 1), (1, 6, 2), (63, 2, 3), (64, 6, 2), (65, 3, 16), (1500, 6, 2)]


def random_batch(
    batch: int, slots: int, dim: int, device: torch.device | str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng([batch, slots, dim])
    heads = rng.normal(size=(batch, dim)).astype(np.float32)
    tails = (3 * rng.normal(size=(batch, slots, dim))).astype(np.float32)
    return (
        torch.from_numpy(heads).to(device).requires_grad_(),
        torch.from_numpy(tails).to(device).requires_grad_(),
    )


def as_double(tensor: torch.Tensor) -> npt.NDArray[np.float64]:
    return tensor.detach().cpu().double().numpy()


def loss_and_gradients(
    heads: torch.Tensor, tails: torch.Tensor, a: float = A, b: float = B, **options: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    loss = ops.negative_edge_cross_entropy(heads, tails, a, b, **options)
    return (loss, *torch.autograd.grad(loss, (heads, tails)))


def assert_close(
    result: tuple[torch.Tensor, ...], expected: tuple[float, Any, Any], least: float = 0.0
) -> None:
    loss, head_gradient, tail_gradient = (as_double(part) for part in result)
    np.testing.assert_allclose(loss, expected[0], rtol=1e-5)
    np.testing.assert_allclose(tail_gradient, expected[2], rtol=1e-5, atol=least)
    # A head's gradient is minus the sum of its tails', of either sign: the error goes with the sum
    # of their absolute values.
    bound = 1e-5 * np.abs(expected[2]).sum(1) + least
    assert bool((np.abs(head_gradient - expected[1]) <= bound).all())


@pytest.mark.parametrize(("a", "b"), [(A, B), (1.0, 1.0), (0.1, 2.5), (5.0, 0.3)])
@pytest.mark.parametrize(("batch", "slots", "dim"), SHAPES)
def test_equals_reference(
    batch: int, slots: int, dim: int, a: float, b: float, device: torch.device
) -> None:
    heads, tails = random_batch(batch, slots, dim, device)
    result = loss_and_gradients(heads, tails, a, b)
    assert [part.dtype for part in result] == [torch.float32] * 3
    assert [part.shape for part in result] == [(), (batch, dim), (batch, slots, dim)]
    assert {part.device.type for part in result} == {device.type}
    expected = reference.negative_edge_cross_entropy(as_double(heads), as_double(tails), a, b)
    assert_close(result, expected)


@pytest.mark.parametrize("strength", [0.0, 0.25, 3.0])
def test_repulsion_strength(strength: float, device: torch.device) -> None:
    heads, tails = random_batch(50, 4, 2, device)
    result = loss_and_gradients(heads, tails, repulsion_strength=strength)
    expected = reference.negative_edge_cross_entropy(
        as_double(heads), as_double(tails), A, B, repulsion_strength=strength
    )
    assert_close(result, expected)
    assert bool((result[2][:, 1:] == 0).all()) == (strength == 0)


@pytest.mark.parametrize("epsilon", [1e-7, 1e-3, 0.3])
def test_equals_plain_torch(epsilon: float, device: torch.device) -> None:
    heads, tails = random_batch(80, 6, 2, device)
    result = loss_and_gradients(heads, tails, epsilon=epsilon)
    heads64, tails64 = (
        torch.tensor(as_double(part), requires_grad=True) for part in (heads, tails)
    )
    distances = torch.cdist(heads64[:, None], tails64)[:, 0]
    q = 1 / (1 + A * distances ** (2 * B))
    p = torch.zeros_like(q)
    p[:, 0] = 1
    loss = cross_entropy_loss(p.flatten(), q.flatten(), epsilon)
    gradients = torch.autograd.grad(loss, (heads64, tails64))
    assert_close(result, (loss.item(), *(gradient.numpy() for gradient in gradients)))


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_reference_gradient_by_finite_differences(dim: int) -> None:
    heads, tails = (as_double(part) for part in random_batch(4, 3, dim))
    _, head_gradient, tail_gradient = reference.negative_edge_cross_entropy(heads, tails, A, B)
    step = 1e-6
    for point, gradient in ((heads, head_gradient), (tails, tail_gradient)):
        for index in np.ndindex(point.shape):
            values = []
            for sign in (1, -1):
                point[index] += sign * step
                values.append(reference.negative_edge_cross_entropy(heads, tails, A, B)[0])
                point[index] -= sign * step
            slope = (values[0] - values[1]) / (2 * step)
            # A loss near 1 is rounded to 2e-16: the quotient is off by 1e-16 / 1e-6 = 1e-10.
            np.testing.assert_allclose(slope, gradient[index], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("b", [0.3, B, 1.0, 2.0])
def test_coinciding_points(b: float, device: torch.device) -> None:
    heads = torch.ones((70, 2), device=device, requires_grad=True)
    tails = torch.ones((70, 3, 2), device=device, requires_grad=True)
    loss, head_gradient, tail_gradient = loss_and_gradients(heads, tails, b=b)
    expected = reference.negative_edge_cross_entropy(as_double(heads), as_double(tails), A, b)
    np.testing.assert_allclose(loss.item(), expected[0], rtol=1e-5)
    assert bool((head_gradient == 0).all())
    assert bool((tail_gradient == 0).all())


@pytest.mark.parametrize("distance", [1e-15, 1e-5, 1e5, 1e15, 1e25])
@pytest.mark.parametrize("b", [0.3, B, 2.0])
def test_extreme_distances(distance: float, b: float, device: torch.device) -> None:
    heads = torch.zeros((3, 2), device=device, requires_grad=True)
    tails = torch.full((3, 2, 2), distance, device=device, requires_grad=True)
    result = loss_and_gradients(heads, tails, b=b)
    assert all(bool(torch.isfinite(part).all()) for part in result)
    expected = reference.negative_edge_cross_entropy(as_double(heads), as_double(tails), A, b)
    # Below 1e-37 lie float32's subnormal numbers; a d^2b is kept above 1.2e-38 a, and its slope in
    # d is 2b times that over d.
    assert_close(result, expected, least=1e-37 * max(1.0, 1 / distance))


def test_saturated_edges_have_no_gradient(device: torch.device) -> None:
    heads = torch.zeros((2, 2), device=device, requires_grad=True)
    near, far = [1e-6, 0.0], [1e6, 0.0]
    tails = torch.tensor([[far, near], [near, far]], device=device, requires_grad=True)
    epsilon = 1e-5
    loss, head_gradient, tail_gradient = loss_and_gradients(heads, tails, epsilon=epsilon)
    assert bool((tail_gradient[0] == 0).all())
    assert bool((head_gradient[0] == 0).all())
    # The second head's edges are as they should be, and cost less than 1e-9 together.
    np.testing.assert_allclose(loss.item(), -2 * np.log(epsilon) / 4, rtol=1e-5)


def test_upstream_gradient(device: torch.device) -> None:
    heads, tails = random_batch(30, 4, 2, device)
    _, head_gradient, tail_gradient = loss_and_gradients(heads, tails)
    (-2.5 * ops.negative_edge_cross_entropy(heads, tails, A, B) + 1).backward()
    assert heads.grad is not None
    assert tails.grad is not None
    torch.testing.assert_close(heads.grad, -2.5 * head_gradient, rtol=1e-6, atol=0)
    torch.testing.assert_close(tails.grad, -2.5 * tail_gradient, rtol=1e-6, atol=0)


def test_gradient_reaches_what_was_gathered(device: torch.device) -> None:
    points = random_batch(20, 1, 2, device)[0]
    heads, tails = torch.arange(10), torch.arange(40).reshape(10, 4) % 20
    ops.negative_edge_cross_entropy(points[heads], points[tails], A, B).backward()
    values = as_double(points)
    _, head_gradient, tail_gradient = reference.negative_edge_cross_entropy(
        values[heads], values[tails], A, B
    )
    expected = np.zeros_like(values)
    np.add.at(expected, heads.numpy(), head_gradient)
    np.add.at(expected, tails.numpy(), tail_gradient)
    assert points.grad is not None
    # Sums of terms below 0.1 in float32.
    np.testing.assert_allclose(as_double(points.grad), expected, rtol=1e-5, atol=1e-7)


def test_one_side_alone(device: torch.device) -> None:
    heads, tails = random_batch(9, 3, 2, device)
    expected = loss_and_gradients(heads, tails)
    loss = ops.negative_edge_cross_entropy(heads.detach(), tails, A, B)
    assert torch.equal(torch.autograd.grad(loss, tails)[0], expected[2])
    assert not ops.negative_edge_cross_entropy(heads.detach(), tails.detach(), A, B).requires_grad


def test_float64_gives_float64(device: torch.device) -> None:
    heads, tails = random_batch(40, 5, 2, device)
    expected = loss_and_gradients(heads, tails)
    doubles = (part.detach().double().requires_grad_() for part in (heads, tails))
    result = loss_and_gradients(*doubles)
    assert [part.dtype for part in result] == [torch.float64] * 3
    for part, single in zip(result, expected, strict=True):
        assert torch.equal(part.float(), single)


def test_layouts_and_unchanged_inputs(device: torch.device) -> None:
    heads, tails = (part.detach() for part in random_batch(40, 5, 3, device))
    expected = loss_and_gradients(heads.requires_grad_(), tails.requires_grad_())
    strided = (
        heads.detach().T.contiguous().T.requires_grad_(),
        tails.detach().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_(),
    )
    before = [part.detach().clone() for part in strided]
    for part, same in zip(loss_and_gradients(*strided), expected, strict=True):
        assert torch.equal(part, same)
    assert all(torch.equal(a, b) for a, b in zip(strided, before, strict=True))


@pytest.mark.parametrize(("batch", "slots", "dim"), [(1500, 6, 2), (5000, 3, 17)])
def test_threads_do_not_matter(
    batch: int, slots: int, dim: int, assert_same_bits: Callable[[Any], None]
) -> None:
    heads, tails = random_batch(batch, slots, dim)
    assert_same_bits(lambda: loss_and_gradients(heads, tails))


@pytest.mark.parametrize(
    ("heads", "tails"),
    [((4,), (4, 3, 2)), ((4, 2), (4, 3)), ((4, 2), (5, 3, 2)), ((4, 2), (4, 3, 3)), ((), ())],
)
def test_bad_shapes(heads: tuple[int, ...], tails: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"heads must have shape .* and tails"):
        ops.negative_edge_cross_entropy(torch.ones(heads), torch.ones(tails), A, B)


@pytest.mark.parametrize("shape", [(0, 3, 2), (4, 0, 2), (4, 3, 0)])
def test_no_edges(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="tails must hold at least one edge"):
        ops.negative_edge_cross_entropy(torch.ones(shape[::2]), torch.ones(shape), A, B)


@pytest.mark.parametrize("name", ["a", "b", "epsilon", "repulsion_strength"])
@pytest.mark.parametrize(
    ("value", "error"),
    [(-1.0, ValueError), (np.nan, ValueError), (np.inf, ValueError), ("1", TypeError)],
)
def test_bad_parameters(name: str, value: Any, error: type[Exception]) -> None:
    heads, tails = random_batch(2, 2, 2)
    with pytest.raises(error, match=f"{name} must be a finite number"):
        ops.negative_edge_cross_entropy(heads, tails, **{"a": A, "b": B, name: value})


@pytest.mark.parametrize("name", ["a", "b", "epsilon"])
def test_zero_parameters(name: str) -> None:
    heads, tails = random_batch(2, 2, 2)
    with pytest.raises(ValueError, match=f"{name} must be a finite number > 0"):
        ops.negative_edge_cross_entropy(heads, tails, **{"a": A, "b": B, name: 0})


def test_devices_must_agree() -> None:
    heads, tails = torch.ones((4, 2), device="meta"), torch.ones((4, 3, 2))
    with pytest.raises(ValueError, match="one device, not heads on meta, tails on cpu"):
        ops.negative_edge_cross_entropy(heads, tails, A, B)


def test_takes_arrays() -> None:
    heads, tails = random_batch(5, 3, 2)
    arrays = (heads.detach().numpy(), tails.detach().numpy())
    assert ops.negative_edge_cross_entropy(*arrays, A, B) == ops.negative_edge_cross_entropy(
        heads, tails, A, B
    )


@pytest.mark.parametrize(("batch", "slots", "dim"), [(1, 1, 2), (7, 4, 2), (130, 6, 3)])
def test_gradients_without_a_graph(batch: int, slots: int, dim: int, device: torch.device) -> None:
    heads, tails = (part.detach().to(device) for part in random_batch(batch, slots, dim))
    loss, gradient = ops.negative_edge_gradients(
        torch.cat((heads, tails.flatten(0, 1))), batch, A, B, repulsion_strength=0.7
    )
    heads, tails = heads.requires_grad_(), tails.requires_grad_()
    expected = ops.negative_edge_cross_entropy(heads, tails, A, B, repulsion_strength=0.7)
    expected.backward()
    assert torch.equal(loss, expected.detach())
    assert torch.equal(gradient[:batch], heads.grad)
    assert torch.equal(gradient[batch:], tails.grad.flatten(0, 1))


def test_ends_of_no_whole_edges() -> None:
    for rows in (3, 5):
        found = rf"2 or more rows for each of 3 heads, not shape \({rows}, 2\)"
        with pytest.raises(ValueError, match=found):
            ops.negative_edge_gradients(torch.ones(rows, 2), 3, A, B)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_loss_of_ends_is_differentiable(dtype: torch.dtype, device: torch.device) -> None:
    heads, tails = random_batch(70, 4, 2, device)
    ends = torch.cat((heads, tails.flatten(0, 1))).detach().to(dtype).requires_grad_()
    loss, gradient = ops.negative_edge_gradients(ends, 70, A, B)
    assert not gradient.requires_grad
    assert {loss.dtype, gradient.dtype} == {dtype}
    (3 * loss).backward()
    assert torch.equal(ends.grad, 3 * gradient)
    with torch.no_grad():
        assert not ops.negative_edge_gradients(ends, 70, A, B)[0].requires_grad
