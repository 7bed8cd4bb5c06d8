"""Nearest rows among those of the same clusters, against a sort of all distances."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from fastparadime import ops
from fastparadime.ops import reference
from fastparadime.ops.neighbors import nearest_in_clusters as native

Clusters = list[np.ndarray]


def rows(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([n, d, seed]).normal(size=(n, d)).astype(np.float32)


def draw(n: int, sizes: tuple[int, ...], seed: int = 0) -> Clusters:
    rng = np.random.default_rng([n, seed])
    return [rng.permutation(n)[:size] for size in sizes]


def centers_of(X: np.ndarray, clusters: Clusters) -> torch.Tensor:
    means = [X[members].mean(axis=0) if len(members) else 0 * X[0] for members in clusters]
    return torch.from_numpy(np.array(means, np.float32))


def compare(
    search: ops.ClusterSearch, X: np.ndarray, clusters: Clusters, known: list[int] | None = None
) -> None:
    members = torch.from_numpy(np.concatenate(clusters))
    sizes = torch.tensor([len(part) for part in clusters])
    counts = None if known is None else torch.tensor(known)
    search.compare(members, sizes, centers_of(X, clusters), counts)


def check(search: ops.ClusterSearch, X: np.ndarray, clusters: Clusters, width: int) -> None:
    """Asserts that squares are the reference's and belong to their indices."""
    indices, squares = (part.numpy() for part in search.nearest())
    X = X.astype(float)
    wanted, expected = reference.nearest_in_clusters(X, width, clusters)
    np.testing.assert_array_equal(indices < 0, wanted < 0)
    close = {"rtol": 1e-5, "atol": 1e-6 * np.square(X).sum(axis=1).max()}
    np.testing.assert_allclose(squares, expected, **close)
    true = np.square(X[:, None] - X[indices]).sum(axis=2)
    np.testing.assert_allclose(squares, np.where(indices < 0, np.inf, true), **close)
    assert (squares[:, 1:] >= squares[:, :-1]).all()
    assert all(len(set(row)) == sum(np.array(row) >= 0) + (-1 in row) for row in indices.tolist())
    assert not (indices == np.arange(len(X))[:, None]).any()


@pytest.mark.parametrize("sizes", [(1,), (2, 0, 1), (31, 32, 33), (160, 161, 400), (700, 350)])
@pytest.mark.parametrize(("d", "width"), [(1, 1), (3, 40), (17, 5), (130, 12)])
def test_equals_reference(sizes: tuple[int, ...], d: int, width: int) -> None:
    X = rows(700, d)
    clusters = draw(700, sizes)
    search = ops.ClusterSearch(X, width)
    compare(search, X, clusters)
    check(search, X, clusters, width)


def test_lists_grow_by_what_is_new() -> None:
    X = rows(900, 12)
    clusters = draw(900, (600, 500, 200))
    search = ops.ClusterSearch(X, 9)
    known = [350, 0, 200]
    compare(search, X, [part[:count] for part, count in zip(clusters, known, strict=True)])
    compare(search, X, clusters, known)
    check(search, X, clusters, 9)


def test_lists_within_a_square_hold_what_others_hold_of_it() -> None:
    X, width = rows(700, 12), 9
    clusters = draw(700, (500, 300, 200))
    search = ops.ClusterSearch(X, width)
    compare(search, X, clusters)
    indices, squares = search.nearest()
    within = squares[:, 4].clamp_max(1e30)  # the fifth of each row joins still
    narrow = ops.ClusterSearch(X, width, within=within)
    compare(narrow, X, clusters)
    found, away = narrow.nearest()
    inside = squares <= within[:, None]
    assert torch.equal(found, torch.where(inside, indices, -1))
    assert torch.equal(away, torch.where(inside, squares, within[:, None]))
    nothing = ops.ClusterSearch(X, width, within=np.zeros(700, np.float32))
    compare(nothing, X, clusters)
    assert int(nothing.nearest()[0].max()) == -1


def test_a_large_cluster_is_several_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_PRODUCTS", 1e6)
    X = rows(900, 12)
    clusters = draw(900, (900, 500, 30))
    search = ops.ClusterSearch(X, 9)
    compare(search, X, [part[:200] for part in clusters])
    compare(search, X, clusters, [200, 200, 30])
    check(search, X, clusters, 9)


