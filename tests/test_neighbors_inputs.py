"""What `knn` takes for X: dtypes, sources read by blocks, and what they cost in memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import neighbors, relations
from fastparadime.neighbors import streamed
from fastparadime.utils import sources

N, D, K = 700, 12, 6
METRICS = ["euclidean", "cosine", "correlation", "manhattan", "inner_product"]


def table(n: int = N, d: int = D) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 200, (n, d)).astype(np.uint8)


class Rows:
    """A source: a shape, a dtype and slices of rows, which it counts."""

    def __init__(self, X: np.ndarray, rows: int | None = None, chunks: Any = None) -> None:
        self._X = X
        self.shape = (len(X) if rows is None else rows, *X.shape[1:])
        self.dtype, self.ndim = X.dtype, X.ndim
        self.read: list[tuple[int, int]] = []
        if chunks is not None:
            self.chunks = chunks

    def __getitem__(self, rows: slice) -> np.ndarray:
        self.read.append((rows.start, rows.stop))
        return self._X[rows]


def hdf5(X: np.ndarray, folder: Path) -> Any:
    h5py = pytest.importorskip("h5py")
    return h5py.File(folder / "x.h5", "w").create_dataset("x", data=X, chunks=(64, 5))


def zarr(X: np.ndarray, folder: Path) -> Any:
    module = pytest.importorskip("zarr")
    array = module.create_array(folder / "x.zarr", shape=X.shape, chunks=(50, 7), dtype=X.dtype)
    array[:] = X
    return array


def memory_map(X: np.ndarray, folder: Path) -> Any:
    np.save(folder / "x.npy", X)
    return np.load(folder / "x.npy", mmap_mode="r")


@pytest.fixture(params=["faiss", "torch"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "faiss" and neighbors.find_faiss() is None:
        pytest.skip("faiss is not installed")
    if request.param == "torch":
        monkeypatch.setattr(neighbors.exact, "find_faiss", lambda: None)


def same(one: neighbors.NeighborGraph, other: neighbors.NeighborGraph) -> None:
    """Asserts that two graphs hold the same neighbours, up to ties."""
    torch.testing.assert_close(one.distances, other.distances, rtol=1e-5, atol=1e-6)
    assert float((one.indices == other.indices).float().mean()) > 0.99


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "u4", "i8", "u8", "f2", "f4", "f8", "g", ">f4"])
def test_dtypes_of_arrays(dtype: str) -> None:
    X = (table() > 100 if dtype == "?" else table()).astype(dtype)
    kept = X.copy()
    same(neighbors.knn(X, K), neighbors.knn(X.astype(np.float32), K))
    np.testing.assert_array_equal(X, kept)


@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.uint8, torch.int32, torch.float16, torch.bfloat16, torch.float64]
)
@pytest.mark.parametrize("metric", ["cosine", "hamming", "jaccard"])
def test_dtypes_of_tensors(dtype: torch.dtype, metric: str) -> None:
    X = torch.from_numpy(table()).to(dtype)
    same(neighbors.knn(X, K, metric), neighbors.knn(X.float().numpy(), K, metric))


@pytest.mark.parametrize("dtype", ["u1", "f2", "f4", "f8"])
@pytest.mark.parametrize("make", [hdf5, zarr, memory_map])
@pytest.mark.parametrize("metric", [*METRICS, "jensenshannon", "hellinger", "hamming", "jaccard"])
def test_sources_give_what_arrays_give(make: Any, dtype: str, metric: str, tmp_path: Path) -> None:
    X = (table() + 1).astype(dtype)
    source = make(X, tmp_path)
    expected = neighbors.knn(X, K, metric)
    found = neighbors.knn(source, K, metric)
    assert torch.equal(found.indices, expected.indices)
    assert torch.equal(found.distances, expected.distances)
    assert found.engine == expected.engine


class Lazy:
    """Slices that become arrays when they are asked to, and chunks by size, as of Dask."""

    def __init__(self, X: np.ndarray) -> None:
        self._X = X
        self.shape, self.ndim, self.dtype = X.shape, X.ndim, X.dtype
        self.chunks = ((300, 300, 100), (D,))

    def __getitem__(self, rows: slice) -> Lazy:
        return Lazy(self._X[rows])

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self._X.astype(dtype or self.dtype)


def test_slices_that_are_no_arrays_yet() -> None:
    X = table().astype(np.float32)
    assert sources.rows_at_a_time(Lazy(X)) % 300 == 0
    assert torch.equal(neighbors.knn(Lazy(X), K).indices, neighbors.knn(X, K).indices)


def test_a_source_is_read_once_by_whole_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_BLOCK_BYTES", 100 * D)
    X = table()
    for chunks, step in ((None, 100), ((30, 4), 90), ((130, 4), 130), (((64, 64),), 64)):
        source = Rows(X, chunks=chunks)
        neighbors.knn(source, K)
        starts = list(range(0, N, step))
        assert source.read == [(start, min(N, start + step)) for start in starts]


def test_relations_take_sources(tmp_path: Path) -> None:
    X = table().astype(np.float32)
    found = relations.NeighborBasedPDist(K).compute_relations(hdf5(X, tmp_path))
    expected = relations.NeighborBasedPDist(K).compute_relations(X)
    np.testing.assert_array_equal(found.data[1], expected.data[1])


@pytest.mark.parametrize("metric", [*METRICS, "sqeuclidean", "chebyshev", "canberra"])
@pytest.mark.parametrize(
    ("queries", "rows", "piece"), [(700, 256, 64), (100, 90, 33), (64, 700, 64)]
)
def test_streamed_search_is_exact(
    metric: str, queries: int, rows: int, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = table().astype(np.float32)
    X[20:40] = X[20]  # duplicates across and within blocks
    X[500:510] = X[20]
    tiles = streamed.Tiles(queries, rows, piece)
    monkeypatch.setattr(streamed, "tiles_within", lambda *_: tiles)
    found = neighbors.knn(Rows(X), K, metric, max_memory=1000)
    expected = neighbors.knn(X, K, metric, recall=1.0)
    torch.testing.assert_close(found.distances, expected.distances, rtol=1e-5, atol=1e-6)
    distinct = np.r_[0:20, 40:500, 510:N]
    agree = found.indices[distinct] == expected.indices[distinct]
    assert float(agree.float().mean()) > 0.99
    assert not (found.indices == torch.arange(N)[:, None]).any()
    assert all(len(set(row)) == K for row in found.indices.tolist())
    assert found.engine.startswith("streamed, exact, X read ")


def test_streamed_search_far_from_the_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    X = (np.random.default_rng(0).standard_normal((600, 8)) + 1000).astype(np.float32)
    monkeypatch.setattr(streamed, "tiles_within", lambda *_: streamed.Tiles(200, 150, 64))
    found = neighbors.knn(X, K, max_memory=1000)
    expected = neighbors.knn(X, K)
    assert torch.equal(found.indices, expected.indices)
    torch.testing.assert_close(found.distances, expected.distances, rtol=1e-5, atol=0)


def test_streamed_search_has_the_same_bits_for_any_threads(
    assert_same_bits: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamed, "tiles_within", lambda *_: streamed.Tiles(200, 150, 64))
    assert_same_bits(lambda: tuple(neighbors.knn(table(), K, max_memory=1000)))


def test_memory_chooses_the_engine() -> None:
    X = table().astype(np.float32)
    needed = neighbors.estimate_memory(N, D, K, ready=True)
    assert not neighbors.knn(X, K, max_memory=needed).engine.startswith("streamed")
    assert neighbors.knn(X, K, max_memory=needed - 1).engine.startswith("streamed")
    least = neighbors.estimate_memory(N, D, K, stream=True)
    found = neighbors.knn(X, K, max_memory=least)
    assert found.engine == "streamed, exact, X read 12 times"  # in 11 parts of 64 queries
    source = Rows(X)
    with pytest.raises(ValueError, match=r"too little: 6 neighbors of 700 .* streamed in blocks"):
        neighbors.knn(source, K, max_memory=least - 1)
    with pytest.raises(ValueError, match="metric 'jaccard' cannot be streamed"):
        neighbors.knn(X, K, "jaccard", max_memory=least)
    assert source.read == []


@pytest.mark.parametrize("allowed", [1e6, 1e7, 1e8, 1e12])
def test_tiles_keep_what_is_allowed(allowed: float) -> None:
    for n, d, k in ((10_000, 50, 15), (100_000, 8, 3), (2_000, 700, 90)):
        tiles = streamed.tiles_within(allowed, n, d, k)
        if tiles is None:
            assert streamed.least_tiles(n, k).bytes(n, d, k) > allowed
        else:
            assert tiles.bytes(n, d, k) <= allowed
            assert tiles.queries == n or tiles.bytes(n, d, k) > allowed - 4 * d


@pytest.mark.parametrize("limit", [None, 300_000])
def test_a_source_that_ends_short(limit: int | None) -> None:
    source = Rows(table()[:650], rows=N)
    with pytest.raises(
        ValueError, match=r"X has 700 rows .* rows \d+ to 699 of X came .*\(\d+, 12"
    ):
        neighbors.knn(source, K, max_memory=limit)


class Broken(Rows):
    def __getitem__(self, rows: slice) -> np.ndarray:
        if rows.stop > 300:
            raise OSError("the disk is gone")
        return super().__getitem__(rows)


def test_a_source_that_fails_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_BLOCK_BYTES", 100 * D)
    with pytest.raises(
        OSError, match=r"rows 300 to 399 of X cannot be read, of 700 .* disk is gone"
    ):
        neighbors.knn(Broken(table()), K)


@pytest.mark.parametrize("metric", ["euclidean", "hamming", "jaccard", "seuclidean"])
def test_values_that_are_not_finite_in_a_source(
    metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_BLOCK_BYTES", 400 * D)
    X = table().astype(np.float32)
    X[333, 2] = np.nan
    X[600, 1] = np.inf
    source = Rows(X)
    with pytest.raises(ValueError, match=r"X must hold finite .* row 333 has nan in column 2"):
        neighbors.knn(source, K, metric)
    assert source.read[-1][1] <= 400  # the first row is named once it is read


def test_rows_that_a_metric_does_not_take() -> None:
    X = table().astype(np.float32) + 1
    X[444, 3] = -1
    with pytest.raises(ValueError, match=r"jensenshannon.* row 444"):
        neighbors.knn(Rows(X), K, "jensenshannon")


def test_a_source_of_a_wrong_form_is_not_read() -> None:
    for X, message in (
        (np.zeros((5, 2, 2)), r"X must have two dimensions"),
        (np.zeros((1, 2)), "at least 2 rows"),
        (np.zeros((0, 2)), "X is empty"),
    ):
        source = Rows(X)
        with pytest.raises(ValueError, match=message):
            neighbors.knn(source, 1)
        assert source.read == []
    with pytest.raises(TypeError, match="X has dtype <U1"):
        neighbors.knn(Rows(np.array([["a"], ["b"]])), 1)
    with pytest.raises(ValueError, match="k must be an integer"):
        neighbors.knn(Rows(table()), N)


_PEAK = """
import resource, sys, tempfile
import numpy as np, torch
from fastparadime import neighbors
from fastparadime.utils import sources

