"""Nearest neighbours against brute force in float64, through every engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, pdist, squareform

from fastparadime import neighbors

K = 10


def table(n: int = 300, dim: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def distributions(n: int = 300, dim: int = 8) -> np.ndarray:
    rows = np.random.default_rng(1).gamma(1.0, size=(n, dim))
    return (rows / rows.sum(1, keepdims=True)).astype(np.float32)


def all_distances(X: np.ndarray, metric: Any, p: float = 2.0) -> np.ndarray:
    """Distances between all rows, in float64 from SciPy or the definition."""
    X = X.astype(np.float64)
    name = {
        "l2": "euclidean", "l1": "cityblock", "manhattan": "cityblock", "taxicab": "cityblock",
        "linf": "chebyshev", "linfinity": "chebyshev", "linfty": "chebyshev",
        "nan_euclidean": "euclidean",
    }.get(metric, metric)  # fmt: skip
    if name in ("inner_product", "ip", "dot"):
        return 1.0 - X @ X.T
    if name == "minkowski":
        return cdist(X, X, name, p=p)
    if name == "hellinger":
        roots = np.sqrt(X / X.sum(axis=1, keepdims=True))
        return cdist(roots, roots) / np.sqrt(2)
    return cdist(X, X, name)


def check(
    graph: neighbors.NeighborGraph,
    D: np.ndarray,
    k: int = K,
    rtol: float = 1e-5,
    atol: float = 1e-6,
) -> None:
    """Asserts that a graph holds the k nearest of each row of the distances, exactly."""
    n = len(D)
    D = D.copy()
    np.fill_diagonal(D, np.inf)
    indices, distances = graph.indices.cpu().numpy(), graph.distances.cpu().numpy()
    assert indices.shape == distances.shape == (n, k)
    assert graph.indices.dtype == torch.int32
    assert graph.distances.dtype == torch.float32
    assert indices.min() >= 0
    assert not (indices == np.arange(n)[:, None]).any()
    assert all(len(set(row)) == k for row in indices)
    assert (np.diff(distances, axis=1) >= 0).all()
    wanted = np.sort(D, axis=1)[:, :k]
    np.testing.assert_allclose(distances, wanted, rtol=rtol, atol=atol)
    np.testing.assert_allclose(np.take_along_axis(D, indices, 1), wanted, rtol=rtol, atol=atol)


@pytest.fixture(params=["faiss", "torch"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both engines of native metrics: with faiss where it is installed, and as if it were not."""
    if request.param == "faiss" and neighbors.find_faiss() is None:
        pytest.skip("faiss is not installed")
    if request.param == "torch":
        monkeypatch.setattr(neighbors.exact, "find_faiss", lambda: None)
    return request.param


_ALIASES = neighbors.metrics._ALIASES.items()
NATIVE = [
    *neighbors.NATIVE_METRICS,
    *(name for name, known in _ALIASES if known in neighbors.NATIVE_METRICS),
]


@pytest.mark.parametrize("metric", NATIVE)
def test_native_metrics_are_exact(metric: str, engine: str) -> None:
    X = distributions() if metric in ("jensenshannon", "hellinger") else table()
    graph = neighbors.knn(X, K, metric, p=3.0)
    check(graph, all_distances(X, metric, p=3.0), rtol=1e-4 if "jensen" in metric else 1e-5)
    by_products = metric in (
        "euclidean", "sqeuclidean", "l2", "cosine", "correlation", "hellinger",
    )  # fmt: skip
    by_engine = neighbors.check_metric(metric) in ("manhattan", "inner_product")
    other = {"faiss": "faiss Flat, exact", "torch": "torch, exact"}[engine]
    own = "products, exact" if by_products else "pairs, exact"
    assert graph.engine == (other if by_engine else own)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("metric", ["canberra", "jensenshannon", "braycurtis"])
