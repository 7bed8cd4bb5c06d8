"""Neighbours from lists, tables of distances, distance graphs, and through a given index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from scipy.spatial.distance import cdist

from fastparadime import exceptions, neighbors, relations
from fastparadime.neighbors import given_index, precomputed

N, K = 200, 5


def table(n: int = N, d: int = 6) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((n, d)).astype(np.float32)


def distances_of(X: np.ndarray) -> np.ndarray:
    return cdist(X, X).astype(np.float32)


def lists_of(D: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of each row, itself included, shuffled."""
    indices = np.argsort(D, axis=1, kind="stable")[:, :width]
    indices = np.random.default_rng(2).permuted(indices, axis=1)
    return indices, np.take_along_axis(D, indices, axis=1)


def expected(D: np.ndarray, k: int = K) -> tuple[np.ndarray, np.ndarray]:
    D = D.copy()
    np.fill_diagonal(D, np.inf)
    indices = np.argsort(D, axis=1, kind="stable")[:, :k]
    return indices, np.take_along_axis(D, indices, axis=1)


def check(graph: neighbors.NeighborGraph, D: np.ndarray, k: int = K) -> None:
    indices, distances = expected(D, k)
    assert graph.indices.dtype == torch.int32
    assert graph.distances.dtype == torch.float32
    np.testing.assert_array_equal(graph.indices, indices)
    np.testing.assert_array_equal(graph.distances, distances)
    assert graph.recall_bound == 1


