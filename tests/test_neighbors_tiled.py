"""Search by tiles and by clusters: exact whatever the precision, a promise where it is not."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

from fastparadime import neighbors, ops
from fastparadime.exceptions import DeviceMemoryError, RecallWarning
from fastparadime.neighbors import device_clusters, memory, tiled, unit_rows
from fastparadime.neighbors.table import Table

K = 10
PRECISIONS = [torch.float32, torch.float16, torch.bfloat16]


def table(kind: str) -> torch.Tensor:
    rng = np.random.default_rng(3)
    X = {
        "normal": lambda: rng.standard_normal((700, 30)),
        "far": lambda: rng.random((600, 12)) + 1000,
        "two far clusters": lambda: rng.standard_normal((600, 8)) + 1e4 * (np.arange(600) % 2)[:, None],
        "one huge row": lambda: np.concatenate([rng.standard_normal((500, 6)), np.full((1, 6), 1e12)]),
        "tiny": lambda: 1e-18 * rng.standard_normal((500, 9)),
        "huge": lambda: 1e17 * rng.standard_normal((500, 9)),
        "duplicates": lambda: np.repeat(rng.standard_normal((30, 5)), 20, axis=0),
        "a zero row": lambda: np.concatenate([np.zeros((1, 5)), rng.standard_normal((300, 5))]),
        "corners": lambda: np.eye(200),
        "a line": lambda: np.arange(500)[:, None] ** 2,
        "few": lambda: rng.standard_normal((12, 3)),
    }[kind]()  # fmt: skip
    return torch.from_numpy(X.astype(np.float32))


KINDS = [
    "normal", "far", "two far clusters", "one huge row", "tiny", "huge", "duplicates",
    "a zero row", "corners", "a line", "few",
]  # fmt: skip


def check(graph: neighbors.NeighborGraph, X: torch.Tensor, power: int = 1) -> None:
    """Asserts that the distances are the smallest, by differences in float64, and those of pairs."""
    D = torch.cdist(X.double(), X.double(), compute_mode="donot_use_mm_for_euclid_dist") ** power
    D.fill_diagonal_(torch.inf)
    k = graph.indices.shape[1]
    wanted = D.sort(dim=1).values[:, :k]
    indices, distances = (part.cpu() for part in graph)
    torch.testing.assert_close(distances.double(), wanted, rtol=1e-5, atol=0.0)
    torch.testing.assert_close(D.gather(1, indices.long()), wanted, rtol=1e-5, atol=0.0)
    assert all(len(set(row)) == k for row in indices.tolist())


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_exact_in_any_precision(
    kind: str, precision: torch.dtype, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiled, "_TILE_BYTES", 4 * 128 * 128)  # several tiles, the last in part
    monkeypatch.setattr(tiled, "_FEW_COLUMNS", 0)
    X = table(kind)
    check(tiled.tiled_knn(X.to(device), K, precision=precision), X)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if table(kind).shape[1] <= 8])
def test_few_columns_are_compared_by_differences(kind: str, device: torch.device) -> None:
    X = table(kind)
    graph = tiled.tiled_knn(X.to(device), K)
    assert graph.engine == "differences, exact"
    check(graph, X)


def normal(n: int, d: int) -> torch.Tensor:
    return torch.randn((n, d), generator=torch.Generator().manual_seed(0))


def grouped(n: int = 3000) -> torch.Tensor:
    """Two groups 30 standard deviations apart."""
    return normal(n, 20) + 30 * (torch.arange(n) % 2)[:, None]


def with_outlier(row: int) -> torch.Tensor:
    X = normal(3000, 20)
    X[row] = 1e4
    return X


def with_equal_rows() -> torch.Tensor:
    X = normal(3000, 20)
    X[100:400] = X[100]
    return X


IN_DOUBT = {
    "groups": (grouped, 1500, 0),
    "an outlier that shows": (lambda: with_outlier(0), 1, 1),
    "an outlier": (lambda: with_outlier(1), 1, 1),
    "equal rows": (with_equal_rows, 6, 6),
    "uniform, nine columns": (lambda: torch.rand((20_000, 9), generator=torch.Generator().manual_seed(0)), 400, 0),
}  # fmt: skip


@pytest.mark.parametrize("kind", IN_DOUBT)
def test_how_many_rows_are_in_doubt(kind: str, device: torch.device) -> None:
    """At most so many after products of whole rows, and after those of split ones."""
    make, again, differed = IN_DOUBT[kind]
    X = make()
    graph = tiled.tiled_knn(X.to(device), 15, precision=torch.float16)
    found = [int(number) for number in re.findall(r", (\d+)", graph.engine)] or [0, 0]
    assert found[0] <= again
    assert found[1] <= differed
    if len(X) <= 3000:
        check(graph, X)


def test_most_rows_are_settled_by_products() -> None:
    for precision in PRECISIONS[:2]:
        assert (
            tiled.tiled_knn(table("normal"), K, precision=precision).engine
            == "tiled products, exact"
        )


def test_ties_go_by_differences(device: torch.device) -> None:
    graph = tiled.tiled_knn(table("corners").to(device), K, precision=torch.float16)
    assert graph.engine == "tiled products, exact, 200 rows again, 200 of them by differences"


def test_the_bound_is_what_makes_it_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiled, "_is_sure", lambda bounds, *_: torch.ones_like(bounds).bool())
    X = grouped() * 100
    unchecked = tiled.tiled_knn(X, K, precision=torch.bfloat16)
    with pytest.raises(AssertionError):
        check(unchecked, X)


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
@pytest.mark.parametrize("d", [3, 40, 41, 200, 784])
def test_slack_is_no_less_than_the_error(
    d: int, precision: torch.dtype, device: torch.device
) -> None:
    X = normal(64, d) + normal(1, d)
    for split in (False, True):
        split = split and precision != torch.float32
        rows = unit_rows.UnitTable(X, device, precision, torch.zeros(d), 1.0, split=split)
        panel, other = rows.panel(0, 64), rows.panel(0, 9, torch.arange(9) * 7)
        unit = torch.nn.functional.normalize(X.double(), dim=1)
        wanted = unit @ unit[::7][:9].T
        found = panel.cosines(slice(0, 64), other, slice(0, 9)).cpu().double()
        slack = panel.slack(other)
        assert float((found - wanted).abs().max()) <= slack
        mine, theirs = (part.cpu().double() for part in panel.side_by_side(other))
        assert float(((mine @ theirs.T)[:64, :9] - wanted).abs().max()) <= slack
        assert slack < (2e-2 if not split else 2e-4 if precision == torch.bfloat16 else 4e-5)


@pytest.mark.parametrize("k", [1, 20, 250, 499])
def test_any_k(k: int) -> None:
    X = table("tiny")
    assert tiled.takes(k, "euclidean")
    check(tiled.tiled_knn(X, k, precision=torch.float16), X)
    check(tiled.tiled_knn(table("normal"), min(k, 300), "sqeuclidean"), table("normal"), 2)


def test_larger_k_and_other_metrics_go_another_way() -> None:
    assert not tiled.takes(500, "euclidean")
    assert not tiled.takes(5, "manhattan")


def test_panels_within_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit_rows, "STAGED_BYTES", 4 * 30 * 64)
    monkeypatch.setattr(tiled, "_TILE_BYTES", 4 * 64 * 64)
    X = table("normal")
    whole = tiled.make_plan(*X.shape, K, itemsize=2)
    assert whole.panel == 700
    limit = whole.bytes / 2
    plan = tiled.make_plan(*X.shape, K, itemsize=2, limit=limit)
    assert 64 <= plan.panel < 700
    assert plan.bytes <= limit
    seen = []
    make = unit_rows.UnitTable.panel
    monkeypatch.setattr(
        unit_rows.UnitTable, "panel", lambda self, *of: seen.append(of) or make(self, *of)
    )
    check(tiled.tiled_knn(X, K, precision=torch.float16, limit=limit), X)
    assert max(count for _, count in seen) == plan.panel
    assert {first for first, _ in seen} == set(range(0, 700, plan.panel))


def test_a_limit_that_no_plan_keeps() -> None:
    least = tiled.least_bytes(700, 30, K, itemsize=2)
    assert tiled.make_plan(700, 30, K, itemsize=2, limit=least).bytes == least
    with pytest.raises(DeviceMemoryError, match=r"search has 1000 bytes .* 10 neighbors of 700"):
        tiled.make_plan(700, 30, K, itemsize=2, limit=1000)
    with pytest.raises(DeviceMemoryError, match="search has 0 bytes for its tiles"):
        tiled.make_plan(700, 30, K, itemsize=2, limit=-5)


def test_search_beside_the_device(device: torch.device) -> None:
    X = table("normal")
    graph = tiled.tiled_knn(X, K, device=device, precision=torch.float16)
    assert graph.indices.device.type == "cpu"
    check(graph, X)


def test_knn_on_a_named_device(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbors.exact, "find_faiss", lambda: None)
    X = table("normal")
    for metric in ("euclidean", "manhattan", "seuclidean"):
        graph = neighbors.knn(X.numpy(), K, metric, device=device)
        assert graph.indices.device.type == graph.distances.device.type == device.type
    check(neighbors.knn(X, K, device=device, max_memory=1e9), X)
    with pytest.raises(ValueError, match="device must be 'cpu' or 'cuda', not 'meta'"):
        neighbors.knn(X, K, device="meta")


GPU = torch.device("cuda")


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_where_the_rows_go(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    X = table("far").to(dtype)
    n, d = X.shape
    moved: list[torch.device | None] = []
    monkeypatch.setattr(Table, "whole", lambda _, device=None: moved.append(device) or X)
    at_home = Table(X, "euclidean", GPU)
    itemsize = tiled.default_precision(GPU).itemsize
    usual = tiled.make_plan(n, d, K, itemsize=itemsize).bytes
    enough = 8 * n * K + 4 * n * d + usual
    assert memory.placed(at_home, K, 1.0, enough)[1] == usual
    copied = 0 if dtype == torch.float32 else 4 * n * d
    assert memory.placed(at_home, K, 1.0, enough - 1)[1] == usual + 4 * n * d - 1 - copied
    assert moved == [None, torch.device("cpu")]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_small_tiles_before_streaming(metric: str) -> None:
    X = table("normal")
    n, d = X.shape
    rows = Table(X, metric, GPU)
    copied = 0 if metric == "euclidean" else 4 * n * d
    itemsize = tiled.default_precision(GPU).itemsize
    least = 8 * n * K + copied + tiled.least_bytes(n, d, K, itemsize=itemsize)
    assert memory.holds_tiles(least, rows, K, "euclidean", 1.0)
    assert not memory.holds_tiles(least - 1, rows, K, "euclidean", 1.0)
    assert not memory.holds_tiles(1e12, rows, K, "manhattan", 1.0)
    assert not memory.holds_tiles(1e12, Table(X, metric), K, "euclidean", 1.0)


class Rows:
    """A source: a shape, a dtype and slices of rows."""

    def __init__(self, X: np.ndarray) -> None:
        self._X = X
        self.shape, self.ndim, self.dtype = X.shape, X.ndim, X.dtype

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self._X[rows]


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
def test_sources_on_a_named_device(metric: str, device: torch.device) -> None:
    X = table("normal").numpy()
    for max_memory in (None, 1000 * 700):
        found = neighbors.knn(Rows(X), K, metric, device=device, max_memory=max_memory)
        assert found.indices.device.type == found.distances.device.type == device.type
        expected = neighbors.knn(X, K, metric)
        torch.testing.assert_close(found.distances.cpu(), expected.distances, rtol=1e-4, atol=1e-6)


def test_what_is_not_searched_on_a_named_device(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = table("normal").numpy()
    known = neighbors.knn(X, K)
    with pytest.raises(ValueError, match="device must be None where X holds neighbors"):
        neighbors.knn((known.indices, known.distances), 3, device=device)
    with pytest.raises(ValueError, match="device must be None where X holds neighbors"):
        neighbors.knn(np.ones((9, 9)) - np.eye(9), 3, "precomputed", device=device)
    words = scipy.sparse.csr_matrix(X)
    assert neighbors.knn(words, K, device="cpu").indices.device.type == "cpu"
    monkeypatch.setattr(ops, "resolve_device", torch.device)
    with pytest.raises(ValueError, match=r"sparse X is searched on the CPU: .* not cuda"):
        neighbors.knn(words, K, device="cuda")


def mixture(n: int = 6000) -> torch.Tensor:
    rng = np.random.default_rng(5)
    centres = 3 * rng.standard_normal((50, 16))
    X = centres[rng.integers(0, 50, n)] + rng.standard_normal((n, 16))
    return torch.from_numpy(X.astype(np.float32))


def true_recall(graph: neighbors.NeighborGraph, X: torch.Tensor) -> float:
    exact = tiled.tiled_knn(X, K).distances[:, -1:]
    return float((graph.distances.cpu() <= exact * (1 + 1e-5)).double().mean())


@pytest.mark.slow
@pytest.mark.parametrize("recall", [0.5, 0.9, 0.99])
def test_the_promise_of_clusters(
    recall: float, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_clusters, "_CLUSTER_ROWS", 300)
    X = mixture()
    graph = device_clusters.clustered_knn(X.to(device), K, "euclidean", recall, 0)
    assert graph.engine.startswith("20 overlapping clusters")
    assert recall <= graph.recall_bound <= graph.recall_estimate <= 1
    assert true_recall(graph, X) >= recall
    found = torch.linalg.vector_norm(X[:, None] - X[graph.indices.cpu().long()], dim=2)
    torch.testing.assert_close(graph.distances.cpu(), found, rtol=1e-5, atol=1e-6)
    squared = device_clusters.clustered_knn(X.to(device), K, "sqeuclidean", recall, 0)
    torch.testing.assert_close(squared.distances.cpu(), found**2, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_points_join_more_clusters_for_more_recall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_clusters, "_CLUSTER_ROWS", 100)
    X = torch.randn((3000, 20), generator=torch.Generator().manual_seed(0))
    engines = [device_clusters.clustered_knn(X, K, "euclidean", r, 0).engine for r in (0.3, 0.95)]
    assert "30 overlapping clusters, 2 a point" in engines[0]
    assert "30 overlapping clusters, 8 a point" in engines[1]
    monkeypatch.setattr(device_clusters, "_OVERLAPS", (1,))
    with pytest.warns(RecallWarning, match=r"recall=0.95 was not reached: overlapping clusters"):
        device_clusters.clustered_knn(X, K, "euclidean", 0.95, 0)


def test_clusters_of_few_or_equal_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_clusters, "_CLUSTER_ROWS", 5)
    X = torch.cat([torch.zeros((60, 2)), torch.arange(80.0).reshape(40, 2)])
    graph = device_clusters.clustered_knn(X, 3, "euclidean", 0.5, 0)
    assert bool(torch.isfinite(graph.distances).all())
    assert float(graph.distances[:60].max()) == 0


def test_when_clusters_are_searched() -> None:
    assert device_clusters.is_wanted(3_000_001, 0.95)
    assert not device_clusters.is_wanted(3_000_000, 0.95)
    assert not device_clusters.is_wanted(10**8, 1.0)


def test_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_clusters, "_CLUSTER_ROWS", 300)
    state = torch.random.get_rng_state()
    first, again = (
        device_clusters.clustered_knn(mixture(), K, "euclidean", 0.9, 7) for _ in range(2)
    )
    assert torch.equal(first.indices, again.indices)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_out_of_memory_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(ops, "ProductTable", fail)
    with pytest.raises(DeviceMemoryError, match=r"the neighbour search ran out .* set max_memory"):
        neighbors.knn(table("normal"), K)
