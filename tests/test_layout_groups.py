"""Layouts of many points, whose first half moves groups of neighbours as one point each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness

from fastparadime import UMAP, ops
from fastparadime.layout import optimize
from fastparadime.layout.groups import GroupsOf
from fastparadime.neighbors import knn
from fastparadime.utils import disk
from fastparadime.utils.checkpoints import Checkpoint

DIGITS = load_digits().data.astype(np.float32)
ROWS = DIGITS[:500]
HALF = 10
GIVEN: dict[str, Any] = {"n_epochs": 2 * HALF, "random_state": 0}


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has small tables laid out as those of many points."""
    monkeypatch.setattr(optimize, "MANY_POINTS", 100)


def fit(X: Any = ROWS, **options: Any) -> UMAP:
    checkpoint = options.pop("checkpoint", None)
    return UMAP(**{**GIVEN, **options}).fit(X, checkpoint=checkpoint)


def looked_at(
    look: Callable[[int, np.ndarray[Any, Any]], Any] | None = None,
) -> tuple[Any, list[Any]]:
    """A callback, and the list of positions that it fills."""
    seen: list[Any] = []

    def callback(epoch: int, _loss: Any, positions: Any) -> Any:
        seen.append(positions)
        return look(epoch, positions) if look is not None else None

    return callback, seen


def graph(n: int, seed: int) -> ops.Edges:
    rng = np.random.default_rng(seed)
    found = knn(rng.normal(size=(n, 5)).astype(np.float32), 6)
    weights = torch.from_numpy(rng.uniform(0.05, 1, (n, 6)).astype(np.float32))
    return ops.symmetrize(found.indices, weights)


