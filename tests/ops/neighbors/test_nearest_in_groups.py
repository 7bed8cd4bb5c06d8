"""Nearest rows of queries in groups: equals a search in float64 of the rows that each group meets."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fastparadime.ops.neighbors.nearest_in_groups import nearest_in_groups

Floats = npt.NDArray[np.float32]


def drawn(m: int, n: int, d: int, groups: int, least: int) -> dict[str, Any]:
    """Queries, rows, and for each group some of the rows, in any order."""
    rng = np.random.default_rng([m, n, d, groups])
    sizes = rng.integers(least, n + 1, groups)
    met = [rng.permutation(n)[:size] for size in sizes]
    return {
        "queries": torch.from_numpy(rng.normal(3, 1, (m, d)).astype(np.float32)),
        "groups": torch.from_numpy(rng.integers(0, groups, m)),
        "rows": torch.from_numpy(rng.normal(3, 1, (n, d)).astype(np.float32)),
        "met": torch.from_numpy(np.concatenate(met).astype(np.int32)),
        "sizes": torch.from_numpy(sizes),
    }


def expected(case: dict[str, Any], width: int) -> tuple[npt.NDArray[np.int64], Any]:
    rows, queries = case["rows"].double(), case["queries"].double()
    met = case["met"].long().split(case["sizes"].tolist())
    indices = np.full((len(queries), width), -1)
    squares = np.full((len(queries), width), np.inf)
    for i, group in enumerate(case["groups"].tolist()):
        some = met[group].sort().values
        found = (rows[some] - queries[i]).square().sum(dim=1)
        order = found.argsort(stable=True)[:width]
        indices[i, : len(order)], squares[i, : len(order)] = some[order], found[order]
    return indices, squares


@pytest.mark.parametrize(
    ("m", "n", "d", "groups", "least", "width"),
    [
        (1, 1, 1, 1, 1, 1),
        (700, 90, 5, 3, 20, 4),
        (500, 40, 33, 60, 0, 9),
        (330, 400, 8, 1, 400, 24),
    ],
)
def test_equals_reference(m: int, n: int, d: int, groups: int, least: int, width: int) -> None:
    case = drawn(m, n, d, groups, least)
    mean = torch.full((d,), 3.0)
    indices, squares = nearest_in_groups(**case, width=width, mean=mean, scale=0.5)
    numbers, truth = expected(case, width)
    np.testing.assert_allclose(4 * squares.double(), truth, rtol=1e-5, atol=1e-5 * d)
    assert (indices.numpy() == numbers).mean() > 0.999  # neighbours may tie in float32
    assert squares.dtype == torch.float32


def test_what_else_is_asked_does_not_matter(set_threads: Any) -> None:
    case = drawn(1500, 120, 7, 9, 30)
    mean = torch.zeros(7)
    whole = nearest_in_groups(**case, width=5, mean=mean)
    set_threads(3)
    some = torch.arange(3, 1500, 7)
    part = {**case, "queries": case["queries"][some], "groups": case["groups"][some]}
    for one, other in zip(nearest_in_groups(**part, width=5, mean=mean), whole, strict=True):
        assert torch.equal(one, other[some])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"queries": torch.zeros(6, 2)}, "queries and mean must have 3 columns as rows, not 2"),
        ({"groups": torch.tensor([0, 1, 0, 2, 0, 0])}, "groups must lie in"),
        ({"met": torch.tensor([0, 9])}, "met must lie in"),
        ({"sizes": torch.tensor([1, 2])}, "sizes the sum 2, not 6 and 3"),
        ({"width": 0}, "width must be an integer >= 1"),
    ],
)
def test_bad_input(change: dict[str, Any], message: str) -> None:
    case = {
        "queries": torch.zeros(6, 3),
        "groups": torch.zeros(6, dtype=torch.int64),
        "rows": torch.zeros(4, 3),
        "met": torch.tensor([0, 1], dtype=torch.int32),
        "sizes": torch.tensor([1, 1]),
        "width": 1,
    }
    with pytest.raises(ValueError, match=message):
        nearest_in_groups(**{**case, **change}, mean=torch.zeros(3))
