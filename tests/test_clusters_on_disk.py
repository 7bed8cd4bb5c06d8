"""Neighbours and graphs of rows that are not held: the bits of those in memory, in little of it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import UMAP, neighbors, ops
from fastparadime.layout.spectral import _eigenvectors, spectral_positions
from fastparadime.neighbors import (
    approximate,
    cluster_plan,
    cluster_search,
    clusters_on_disk,
    memory,
    nearest_centers,
    read_rows,
    search,
    streamed,
)
from fastparadime.neighbors.nearest_centers import groups_of
from fastparadime.neighbors.table import UNIT_METRICS, unit_rows
from fastparadime.ops.graph import symmetrize as symmetrize_module
from fastparadime.ops.neighbors.gathered_clusters import GatheredClusters
from fastparadime.utils import disk
from fastparadime.utils.shards import on_disk
from tests import clusters_job

K = 10
DTYPES = (np.uint8, np.int8, np.float16, np.float32)


def clouds(n: int, d: int, dtype: Any, parts: int = 30) -> Any:
    rng = np.random.default_rng(0)
    centers = 25 * rng.standard_normal((parts, d))
    X = centers[rng.integers(0, parts, n)] + 12 * rng.standard_normal((n, d))
    if np.dtype(dtype).kind == "f":
        return (X / 16).astype(dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return np.clip(X + (128 if low == 0 else 0), low, high).astype(dtype)


@pytest.fixture
def clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has tables of any size be searched in clusters, and on the disk where memory is limited."""
    monkeypatch.setattr(approximate, "_EXACT_COST", 0.0)
    monkeypatch.setattr(approximate, "_LEAST_ROWS", 0)
    monkeypatch.setattr(approximate, "_MOST_WORK", np.inf)
    monkeypatch.setattr(clusters_on_disk, "needed_bytes", lambda *_: 0)
    monkeypatch.setattr(search.tree, "may_serve", lambda *_: False)
    # Several turns, blocks and pieces of a small table.
    monkeypatch.setattr(clusters_on_disk, "_TURN_BYTES", 2**17)
    monkeypatch.setattr(clusters_on_disk, "_COPIED_BYTES", 2**17)
    monkeypatch.setattr(read_rows, "_BLOCK_BYTES", 2**18)
    monkeypatch.setattr(cluster_plan, "_TOGETHER", 1000)
    monkeypatch.setattr(disk, "_SHARE", 10**6)


def both(X: Any, recall: float, path: Path, **options: Any) -> tuple[Any, Any]:
    """Neighbours of a table in memory, and of its file."""
    np.save(path / "X.npy", X)
    rows = np.load(path / "X.npy", mmap_mode="r")
    n, d = X.shape
    held = neighbors.knn(X.astype(np.float32), K, recall=recall, **options)
    most = 0.9 * memory.estimate_memory(n, d, K, recall=recall, ready=True)
    return held, neighbors.knn(rows, K, recall=recall, max_memory=most, **options)


def check_equal(held: Any, found: Any) -> None:
    assert found.engine == held.engine
    assert torch.equal(found.indices, held.indices)
    assert torch.equal(found.distances, held.distances)


@pytest.mark.usefixtures("clusters")
def test_clusters_found_by_groups_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_centers, "_LEAST_GROUPED", 100)
    made = []
    monkeypatch.setattr(
        cluster_plan, "groups_of", lambda *of: made.append(groups_of(*of)) or made[-1]
    )
    X = np.clip(8 * clusters_job.clouds() + 128, 0, 255).astype(np.uint8)
    check_equal(*both(X, 0.9, tmp_path))
    assert len(made) == 2
    assert None not in made


@pytest.mark.usefixtures("clusters")
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_any_dtype_have_the_neighbors_of_a_table_in_memory(
    dtype: Any, tmp_path: Path
) -> None:
    held, found = both(clouds(4000, 24, dtype), 0.9, tmp_path)
    check_equal(held, found)
    assert "overlapping clusters" in found.engine
    assert found.recall_bound >= 0.9


