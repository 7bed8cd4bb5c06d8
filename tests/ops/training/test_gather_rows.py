"""gather_rows against torch's own indexing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference


def random_table(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(len(shape))
    return torch.randint(0, 100, shape, generator=generator).to(dtype)


def random_indices(m: int, n: int) -> torch.Tensor:
    return torch.randint(n, (m,), generator=torch.Generator().manual_seed(m))


@pytest.mark.parametrize("row", [(), (1,), (2,), (15,), (16,), (17,), (100,), (3, 4), (0,)])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (5, 3), (33, 100), (1000, 17)])
def test_equals_indexing(m: int, n: int, row: tuple[int, ...], device: torch.device) -> None:
    table, indices = random_table((n, *row)).to(device), random_indices(m, n).to(device)
    rows = ops.gather_rows(table, indices)
    assert rows.dtype == table.dtype
    assert rows.device == table.device
    assert rows.shape == (m, *row)
    assert torch.equal(rows, table[indices])
    expected = reference.gather_rows(table.cpu().numpy(), indices.cpu().numpy())
    np.testing.assert_array_equal(rows.cpu(), expected)


@pytest.mark.parametrize(
    "dtype",
    [
        torch.bool, torch.uint8, torch.int16, torch.int32, torch.int64, torch.float16,
        torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128,
    ],
)  # fmt: skip
@pytest.mark.parametrize("width", [1, 3, 5])
def test_any_dtype(width: int, dtype: torch.dtype, device: torch.device) -> None:
    table, indices = random_table((40, width), dtype).to(device), random_indices(70, 40).to(device)
    rows = ops.gather_rows(table, indices)
    assert rows.dtype == dtype
    assert torch.equal(rows, table[indices])


def test_values_are_moved_as_they_are(device: torch.device) -> None:
    table = torch.tensor([[np.nan, -0.0], [np.inf, 1e-45]], device=device)
    rows = ops.gather_rows(table, torch.tensor([1, 0, 1], device=device))
    assert rows.cpu().numpy().tobytes() == table[[1, 0, 1]].cpu().numpy().tobytes()


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_index_dtypes(dtype: torch.dtype, device: torch.device) -> None:
    table, indices = random_table((10, 4)).to(device), random_indices(20, 10).to(device)
    assert torch.equal(ops.gather_rows(table, indices.to(dtype)), table[indices])


def test_empty(device: torch.device) -> None:
    none = torch.empty(0, dtype=torch.int64, device=device)
    assert ops.gather_rows(random_table((5, 3)).to(device), none).shape == (0, 3)
    assert ops.gather_rows(torch.empty((0, 3), device=device), none).shape == (0, 3)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.T.contiguous().T,
        lambda t: torch.stack((t, -t), 2)[:, :, 0],
        lambda t: t.repeat_interleave(2, 0)[::2],
        lambda t: t.clone().requires_grad_(),
    ],
    ids=["transposed", "strided", "every_other_row", "requires_grad"],
)
def test_layouts_and_unchanged_inputs(
    change: Callable[[torch.Tensor], torch.Tensor], device: torch.device
) -> None:
    table, indices = random_table((30, 5)).to(device), random_indices(50, 30).to(device)
    given, strided = change(table), torch.stack((indices, indices), 1)[:, 0]
    rows = ops.gather_rows(given, strided)
    assert torch.equal(rows, table[indices])
    assert not rows.requires_grad
    assert torch.equal(given, table)
    assert torch.equal(strided, indices)


@pytest.mark.parametrize("dtype", ["f4", "i8", "?", "u1", "f8"])
def test_numpy_tables_keep_their_dtype(dtype: str) -> None:
    table, indices = random_table((20, 3)).numpy().astype(dtype), random_indices(9, 20).numpy()
    table.flags.writeable = False
    rows = ops.gather_rows(table, indices)
    np.testing.assert_array_equal(rows, table[indices])
    assert rows.numpy().dtype == table.dtype


# A piece of work is 256 KiB.
@pytest.mark.parametrize("width", [1, 300])
def test_threads_do_not_matter(width: int, assert_same_bits: Callable[[Any], None]) -> None:
    table, indices = random_table((500, width)), random_indices(200_001 // width + 2000, 500)
    assert_same_bits(lambda: ops.gather_rows(table, indices))
    assert torch.equal(ops.gather_rows(table, indices), table[indices])


@pytest.mark.parametrize(
    ("table", "indices", "error", "message"),
    [
        (np.ones((3, 2)), [0, 3], ValueError, r"indices must lie in \[0, 3\), but holds 3"),
        (np.ones((3, 2)), [-1], ValueError, r"indices must lie in \[0, 3\), but holds -1"),
        (np.ones((3, 2)), [2**32], ValueError, r"indices must lie in \[0, 3\)"),
        (np.ones((0, 2)), [0], ValueError, r"indices must lie in \[0, 0\)"),
        (np.ones((3, 2)), [0.0], TypeError, "indices must hold integers"),
        (np.ones((3, 2)), [True], TypeError, "indices must hold integers"),
        (np.ones((3, 2)), [[0]], ValueError, "indices must have 1 dim"),
        (torch.tensor(1.0), [0], ValueError, "indices must lie in"),
        ("table", [0], TypeError, "tensor, numpy array or list"),
    ],
)
def test_bad_input(table: Any, indices: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ops.gather_rows(table, indices)


@pytest.mark.parametrize("device", [pytest.param("cuda", marks=pytest.mark.cuda)], indirect=True)
def test_devices_must_agree(device: torch.device) -> None:
    table, indices = torch.ones((3, 2), device=device), torch.zeros(1, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"one device, not table on cuda.* indices on cpu"):
        ops.gather_rows(table, indices)


@pytest.mark.parametrize(("m", "n", "dim"), [(0, 4, 2), (1, 1, 1), (500, 7, 2), (300, 400, 5)])
def test_scatter_add_is_the_gradient_of_gather_rows(m: int, n: int, dim: int) -> None:
    indices, rows = random_indices(m, n), torch.randn(m, dim)
    summed = ops.scatter_add(rows, indices, n)
    expected = torch.zeros(n, dim, dtype=torch.float64).index_add_(0, indices, rows.double())
    torch.testing.assert_close(summed.double(), expected, rtol=1e-5, atol=1e-5)
    table = torch.randn(n, dim)
    # <gather(table), rows> = <table, scatter_add(rows)>
    left, right = (ops.gather_rows(table, indices) * rows).sum(), (table * summed).sum()
    torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-3)


def test_scatter_add_of_bad_input() -> None:
    with pytest.raises(ValueError, match=r"indices must lie in \[0, 2\), but holds 2"):
        ops.scatter_add(torch.ones(1, 2), [2], 2)
    with pytest.raises(ValueError, match="as many as the indices, not 3 on cpu for 1"):
        ops.scatter_add(torch.ones(3, 2), [0], 2)
