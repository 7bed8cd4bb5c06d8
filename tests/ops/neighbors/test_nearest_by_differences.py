"""The nearest rows by differences of coordinates, against a sort of all."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference


def rows(n: int, d: int, seed: int = 0) -> torch.Tensor:
    """Of few values, so that squares are exact in float32 and distances tie."""
    rng = np.random.default_rng([n, d, seed])
    return torch.from_numpy(rng.integers(-4, 5, (n, d)).astype(np.float32))


def nearest(
    X: torch.Tensor, points: torch.Tensor, count: int, device: torch.device, parts: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    found = ops.nearest_by_differences(X.to(device), points.to(device), count, parts=parts)
    indices, squares = (part.cpu() for part in found)
    return indices, squares


@pytest.mark.parametrize("d", [1, 2, 3, 5, 31, 32, 33, 64, 100])
@pytest.mark.parametrize("n", [5, 128, 700])
def test_equals_reference(n: int, d: int, device: torch.device) -> None:
    X, points = rows(n, d), torch.arange(0, n, 3)
    indices, squares = nearest(X, points, 32, device)
    wanted = reference.nearest_by_differences(X.double().numpy(), points.numpy(), 32)
    width = min(n, 32)
    np.testing.assert_array_equal(indices[:, 0, :width], wanted[0])
    np.testing.assert_array_equal(squares[:, 0, :width], wanted[1])
    assert bool((indices[:, 0, width:] == -1).all())
    assert bool(squares[:, 0, width:].isinf().all())


@pytest.mark.parametrize("count", [1, 33, 100, 200, 512])
def test_lists_of_all_widths(count: int, device: torch.device) -> None:
    X, points = rows(603, 7), torch.tensor([0, 602, 5, 5])
    indices, squares = nearest(X, points, count, device)
    width = ops.candidate_width(count)
    wanted = reference.nearest_by_differences(X.double().numpy(), points.numpy(), width)
    np.testing.assert_array_equal(indices[:, 0], wanted[0])
    np.testing.assert_array_equal(squares[:, 0], wanted[1])


@pytest.mark.parametrize("parts", [2, 7, 64])
def test_parts_are_tables_of_their_own(parts: int, device: torch.device) -> None:
    X, points = rows(500, 9), torch.arange(0, 500, 50)
    indices, squares = nearest(X, points, 32, device, parts)
    bounds = [part * 500 // parts for part in range(parts + 1)]
    for part, (first, last) in enumerate(pairwise(bounds)):
        every = np.square(X[points][:, None].numpy() - X[first:last].numpy()).sum(axis=2)
        order = np.argsort(every, axis=1, kind="stable")[:, :32]
        width = order.shape[1]
        np.testing.assert_array_equal(indices[:, part, :width], order + first)
        np.testing.assert_array_equal(
            squares[:, part, :width], np.take_along_axis(every, order, axis=1)
        )
        assert bool((indices[:, part, width:] == -1).all())


def test_relative_error_where_products_cancel(device: torch.device) -> None:
    rng = np.random.default_rng(1)
    X = torch.from_numpy((1e4 + rng.standard_normal((400, 40))).astype(np.float32))
    points = torch.arange(400)
    indices, squares = nearest(X, points, 32, device)
    every = reference.nearest_by_differences(X.double().numpy(), points.numpy(), 400)
    np.testing.assert_allclose(squares[:, 0], every[1][:, :32], rtol=1e-5)
    true = np.square(X[:, None].double().numpy() - X[indices[:, 0].long()].double().numpy())
    np.testing.assert_allclose(true.sum(axis=2), every[1][:, :32], rtol=1e-5)


def test_columns_that_come_ever_nearer(device: torch.device) -> None:
    X = torch.arange(1000.0, -1.0, -1.0)[:, None]
    indices, squares = nearest(X, torch.tensor([1000]), 32, device)
    assert indices[0, 0].tolist() == list(range(1000, 968, -1))
    assert squares[0, 0].tolist() == [float(i * i) for i in range(32)]


def test_equal_rows_come_by_index(device: torch.device) -> None:
    X = torch.ones((300, 3))
    indices, squares = nearest(X, torch.tensor([299, 7]), 32, device)
    assert indices.tolist() == [[list(range(32))]] * 2
    assert float(squares.max()) == 0.0


def test_no_rows_and_one(device: torch.device) -> None:
    indices, squares = nearest(rows(4, 2), torch.zeros(0, dtype=torch.int64), 1, device)
    assert indices.shape == squares.shape == (0, 1, 32)
    indices, squares = nearest(rows(1, 2), torch.tensor([0]), 1, device)
    assert indices[0, 0].tolist() == [0] + [-1] * 31
    assert float(squares[0, 0, 0]) == 0.0


def test_arguments() -> None:
    X = rows(10, 2)
    with pytest.raises(ValueError, match=r"count must be an integer in .* not 513"):
        ops.nearest_by_differences(X, torch.tensor([0]), 513)
    with pytest.raises(ValueError, match=r"parts must be .*not 65"):
        ops.nearest_by_differences(X, torch.tensor([0]), 5, parts=65)
    with pytest.raises(ValueError, match="points"):
        ops.nearest_by_differences(X, torch.tensor([10]), 5)
