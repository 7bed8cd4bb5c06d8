"""unique_nodes against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fastparadime import ops


def expected_nodes(ids: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Distinct ids by first appearance, and the place of each id among them."""
    values, first, inverse = np.unique(ids.ravel(), return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return values[order], place[inverse.ravel()].reshape(ids.shape)


# The table of a search starts at 16 entries and is half full at worst.
@pytest.mark.parametrize("shape", [(1,), (7,), (8,), (9,), (500, 7), (20, 3, 4), (100_000,)])
@pytest.mark.parametrize("limit", [1, 3, 1000, 2**31 - 1])
def test_equals_numpy(shape: tuple[int, ...], limit: int) -> None:
    ids = np.random.default_rng(limit % 1000).integers(limit, size=shape)
    nodes, positions = ops.unique_nodes(torch.from_numpy(ids))
    expected = expected_nodes(ids)
    assert nodes.dtype == positions.dtype == torch.int32
    np.testing.assert_array_equal(nodes, expected[0])
    np.testing.assert_array_equal(positions, expected[1])
    np.testing.assert_array_equal(nodes.numpy()[positions.numpy()], ids)


def test_order_of_first_appearance() -> None:
    nodes, positions = ops.unique_nodes(np.array([[5, 2, 5], [9, 2, 0]]))
    assert nodes.tolist() == [5, 2, 9, 0]
    assert positions.tolist() == [[0, 1, 0], [2, 1, 3]]


@pytest.mark.parametrize("stride", [2**16, 2**20])
def test_ids_that_share_low_bits(stride: int) -> None:
    ids = np.arange(2**31 // stride - 1) * stride
    nodes, positions = ops.unique_nodes(np.append(ids, ids[::-1]))
    np.testing.assert_array_equal(nodes, ids)
    np.testing.assert_array_equal(positions[len(ids) :].flip(0), np.arange(len(ids)))


def test_largest_id() -> None:
    nodes, positions = ops.unique_nodes([2**31 - 2, 0, 2**31 - 2])
    assert nodes.tolist() == [2**31 - 2, 0]
    assert positions.tolist() == [0, 1, 0]


@pytest.mark.parametrize("shape", [(0,), (0, 6), (3, 0)])
def test_empty(shape: tuple[int, ...]) -> None:
    nodes, positions = ops.unique_nodes(torch.empty(shape, dtype=torch.int32))
    assert nodes.shape == (0,)
    assert positions.shape == shape


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.uint8])
def test_layouts_and_unchanged_input(dtype: torch.dtype) -> None:
    ids = torch.arange(12).reshape(3, 4).to(dtype).T % 5
    before = ids.clone()
    nodes, positions = ops.unique_nodes(ids)
    assert nodes.tolist() == [0, 4, 3, 1, 2]
    assert nodes[positions.long()].tolist() == before.tolist()
    assert torch.equal(ids, before)


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([0, -1], ValueError, "ids must lie in .*holds -1"),
        ([2**31], ValueError, "ids must lie in .*holds 2147483648"),
        ([0.5], TypeError, "ids must hold integers"),
        ([True], TypeError, "ids must hold integers"),
    ],
)
def test_bad_input(ids: list[Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ops.unique_nodes(ids)


@pytest.mark.parametrize("device", [pytest.param("cuda", marks=pytest.mark.cuda)], indirect=True)
def test_device_is_named(device: torch.device) -> None:
    with pytest.raises(ValueError, match="ids must be on the CPU, not on cuda"):
        ops.unique_nodes(torch.zeros(2, dtype=torch.int32, device=device))
