"""The search by products of warpgroups on the host, by its own source, against the CPU's loops."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
import pytest
import torch

from fastparadime import ops

SLACK = 0.25


@pytest.fixture(scope="module")
def library(emulated: Callable[[str, str], ctypes.CDLL]) -> ctypes.CDLL:
    library = emulated("products", "neighbors/warpgroup_search.cuh")
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    library.search.restype = ctypes.c_char_p
    library.search.argtypes = [
        *[pointer] * 6, number, number, ctypes.c_float, number, number, number,
        ctypes.c_bool, ctypes.c_bool,
    ]  # fmt: skip
    library.count_tests.argtypes = [*[pointer] * 4, ctypes.c_float, number, pointer]
    library.descriptor_of.restype = ctypes.c_uint64
    library.descriptor_of.argtypes = [ctypes.c_uint32]
    return library


def units(n: int, d: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows whose products are exact in float32, and norms: of few values, so that bounds tie."""
    rng = np.random.default_rng([n, d, seed])
    rows, norms = rng.integers(-8, 9, (n, d)) / 8, rng.integers(1, 4, n).astype(np.float32)
    return torch.from_numpy(rows).half(), torch.from_numpy(norms)


def assert_equals_the_cpu(
    library: ctypes.CDLL,
    rows: tuple[torch.Tensor, torch.Tensor],
    columns: tuple[torch.Tensor, torch.Tensor],
    count: int,
    cuts: list[int],
    *,
    late: tuple[bool, bool] = (False, False),
) -> None:
    found, wanted = ops.Candidates(rows[1], count), ops.Candidates(rows[1], count)
    for start, stop in zip([0, *cuts], [*cuts, len(columns[1])], strict=True):
        part, norms = (whole[start:stop].contiguous() for whole in columns)
        wanted.update_from_units(rows[0], part, norms, start, slack=SLACK)
        addresses = [
            tensor.data_ptr()
            for tensor in (rows[0], part, norms, found.bounds, found.indices, rows[1])
        ]
        failure = library.search(
            *addresses, *found.bounds.shape, SLACK, len(norms), rows[0].shape[1], start, *late
        )
        assert failure is None
    assert torch.equal(found.indices, wanted.indices)
    assert torch.equal(found.bounds, wanted.bounds)


@pytest.mark.parametrize("late", [(False, True), (True, False)])
@pytest.mark.parametrize(
    ("n", "m", "d"),
    [(300, 300, 40), (20, 700, 8), (70, 200, 256), (40, 150, 264), (10, 260, 800), (1, 1, 64)],
)
def test_equals_the_cpu(
    library: ctypes.CDLL, n: int, m: int, d: int, late: tuple[bool, bool]
) -> None:
    """Rows that stay in shared memory and rows that do not, at the first and the last moments."""
    assert_equals_the_cpu(library, units(n, d, 0), units(m, d, 1), 28, [], late=late)


@pytest.mark.parametrize("count", [33, 512])
def test_wider_lists(library: ctypes.CDLL, count: int) -> None:
    assert_equals_the_cpu(library, units(3, 16, 0), units(600, 16, 1), count, [1, 130])


def test_newcomers_in_any_order(library: ctypes.CDLL) -> None:
    """Columns that come ever nearer all join, of many equal ones the first."""
    row = torch.zeros((1, 8)).half()
    row[0, 0] = 1
    columns = torch.zeros((700, 8)).half()
    columns[:, 0] = torch.arange(700) / 1024
    ones = torch.ones(700)
    for some in (columns, columns.flip(0), columns[:300] * 0):
        assert_equals_the_cpu(library, (row, ones[:1]), (some, ones[: len(some)]), 32, [])


def test_columns_that_are_none(library: ctypes.CDLL) -> None:
    rows, columns = units(40, 24, 0), units(200, 24, 1)
    columns[1][150:] = torch.inf
    columns[1][20:30] = 0
    rows[1][3] = 0
    assert_equals_the_cpu(library, rows, columns, 28, [])