class Rows:
    def __init__(self, n, d, dtype):
        self.shape, self.ndim, self.dtype = (n, d), 2, np.dtype(dtype)
    def __getitem__(self, rows):
        count = min(rows.stop, self.shape[0]) - rows.start
        values = np.random.default_rng(rows.start).integers(0, 250, (count, self.shape[1]), np.uint8)
        values[:, 8:] //= 100
        return values.astype(self.dtype)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

kind, n, d = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
neighbors.knn(np.random.default_rng(0).standard_normal((500, d)).astype(np.float32), 15)
neighbors.knn(Rows(500, d, "f4"), 15, max_memory=neighbors.estimate_memory(500, d, 15, stream=True))
X, limit, ready = Rows(n, d, "u1"), None, False
if kind == "array":
    X = X[0:n]
elif kind == "map":
    X = np.lib.format.open_memmap(sys.argv[4], "w+", np.float32, (n, d))
    for start in range(0, n, 1000):
        X[start : start + 1000] = Rows(n, d, "u1")[start : start + 1000]
    X.flush()
    del X
    X, ready = np.load(sys.argv[4], mmap_mode="r"), True
elif kind == "streamed":
    limit = 2 * neighbors.estimate_memory(n, d, 15, stream=True)
before = peak()
graph = neighbors.knn(X, 15, max_memory=limit)
taken = peak() - before
if kind == "map":
    taken -= X.nbytes  # its pages in memory are the file's, counted once they are read
