"""What a search by tiles, clusters and trees takes, counted at torch's allocator, and its formula."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fastparadime import neighbors, ops
from fastparadime.neighbors import (
    approximate,
    cluster_plan,
    cluster_search,
    clusters_on_disk,
    device_clusters,
    doubtful_rows,
    exact,
    memory,
    read_rows,
    tiled,
    tree,
    unit_rows,
)
from fastparadime.neighbors.table import Table
from fastparadime.utils import disk

K = 10
SMALL = 2**18


def peak_of(call: Callable[[], object]) -> int:
    """The most bytes that tensors on the CPU took at a time beside those there before."""
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        kept = call()
    del kept
    held = peak = 0
    events = profile.profiler.kineto_results.events()
    for event in sorted(events, key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a fixed size would hide what grows with the data."""
    for module, name in (
        (tiled, "_TILE_BYTES"),
        (tiled, "_LEAST_TILE_BYTES"),
        (unit_rows, "STAGED_BYTES"),
        (device_clusters, "_BLOCK_BYTES"),
        (exact, "_BLOCK_BYTES"),
        (doubtful_rows, "_BLOCK_BYTES"),
    ):
        monkeypatch.setattr(module, name, SMALL)
    monkeypatch.setattr(device_clusters, "_OVERLAPS", (8,))
    monkeypatch.setattr(exact, "_ROWS", 512)
    monkeypatch.setattr(device_clusters, "_CLUSTER_ROWS", 64)


def table(n: int, d: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(n)
    centres = 3 * torch.randn((32, d), generator=generator)
    labels = torch.randint(32, (n,), generator=generator)
    return centres[labels] + torch.randn((n, d), generator=generator)


def test_a_peak_is_counted() -> None:
    def call() -> torch.Tensor:
        first = torch.ones(10_000)
        second = first + 1  # 80,000 bytes
        del first
        return second * 2

    assert 80_000 <= peak_of(call) < 81_000


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("n", "d"), [(3000, 8), (2000, 64)])
def test_tiles_take_what_the_plan_says(n: int, d: int) -> None:
    X = table(n, d)
    peak = peak_of(lambda: tiled.tiled_knn(X, K))
    assert peak <= 8 * n * K + tiled.make_plan(n, d, K, itemsize=4).bytes


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("n", "d"), [(6000, 8), (2000, 64)])
def test_clusters_take_no_more_than_their_formula(n: int, d: int) -> None:
    X = table(n, d)
    needed = 8 * n * K + device_clusters.needed_bytes(n, d, K, itemsize=4)
    peak = peak_of(lambda: device_clusters.clustered_knn(X, K, "euclidean", 0.3, 0))
    # Fewer rows are solved exactly for this recall, and no cluster has twice the average here.
    assert needed / 4 < peak <= needed


def test_estimates_beyond_three_million_rows_count_clusters() -> None:
    n, d = 10**7, 64
    whole = neighbors.estimate_memory(n, d, K, recall=1.0, on_gpu=True, ready=True)
    assert whole == 8 * n * K + tiled.make_plan(n, d, K, itemsize=2).bytes
    found = neighbors.estimate_memory(n, d, K, on_gpu=True, ready=True)
    assert found == 8 * n * K + device_clusters.needed_bytes(n, d, K, itemsize=2)
    assert found >= (8 * K + 28 * 8) * n


def test_tiles_get_what_clusters_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_clusters, "_CLUSTER_ROWS", 256)
    X = table(6000, 8)
    limits: list[float] = []
    search = tiled.tiled_knn

    def watched(X: torch.Tensor, k: int, **options: float) -> neighbors.NeighborGraph:
        limits.append(options["limit"])
        return search(X, k)

    monkeypatch.setattr(tiled, "tiled_knn", watched)
    whole = device_clusters.needed_bytes(6000, 8, K, itemsize=4, least=True)
    device_clusters.clustered_knn(X, K, "euclidean", 0.3, 0, limit=whole)
    m = min(6000, 16 * 256)
    assert set(limits) == {tiled.least_bytes(m, 8, K, itemsize=4)}


def test_clusters_are_what_a_small_budget_is_held_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_clusters, "_EXACT_ROWS", 5000)
    X = table(6000, 8)
    rows = Table(X, "euclidean", torch.device("cuda"))
    itemsize = tiled.default_precision(torch.device("cuda")).itemsize
    least = 8 * 6000 * K + device_clusters.needed_bytes(6000, 8, K, itemsize=itemsize, least=True)
    assert memory.holds_tiles(least, rows, K, "euclidean", 0.95)
    assert not memory.holds_tiles(least - 1, rows, K, "euclidean", 0.95)


@pytest.mark.parametrize(("n", "d", "k"), [(20_000, 3, 15), (1000, 2, 900)])
def test_a_tree_takes_what_its_formula_says(
    n: int, d: int, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "_PIECE_BYTES", 2**18)
    X = table(n, d)
    needed = neighbors.estimate_memory(n, d, k, ready=True)
    assert needed == 8 * n * k + tree.needed_bytes(n, d, k)
    peak = peak_of(lambda: neighbors.knn(X, k))
    assert needed / 2 < peak <= needed


@pytest.mark.parametrize(("n", "d"), [(3000, 8), (2000, 300)])
def test_rows_in_doubt_take_no_more_than_their_formula(
    n: int, d: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "_PIECE_BYTES", 2**18)
    monkeypatch.setattr(exact, "_ROWS", 256)
    X = 1e5 * table(20, d).repeat_interleave(n // 20, dim=0) + table(n, d)
    peak = peak_of(lambda: exact.product_knn(X, K, "euclidean"))
    assert peak <= 8 * n * K + exact.product_memory(n, d, K)


@pytest.mark.parametrize("metric", ["euclidean", "correlation"])
def test_clusters_on_disk_hold_no_table_and_no_lists(
    metric: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in (
        (clusters_on_disk, "_TURN_BYTES"),
        (clusters_on_disk, "_COPIED_BYTES"),
        (read_rows, "_BLOCK_BYTES"),
        (read_rows, "_UNIT_BYTES"),
    ):
        monkeypatch.setattr(module, name, SMALL)
    monkeypatch.setattr(approximate, "_EXACT_COST", 0.0)
    monkeypatch.setattr(cluster_plan, "_TOGETHER", 512)
    monkeypatch.setattr(cluster_search, "_TOGETHER", 512)
    monkeypatch.setattr(clusters_on_disk, "_FIXED_BYTES", 2**20)
    monkeypatch.setattr(disk, "_SHARE", 64)
    n, d = 24_000, 70
    rows = (16 * table(n, d) + 128).clamp(0, 255).to(torch.uint8)
    np.save(tmp_path / "X.npy", rows.numpy())
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    columns = Table(mapped, metric).columns
    needed = clusters_on_disk.needed_bytes(n, columns)
    found = neighbors.knn(mapped, K, metric, recall=0.9, max_memory=needed)
    assert "overlapping clusters" in found.engine
    peak = peak_of(lambda: neighbors.knn(mapped, K, metric, recall=0.9, max_memory=needed))
    lists = 8 * ops.list_width(n, d, K, columns=d) * n
    assert peak <= needed < 4 * n * d + lists + 16 * K * n
