"""Products of unit rows and the search among them in one pass, against a sort of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference

SLACK = 0.25


def units(n: int, d: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows whose products are exact in float32, and norms: of few values, so that bounds tie."""
    rng = np.random.default_rng([n, d, seed])
    rows = rng.integers(-8, 9, (n, d)) / 8
    norms = rng.integers(1, 4, n).astype(np.float32)
    return torch.from_numpy(rows).half(), torch.from_numpy(norms)


@pytest.fixture(params=[None, "mma", "wgmma"])
def engine(request: pytest.FixtureRequest, device: torch.device) -> ops.ProductEngine | None:
    """By which products are taken: each that a GPU has, and the CPU's."""
    wanted: ops.ProductEngine | None = request.param
    if wanted is not None and device.type == "cpu":
        pytest.skip("the CPU has no engines")
    if wanted is not None and not ops.most_unit_columns(device, wanted):
        pytest.skip(f"the GPU has no {wanted}")
    return wanted


def skip_if_too_wide(d: int, device: torch.device, engine: ops.ProductEngine | None) -> None:
    if d > ops.most_unit_columns(device, engine):
        pytest.skip(f"{engine} takes fewer columns")


def fill(
    rows: tuple[torch.Tensor, torch.Tensor],
    columns: tuple[torch.Tensor, torch.Tensor],
    count: int,
    cuts: list[int],
    device: torch.device | str = "cpu",
    engine: ops.ProductEngine | None = None,
) -> ops.Candidates:
    lists = ops.Candidates(rows[1].to(device), count)
    for start, stop in zip([0, *cuts], [*cuts, len(columns[1])], strict=True):
        part, norms = (whole[start:stop].to(device) for whole in columns)
        mine = rows[0].to(device)
        lists.update_from_units(mine, part, norms, start, slack=SLACK, engine=engine)
    return lists


def by_tile(
    rows: tuple[torch.Tensor, torch.Tensor], columns: tuple[torch.Tensor, torch.Tensor], count: int
) -> ops.Candidates:
    lists = ops.Candidates(rows[1], count)
    lists.update(rows[0].float() @ columns[0].float().T, columns[1], 0, slack=SLACK)
    return lists


@pytest.mark.parametrize("d", [8, 16, 24, 40, 56, 64, 72, 96, 104, 128, 200, 256, 264, 784])
def test_equals_the_search_of_a_tile(
    d: int, device: torch.device, engine: ops.ProductEngine | None
) -> None:
    skip_if_too_wide(d, device, engine)
    rows, columns = units(300, d, 0), units(290 + d, d, 1)
    found, wanted = fill(rows, columns, 32, [], device, engine), by_tile(rows, columns, 32)
    assert torch.equal(found.indices.cpu(), wanted.indices)
    assert torch.equal(found.bounds.cpu(), wanted.bounds)


@pytest.mark.parametrize("count", [1, 33, 100, 200, 512])
@pytest.mark.parametrize("cuts", [[], [1, 65, 530]])
def test_lists_of_all_widths_and_several_calls(
    count: int, cuts: list[int], device: torch.device, engine: ops.ProductEngine | None
) -> None:
    rows, columns = units(37, 16, 0), units(603, 16, 1)
    found, wanted = fill(rows, columns, count, cuts, device, engine), by_tile(rows, columns, count)
    assert torch.equal(found.indices.cpu(), wanted.indices)
    assert torch.equal(found.bounds.cpu(), wanted.bounds)


