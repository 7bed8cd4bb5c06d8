"""shared_neighbors against sets, and what it promises at the borders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference


def lists(n: int, k: int, lacking: float = 0.0) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng([n, k])
    found = np.empty((n, k), np.int32)
    for i in range(n):  # among close indices, so that points share some
        near = (i + 1 + rng.permutation(min(n - 1, 3 * k))[:k]) % n
        found[i] = near
    found[rng.random((n, k)) < lacking] = -1
    return found


@pytest.mark.parametrize("lacking", [0.0, 0.3])
@pytest.mark.parametrize(("n", "k"), [(2, 1), (50, 5), (300, 16), (300, 17), (700, 40)])
def test_equals_sets(n: int, k: int, lacking: float, device: torch.device) -> None:
    indices = lists(n, k, lacking)
    for width in {1, (k + 1) // 2, k}:
        counts = ops.shared_neighbors(torch.from_numpy(indices).to(device), width)
        assert counts.dtype == torch.int32
        assert counts.device.type == device.type
        np.testing.assert_array_equal(counts.cpu(), reference.shared_neighbors(indices, width))
    assert torch.equal(
        ops.shared_neighbors(indices), ops.shared_neighbors(indices, k)
    )  # the default


def test_two_cliques_and_a_bridge(device: torch.device) -> None:
    # Points 0-4 know each other, 5-9 too; 4 lists 5 instead of 0.
    rows = [[j for j in range(5) if j != i] for i in range(5)]
    rows += [[j for j in range(5, 10) if j != i] for i in range(5, 10)]
    rows[4] = [1, 2, 3, 5]
    counts = ops.shared_neighbors(torch.tensor(rows, device=device)).cpu()
    assert counts[4].tolist() == [2, 2, 2, 0]
    assert counts[5].tolist() == [3, 3, 3, 3]


def test_nothing_to_share(device: torch.device) -> None:
    empty = torch.empty((0, 3), dtype=torch.int32, device=device)
    assert ops.shared_neighbors(empty).shape == (0, 3)
    none = torch.full((4, 3), -1, device=device)
    assert ops.shared_neighbors(none).tolist() == [[0, 0, 0]] * 4


def test_the_same_for_any_threads() -> None:
    indices, before = lists(3000, 12), torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(ops.shared_neighbors(indices))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize(
    ("indices", "width", "error", "message"),
    [
        (np.array([[0.5]]), None, TypeError, "indices must hold integers"),
        (np.array([0]), None, ValueError, "indices must have 2 dimensions"),
        (np.array([[2], [0]]), None, ValueError, "indices must lie below 2, but holds 2"),
        (np.array([[1], [0]]), 2, ValueError, "width must be an integer in"),
        (np.array([[1], [0]]), 0, ValueError, "width must be an integer in"),
    ],
)
def test_bad_input(indices: Any, width: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ops.shared_neighbors(indices, width)
