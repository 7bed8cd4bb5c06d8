"""graph_matmul against the dense product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference


def random_edges(n: int, k: int, device: torch.device | str = "cpu") -> ops.Edges:
    rng = np.random.default_rng([n, k])
    indices = (np.arange(n)[:, None] + np.argsort(rng.random((n, n)))[:, :k]) % n
    weights = rng.random((n, k), dtype=np.float32)
    return ops.symmetrize(
        torch.from_numpy(indices).to(device), torch.from_numpy(weights).to(device)
    )


def random_columns(n: int, *columns: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(n)
    return torch.randn((n, *columns), generator=generator, dtype=torch.float64)


def expected_product(edges: ops.Edges, scale: torch.Tensor, x: torch.Tensor) -> Any:
    _, heads, tails, weights = (part.cpu().numpy() for part in edges)
    scale_array, x_array = (part.double().cpu().numpy() for part in (scale, x))
    return reference.graph_matmul(len(x), heads, tails, weights, scale_array, x_array)


@pytest.mark.parametrize("columns", [1, 2, 15, 16, 17, 100])
@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 1), (17, 5), (300, 15)])
def test_equals_reference(n: int, k: int, columns: int, device: torch.device) -> None:
    edges = random_edges(n, k, device)
    scale, x = random_columns(n).to(device), random_columns(n, columns).to(device)
    out = ops.graph_matmul(edges, scale, x)
    assert out.dtype == torch.float64
    assert out.device.type == device.type
    # Sums of at most 300 terms in float64, 1e-16 each.
    np.testing.assert_allclose(out.cpu(), expected_product(edges, scale, x), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("columns", [1, 7, 8, 13])
def test_a_step_of_a_recurrence(columns: int, device: torch.device) -> None:
    edges = random_edges(200, 10, device)
    scale, gain, shift = (random_columns(200 + i)[:200].to(device) for i in range(3))
    x, previous = (random_columns(200 + i, columns)[:200].to(device) for i in range(2))
    product = torch.from_numpy(expected_product(edges, scale, x)).to(device)
    expected = gain[:, None] * product + shift[:, None] * x - previous
    found = ops.graph_matmul(edges, scale, x, step=(gain, shift, previous))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    out = previous.clone()
    assert ops.graph_matmul(edges, scale, x, step=(gain, shift, out), out=out) is out
    assert torch.equal(out, found)


def test_bad_steps_and_outputs() -> None:
    edges, scale, x = random_edges(5, 2), torch.ones(5), torch.ones((5, 2), dtype=torch.float64)
    with pytest.raises(
        ValueError, match=r"step must be gain \(5,\), .* not \(5,\), \(4,\), \(5, 2\)"
    ):
        ops.graph_matmul(edges, scale, x, step=(scale, scale[:4], x))
    for wrong in (
        x,
        x.float(),
        torch.ones((5, 3), dtype=torch.float64),
        torch.ones((2, 5)).double().T,
    ):
        with pytest.raises(ValueError, match="out must be a contiguous float64 tensor"):
            ops.graph_matmul(edges, scale, x, out=wrong)


def test_points_without_edges(device: torch.device) -> None:
    edges = ops.Edges(
        torch.tensor([0, 0, 1, 1, 2, 2], device=device),
        torch.tensor([1, 3], dtype=torch.int32, device=device),
        torch.tensor([3, 1], dtype=torch.int32, device=device),
        torch.tensor([0.5, 0.5], device=device),
    )
    x = torch.arange(10.0, device=device).double().reshape(5, 2)
    scale = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0], dtype=torch.float64, device=device)
    assert ops.graph_matmul(edges, scale, x).tolist() == [
        [0.0, 0.0], [24.0, 28.0], [0.0, 0.0], [8.0, 12.0], [0.0, 0.0]
    ]  # fmt: skip


@pytest.mark.parametrize(("n", "columns"), [(0, 2), (4, 0), (4, 3)])
def test_empty(n: int, columns: int, device: torch.device) -> None:
    none = torch.empty(0, dtype=torch.int32, device=device)
    edges = ops.Edges(
        torch.zeros(n + 1, dtype=torch.int64, device=device),
        none,
        none,
        torch.empty(0, device=device),
    )
    x = torch.ones((n, columns), dtype=torch.float64, device=device)
    out = ops.graph_matmul(edges, torch.ones(n, dtype=torch.float64, device=device), x)
    assert torch.equal(out, torch.zeros_like(x))


def test_huge_and_tiny_values(device: torch.device) -> None:
    edges = random_edges(20, 4, device)
    scale, x = torch.full((20,), 1e-30, device=device).double(), random_columns(20, 2).to(device)
    out = ops.graph_matmul(edges, scale, 1e30 * x)
    expected = expected_product(edges, scale, 1e30 * x)
    np.testing.assert_allclose(out.cpu(), expected, rtol=1e-10, atol=1e-43)


def test_layouts_and_unchanged_inputs(device: torch.device) -> None:
    edges = random_edges(50, 6, device)
    scale, x = random_columns(50).to(device), random_columns(50, 3).to(device)
    before = (scale.clone(), x.clone())
    expected = ops.graph_matmul(edges, scale, x)
    strided = ops.graph_matmul(edges, torch.stack((scale, scale), 1)[:, 0], x.T.contiguous().T)
    assert torch.equal(strided, expected)
    assert torch.equal(scale, before[0])
    assert torch.equal(x, before[1])
    single = ops.graph_matmul(edges, scale.float(), x.float())
    np.testing.assert_array_equal(
        single.cpu(), ops.graph_matmul(edges, scale.float().double(), x.float().double()).cpu()
    )


# A piece of work is 8192 points.
def test_threads_do_not_matter(assert_same_bits: Callable[[Any], None]) -> None:
    n = 20_001
    ring = torch.stack((torch.arange(n) + 1, torch.arange(n) + 7), 1) % n
    weights = torch.rand((n, 2), generator=torch.Generator().manual_seed(0))
    edges = ops.symmetrize(ring, weights)
    scale, x = random_columns(n), random_columns(n, 3)
    assert_same_bits(lambda: ops.graph_matmul(edges, scale, x))


def test_lengths_must_agree() -> None:
    edges = random_edges(5, 2)
    good_scale, good_x = torch.ones(5, dtype=torch.float64), torch.ones((5, 2), dtype=torch.float64)
    for scale, x in ((good_scale[:4], good_x), (good_scale, good_x[:4])):
        with pytest.raises(ValueError, match="edges, scale and x must be of one number of points"):
            ops.graph_matmul(edges, scale, x)


def test_x_must_have_columns() -> None:
    with pytest.raises(ValueError, match="x must have 2 dim"):
        ops.graph_matmul(random_edges(5, 2), torch.ones(5), torch.ones(5))


def test_devices_must_agree() -> None:
    scale, x = torch.ones(5, device="meta"), torch.ones((5, 2))
    with pytest.raises(ValueError, match="one device, not weights on cpu, scale on meta"):
        ops.graph_matmul(random_edges(5, 2), scale, x)


def test_takes_arrays() -> None:
    edges = random_edges(17, 5)
    scale, x = random_columns(17), random_columns(17, 2)
    product = ops.graph_matmul(edges, scale.numpy(), x.numpy())
    assert torch.equal(product, ops.graph_matmul(edges, scale, x))