def test_equals_reference(device: torch.device, engine: ops.ProductEngine | None) -> None:
    rng = np.random.default_rng(2)
    (rows, columns), norms = rng.standard_normal((2, 500, 48)), rng.uniform(0.5, 2, (2, 500))
    parts = [torch.from_numpy(part / 7).half() for part in (rows, columns)]
    of_rows, of_columns = (torch.from_numpy(part).float() for part in norms)
    found = fill((parts[0], of_rows), (parts[1], of_columns), 64, [], device, engine)
    products = parts[0].double() @ parts[1].double().T
    wanted = reference.nearest_in_tile(products.numpy(), *norms, SLACK, 64)
    np.testing.assert_allclose(found.bounds.cpu(), wanted[1], rtol=1e-5, atol=1e-5)
    bounds = norms[1] ** 2 - 2 * norms[0][:, None] * norms[1] * (products.numpy() + SLACK)
    chosen = np.take_along_axis(bounds, found.indices.cpu().numpy(), 1)
    np.testing.assert_allclose(chosen, wanted[1], rtol=1e-5, atol=1e-5)


def test_every_half_is_read(device: torch.device, engine: ops.ProductEngine | None) -> None:
    """Columns that are one number each, subnormal ones included, beside a row that is one."""
    values = torch.arange(-0x7BFF, 0x7C00, 7, dtype=torch.int32).to(torch.int16)
    values = torch.where(values < 0, -32768 - values, values).to(torch.int16).view(torch.float16)
    columns, row = torch.zeros((len(values), 8)).half(), torch.zeros((1, 8)).half()
    columns[:, 3], row[0, 3] = values, 1
    ones = torch.ones(len(values))
    lists = ops.Candidates(torch.ones(1, device=device), 512)
    parts = (part.to(device) for part in (row, columns, ones))
    lists.update_from_units(*parts, 0, slack=0.0, engine=engine)
    bounds = 1 - 2 * values.float()
    wanted = torch.sort(bounds, stable=True)
    assert torch.equal(lists.bounds[0].cpu(), wanted.values[:512])
    assert torch.equal(lists.indices[0].cpu().long(), wanted.indices[:512])


def test_newcomers_in_any_order(device: torch.device, engine: ops.ProductEngine | None) -> None:
    """Columns that come ever nearer all join, and those that come ever farther do not."""
    row = torch.zeros((1, 8)).half()
    row[0, 0] = 1
    columns = torch.zeros((700, 8)).half()
    columns[:, 0] = torch.arange(700) / 1024
    ones = torch.ones(700, device=device)
    for towards in (columns, columns.flip(0)):
        lists = ops.Candidates(ones[:1], 32)
        parts = row.to(device), towards.to(device), ones
        lists.update_from_units(*parts, 0, slack=0.0, engine=engine)
        expected = list(range(699, 667, -1)) if towards is columns else list(range(32))
        assert lists.indices.tolist() == [expected]


def test_ties_go_to_the_smaller_column(device: torch.device) -> None:
    same = torch.full((300, 16), 0.25).half(), torch.ones(300)
    lists = fill((same[0][:2], same[1][:2]), same, 32, [50, 200], device)
    assert lists.indices.tolist() == [list(range(32))] * 2


def test_short_tables_leave_places_empty(
    device: torch.device, engine: ops.ProductEngine | None
) -> None:
    rows, columns = units(4, 8, 0), units(10, 8, 1)
    columns[1][7:] = torch.inf  # no points
    lists = fill(rows, columns, 32, [3], device, engine)
    assert bool((lists.indices[:, 7:] == -1).all())
    assert bool(lists.bounds[:, 7:].isinf().all())
    assert lists.indices[:, :7].sort(dim=1).values.tolist() == [list(range(7))] * 4


def test_layouts_of_memory(device: torch.device) -> None:
    rows, columns = units(50, 16, 0), units(70, 16, 1)
    expected = fill(rows, columns, 32, [], device)
    whole = ops.Candidates(torch.cat([rows[1], rows[1]]).to(device), 32)
    spread = torch.zeros(70 * 16 + 1).half().to(device)
    spread[1:] = columns[0].flatten().to(device)  # not aligned
    for start in (0, 50):
        part = whole.part(slice(start, start + 50))
        turned = rows[0].T.contiguous().to(device).T
        part.update_from_units(
            turned, spread[1:].view(70, 16), columns[1].to(device), 0, slack=SLACK
        )
    for start in (0, 50):
        assert torch.equal(whole.indices[start : start + 50], expected.indices)
        assert torch.equal(whole.bounds[start : start + 50], expected.bounds)