@pytest.mark.usefixtures("clusters")
@pytest.mark.parametrize("zeros", [0, 7])
@pytest.mark.parametrize("metric", UNIT_METRICS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_unit_rows_have_the_neighbors_of_those_in_memory(
    dtype: Any, metric: str, zeros: int, tmp_path: Path
) -> None:
    X = clouds(4000, 24, dtype)
    X = X.clip(min=0) if metric == "hellinger" else X
    X[X.sum(axis=1) == 0] = X[0]
    X[np.random.default_rng(1).choice(len(X), zeros, replace=False)] = 0
    held, found = both(X, 0.9, tmp_path, metric=metric)
    check_equal(held, found)
    assert "overlapping clusters" in found.engine
    without = np.flatnonzero((X == 0).all(axis=1))
    assert len(without) == zeros
    assert (found.distances[without, : max(0, zeros - 1)] == 0).all()


@pytest.mark.usefixtures("clusters")
@pytest.mark.parametrize("metric", ["euclidean", "correlation"])
def test_columns_that_lie_one_after_the_other(
    metric: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_plan, "_WORTH", np.inf)
    monkeypatch.setattr(cluster_plan, "_PROJECTED", ((16, 32),))
    rng = np.random.default_rng(1)
    X = rng.standard_normal((3000, 12)) @ rng.standard_normal((12, 90))
    held, found = both(np.asfortranarray(X, np.float32), 0.9, tmp_path, metric=metric)
    check_equal(held, found)
    assert "of 90 columns" in found.engine


@pytest.mark.usefixtures("clusters")
def test_roots_of_negative_values_are_an_error_that_names_the_row() -> None:
    X = clouds(3000, 24, np.uint8).astype(np.float32)
    X[0], X[2871, 3] = 0, -1
    with pytest.raises(ValueError, match="none for 'hellinger', but row 2871 does"):
        neighbors.knn(X, K, "hellinger", recall=0.9, max_memory=2e6)


@pytest.mark.parametrize("metric", UNIT_METRICS)
def test_a_unit_row_has_the_same_bits_alone(metric: str) -> None:
    rows = torch.rand((5, 40_000), generator=torch.Generator().manual_seed(0))
    units = unit_rows(rows, metric)
    for at, row in enumerate(rows):
        assert torch.equal(unit_rows(row[None], metric)[0], units[at])


@pytest.mark.usefixtures("clusters")
def test_squared_distances_and_ties(tmp_path: Path) -> None:
    X = clouds(3000, 20, np.uint8) // 32  # many rows are equally far
    check_equal(*both(X, 0.9, tmp_path, metric="sqeuclidean"))


@pytest.mark.usefixtures("clusters")
@pytest.mark.parametrize("dtype", [np.uint8, np.float16])
def test_projected_rows(dtype: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_plan, "_WORTH", np.inf)
    monkeypatch.setattr(cluster_plan, "_PROJECTED", ((16, 32, 64), (96,)))
    rng = np.random.default_rng(1)
    X = rng.standard_normal((4000, 12)) @ rng.standard_normal((12, 200))
    X = 8 * X + rng.standard_normal(X.shape)
    X = X.astype(dtype) if dtype == np.float16 else np.clip(X + 128, 0, 255).astype(dtype)
    held, found = both(X, 0.9, tmp_path)
    check_equal(held, found)
    assert "of 200 columns" in found.engine


@pytest.mark.usefixtures("clusters")
def test_neighbors_of_neighbors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_search, "_SAVING", 0.0)
    monkeypatch.setattr(cluster_search, "_MISSED_FIRST", 6.0)
    held, found = both(clouds(4000, 20, np.uint8, parts=1), 0.9, tmp_path)
    check_equal(held, found)
    assert "neighbors of neighbors" in found.engine


@pytest.mark.usefixtures("clusters")
def test_rows_too_close_for_products_are_solved_by_differences(tmp_path: Path) -> None:
    X = np.repeat(clouds(300, 20, np.float16, parts=300), 10, axis=0)
    X += (np.random.default_rng(0).standard_normal(X.shape) / 256).astype(np.float16)
    check_equal(*both(X, 0.9, tmp_path))


def test_too_little_even_for_clusters_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approximate, "_EXACT_COST", 0.0)
    monkeypatch.setattr(approximate, "_LEAST_ROWS", 0)
    X = clouds(3000, 70, np.uint8)
    found = neighbors.knn(X, K, max_memory=2.5e6)
    assert found.engine.startswith("streamed, exact")


@pytest.mark.usefixtures("clusters")
def test_lists_on_the_disk_do_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    X = clouds(5000, 70, np.uint8)
    lists = 8 * len(X) * K  # bytes, more than `max_memory`
    tiles = streamed.least_tiles(len(X), K).bytes(len(X), X.shape[1], K)
    most = tiles - lists + 1000
    monkeypatch.setattr(memory, "estimate_memory", lambda *_, **__: 2e9)
    held = neighbors.knn(X, K)
    np.save(tmp_path / "X.npy", X)
    rows = np.load(tmp_path / "X.npy", mmap_mode="r")
    check_equal(held, neighbors.knn(rows, K, max_memory=most))
    monkeypatch.setattr(approximate, "_MOST_WORK", 0.0)  # clusters are never cheaper
    found = neighbors.knn(rows, K, max_memory=most)
    assert found.engine.startswith("streamed, exact")
    assert torch.equal(found.indices, neighbors.knn(X, K, recall=1.0).indices)