@pytest.mark.parametrize("seed", range(3))
def test_weights_are_means_of_what_points_have_to_a_group(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastparadime.layout.groups._ROWS", 7)  # in parts
    n = 900
    edges = graph(n, seed)
    found = GroupsOf(edges, seed).get()
    assert found is not None
    count, owners = len(found.firsts), found.owners.numpy()
    assert 100 <= count < n / 3
    assert np.array_equal(np.unique(owners), np.arange(count))
    assert [
        int(np.flatnonzero(owners == group)[0]) for group in range(count)
    ] == found.firsts.tolist()
    dense, own = np.zeros((n, n)), np.eye(count)[owners]
    heads = np.repeat(np.arange(n), edges.indptr.diff())
    dense[heads, edges.tails] = edges.weights.double()
    # A group is a point and others that it has an edge to.
    for group in range(count):
        members = np.flatnonzero(owners == group)
        among = dense[np.ix_(members, members)] > 0
        assert ((among | np.eye(len(members), dtype=bool)).all(axis=1)).any()
    sizes = own.sum(0)
    expected = own.T @ dense @ own / np.sqrt(np.outer(sizes, sizes))
    got = np.zeros((count, count))
    got[np.repeat(np.arange(count), found.edges.indptr.diff()), found.edges.tails] = (
        found.edges.weights
    )
    np.testing.assert_allclose(got, np.minimum(expected, float(edges.weights.max())), rtol=2e-6)


def test_groups_are_let_go_of() -> None:
    groups = GroupsOf(graph(900, 0), 0)
    first = groups.get()
    assert groups.get() is first
    assert groups.taken() is first
    assert groups.get() is not first


def test_hardly_fewer_groups_than_points_are_none() -> None:
    pairs = torch.arange(900).reshape(-1, 2).flip(1).reshape(-1, 1).int()
    assert GroupsOf(ops.symmetrize(pairs, torch.ones(900, 1)), 0).get() is not None
    none = ops.Edges(torch.zeros(901, dtype=torch.int64), *(pairs[:0, 0],) * 2, torch.empty(0))
    assert GroupsOf(none, 0).get() is None


@pytest.mark.usefixtures("few_are_many")
def test_points_of_a_group_move_as_one_until_half_of_the_epochs() -> None:
    callback, seen = looked_at()
    umap = fit(callback=callback)
    assert len(seen) == 2 * HALF
    groups = [np.unique(part, axis=0, return_inverse=True)[1].ravel() for part in seen]
    pairs = groups[0][:, None] == groups[0]
    assert groups[0].max() < len(ROWS) / 4
    for of in groups[1 : HALF - 1]:
        assert np.array_equal(of[:, None] == of, pairs)
    for of in groups[HALF - 1 :]:
        assert of.max() == len(ROWS) - 1
    # Where they part, by noise of a deviation of 0.1.
    size = pairs.sum(1)[:, None]
    apart = (seen[HALF - 1] - pairs @ seen[HALF - 1] / size) / np.sqrt(1 - 1 / size).clip(1e-9)
    assert 0.09 < apart[size[:, 0] > 1].std() < 0.11
    assert not np.array_equal(umap.embedding_, seen[HALF])


def test_the_map_is_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    def trust(seed: int) -> float:
        found = UMAP(random_state=seed, n_epochs=200).fit(DIGITS).embedding_
        return float(trustworthiness(DIGITS, found, n_neighbors=15))

    plain = np.mean([trust(seed) for seed in range(2)])
    monkeypatch.setattr(optimize, "MANY_POINTS", 100)
    assert np.mean([trust(seed) for seed in range(2)]) > plain - 0.004


@pytest.mark.usefixtures("few_are_many")
def test_looking_on_changes_no_bit() -> None:
    plain, (callback, seen) = fit(), looked_at()
    assert np.array_equal(fit(callback=callback).embedding_, plain.embedding_)
    several = fit(n_epochs=[0, 3, HALF, 2 * HALF])
    assert np.array_equal(several.embedding_, plain.embedding_)
    kept = several.embedding_list_
    assert len(np.unique(kept[0], axis=0)) == len(np.unique(kept[1], axis=0))
    for positions, epoch in zip(kept[1:], (3, HALF, 2 * HALF), strict=True):
        assert np.array_equal(positions, seen[epoch - 1])


@pytest.mark.usefixtures("few_are_many")
def test_a_callback_ends_the_layout_among_groups(tmp_path: Path) -> None:
    callback, seen = looked_at(lambda epoch, _positions: epoch == 3)
    ended = fit(callback=callback, checkpoint=tmp_path)
    assert len(seen) == 4
    assert np.array_equal(ended.embedding_, seen[-1])
    assert np.array_equal(fit(checkpoint=tmp_path).embedding_, ended.embedding_)


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("epoch", [0, 4, HALF - 2, HALF - 1, HALF, 2 * HALF - 2])
def test_goes_on_after_an_interrupt(epoch: int, tmp_path: Path) -> None:
    def interrupts(at: int, _positions: Any) -> None:
        if at == epoch + 1:
            raise KeyboardInterrupt

    checkpoint = Checkpoint(tmp_path, seconds=0)
    with pytest.raises(KeyboardInterrupt):
        fit(checkpoint=checkpoint, callback=looked_at(interrupts)[0])
    callback, seen = looked_at()
    again = fit(checkpoint=checkpoint, callback=callback)
    assert len(seen) == 2 * HALF - epoch - 2
    assert np.array_equal(again.embedding_, fit().embedding_)


@pytest.mark.usefixtures("few_are_many")
def test_bits_do_not_depend_on_threads_and_the_disk() -> None:
    plain, threads = fit().embedding_, torch.get_num_threads()
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        assert np.array_equal(fit().embedding_, plain)
    finally:
        torch.set_num_threads(threads)
    with disk.arrays_within(1600.0):  # of a hundred bytes and more
        assert np.array_equal(fit().embedding_, plain)


@pytest.mark.parametrize(
    "options",
    [
        {"init": np.random.default_rng(0).normal(size=(len(ROWS), 2))},
        {"init": "random"},
        {"init": "pca"},
        {"densmap": True},
        {"output_metric": "manhattan"},
        {"n_epochs": 1},
        {"n_epochs": 0},
    ],
    ids=str,
)
def test_what_has_no_groups(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions that are given, terms of points, and layouts without a first half."""
    plain = fit(**options).embedding_
    monkeypatch.setattr(optimize, "MANY_POINTS", 100)
    assert np.array_equal(fit(**options).embedding_, plain)


def test_weights_of_rows_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def weighted() -> Any:
        weights = np.linspace(1, 2, len(ROWS))
        return UMAP(**GIVEN).fit(ROWS, sample_weight=weights).embedding_

    plain = weighted()
    monkeypatch.setattr(optimize, "MANY_POINTS", 100)
    assert np.array_equal(weighted(), plain)


@pytest.mark.usefixtures("few_are_many")
def test_points_without_neighbours_have_no_position() -> None:
    far = np.concatenate([ROWS, 1e4 + 1e3 * np.arange(3)[:, None] * np.ones((1, 64), np.float32)])
    with pytest.warns(UserWarning, match="3 of 503 points"):
        found = fit(far.astype(np.float32), disconnection_distance=100.0).embedding_
    assert np.isnan(found[-3:]).all()
    assert np.isfinite(found[:-3]).all()
