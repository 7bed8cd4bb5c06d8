"""What objects make on demand, asked for by several threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from fastparadime import ops
from fastparadime.neighbors.metric_space import Space
from fastparadime.neighbors.query_index import QueryIndex
from fastparadime.utils.lazy import lazy_property

_THREADS = 4


def at_once(ask: Callable[[], Any]) -> list[Any]:
    """What threads that start together get."""
    start = threading.Barrier(_THREADS)

    def wait_and_ask(_: int) -> Any:
        start.wait()
        return ask()

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(wait_and_ask, range(_THREADS)))


class Slow:
    """Its value is made as slowly as it takes another thread to begin making it too."""

    def __init__(self) -> None:
        self.made = 0
        self._others = threading.Barrier(2)

    @lazy_property
    def value(self) -> list[int]:
        self.made += 1
        try:
            self._others.wait(timeout=0.2)
        except threading.BrokenBarrierError:
            return [self.made]
        return []


def test_a_value_is_made_once() -> None:
    slow = Slow()
    values = at_once(lambda: slow.value)
    assert slow.made == 1
    assert all(value is values[0] for value in values)


def test_a_failure_is_not_kept() -> None:
    class Failing:
        tries = 0

        @lazy_property
        def value(self) -> int:
            self.tries += 1
            if self.tries == 1:
                raise ValueError("the first time")
            return self.tries

    failing = Failing()
    with pytest.raises(ValueError, match="the first time"):
        _ = failing.value
    assert failing.value == failing.value == 2


def sparse_table() -> ops.SparseTable:
    rows = scipy.sparse.random(3000, 400, density=0.05, format="csr", random_state=0)
    rows.sort_indices()
    return ops.SparseTable(rows.indptr, rows.indices, rows.data, 400)


def binary_table() -> ops.BinaryTable:
    rows = scipy.sparse.random(3000, 400, density=0.05, format="csr", random_state=0)
    rows.sort_indices()
    return ops.BinaryTable.listed(rows.indptr, rows.indices, 400)


TABLES = {
    "SparseTable": (sparse_table, "_by_column"),
    "BinaryTable": (binary_table, "_by_column"),
    "ProductTable": (lambda: ops.ProductTable(np.random.default_rng(0).random((3000, 64))), "_packed"),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_made_once(name: str) -> None:
    make, part = TABLES[name]
    table = make()
    found = at_once(lambda: getattr(table, part))
    assert all(each is found[0] for each in found)


def test_first_search_of_sparse_rows_from_several_threads() -> None:
    expected = sparse_table().nearest(np.arange(300), 10)
    for _ in range(3):
        table = sparse_table()
        for found in at_once(lambda table=table: table.nearest(np.arange(300), 10)):
            np.testing.assert_array_equal(found, expected)


def test_first_queries_of_a_fit_from_several_threads() -> None:
    rows = np.random.default_rng(0).normal(size=(3000, 40)).astype(np.float32)
    space = Space("euclidean")
    expected = QueryIndex(rows, space).nearest(rows[:300], 5)
    index = QueryIndex(rows, space)
    for found in at_once(lambda: index.nearest(rows[:300], 5)):
        for part, whole in zip(found, expected, strict=True):
            np.testing.assert_array_equal(part, whole)