print(graph.engine, taken, limit or neighbors.estimate_memory(n, d, 15, ready=ready), sep=";")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "n", "d", "engine"),
    [
        ("array", 40_000, 100, "overlapping clusters"),
        ("source", 40_000, 100, "overlapping clusters"),
        ("map", 40_000, 100, "overlapping clusters"),
        ("streamed", 6_000, 400, "streamed"),
    ],
)
def test_the_estimate_covers_the_peak(
    kind: str, n: int, d: int, engine: str, tmp_path: Path
) -> None:
    arguments = [kind, str(n), str(d), str(tmp_path / "x.npy")]
    found = subprocess.run(
        [sys.executable, "-c", _PEAK, *arguments], capture_output=True, text=True, check=True
    )
    name, taken, allowed = found.stdout.strip().split(";")
    assert engine in name
    assert int(taken) <= int(allowed)


def test_more_rows_than_indices_can_name() -> None:
    class Long:
        shape, ndim, dtype = (2**31, 3), 2, np.dtype(np.float32)

        def __getitem__(self, rows: slice) -> np.ndarray:
            raise AssertionError("nothing may be read")

    with pytest.raises(ValueError, match=r"X may have at most 2147483647 rows, .* not 2147483648"):
        neighbors.knn(Long(), 3)
