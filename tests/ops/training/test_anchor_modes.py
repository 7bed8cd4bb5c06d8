"""anchor_modes: peaks of anchors by scores, each row by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference

SHAPES = [(1, 1, 1), (3, 2, 2), (31, 16, 2), (33, 37, 3), (70, 1003, 2), (9, 50, 300)]


def drawn(
    rows: int, anchors: int, dim: int, device: torch.device | str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng([rows, anchors, dim])
    parts = (
        3 * rng.normal(size=(rows, anchors)),
        rng.normal(size=(anchors, dim)) / dim**0.5,
        rng.uniform(0.2, 0.5, anchors),
    )
    return tuple(torch.from_numpy(part.astype(np.float32)).to(device) for part in parts)  # type: ignore[return-value]


@pytest.mark.parametrize(("rows", "anchors", "dim"), SHAPES)
def test_equals_reference(rows: int, anchors: int, dim: int, device: torch.device) -> None:
    parts = drawn(rows, anchors, dim, device)
    found = ops.anchor_modes(*parts)
    assert found.shape == (rows, dim)
    expected = reference.anchor_modes(*(part.cpu().double().numpy() for part in parts))
    np.testing.assert_allclose(found.cpu(), expected, rtol=1e-5, atol=3e-6)


def test_the_larger_of_two_groups_is_where_a_row_is(device: torch.device) -> None:
    """Their mean is in neither; the best anchor says which one, and those around it where."""
    anchors = torch.tensor([[0.0, 0.0], [0.2, 0.0], [8.0, 0.0], [8.0, 0.2]], device=device)
    windows = torch.full((4,), 0.5, device=device)
    scores = torch.tensor([[1.0, 1.0, 1.1, -50.0], [1.1, 1.1, 1.0, 1.0]], device=device)
    found = ops.anchor_modes(scores, anchors, windows)
    np.testing.assert_allclose(found.cpu(), [[8.0, 0.0], [0.1, 0.0]], atol=1e-5)


def test_a_row_does_not_depend_on_others(device: torch.device) -> None:
    scores, anchors, windows = drawn(90, 70, 2, device)
    whole = ops.anchor_modes(scores, anchors, windows)
    for row in (0, 31, 89):
        alone = ops.anchor_modes(scores[row : row + 1], anchors, windows)
        assert torch.equal(alone, whole[row : row + 1])
    assert ops.anchor_modes(scores[:0], anchors, windows).shape == (0, 2)


def test_places_far_from_zero_keep_their_digits(device: torch.device) -> None:
    scores, anchors, windows = drawn(40, 60, 2, device)
    near = ops.anchor_modes(scores, anchors, windows)
    far = ops.anchor_modes(scores, anchors + 1000, windows)
    torch.testing.assert_close(far - 1000, near, rtol=0, atol=5e-4)  # 1000 is rounded to 6e-5


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_seen(value: float, device: torch.device) -> None:
    scores, anchors, windows = drawn(20, 40, 2, device)
    scores[3, 1] = value
    found = ops.anchor_modes(scores, anchors, windows)
    assert bool(found[3].isnan().all())
    others = [row for row in range(20) if row != 3]
    assert bool(found[others].isfinite().all())


@pytest.mark.parametrize("shapes", [((4, 6), (5,)), ((4, 5), (6,))], ids=["scores", "windows"])
def test_shapes_that_disagree(shapes: tuple[tuple[int, int], tuple[int]]) -> None:
    scores, windows = (np.ones(shape) for shape in shapes)
    with pytest.raises(ValueError, match="scores must have one column for each of the anchors"):
        ops.anchor_modes(scores, np.zeros((5, 2)), windows)