def test_coordinates_that_are_zero_in_both_rows(metric: str) -> None:
    X = distributions() * (table(dim=8) > 0)
    X[:, 0] += 0.1
    X /= X.sum(1, keepdims=True)
    graph = neighbors.knn(X, K, metric)
    check(graph, all_distances(X, metric), rtol=1e-4, atol=2e-4 if "jensen" in metric else 1e-6)


def test_every_native_metric_is_covered() -> None:
    assert {"euclidean", "sqeuclidean", "cosine", "correlation", "inner_product"} <= set(NATIVE)
    assert {"manhattan", "chebyshev", "minkowski", "canberra", "braycurtis"} <= set(NATIVE)


def test_devices_agree(device: torch.device) -> None:
    X = table()
    graph = neighbors.knn(torch.from_numpy(X).to(device), K)
    assert graph.indices.device.type == graph.distances.device.type == device.type
    check(graph, all_distances(X, "euclidean"))


def _squared(x: np.ndarray, y: np.ndarray) -> float:
    return float(((x - y) ** 2).sum())


@pytest.mark.parametrize("metric", ["seuclidean", "mahalanobis", _squared])
def test_scipy_metrics_and_callables(metric: str | Callable[..., float]) -> None:
    X = table(120, 16)
    graph = neighbors.knn(X, K, metric)
    # SciPy takes variances and covariances of all rows when it is given one table.
    check(graph, squareform(pdist(X.astype(float), metric)))
    by = "function of two rows" if callable(metric) else "scipy"
    assert graph.engine == f"{by}, exact"


@pytest.mark.parametrize(
    "metric", ["jaccard", "dice", "rogerstanimoto", "sokalmichener", "sokalsneath", "yule"]
)
def test_binary_metrics(metric: str) -> None:
    X = table(120, 16) > 0
    graph = neighbors.knn(X, K, metric)
    check(graph, squareform(pdist(X, neighbors.check_metric(metric))))
    assert graph.engine == "bits, exact"


def test_scipy_metrics_in_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    X = table(130, 5)
    whole = neighbors.knn(X, K, "seuclidean")
    monkeypatch.setattr(neighbors.exact, "_BLOCK_BYTES", 8 * 130 * 7)
    chunked = neighbors.knn(X, K, "seuclidean")
    assert torch.equal(whole.indices, chunked.indices)
    assert torch.equal(whole.distances, chunked.distances)


def test_torch_engine_in_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbors.exact, "find_faiss", lambda: None)
    monkeypatch.setattr(neighbors.exact, "_BLOCK_BYTES", 4 * 300 * 7)
    check(neighbors.knn(table(), K, "manhattan"), all_distances(table(), "manhattan"))


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan", _squared])
def test_duplicates_are_neighbours_and_push_none_out(metric: Any) -> None:
    X = table(200, 6)
    X[20:70] = X[20]  # 50 rows are the same
    graph = neighbors.knn(X, K, metric)
    name = "sqeuclidean" if callable(metric) else metric
    check(graph, all_distances(X, name), atol=1e-6)
    same = graph.indices[20:70].numpy()
    assert ((same >= 20) & (same < 70)).all()
    assert (graph.distances[20:70] <= (1e-6 if metric == "cosine" else 0)).all()


@pytest.mark.usefixtures("engine")
def test_pairs_of_duplicates_at_k_1() -> None:
    X = np.repeat(table(50, 4), 2, axis=0)
    graph = neighbors.knn(X, 1)
    assert graph.indices.flatten().tolist() == [i ^ 1 for i in range(100)]
    assert graph.distances.count_nonzero() == 0


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "sqeuclidean"])
@pytest.mark.parametrize("dim", [4, 64])
def test_precision_far_from_the_origin(metric: str, dim: int) -> None:
    # Products lose most digits of such distances in float32; differences of rows keep them.
    X = (table(400, dim) + np.float32(1000)).astype(np.float32)
    check(neighbors.knn(X, K, metric), all_distances(X, metric), rtol=1e-5)