def test_a_turn_leaves_room_for_an_interrupt() -> None:
    sizes = torch.tensor([200_000, 9000, 7, 0, 20_000, 400, 6000])
    known = torch.tensor([100, 0, 7, 0, 0, 300, 0])
    done = dict.fromkeys(range(len(sizes)), 0)
    for tasks in native._turns(sizes, known, 256):
        work = 0.0
        for cluster, first, last in tasks.tolist():
            size = int(sizes[cluster])
            whole = last - first == size
            work += 256 * (
                size**2 / 2 if whole else (last - first) * size / torch.get_num_threads()
            )
            done[cluster] += last - first
        assert work <= 2.2 * native._PRODUCTS  # about half a second
    assert done == dict(enumerate(sizes.tolist()))


def test_close_rows_of_a_far_cluster_keep_their_digits() -> None:
    # By a centre in the middle squares of 1e6 would leave 0.06 of a squared distance.
    X = rows(400, 3)
    X[200:] = 1e3 + 1e-2 * X[200:]
    clusters = [np.arange(200, 400)]
    search = ops.ClusterSearch(X, 5)
    compare(search, X, clusters)
    near = X[200:].astype(float)
    wanted = reference.nearest_by_products(near, 5)[1]
    np.testing.assert_allclose(search.nearest()[1][200:], wanted, rtol=1e-3, atol=1e-9)


def test_close_rows_of_another_cluster_are_no_neighbors_by_rounding() -> None:
    # Far from the first centre, products give close rows any distance, zero too.
    X = rows(400, 30)
    X[200:] = 1e3 + 1e-3 * X[200:]
    search = ops.ClusterSearch(X, 5)
    every = np.arange(400)
    search.compare(
        torch.from_numpy(np.concatenate([every, every[200:]])),
        torch.tensor([400, 200]),
        torch.from_numpy(np.stack([X[:200].mean(axis=0), X[200:].mean(axis=0)])),
    )
    near = X[200:].astype(float)
    wanted = reference.nearest_by_products(near, 5)[1]
    np.testing.assert_allclose(search.nearest()[1][200:], wanted, rtol=1e-3)


def test_scale_keeps_squares_finite() -> None:
    X = 1e30 * rows(300, 4)
    clusters = [np.arange(300)]
    search = ops.ClusterSearch(X, 5, scale=2.0**-100)
    compare(search, X, clusters)
    wanted = reference.nearest_by_products(X.astype(float), 5)
    np.testing.assert_array_equal(search.nearest()[0], wanted[0])


def test_equal_rows_and_ties_go_to_the_smaller_index() -> None:
    X = np.zeros((500, 4), np.float32)
    search = ops.ClusterSearch(X, 3)
    compare(search, X, [np.arange(500), np.arange(0, 500, 2)])
    indices, squares = search.nearest(torch.tensor([0, 1, 400]))
    assert indices.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 2]]
    assert (squares == 0).all()


def test_same_bits_for_any_threads(assert_same_bits: Callable[..., None]) -> None:
    X = rows(3000, 33)
    clusters = draw(3000, (700,) * 12)

    def search() -> tuple[torch.Tensor, ...]:
        search = ops.ClusterSearch(X, 20)
        compare(search, X, clusters)
        return search.nearest()

    assert_same_bits(search)


def test_no_clusters_and_no_columns() -> None:
    search = ops.ClusterSearch(rows(5, 3), 2)
    search.compare(torch.empty(0), torch.empty(0), torch.empty(0, 3))
    assert (search.nearest()[0] == -1).all()
    search = ops.ClusterSearch(np.empty((4, 0), np.float32), 2)
    search.compare(torch.arange(4), torch.tensor([4]), torch.empty(1, 0))
    assert search.nearest()[0].tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [3], [[0.0]]), "sizes must add up to 2 members, not 3"),
        (([0, 9], [2], [[0.0]]), r"members must be rows of X, in \[0, 5\)"),
        (([0, -1], [2], [[0.0]]), r"members must be rows of X, in \[0, 5\)"),
        (([0, 1], [2], [[0.0, 0.0]]), r"centers must have shape \(1, 1\), not \(1, 2\)"),
        (([0, 1], [2], [[0.0]], [3]), "known must have a number a cluster, from 0 to its size"),
        (([0, 1], [3, -1], [[0.0], [0.0]]), "sizes must not be negative"),
    ],
)
def test_bad_input(arguments: tuple[list[object], ...], message: str) -> None:
    search = ops.ClusterSearch(rows(5, 1), 2)
    with pytest.raises(ValueError, match=message):
        search.compare(*(torch.tensor(part) for part in arguments))