@pytest.fixture(params=[None, 1000])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One block, and many."""
    if request.param is not None:
        monkeypatch.setattr(precomputed, "_BLOCK_BYTES", request.param)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("width", [K + 1, 20, N])
@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy])
def test_lists(width: int, make: Any) -> None:
    D = distances_of(table())
    lists = tuple(make(part) for part in lists_of(D, width))
    check(neighbors.knn(lists, K), D)
    check(neighbors.knn(list(lists), K, "precomputed"), D)


def test_lists_without_the_point_and_with_empty_entries() -> None:
    D = distances_of(table())
    indices, distances = expected(D, 9)
    indices[3, 6:], distances[7, 5:] = -1, np.inf
    check(neighbors.knn((indices.astype(np.int32), distances.astype(float)), K), D)


def test_ties_in_lists_go_to_the_smaller_index() -> None:
    indices = np.array([[3, 2, 1], [3, 0, 2], [0, 1, 3], [2, 0, 1]])
    graph = neighbors.knn((indices, np.array([[1.0, 1, 1]] * 4)), 2)
    assert graph.indices.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]
    zero = neighbors.knn((indices, -0.0 * np.ones((4, 3))), 1)
    assert zero.indices.flatten().tolist() == [1, 0, 0, 0]
    assert not torch.signbit(zero.distances).any()


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i4"])
def test_tables_of_distances(dtype: str, tmp_path: Path) -> None:
    D = (100 * distances_of(table())).astype(dtype)
    check(neighbors.knn(D, K, "precomputed"), D.astype(np.float32))
    check(neighbors.knn(torch.from_numpy(D), K, "precomputed"), D.astype(np.float32))
    h5py = pytest.importorskip("h5py")
    source = h5py.File(tmp_path / "d.h5", "w").create_dataset("d", data=D, chunks=(30, 30))
    check(neighbors.knn(source, K, "precomputed"), D.astype(np.float32))


def test_infinite_distances_are_none() -> None:
    D = distances_of(table(20))
    D[4, 6:] = D[6:, 4] = np.inf
    D[4, 4] = 0
    check(neighbors.knn(D, 4, "precomputed"), D, 4)
    with pytest.warns(
        UserWarning, match="X holds fewer than k = 7 other points in 1 of 20 rows, .* row 4 with 5"
    ) as caught:
        graph = neighbors.knn(D, 7, "precomputed")
    assert caught[0].filename == __file__
    indices, distances = expected(D, 7)
    indices[4, 5:] = -1
    np.testing.assert_array_equal(graph.indices, indices)
    np.testing.assert_array_equal(graph.distances, distances)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("form", ["csr", "csc", "coo", "array"])
def test_distance_graphs(form: str) -> None:
    D = distances_of(table())
    rng = np.random.default_rng(3)
    kept = rng.random(D.shape) < rng.random((N, 1))  # rows of all lengths
    kept[np.arange(N)[:, None], expected(D, K)[0]] = True
    kept[7] = True
    rows, columns = np.nonzero(kept)
    graph = scipy.sparse.coo_matrix((D[rows, columns], (rows, columns)), shape=D.shape)
    graph = scipy.sparse.csr_array(graph) if form == "array" else graph.asformat(form)
    check(neighbors.knn(graph, K, "precomputed"), D)


def test_a_graph_of_scikit_learn_keeps_duplicates_and_is_untouched() -> None:
    from sklearn.neighbors import KNeighborsTransformer

    X = table()
    X[10:14] = X[10]
    graph = KNeighborsTransformer(n_neighbors=12).fit_transform(X)  # sorted by distance
    before = [part.copy() for part in (graph.data, graph.indices, graph.indptr)]
    found = neighbors.knn(graph, K, "precomputed")
    assert (found.distances[10:14, :3] == 0).all()
    assert found.indices[12, :3].tolist() == [10, 11, 13]
    exact = expected(distances_of(X))[1]
    np.testing.assert_allclose(found.distances, exact, rtol=1e-5, atol=1e-3)
    for part, kept in zip((graph.data, graph.indices, graph.indptr), before, strict=True):
        np.testing.assert_array_equal(part, kept)


def test_relations_take_what_is_known() -> None:
    D = distances_of(table())
    for relation, given in (
        (relations.NeighborBasedPDist(K, metric="precomputed"), D),
        (relations.NeighborBasedPDist(K, metric="precomputed"), scipy.sparse.csr_matrix(D)),
        (relations.NeighborBasedPDist(K), lists_of(D, 9)),
    ):
        indices, distances = relation.compute_relations(given).data
        np.testing.assert_array_equal(indices, expected(D)[0])
        np.testing.assert_array_equal(distances, expected(D)[1])


GOOD = (np.array([[0, 1, 2], [1, 0, 2], [2, 1, 0]]), np.array([[0.0, 1, 2], [0, 1, 3], [0, 3, 2]]))


def changed(part: int, row: int, column: int, value: float) -> tuple[np.ndarray, np.ndarray]:
    parts = tuple(each.copy() for each in GOOD)
    parts[part][row, column] = value
    return parts


@pytest.mark.parametrize(
    ("X", "k", "error", "message"),
    [
        (changed(0, 1, 2, 3), 2, ValueError, "indices below 3, but row 1 has 3 in column 2"),
        (changed(0, 2, 2, 1), 2, ValueError, "name a neighbor once, but row 2 has 1 twice"),
        (changed(1, 1, 1, -1), 2, ValueError, "not negative, but row 1 has -1.0 in column 1"),
        (changed(1, 1, 1, -4e-5), 2, ValueError, "not negative, but row 1 has -4e-05 in column 1"),
        (changed(1, 0, 1, np.nan), 2, ValueError, "distances, .* but row 0 has nan in column 1"),
        (changed(1, 0, 1, -np.inf), 2, ValueError, "distances, .* row 0 has -inf in column 1"),
        (
            changed(1, 0, 2, 1e39),
            2,
            ValueError,
            r"within float32, but row 0 has 1e\+39 in column 2",
        ),
        (tuple(part[:, :1] for part in GOOD), 2, ValueError, "at least k = 2 columns, not 1"),
        ((GOOD[0], GOOD[1][:, :2]), 2, ValueError, r"of one shape.*\(3, 3\) and \(3, 2\)"),
        ((GOOD[0] * 1.0, GOOD[1]), 2, TypeError, "integer indices .* not float64"),
        ((GOOD[0], GOOD[1].astype(str)), 2, TypeError, "real distances"),
        (GOOD, 3, ValueError, r"k must be an integer in \[1, 2\]"),
    ],
)
def test_bad_lists(X: Any, k: int, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        neighbors.knn(X, k)


@pytest.mark.parametrize(
    ("D", "error", "message"),
    [
        (np.ones((3, 2)), ValueError, r"X must be square .* has shape \(3, 2\)"),
        (np.ones((3, 3)), ValueError, "X must have a diagonal of zeros"),
        (-np.ones((3, 3)), ValueError, "X must hold distances, .* row 0 has -1.0 in column 0"),
        (1e-3 * np.eye(3), ValueError, "diagonal of zeros .* but row 0 has 0.001"),
        (np.ones((3, 3), complex), TypeError, "complex"),
        (scipy.sparse.csr_matrix((3, 2)), ValueError, r"X must be square .* not \(3, 2\)"),
        (
            scipy.sparse.csr_matrix(1 - 2 * np.eye(3)[::-1]),
            ValueError,
            "row 0 has -1.0 in column 2",
        ),
        (scipy.sparse.csr_matrix(np.eye(3) * 1j), TypeError, "real distances, not complex128"),
        ((np.eye(3),), TypeError, "two items|pair"),
    ],
)
def test_bad_distances(D: Any, error: type[Exception], message: str) -> None:
    if isinstance(D, tuple):
        with pytest.raises(error, match=message):
            precomputed.from_lists(D, 1)
        return
    with pytest.raises(error, match=message):
        neighbors.knn(D, 1, "precomputed")


def test_options_without_effect_are_refused() -> None:
    for name in ("index", "max_memory"):
        with pytest.raises(ValueError, match=f"{name} must be None where X holds neighbors"):
            neighbors.knn(GOOD, 2, **{name: 10})


@pytest.fixture
def faiss() -> Any:
    module = neighbors.find_faiss()
    if module is None:
        pytest.skip("faiss is not installed")
    return module


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine", "correlation"])
def test_an_exact_index(faiss: Any, metric: str) -> None:
    X = table()
    rows = X - X.mean(1, keepdims=True) if metric == "correlation" else X
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    index = faiss.IndexFlatL2(6)
    index.add(unit if metric in ("cosine", "correlation") else X)
    graph = neighbors.knn(X.astype(float), K, metric, index=index)
    plain = neighbors.knn(X, K, metric)
    assert torch.equal(graph.indices, plain.indices)
    torch.testing.assert_close(graph.distances, plain.distances)
    assert graph.engine.startswith("index IndexFlatL2, recall 1.000 >= 0.98")
    assert graph.recall_estimate == 1


def test_a_coarse_index_warns_with_what_it_reached(faiss: Any) -> None:
    X = table(3000)
    index = faiss.index_factory(6, "IVF64,Flat")
    index.train(X)
    index.add(X)
    with pytest.warns(
        exceptions.RecallWarning,
        match=r"recall=0.95 was not reached: index IndexIVFFlat found 0\.\d+ .*nprobe",
    ) as caught:
        graph = neighbors.knn(X, K, index=index)
    assert caught[0].filename == __file__
    exact = neighbors.knn(X, K)
    found = float((graph.distances <= exact.distances[:, -1:]).float().mean())
    assert graph.recall_bound <= found < 0.95
    index.nprobe = 64
    assert neighbors.knn(X, K, index=index).recall_bound >= 0.95


def test_an_index_that_finds_too_few(faiss: Any) -> None:
    X = table(300)
    index = faiss.index_factory(6, "IVF64,Flat")
    index.train(table(4000))
    index.add(X)
    with pytest.raises(
        ValueError, match=r"index found only \d of k = 40 neighbors of row \d+: .*nprobe"
    ):
        neighbors.knn(X, 40, index=index)


@pytest.mark.parametrize("kind", ["Flat", "IVF16,Flat", "IVF16,PQ3x4"])
def test_an_index_is_asked_by_addresses(faiss: Any, kind: str) -> None:
    X = table(2000)
    index = faiss.index_factory(6, kind)
    index.train(X)
    index.add(X)
    rows = torch.from_numpy(X)[100:300]
    named = given_index.named_by_address(index, rows, 7)
    assert named.dtype == torch.int64
    np.testing.assert_array_equal(named.numpy(), index.search(rows.numpy(), 7)[1])
    # Not only for rows that lie one after the other.
    turned = given_index.named_by_address(index, rows.T.contiguous().T, 7)
    assert torch.equal(turned, named)


@pytest.mark.usefixtures("faiss")
def test_an_index_out_of_memory() -> None:
    class Full:
        def __init__(self, report: str) -> None:
            self.report = report

        def search_c(self, *_: Any) -> None:
            raise RuntimeError(self.report)

    rows = torch.from_numpy(table())
    with pytest.raises(exceptions.DeviceMemoryError, match=r"index Full ran out .*\(cudaMalloc"):
        given_index.named_by_address(Full("cudaMalloc error out of memory [2]"), rows, 3)
    with pytest.raises(RuntimeError, match="k too large"):
        given_index.named_by_address(Full("k too large"), rows, 3)


class OnAnotherGPU:
    """What is asked of an index before it is searched."""

    ntotal, d = 200, 6
    search = None

    def getDevice(self) -> int:  # noqa: N802 - a name of faiss
        return 1


def test_an_index_on_another_gpu() -> None:
    given_index.check_place(OnAnotherGPU(), torch.device("cuda", 1))
    given_index.check_place(OnAnotherGPU(), torch.device("cpu"))  # faiss moves the rows itself
    with pytest.raises(ValueError, match=r"index must live .*, cuda:0, not on cuda:1"):
        given_index.check_place(OnAnotherGPU(), torch.device("cuda", 0))


def test_an_index_on_the_cpu_is_asked_for_rows_of_any_device(
    faiss: Any, device: torch.device
) -> None:
    X = table(2000)
    index = faiss.IndexFlatL2(6)
    index.add(X)
    found = neighbors.knn(torch.from_numpy(X).to(device), K, index=index)
    assert found.indices.device.type == found.distances.device.type == device.type
    assert torch.equal(found.indices.cpu(), neighbors.knn(X, K).indices)


@pytest.mark.cuda
@pytest.mark.parametrize("kind", ["Flat", "IVF64,Flat", "IVF64,PQ3"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_an_index_on_a_gpu(faiss: Any, cuda: torch.device, kind: str, metric: str) -> None:
    if not hasattr(faiss, "StandardGpuResources"):
        pytest.skip("the installed faiss has no indexes for GPUs")
    X = table(5000)
    rows = X / np.linalg.norm(X, axis=1, keepdims=True) if metric == "cosine" else X
    index = faiss.index_factory(6, kind)
    index.train(rows)
    index.add(rows)
    if kind.startswith("IVF"):
        index.nprobe = 64
    resources = faiss.StandardGpuResources()
    index = faiss.index_cpu_to_gpu(resources, 0, index)
    options = {"index": index, "recall": 0.5}
    found = neighbors.knn(torch.from_numpy(X).to(cuda), K, metric, **options)
    assert found.indices.device.type == "cuda"
    exact = neighbors.knn(X, K, metric)
    shares = (found.distances.cpu() <= exact.distances[:, -1:] * (1 + 1e-5)).float().mean()
    assert float(shares) >= found.recall_bound >= 0.5
    assert torch.equal(found.indices.cpu(), neighbors.knn(X, K, metric, **options).indices)


def test_bad_indexes(faiss: Any) -> None:
    X, index = table(), faiss.IndexFlatL2(6)
    with pytest.raises(TypeError, match="index must be an index of FAISS, not int"):
        neighbors.knn(X, K, index=3)
    with pytest.raises(ValueError, match=r"index must hold the rows of X, 200 of 6 .* not 0 of 6"):
        neighbors.knn(X, K, index=index)
    index.add(X)
    with pytest.raises(ValueError, match=r"index can be given for .* not 'manhattan'"):
        neighbors.knn(X, K, "manhattan", index=index)
    with pytest.raises(ValueError, match=r"index can be given for .* not 'hamming'"):
        neighbors.knn(X, K, "hamming", index=index)
    with pytest.raises(ValueError, match="max_memory must be None with an index"):
        neighbors.knn(X, K, index=index, max_memory=1e9)
    with pytest.raises(ValueError, match="index must be None where X is sparse"):
        neighbors.knn(scipy.sparse.csr_matrix(X), K, index=index)