@pytest.mark.usefixtures("engine")
def test_close_pairs_far_from_the_origin() -> None:
    rng = np.random.default_rng(2)
    centres = rng.uniform(-1, 1, (40, 3)) * 100 + 1000
    X = np.concatenate([centres, centres + 0.01 * rng.standard_normal((40, 3))]).astype(np.float32)
    graph = neighbors.knn(X, 1)
    assert graph.indices.flatten().tolist() == [*range(40, 80), *range(40)]
    exact = np.linalg.norm(X[:40].astype(float) - X[40:].astype(float), axis=1)
    np.testing.assert_allclose(graph.distances[:40, 0], exact, rtol=1e-5)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "correlation", "manhattan", "canberra"])
def test_constant_columns_and_identical_points(metric: str) -> None:
    X = table(60, 5)
    X[:, 1:3] = 4.0
    check(neighbors.knn(X, K, metric), all_distances(X, metric), atol=2e-6)
    identical = np.full((30, 4), 2.5, np.float32) * np.array([1, 2, 3, 5], np.float32)
    graph = neighbors.knn(identical, K, metric)
    assert torch.isfinite(graph.distances).all()
    assert graph.distances.abs().max() < 1e-6
    assert not (graph.indices == torch.arange(30)[:, None]).any()
    assert all(len(set(row)) == K for row in graph.indices.tolist())


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("metric", ["cosine", "correlation"])
def test_angles_of_rows_without_direction(metric: str) -> None:
    X = table(40, 5)
    X[3] = 0.0
    X[7] = 0.0
    graph = neighbors.knn(X, 5, metric)
    assert torch.isfinite(graph.distances).all()
    assert graph.distances.min() >= 0


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("n", [2, 3, 11])
def test_all_others_are_neighbours(n: int) -> None:
    X = table(n, 3)
    check(neighbors.knn(X, n - 1), all_distances(X, "euclidean"), k=n - 1)


@pytest.mark.usefixtures("engine")
def test_one_column_and_other_dtypes() -> None:
    X = np.arange(20)[:, None] ** 2
    D = all_distances(X, "euclidean")
    for given in (X, X.astype(float), X.astype("f2"), torch.from_numpy(X), X.tolist()):
        check(neighbors.knn(given, 2), D, k=2)


def test_without_faiss_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(neighbors.exact, "find_faiss", lambda: None)
    neighbors.exact.say_what_is_missing.cache_clear()  # it is said once in a process
    for _ in range(2):
        neighbors.knn(table(), K, "manhattan")
    assert capsys.readouterr().out.count("pip install 'fastparadime[cpu]'") == 1


@pytest.mark.usefixtures("engine")
def test_the_data_is_untouched_and_the_result_unpacks() -> None:
    X = table()
    kept = X.copy()
    indices, distances = neighbors.knn(X, 3, "correlation")
    assert indices.shape == distances.shape == (300, 3)
    np.testing.assert_array_equal(X, kept)


@pytest.mark.usefixtures("engine")
def test_same_bits_for_any_threads(assert_same_bits: Callable[..., None]) -> None:
    X = table(700, 20)
    assert_same_bits(lambda: tuple(neighbors.knn(X, K)))


def test_a_metric_that_is_not_finite() -> None:
    with pytest.raises(ValueError, match=r"metric .* not finite"):
        neighbors.knn(table(20, 3), 3, lambda *_: float("nan"))


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean"])
def test_close_rows_far_from_the_mean_have_a_centre_of_their_own(metric: str) -> None:
    X = table(300, 6).astype(np.float64)
    X[:150] += 20_000.0
    X = X.astype(np.float32)
    graph = neighbors.knn(X, K, metric)
    assert graph.engine == "products, exact"
    check(graph, all_distances(X, metric), rtol=1e-4)
    X[:150] = X[0]
    again = neighbors.knn(X, K, metric)
    assert again.engine == "products, exact"
    check(again, all_distances(X, metric), rtol=1e-4)
