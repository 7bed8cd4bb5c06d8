"""Lists of the nearest columns, tile by tile, against a sort of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference


def products(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cosines and norms, float32; columns of few norms and cosines, so that bounds tie."""
    rng = np.random.default_rng([rows, columns])
    cosines = rng.integers(-20, 20, (rows, columns)).astype(np.float32) / 20
    norms = rng.integers(1, 4, columns).astype(np.float32)
    return cosines, rng.integers(1, 3, rows).astype(np.float32), norms


def fill(
    cosines: np.ndarray,
    row_norms: np.ndarray,
    norms: np.ndarray,
    count: int,
    cuts: list[int],
    device: torch.device | str = "cpu",
) -> ops.Candidates:
    lists = ops.Candidates(torch.from_numpy(row_norms).to(device), count)
    for start, stop in zip([0, *cuts], [*cuts, len(norms)], strict=True):
        tile = torch.from_numpy(cosines[:, start:stop]).to(device)
        lists.update(tile, torch.from_numpy(norms[start:stop]).to(device), start, slack=0.25)
    return lists


@pytest.mark.parametrize("count", [1, 32, 33, 100, 200, 512])
@pytest.mark.parametrize("cuts", [[], [1, 17, 530], [128, 256, 1000]])
def test_equals_reference(count: int, cuts: list[int], device: torch.device) -> None:
    cosines, row_norms, norms = products(37, 1203)
    lists = fill(cosines, row_norms, norms, count, cuts, device)
    width = ops.candidate_width(count)
    assert lists.bounds.shape == lists.indices.shape == (37, width)
    wanted = reference.nearest_in_tile(
        *(a.astype(float) for a in (cosines, row_norms, norms)), 0.25, width
    )
    # Ties go to the smaller column, and quarters and twentieths leave ties that rounding keeps.
    np.testing.assert_allclose(lists.bounds.cpu(), wanted[1], rtol=1e-5, atol=2e-6)
    D = norms**2 - 2 * row_norms[:, None] * norms * (cosines + np.float32(0.25))
    indices = lists.indices.cpu().numpy()
    assert all(len(set(row)) == width for row in indices.tolist())
    np.testing.assert_allclose(np.take_along_axis(D, indices, 1), wanted[1], rtol=1e-5, atol=2e-6)


def test_layouts_of_memory(device: torch.device) -> None:
    cosines, row_norms, norms = products(5, 70)
    expected = fill(cosines, row_norms, norms, 32, [], device)
    lists = ops.Candidates(torch.from_numpy(row_norms).to(device), 32)
    spread = torch.from_numpy(np.repeat(norms, 3)).to(device)[::3]
    lists.update(torch.from_numpy(cosines.T.copy()).to(device).T, spread, 0, slack=0.25)
    assert torch.equal(lists.indices, expected.indices)
    assert torch.equal(lists.bounds, expected.bounds)


def test_ties_go_to_the_smaller_column(device: torch.device) -> None:
    cosines = np.zeros((2, 300), np.float32)
    lists = fill(cosines, np.ones(2, np.float32), np.ones(300, np.float32), 32, [50, 200], device)
    assert lists.indices.tolist() == [list(range(32))] * 2


def test_short_tiles_leave_places_empty(device: torch.device) -> None:
    cosines, row_norms, norms = products(4, 10)
    norms[7:] = np.inf  # no points
    lists = fill(cosines, row_norms, norms, 32, [3], device)
    assert bool((lists.indices[:, 7:] == -1).all())
    assert bool(lists.bounds[:, 7:].isinf().all())
    assert lists.indices[:, :7].sort(dim=1).values.tolist() == [list(range(7))] * 4


def test_the_way_tiles_are_cut_does_not_matter(device: torch.device) -> None:
    rng = np.random.default_rng(0)
    cosines = rng.uniform(-1, 1, (50, 999)).astype(np.float32)
    norms = rng.uniform(1, 2, 1049).astype(np.float32)
    whole = fill(cosines, norms[:50], norms[50:], 64, [], device)
    for cuts in ([4], [1, 2, 3], [500, 501, 997]):
        lists = fill(cosines, norms[:50], norms[50:], 64, cuts, device)
        assert torch.equal(lists.bounds, whole.bounds)
        assert torch.equal(lists.indices, whole.indices)


@pytest.fixture
def arrays() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return products(300, 700)


def test_threads_do_not_matter(
    arrays: tuple[np.ndarray, np.ndarray, np.ndarray], assert_same_bits: Callable[[Any], None]
) -> None:
    def call() -> tuple[torch.Tensor, torch.Tensor]:
        lists = fill(*arrays, 32, [100])
        return lists.bounds, lists.indices

    assert_same_bits(call)


def test_empty(device: torch.device) -> None:
    for rows, columns in ((0, 5), (3, 0)):
        lists = fill(*products(rows, columns), 5, [], device)
        assert lists.indices.tolist() == [[-1] * 32] * rows


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"count must be an integer in \[1, 512\], not 513"):
        ops.Candidates(torch.ones(3), 513)
    lists = ops.Candidates(torch.ones(3), 5)
    with pytest.raises(ValueError, match=r"cosines must have shape \(3, 2\), not \(2, 2\)"):
        lists.update(torch.ones((2, 2)), torch.ones(2), 0, slack=0.0)
    for first in (-1, 2**31 - 2):
        with pytest.raises(ValueError, match=r"columns must lie in \[0, 2147483647\), not"):
            lists.update(torch.ones((3, 2)), torch.ones(2), first, slack=0.0)
    with pytest.raises(ValueError, match="one device, not rows on cpu, cosines on meta"):
        lists.update(torch.ones((3, 2), device="meta"), torch.ones(2), 0, slack=0.0)


def test_former_names_warn() -> None:
    X = torch.nn.functional.normalize(torch.eye(8).repeat(4, 1) + 0.1).half()
    norms = torch.ones(32)
    new, former = (ops.Candidates(norms, 5) for _ in range(2))
    new.update(X.float() @ X.float().T, norms, 0, slack=0.0)
    new.update_from_units(X, X, norms, 32, slack=0.0)
    with pytest.warns(DeprecationWarning, match="take_in is now called update"):
        former.take_in(X.float() @ X.float().T, norms, 0, slack=0.0)
    with pytest.warns(DeprecationWarning, match="take_in_units is now called update_from_units"):
        former.take_in_units(X, X, norms, 32, slack=0.0)
    torch.testing.assert_close(former.indices, new.indices, rtol=0, atol=0)
    torch.testing.assert_close(former.bounds, new.bounds, rtol=0, atol=0)