def test_bad_table() -> None:
    with pytest.raises(ValueError, match="width must be"):
        ops.ClusterSearch(rows(5, 1), 0)
    with pytest.raises(ValueError, match="scale must be"):
        ops.ClusterSearch(rows(5, 1), 1, scale=0.0)
    with pytest.raises(ValueError, match="within must have a number a row, 5, not 4"):
        ops.ClusterSearch(rows(5, 1), 1, within=np.ones(4))
    with pytest.raises(ValueError, match="within must be numbers >= 0, but holds -1"):
        ops.ClusterSearch(rows(5, 1), 1, within=-np.ones(5))
    with pytest.raises(ValueError, match="X must have 2 dim"):
        ops.ClusterSearch(rows(5, 1)[:, 0], 1)


def test_ties_do_not_depend_on_the_order_of_clusters_or_members() -> None:
    rng = np.random.default_rng(0)
    X = rows(4, 16)[rng.integers(0, 4, 600)]
    clusters = [rng.permutation(400), 200 + rng.permutation(400)]
    found = []
    for order in ((0, 1), (1, 0)):
        search = ops.ClusterSearch(X, 14)
        for i in order:
            compare(search, X, [clusters[i]])
        found.append(search.nearest()[0])
    search = ops.ClusterSearch(X, 14)
    compare(search, X, [np.sort(part) for part in clusters])
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], search.nearest()[0])


def refined(
    X: np.ndarray, width: int, max_candidates: int, scale: float = 1.0
) -> ops.ClusterSearch:
    clusters = draw(len(X), (150, 90, 90))
    search = ops.ClusterSearch(X, width, scale)
    compare(search, X, clusters)
    search.refine(
        max_candidates, torch.randperm(len(X), generator=torch.Generator().manual_seed(0))
    )
    return search


@pytest.mark.parametrize(("d", "width"), [(1, 3), (16, 8), (33, 20)])
def test_neighbors_of_neighbors_equal_the_reference(d: int, width: int) -> None:
    X = rows(200, d)
    clusters = draw(200, (150, 90, 90))
    search = ops.ClusterSearch(X, width)
    compare(search, X, clusters)
    lists = [[j for j in own if j >= 0] for own in search.nearest()[0].tolist()]
    wanted, squares = reference.neighbors_of_neighbors(X.astype(float), lists, width)
    indices, found = refined(X, width, 200).nearest()
    assert (wanted >= 0).any()
    np.testing.assert_allclose(found, squares, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(indices, wanted)


def test_a_short_reach_finds_more_and_loses_nothing() -> None:
    X = rows(2000, 6)
    clusters = [np.flatnonzero(X[:, 0] > 0), np.flatnonzero(X[:, 0] <= 0), np.arange(700)]
    found = []
    for max_candidates in (0, 2, 8):
        search = ops.ClusterSearch(X, 10)
        compare(search, X, clusters)
        if max_candidates:
            assert search.refine(max_candidates, torch.from_numpy(X[:, 1].argsort())) > 0
        found.append(search.nearest()[1])
    exact = torch.from_numpy(reference.nearest_by_products(X.astype(float), 10)[1])
    shares = [float((squares <= exact[:, -1:] * (1 + 1e-5)).double().mean()) for squares in found]
    assert shares[0] < shares[1] < shares[2]
    assert (found[1] <= found[0] * (1 + 1e-5)).all()
    assert (found[2] <= found[0] * (1 + 1e-5)).all()


def test_refined_lists_take_part_in_later_comparisons() -> None:
    X = np.round(rows(300, 3))  # ties, whose order is that of indices
    search = refined(X, 12, 6)
    every = [np.arange(300)]
    compare(search, X, every)
    check(search, X, every, 12)


def test_refined_squares_are_scaled_and_empty_entries_stay() -> None:
    X = 1e30 * rows(200, 4)
    search = refined(X, 40, 40, scale=2.0**-100)
    indices, squares = search.nearest()
    assert torch.isfinite(squares[indices >= 0]).all()
    alone = ops.ClusterSearch(X[:20], 3)
    alone.refine(2, torch.arange(20))
    assert (alone.nearest()[0] == -1).all()
    assert torch.isinf(alone.nearest()[1]).all()


def test_refined_bits_do_not_depend_on_threads() -> None:
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(refined(rows(3000, 20), 9, 5).nearest())
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize(
    ("max_candidates", "order", "message"),
    [
        (0, torch.arange(9), "max_candidates must be an integer >= 1, not 0"),
        (2, torch.arange(8), r"order must have shape \(9,\), not \(8,\)"),
        (2, torch.arange(1, 10), "order must name each row once"),
        (2, torch.zeros(9, dtype=torch.int64), "order must name each row once"),
    ],
)
def test_bad_refinements(max_candidates: int, order: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.ClusterSearch(rows(9, 2), 2).refine(max_candidates, order)
