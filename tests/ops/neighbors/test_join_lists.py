"""Lists that other searches add to, against a sort of all that was named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference

Part = tuple[np.ndarray, np.ndarray, np.ndarray]


def drawn(rng: np.random.Generator, n: int, width: int, others: int) -> Part:
    """What a search finds of some points: few numbers, so that many are named again, some none."""
    points = np.flatnonzero(rng.random(n) < 0.7)
    indices = rng.integers(-1, others, (len(points), width))
    distances = rng.integers(0, 6, indices.shape).astype(np.float32) / 4
    return points, indices, distances


def check(n: int, width: int, parts: list[Part]) -> None:
    lists = ops.NearestLists(n, width)
    named: list[list[tuple[int, float]]] = [[] for _ in range(n)]
    for points, indices, distances in parts:
        lists.join(points, indices, distances)
        for point, own, away in zip(points, indices, distances, strict=True):
            pairs = zip(own.tolist(), away.tolist(), strict=True)
            named[point] += [pair for pair in pairs if pair[0] >= 0]
    expected = reference.join_lists(named, width)
    for found, wanted in zip(lists.nearest(), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("width", [1, 5, 33])
@pytest.mark.parametrize("found", [1, 5, 40])
@pytest.mark.parametrize("others", [3, 60, 10_000])
def test_equals_reference(width: int, found: int, others: int) -> None:
    rng = np.random.default_rng([width, found, others])
    check(400, width, [drawn(rng, 400, found, others) for _ in range(5)])


def test_order_of_parts_makes_no_difference() -> None:
    rng = np.random.default_rng(0)
    parts = [drawn(rng, 700, 9, 40) for _ in range(6)]
    forward, backward = ops.NearestLists(700, 8), ops.NearestLists(700, 8)
    for part in parts:
        forward.join(*part)
    for points, indices, distances in reversed(parts):
        backward.join(points, indices[:, ::-1].copy(), distances[:, ::-1].copy())
    for found, wanted in zip(forward.nearest(), backward.nearest(), strict=True):
        assert torch.equal(found, wanted)


def test_reach_is_the_farthest_that_is_listed() -> None:
    lists = ops.NearestLists(3, 2)
    lists.join([0, 2], [[7, 8, 9], [7, -1, -1]], [[3.0, 1.0, 2.0], [4.0, 0.0, 0.0]])
    assert lists.reach(torch.tensor([2, 0, 1])).tolist() == [torch.inf, 2.0, torch.inf]


def test_nothing_joins_nothing() -> None:
    check(0, 3, [])
    check(4, 3, [(np.arange(4), np.zeros((4, 0), int), np.zeros((4, 0), np.float32))])
    check(4, 3, [(np.zeros(0, int), np.zeros((0, 2), int), np.zeros((0, 2), np.float32))])
    check(2, 2, [(np.arange(2), np.full((2, 2), -1), np.full((2, 2), np.inf, np.float32))])


def test_large_numbers_and_infinite_distances() -> None:
    most = 2**31 - 2
    lists = ops.NearestLists(1, 3)
    lists.join([0], [[most, 0, 5]], [[1.0, np.inf, 3e38]])
    indices, distances = lists.nearest(torch.tensor([0]))
    assert indices.tolist() == [[most, 5, 0]]
    assert distances[0, 2] == torch.inf


def test_bad_arguments() -> None:
    lists = ops.NearestLists(3, 2)
    one, away = [[1]], [[0.5]]
    with pytest.raises(ValueError, match="points must lie in"):
        lists.join([3], one, away)
    with pytest.raises(ValueError, match="points must ascend, none twice"):
        lists.join([1, 1], [[0], [2]], [[1.0], [1.0]])
    with pytest.raises(ValueError, match=r"indices must have shape \(2, 1\), not \(1, 1\)"):
        lists.join([0, 1], one, away)
    with pytest.raises(ValueError, match=r"distances must have shape \(1, 1\), not \(1, 2\)"):
        lists.join([0], one, [[0.5, 0.5]])
    with pytest.raises(ValueError, match="distances must be numbers >= 0, but holds -1"):
        lists.join([0], one, [[-1.0]])
    with pytest.raises(TypeError, match="indices must hold integers"):
        lists.join([0], away, away)
    with pytest.raises(ValueError, match="width must be"):
        ops.NearestLists(3, 0)
    with pytest.raises(ValueError, match="n must be"):
        ops.NearestLists(-1, 2)
    assert lists.nearest()[0].tolist() == [[-1, -1]] * 3