def test_gathered_clusters_say_what_does_not_fit() -> None:
    lists = GatheredClusters(5, 2, 3)
    sizes, known, names = torch.tensor([2]), torch.tensor([0]), torch.tensor([0, 1]).int()
    with pytest.raises(ValueError, match=r"rows must have shape \(2, 2\) and names 2 entries"):
        lists.compare_rows(torch.zeros(2, 3), names, names, sizes, torch.zeros(1, 2), known)


def test_differences_with_all_rows_are_exact() -> None:
    X = torch.from_numpy(clouds(500, 7, np.int8))
    rows = torch.tensor([3, 499, 250])
    indices, distances = read_rows.differing_rows(read_rows.ReadRows(X), rows, 6)
    away = torch.cdist(X[rows].double(), X.double())
    away[torch.arange(3), rows] = torch.inf
    assert torch.equal(
        distances.double(), away.sort(dim=1, stable=True).values[:, :6].float().double()
    )
    assert torch.equal(away.gather(1, indices.long()).float(), distances)


@pytest.mark.parametrize("operation", ["union", "intersection", "mix", "mean"])
def test_edges_joined_by_ranges(operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    n = 3000
    # Few points that many list, and a segment that none does.
    indices = np.stack([rng.choice(n if i % 3 else 200, 7, replace=False) for i in range(n)])
    weights = rng.random((n, 7), np.float32)
    whole = ops.symmetrize(indices, weights, operation, mix_ratio=0.7)
    monkeypatch.setattr(symmetrize_module, "_SEGMENT", 64)
    with disk.arrays_within(8 * 28 * 2000):
        parts = ops.symmetrize(indices, weights, operation, mix_ratio=0.7)
    for part, expected in zip(parts, whole, strict=True):
        assert torch.equal(part, expected)


def test_a_start_of_many_points_is_near_that_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    angles = np.sort(np.random.default_rng(0).uniform(0, 2 * np.pi, 3000))
    ring = np.stack((np.cos(angles), np.sin(angles)), axis=1).astype(np.float32)
    found = neighbors.knn(ring, 10)
    weights = ops.smooth_knn(found.distances, "umap").weights
    edges = ops.symmetrize(found.indices, weights)
    exact = spectral_positions(edges)
    monkeypatch.setattr(_eigenvectors, "_MANY_POINTS", 100)
    near = spectral_positions(edges)
    # Any rotation of the plane of eigenvectors is one: what of the one lies in the other's span.
    basis, other = (torch.linalg.qr(part.double())[0] for part in (exact, near))
    assert float(torch.linalg.svdvals(basis.T @ other).min()) > 0.99


@pytest.mark.usefixtures("clusters")
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_the_same_map_from_the_disk(metric: str, tmp_path: Path) -> None:
    X = clouds(6000, 40, np.uint8)
    np.save(tmp_path / "X.npy", X)
    rows = np.load(tmp_path / "X.npy", mmap_mode="r")
    options = {"metric": metric, "n_neighbors": 8, "n_epochs": 20, "random_state": 0}
    fitted = UMAP(max_memory=8.5e5, **options).fit(rows)
    expected = UMAP(**options).fit(X.astype(np.float32))
    assert fitted.engine_ == expected.engine_
    assert "overlapping clusters" in fitted.engine_
    np.testing.assert_array_equal(fitted.embedding_, expected.embedding_)
    assert (fitted.graph_ != expected.graph_).nnz == 0


def test_arrays_lie_in_files_within_a_block() -> None:
    def in_file(tensor: torch.Tensor) -> bool:
        maps = Path("/proc/self/maps").read_text().splitlines()
        at = tensor.data_ptr()
        spans = (line.split() for line in maps if "(deleted)" in line)
        return any(
            int(low, 16) <= at < int(high, 16)
            for low, high in (span[0].split("-") for span in spans)
        )

    assert not in_file(disk.empty((100, 100), torch.float32))
    with disk.arrays_within(16 * 1000):
        assert disk.limit() == 16000
        large, small = disk.full((100, 100), 3.0, torch.float32), disk.empty((10,), torch.int64)
        assert (large == 3).all()
        if sys.platform.startswith("linux"):
            assert in_file(large)
        assert not in_file(small)
        grown = disk.Appended(torch.int32)
        for part in (torch.arange(5), torch.arange(0), torch.arange(3)):
            grown.add(part.int())
        assert grown.whole().tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
        assert disk.Appended(torch.int32).whole().tolist() == []
    assert disk.limit() is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits files")
def test_a_full_disk_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    rows = torch.zeros(100_000, dtype=torch.int32)
    message = f"temporary file in {tmp_path} cannot be written. Set TMPDIR"
    with disk.arrays_within(1.0):
        grown = disk.Appended(torch.int32)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        try:
            for call in (
                lambda: disk.empty((100_000,), torch.int32),
                lambda: grown.add(rows),
                lambda: on_disk(rows[:, None].numpy()),
            ):
                with pytest.raises(OSError, match=message):
                    call()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
