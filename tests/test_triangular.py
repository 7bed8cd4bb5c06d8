"""Values above the diagonal: their places, conversions and distances, with gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fastparadime import relationdata
from fastparadime.utils import triangular


def points(n: int, dim: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(n + dim)
    return torch.randn(n, dim, dtype=dtype, generator=generator)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 50, 2050])
def test_square_and_triangle_are_inverse(n: int, device: torch.device) -> None:
    count = n * (n - 1) // 2
    values = torch.rand(count, device=device)
    square = triangular.to_square(values, n)
    assert square.shape == (n, n)
    assert torch.equal(square, square.T)
    assert not square.diagonal().any()
    assert torch.equal(triangular.to_triangle(square), values)
    row, column = np.triu_indices(n, 1)
    assert torch.equal(square[row, column], values)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_gradients_of_the_square(n: int) -> None:
    values = torch.rand(n * (n - 1) // 2, dtype=torch.float64, requires_grad=True)
    weights = points(n, n)

    def weighted(given: torch.Tensor) -> torch.Tensor:
        return (triangular.to_square(given, n) * weights).square()

    assert torch.autograd.gradcheck(weighted, values)
    assert torch.autograd.gradgradcheck(weighted, values)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.5, math.inf])
@pytest.mark.parametrize("dim", [1, 2, 3, 16, 17, 100])
@pytest.mark.parametrize("n", [1, 2, 3, 60])
def test_distances_are_those_of_torch(n: int, dim: int, p: float, device: torch.device) -> None:
    x = points(n, dim).to(device).requires_grad_()
    y = x.detach().clone().requires_grad_()
    ours, theirs = triangular.pairwise_distances(x, p), torch.nn.functional.pdist(y, p)
    torch.testing.assert_close(ours, theirs)
    weights = torch.linspace(0.1, 1, len(ours), dtype=torch.float64, device=device)
    (ours * weights).sum().backward()
    (theirs * weights).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)


def test_gradients_of_distances() -> None:
    x = points(6, 2).requires_grad_()
    assert torch.autograd.gradcheck(triangular.pairwise_distances, x)


def test_repeated_and_distant_points() -> None:
    x = torch.tensor([[1.0, 2.0], [1.0, 2.0], [1e15, -1e15]], requires_grad=True)
    distances = triangular.pairwise_distances(x)
    assert distances[0] == 0
    assert torch.isfinite(distances).all()
    distances.sum().backward()
    assert torch.isfinite(x.grad).all()
    alone = torch.ones(4, 2, requires_grad=True)
    triangular.pairwise_distances(alone).sum().backward()
    assert not alone.grad.any()


def test_close_points_far_from_the_origin_keep_their_gradient() -> None:
    # Differences are exact in float32; products of coordinates would leave no digit.
    x = torch.tensor([[1000.0, 1000.0], [1000.0005, 1000.0], [999.0, 1000.0]], requires_grad=True)
    distances = triangular.pairwise_distances(x)
    exact = torch.nn.functional.pdist(x.detach().double())
    torch.testing.assert_close(distances.detach().double(), exact, rtol=1e-6, atol=0)
    distances[0].backward()
    torch.testing.assert_close(x.grad, torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]))


def test_places_are_not_kept_for_large_matrices() -> None:
    before = triangular._cached_pairs.cache_info().currsize
    relationdata.TriangularRelationTensor(torch.rand(2100 * 2099 // 2)).to_square_tensor()
    assert triangular._cached_pairs.cache_info().currsize == before
