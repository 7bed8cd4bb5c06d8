"""anchor_cross_entropy: value, gradient, borders, and what must be refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference

# Anchors fill lanes of 16 or leave some over; rows go in pieces of 16.
SHAPES = [(1, 1, 1), (3, 2, 2), (15, 16, 2), (17, 33, 3), (50, 1003, 2), (500, 200, 5)]

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def drawn(rows: int, anchors: int, dim: int, device: torch.device | str = "cpu") -> Batch:
    rng = np.random.default_rng([rows, anchors, dim])
    parts = (
        4 * rng.normal(size=(rows, anchors)),
        rng.normal(size=(rows, dim)),
        rng.normal(size=(anchors, dim)),
        rng.uniform(0.05, 0.5, anchors),
    )
    scores, *others = (torch.from_numpy(part.astype(np.float32)).to(device) for part in parts)
    return (scores.requires_grad_(), *others)  # type: ignore[return-value]


def as_double(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()


def loss_and_gradient(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    loss = ops.anchor_cross_entropy(*batch)
    return loss, torch.autograd.grad(loss, batch[0])[0]


@pytest.mark.parametrize(("rows", "anchors", "dim"), SHAPES)
def test_equals_reference(rows: int, anchors: int, dim: int, device: torch.device) -> None:
    batch = drawn(rows, anchors, dim, device)
    loss, gradient = loss_and_gradient(batch)
    expected, slopes = reference.anchor_cross_entropy(*map(as_double, batch))
    np.testing.assert_allclose(loss.item(), expected, rtol=1e-5, atol=1e-6)
    # Shares of float32 exponents, which are up to some hundred.
    np.testing.assert_allclose(as_double(gradient), slopes, rtol=1e-4, atol=2e-5 / rows)


def test_equals_plain_torch(device: torch.device) -> None:
    scores, positions, anchors, reaches = batch = drawn(40, 70, 2, device)
    squares = torch.cdist(positions.double(), anchors.double()).square()
    reach = reaches.double()[squares.argmin(dim=1)][:, None]
    shares = torch.softmax(-squares / (2 * reach**2), dim=1)
    wanted = torch.nn.functional.cross_entropy(scores.double(), shares)
    (slopes,) = torch.autograd.grad(wanted, scores)
    loss, gradient = loss_and_gradient(batch)
    np.testing.assert_allclose(loss.item(), wanted.item(), rtol=1e-5)
    np.testing.assert_allclose(as_double(gradient), as_double(slopes), rtol=1e-4, atol=1e-6)


def test_reference_gradient_by_finite_differences() -> None:
    scores, *others = (as_double(part) for part in drawn(3, 5, 2))
    _, gradient = reference.anchor_cross_entropy(scores, *others)
    step = 1e-6
    for index in np.ndindex(scores.shape):
        ends = []
        for sign in (1, -1):
            moved = scores.copy()
            moved[index] += sign * step
            ends.append(reference.anchor_cross_entropy(moved, *others)[0])
        slope = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(slope, gradient[index], rtol=1e-5, atol=1e-8)


def test_what_a_position_asks_for(device: torch.device) -> None:
    """At an anchor alone that one; between two equal ones both; scores that say so cost least."""
    anchors = torch.tensor([[0.0, 0.0], [1.0, 0.0], [9.0, 9.0]], device=device)
    reaches = torch.full((3,), 0.1, device=device)
    positions = torch.tensor([[0.0, 0.0], [0.5, 0.0]], device=device)
    sure = torch.tensor([[30.0, 0.0, 0.0], [30.0, 30.0, 0.0]], device=device)
    loss, gradient = ops.anchor_gradients(sure, positions, anchors, reaches)
    np.testing.assert_allclose(loss.item(), np.log(2) / 2, rtol=1e-5)
    np.testing.assert_allclose(gradient.cpu(), 0.0, atol=1e-6)
    _, gradient = ops.anchor_gradients(torch.zeros_like(sure), positions, anchors, reaches)
    shares = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    np.testing.assert_allclose(gradient.cpu(), (1 / 3 - shares) / 2, atol=1e-6)


def test_far_positions_and_large_scores_are_finite(device: torch.device) -> None:
    scores, positions, anchors, reaches = drawn(20, 40, 2, device)
    for factor in (1e-6, 1e3, 1e6):
        loss, gradient = ops.anchor_gradients(
            factor * scores, factor * positions, factor * anchors, 1e-3 * reaches
        )
        assert bool(torch.isfinite(loss))
        assert bool(torch.isfinite(gradient).all())
        np.testing.assert_allclose(as_double(gradient).sum(axis=1), 0.0, atol=1e-5)


@pytest.mark.parametrize("where", ["scores", "positions"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_seen(where: str, value: float, device: torch.device) -> None:
    scores, positions, anchors, reaches = drawn(20, 40, 2, device)
    scores = scores.detach()
    (scores if where == "scores" else positions)[3, 1] = value
    loss, _ = ops.anchor_gradients(scores, positions, anchors, reaches)
    assert not bool(torch.isfinite(loss))


def test_any_number_of_threads_gives_the_same_bits() -> None:
    batch = drawn(300, 129, 2)
    before, found = torch.get_num_threads(), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(ops.anchor_gradients(*batch))
    torch.set_num_threads(before)
    for loss, gradient in found[1:]:
        assert torch.equal(loss, found[0][0])
        assert torch.equal(gradient, found[0][1])


def test_upstream_gradient_dtypes_and_layouts(device: torch.device) -> None:
    scores, *others = batch = drawn(30, 20, 2, device)
    loss, gradient = loss_and_gradient(batch)
    direct = ops.anchor_gradients(*batch)
    assert torch.equal(direct[0], loss.detach())
    assert torch.equal(direct[1], gradient)
    (-2.5 * ops.anchor_cross_entropy(*batch) + 1).backward()
    assert scores.grad is not None
    torch.testing.assert_close(scores.grad, -2.5 * gradient, rtol=1e-6, atol=0)
    double = scores.detach().double().T.contiguous().T.requires_grad_()
    again, slopes = loss_and_gradient((double, *(part.double() for part in others)))  # type: ignore[arg-type]
    assert again.dtype == slopes.dtype == torch.float64
    torch.testing.assert_close(slopes.float(), gradient, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({0: np.zeros((4, 6))}, r"scores must have one row .* \(4, 5\), .* shape \(4, 6\)"),
        ({0: np.zeros((3, 5))}, r"scores must have one row .* shape \(3, 5\)"),
        ({1: np.zeros((4, 3))}, r"anchors must have as many columns as positions"),
        ({3: np.ones(6)}, r"anchors must have .* as many rows as reaches, .*\(6,\)"),
    ],
    ids=["columns", "rows", "dimensions", "reaches"],
)
def test_shapes_that_disagree(changed: dict[int, Any], match: str) -> None:
    batch: list[Any] = [part.detach() for part in drawn(4, 5, 2)]
    for place, value in changed.items():
        batch[place] = value
    with pytest.raises(ValueError, match=match):
        ops.anchor_cross_entropy(*batch)


def test_no_rows() -> None:
    with pytest.raises(ValueError, match="and not be empty"):
        ops.anchor_cross_entropy(np.zeros((0, 5)), np.zeros((0, 2)), np.zeros((5, 2)), np.ones(5))