def test_a_slice_holds_each_element_once(library: ctypes.CDLL) -> None:
    places = np.array([[library.slice_offset_of(r, c) for c in range(64)] for r in range(256)])
    assert np.array_equal(np.sort(places, axis=None), np.arange(0, 256 * 128, 2))
    # The copy engine exchanges bits 4 to 6 of an address by bits 7 to 9 (CUDA driver API,
    # CU_TENSOR_MAP_SWIZZLE_128B).
    plain = np.arange(256)[:, None] * 128 + np.arange(64) * 2
    assert np.array_equal(places, plain ^ (plain >> 7 & 7) << 4)
    # Eight rows' copies of 16 bytes lie in different banks, whatever the column.
    banks = places.reshape(32, 8, 8, 8)[:, :, :, 0] // 16 % 8
    assert all(len(set(banks[g, :, c])) == 8 for g in range(32) for c in range(8))


def test_instructions_find_each_element(library: ctypes.CDLL) -> None:
    """By the descriptors of a slice's parts, as PTX ISA, "Matrix Descriptor Format", has them."""
    for start in (0, 8192, 16384, 196608 - 8192):
        for step in range(4):  # along the columns, 16 halves each
            descriptor = library.descriptor_of(start) + 2 * step
            assert descriptor >> 62 == 1  # swizzled by 128 bytes
            assert descriptor >> 49 & 7 == 0  # starts where the swizzle does
            address, group = (descriptor & 0x3FFF) << 4, (descriptor >> 32 & 0x3FFF) << 4
            for row in range(64):
                for column in range(16):
                    plain = address + row // 8 * group + row % 8 * 128 + column * 2
                    wanted = start + library.slice_offset_of(row, step * 16 + column)
                    assert plain ^ (plain >> 7 & 7) << 4 == wanted


def test_sums_of_a_warpgroup(library: ctypes.CDLL) -> None:
    """Each of 64 x 128 sums is in one register, where PTX ISA has it for m64nNk16."""
    threads, registers = np.arange(128)[:, None], np.arange(64)
    rows = np.array([[library.sum_row_of(t, i) for i in range(64)] for t in range(128)])
    columns = np.array([[library.sum_column_of(t, i) for i in range(64)] for t in range(128)])
    assert len(set(zip(rows.flat, columns.flat, strict=True))) == 64 * 128
    warp, group, place = threads // 32, threads % 32 // 4, threads % 4
    assert np.array_equal(rows, 16 * warp + group + 8 * (registers // 2 % 2))
    assert np.array_equal(columns, 8 * (registers // 4) + 2 * place + registers % 2)


def test_no_bound_below_fails_its_test(library: ctypes.CDLL) -> None:
    """Ends of lists at the bound itself and next to it, for norms of many sizes."""
    rng = np.random.default_rng(0)
    n = 400_000
    scales = np.exp2(rng.integers(-12, 13, (2, n)))
    norms = (rng.uniform(1, 2, (2, n)) * scales).astype(np.float32)
    cosines = rng.uniform(-1, 1, n).astype(np.float32)
    slack = np.float32(7e-4)
    bounds = norms[1] * (norms[1] - np.float32(2) * norms[0] * (cosines + slack))
    for ends in (bounds, np.nextafter(bounds, np.float32(np.inf)), bounds + np.abs(bounds) / 1024):
        out, given = np.zeros(3, np.int64), ends.astype(np.float32)
        library.count_tests(
            *(part.ctypes.data for part in (norms[0], norms[1], cosines, given)), slack, n,
            out.ctypes.data,
        )  # fmt: skip
        assert out[2] == 0
        assert out[1] > 0 or ends is bounds
    passed, low = np.zeros(3, np.int64), (bounds - np.abs(bounds) / 64).astype(np.float32)
    library.count_tests(
        *(part.ctypes.data for part in (norms[0], norms[1], cosines, low)), slack, n,
        passed.ctypes.data,
    )  # fmt: skip
    assert passed[0] < n / 100  # and few that are above pass