def test_arrays_as_tensors() -> None:
    rows, columns = units(20, 16, 0), units(30, 16, 1)
    lists = ops.Candidates(rows[1].numpy(), 32)
    lists.update_from_units(rows[0].numpy(), *(part.numpy() for part in columns), 0, slack=SLACK)
    assert torch.equal(lists.indices, fill(rows, columns, 32, []).indices)


def test_threads_do_not_matter(assert_same_bits: Callable[[Any], None]) -> None:
    rows, columns = units(200, 40, 0), units(500, 40, 1)

    def call() -> tuple[torch.Tensor, torch.Tensor]:
        lists = fill(rows, columns, 32, [100])
        return lists.bounds, lists.indices

    assert_same_bits(call)


def test_empty(device: torch.device) -> None:
    for n, columns in ((0, 5), (3, 0)):
        lists = fill(units(n, 8, 0), units(columns, 8, 1), 5, [], device)
        assert lists.indices.tolist() == [[-1] * 32] * n


def test_bad_input() -> None:
    lists, ones = ops.Candidates(torch.ones(3), 5), torch.ones(2)
    good, columns = torch.ones((3, 8)).half(), torch.ones((2, 8)).half()
    with pytest.raises(TypeError, match=r"units must have dtype float16, not torch\.float32"):
        lists.update_from_units(good.float(), columns, ones, 0, slack=0.0)
    for d in (0, 12):
        rows = torch.ones((3, d)).half()
        with pytest.raises(ValueError, match=rf"multiple of 8 columns, not shape \(3, {d}\)"):
            lists.update_from_units(rows, columns, ones, 0, slack=0.0)
    wide = torch.ones((3, 65544)).half()
    with pytest.raises(ValueError, match="at most 65536 columns on cpu, not 65544"):
        lists.update_from_units(wide, wide[:2], ones, 0, slack=0.0)
    for engine, message in (("mma", "'mma' is a GPU's, but"), ("avx", "'mma', 'wgmma' or None")):
        with pytest.raises(ValueError, match=message):
            lists.update_from_units(good, columns, ones, 0, slack=0.0, engine=engine)
    with pytest.raises(ValueError, match=r"column_units must have shape \(2, 8\), not \(2, 16\)"):
        lists.update_from_units(good, torch.ones((2, 16)).half(), ones, 0, slack=0.0)
    with pytest.raises(ValueError, match=r"^units must have shape \(3, 8\), not \(2, 8\)"):
        lists.update_from_units(columns, columns, ones, 0, slack=0.0)
    with pytest.raises(ValueError, match=r"columns must lie in \[0, 2147483647\), not"):
        lists.update_from_units(good, columns, ones, 2**31 - 2, slack=0.0)
    with pytest.raises(ValueError, match="one device, not rows on cpu, units on meta"):
        lists.update_from_units(good.to("meta"), columns, ones, 0, slack=0.0)
    assert lists.indices.tolist() == [[-1] * 32] * 3


def test_columns_that_engines_take(cuda: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ops.most_unit_columns("cpu") == 65536
    assert ops.most_unit_columns(cuda, "mma") == ops.MOST_UNIT_COLUMNS
    monkeypatch.setenv("FASTPARADIME_PRODUCTS", "mma")
    assert ops.most_unit_columns(cuda) == ops.MOST_UNIT_COLUMNS
    assert ops.most_unit_columns(cuda, "wgmma") == 0
    units, ones = torch.ones((3, 8), device=cuda).half(), torch.ones(3, device=cuda)
    with pytest.raises(ValueError, match=r"'wgmma' needs a GPU of compute capability 9\.0"):
        ops.Candidates(ones, 5).update_from_units(units, units, ones, 0, slack=0, engine="wgmma")
