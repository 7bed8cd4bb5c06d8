"""Data far from zero, whose digits float32 does not hold: float64 and wide integers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from scipy.spatial.distance import cdist
from sklearn.manifold import trustworthiness
from sklearn.metrics.pairwise import haversine_distances, nan_euclidean_distances

from fastparadime import UMAP, dr, loss, neighbors, relations
from fastparadime.estimators.knn_transformer import KNNTransformer
from fastparadime.exceptions import PrecisionWarning
from fastparadime.utils import tables
from fastparadime.utils.centring import centre_of, centred, difference, may_round

K = 5
Table = np.ndarray[Any, Any]


def metres(n: int = 600) -> Table:
    """Easting and northing within a kilometre."""
    return np.random.default_rng(0).normal([5e5, 5e6], 300, (n, 2))


def unix_times(n: int = 600) -> Table:
    """Seconds within an hour, as floats."""
    return 1.7e9 + np.random.default_rng(1).uniform(0, 3600, (n, 1)).round(3)


def mixed(n: int = 600) -> Table:
    """A column of times among small ones."""
    small = np.random.default_rng(2).normal(size=(n, 3)) * [1, 100, 0.1]
    return np.hstack([small, unix_times(n)])


def nanoseconds(n: int = 600) -> Table:
    """Integers that float64 does not hold either."""
    steps = np.random.default_rng(3).permutation(3 * n)[:n, None]
    return 1_700_000_000_000_000_001 + steps.astype(np.int64)


def with_outlier(n: int = 600) -> Table:
    X = unix_times(n)
    X[7] = 0.0  # a time that is not known
    return X


DATA = [metres, unix_times, mixed, nanoseconds, with_outlier]


def exact_of(X: Table) -> Table:
    """The same rows near zero, float64."""
    return (X - np.median(X, axis=0).astype(X.dtype)).astype(np.float64)


def recall(graph: Any, D: Table, k: int = K) -> float:
    """The share of neighbours that are no farther than the k-th, in float64."""
    D = D.copy()
    np.fill_diagonal(D, np.inf)
    farthest = np.sort(D, axis=1)[:, k - 1 : k]
    found = np.take_along_axis(D, np.asarray(graph.indices.cpu()).astype(np.int64), axis=1)
    return float((found <= farthest * (1 + 1e-5)).mean())


def least(X: Table, metric: str) -> float:
    """What a streamed search takes."""
    return neighbors.estimate_memory(*X.shape, K, metric, stream=True)


def test_the_nearest_of_four_seconds() -> None:
    X = np.array([[1.7e9], [1.7e9 + 1], [1.7e9 + 60], [1.7e9 + 61]])
    for rows in (X, X.tolist(), X.astype(np.int64), X.astype(np.uint64), torch.from_numpy(X)):
        graph = neighbors.knn(rows, 1)
        assert graph.indices[:, 0].tolist() == [1, 0, 3, 2]
        assert graph.distances[:, 0].tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("make", DATA)
@pytest.mark.parametrize(
    "metric", ["euclidean", "sqeuclidean", "manhattan", "chebyshev", "minkowski"]
)
@pytest.mark.parametrize("streamed", [False, True])
def test_neighbours(make: Callable[[], Table], metric: str, streamed: bool) -> None:
    X, name = make(), {"manhattan": "cityblock"}.get(metric, metric)
    near = exact_of(X)
    D = cdist(near, near, name, **({"p": 3.0} if metric == "minkowski" else {}))
    graph = neighbors.knn(X, K, metric, p=3.0, max_memory=least(X, metric) if streamed else None)
    assert recall(graph, D) == 1.0
    true = np.take_along_axis(D, graph.indices.numpy().astype(np.int64), axis=1)
    found = graph.distances.numpy()
    if metric == "sqeuclidean":
        true, found = np.sqrt(true), np.sqrt(found)
    widest = np.abs(np.delete(near, 7, axis=0)).max()  # of which float32 holds 24 bits
    np.testing.assert_allclose(np.delete(found, 7, 0), np.delete(true, 7, 0), atol=widest * 2e-7)


@pytest.mark.parametrize("make", DATA)
@pytest.mark.parametrize("metric", ["seuclidean", "mahalanobis", "hamming"])
def test_the_estimator_finds_those_of_scipy(make: Callable[[], Table], metric: str) -> None:
    X = make()
    near = exact_of(X)
    D = cdist(near, near, metric)
    graph = KNNTransformer(n_neighbors=K, metric=metric).fit_transform(X)
    found = graph.indices.reshape(len(X), -1)[:, 1:]
    told = neighbors.NeighborGraph(torch.from_numpy(found), torch.empty(0), "")
    assert recall(told, D) == 1.0


def test_places_some_metres_apart() -> None:
    X = np.radians(np.random.default_rng(0).normal([52.5, 13.4], 1e-4, (300, 2)))
    D = haversine_distances(X)
    found = KNNTransformer(n_neighbors=K, metric="haversine").fit_transform(X)
    indices, distances = (part.reshape(300, -1)[:, 1:] for part in (found.indices, found.data))
    assert recall(neighbors.NeighborGraph(torch.from_numpy(indices), torch.empty(0), ""), D) == 1.0
    np.testing.assert_allclose(distances, np.take_along_axis(D, indices, 1), rtol=1e-5)


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_missing_values(share: float) -> None:
    near = np.random.default_rng(0).normal(size=(400, 12))
    near[np.random.default_rng(1).random(near.shape) < share] = np.nan
    near[:, 0] = np.arange(400) / 100
    X, D = near + 1e9, nan_euclidean_distances(near)
    graph = neighbors.knn(X, K, "nan_euclidean")
    assert recall(graph, D) == 1.0
    found = KNNTransformer(n_neighbors=K, metric="nan_euclidean").fit(X).transform(X)
    indices = found.indices.reshape(400, -1)[:, 1:]
    assert recall(neighbors.NeighborGraph(torch.from_numpy(indices), torch.empty(0), ""), D) == 1.0


@pytest.mark.parametrize("metric", ["cosine", "correlation", "hellinger"])
@pytest.mark.parametrize("streamed", [False, True])
def test_directions_of_rows_far_out(metric: str, streamed: bool) -> None:
    noise = np.random.default_rng(0).normal(size=(500, 8))
    X = noise + 1e6 * (np.ones(8) if metric == "correlation" else np.arange(1, 9))
    rows = X.astype(np.longdouble)
    if metric == "hellinger":
        rows = np.sqrt(rows)
    if metric == "correlation":
        rows = rows - rows.mean(axis=1, keepdims=True)
    rows /= np.sqrt((rows**2).sum(axis=1, keepdims=True))
    D = np.array([((rows - row) ** 2).sum(axis=1) / 2 for row in rows]).astype(float)
    D = np.sqrt(D) if metric == "hellinger" else D
    graph = neighbors.knn(X, K, metric, max_memory=least(X, metric) if streamed else None)
    assert recall(graph, D) > 0.999
    true = np.take_along_axis(D, graph.indices.numpy().astype(np.int64), axis=1)
    np.testing.assert_allclose(graph.distances, true, rtol=1e-3)
    transformer = KNNTransformer(n_neighbors=K, metric=metric).fit(X)
    found = transformer.transform(X).indices.reshape(len(X), -1)[:, 1:]
    assert recall(neighbors.NeighborGraph(torch.from_numpy(found), torch.empty(0), ""), D) > 0.999


def test_a_row_without_a_direction_among_rows_far_out() -> None:
    X = 1e6 + np.random.default_rng(0).normal(size=(300, 4))
    X[5] = 0.0
    graph = neighbors.knn(X, K, "cosine")
    assert not (graph.indices == 5).any()
    torch.testing.assert_close(graph.distances[5], torch.ones(K))


@pytest.mark.parametrize("make", [metres, nanoseconds])
def test_sources(make: Callable[[], Table], tmp_path: Path) -> None:
    X = make(3000)
    source = pytest.importorskip("h5py").File(tmp_path / "x.h5", "w")
    table = source.create_dataset("x", data=X, chunks=(100, X.shape[1]))
    for max_memory in (None, 3e5):
        expected = neighbors.knn(X, K, max_memory=max_memory)
        found = neighbors.knn(table, K, max_memory=max_memory)
        assert torch.equal(found.indices, expected.indices)
        assert torch.equal(found.distances, expected.distances)
        near = exact_of(X)
        assert recall(found, cdist(near, near)) == 1.0


def test_overlapping_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbors.approximate, "_EXACT_COST", 1e6)
    monkeypatch.setattr(neighbors.approximate, "_LEAST_ROWS", 1000)
    monkeypatch.setattr(neighbors.approximate, "_MOST_WORK", math.inf)
    monkeypatch.setattr(neighbors.tree, "_MOST_COLUMNS", 0)
    near = np.random.default_rng(0).normal(size=(6000, 3))
    graph = neighbors.knn(near * 100 + 5e7, K)
    assert "overlapping clusters" in graph.engine
    assert recall(graph, cdist(near, near)) > 0.95


@pytest.mark.parametrize("dtype", ["f4", "f2", "u1", "i2"])
def test_what_float32_holds_is_left_as_it_is(dtype: str) -> None:
    X = (np.random.default_rng(0).uniform(100, 110, (200, 4))).astype(dtype)
    assert not may_round(X)
    wide = neighbors.knn(X.astype(np.float64), K)
    usual = neighbors.knn(X, K)
    assert torch.equal(wide.indices, usual.indices)
    assert torch.equal(wide.distances, usual.distances)
    assert centre_of(X.astype(np.float64)) is None


def test_the_rule_of_far_columns() -> None:
    spread = np.linspace(-1, 1, 801)  # whose median deviation is a half
    X = np.stack([spread + 1 / 3, spread + 1.9, spread + 2.1, spread + 1e6 / 3], axis=1)
    centre = centre_of(X)
    assert centre is not None
    np.testing.assert_allclose(centre, [0, 0, 2.1, 1e6 / 3], atol=1e-12)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_integers_that_float64_does_not_hold(kind: Any) -> None:
    X = np.array([[2**62 + 1], [2**62 + 3], [-(2**63)]])
    centre = np.array([2.0**62])
    assert np.asarray(difference(kind(X), centre)).ravel().tolist() == [1, 3, -(2.0**63) - 2.0**62]
    assert centred(kind(X), centre)[:2, 0].tolist() == [1, 3]


DIGITS_OFFSET = np.where(np.arange(64) % 3 == 0, 5e6, 1.7e9)


@pytest.fixture(scope="module")
def images() -> Table:
    from sklearn.datasets import load_digits

    images: Table = load_digits().data[:500] + np.random.default_rng(0).normal(size=(500, 64)) / 10
    return images


def trust(X: Table, embedding: Table) -> float:
    return float(trustworthiness(X, embedding, n_neighbors=15))


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_umap_of_shifted_data(images: Table, dtype: Any) -> None:
    X = images if dtype == np.float64 else (images * 100).round()
    shifted = (X + DIGITS_OFFSET).astype(dtype)
    usual = UMAP(random_state=0, n_epochs=200).fit(X)
    fit = UMAP(random_state=0, n_epochs=200).fit(shifted)
    assert trust(X, fit.embedding_) > trust(X, usual.embedding_) - 0.003
    assert fit.embedding_.dtype == (np.float64 if dtype == np.float64 else np.float32)
    np.testing.assert_allclose(fit._raw_data, shifted, rtol=0, atol=1e-6)
    # Rows of the fit have their positions; others lie beside the rows they are copies of.
    np.testing.assert_array_equal(fit.transform(shifted[50:60]), fit.embedding_[50:60])
    step = 1 if dtype == np.int64 else 1e-3
    assert np.abs(fit.transform(shifted[:50] + step) - fit.embedding_[:50]).max() < 1.0
    back = fit.inverse_transform(fit.embedding_[:100])
    assert back.dtype == np.float64
    error, variance = (
        np.mean((part - shifted[:100]) ** 2) for part in (back, shifted.mean(axis=0))
    )
    assert error < variance / 2
    fit.update(shifted[:30] + step)
    assert trust(np.vstack([X, X[:30]]), fit.embedding_) > trust(X, usual.embedding_) - 0.01
    np.testing.assert_allclose(fit._raw_data[500:], shifted[:30] + step, rtol=0, atol=1e-6)


def test_umap_of_shifted_data_by_other_metrics(images: Table) -> None:
    for metric in ("seuclidean", "correlation"):
        shifted = images + (DIGITS_OFFSET if metric == "seuclidean" else 1e8)
        usual = UMAP(random_state=0, n_epochs=100, metric=metric).fit(images)
        fit = UMAP(random_state=0, n_epochs=100, metric=metric).fit(shifted)
        assert trust(images, fit.embedding_) > trust(images, usual.embedding_) - 0.006
        np.testing.assert_array_equal(fit.transform(shifted[5:9]), fit.embedding_[5:9])


def test_lists_and_frames_keep_their_digits() -> None:
    pd = pytest.importorskip("pandas")
    X = unix_times(60)
    expected = KNNTransformer(n_neighbors=3).fit_transform(X)
    frame = pd.DataFrame({"time": X[:, 0]})
    whole = (X * 1000).round().astype(np.int64)
    nullable = pd.DataFrame({"time": pd.array(whole[:, 0], dtype="Int64")})
    for rows, unit in ((X.tolist(), 1), (frame, 1), (whole, 1000), (nullable, 1000)):
        found = KNNTransformer(n_neighbors=3).fit(rows).transform(rows)
        assert found.indices.tolist() == expected.indices.tolist()
        np.testing.assert_allclose(found.data / unit, expected.data, rtol=1e-5, atol=1e-4)


def test_relations_of_a_routine() -> None:
    X = mixed(300)
    near = exact_of(X)
    with pytest.warns(PrecisionWarning, match=r"entry 'main' .* loses 6 of .* digits in column 3"):
        routine = dr.ParametricDR(
            global_relations=relations.NeighborBasedPDist(K),
            losses=loss.PositionLoss(position_key="main"), out_dim=4, dataset=X, seed=0,
        )  # fmt: skip
    routine.compute_global_relations()
    parts = map(torch.from_numpy, routine.global_relation_data["rel"].data)
    graph = neighbors.NeighborGraph(*parts, "")
    assert recall(graph, cdist(near, near)) == 1.0
    assert routine.dataset.data["main"].dtype == torch.float32
    routine.add_data({"main": near})
    assert routine.dataset.relation_data("main") is routine.dataset.data["main"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_keep_their_digits(suffix: str, tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    near = np.random.default_rng(0).normal(size=(50, 2))
    for X, dtype in ((mixed(50), np.float64), (near, np.float32)):
        frame, path = pd.DataFrame(X), tmp_path / f"x.{suffix}"
        frame.columns = [f"c{i}" for i in range(X.shape[1])]
        frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
        table = tables.read_table(path).values
        assert table.dtype == dtype
        np.testing.assert_array_equal(table, X.astype(dtype))


def bimodal() -> Table:
    """Times and zeros, one as many as the other: no centre leaves all digits."""
    X = unix_times(300)
    X[::2] = np.random.default_rng(0).uniform(0, 60, (150, 1))
    return X


@pytest.mark.parametrize(
    ("X", "metric"),
    [(bimodal(), "euclidean"), (unix_times(300), "canberra"), (unix_times(300), "inner_product")],
    ids=["bimodal", "canberra", "inner_product"],
)
def test_digits_that_are_lost_are_said(X: Table, metric: str) -> None:
    message = rf"float32 holds too few digits of X.*metric '{metric}'"
    with pytest.warns(PrecisionWarning, match=message):
        neighbors.knn(X, 3, metric)
    if metric != "inner_product":
        with pytest.warns(PrecisionWarning, match=message):
            UMAP(n_epochs=10, n_neighbors=4, init="random", metric=metric).fit(X)
    graph = neighbors.knn(X, 3, lambda a, b: abs(float(a[0] - b[0])))  # the remedy
    assert recall(graph, cdist(X, X), 3) == 1.0


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_sparse_rows_are_not_centred_but_warned_of(metric: str) -> None:
    X = scipy.sparse.csr_matrix(1.7e9 + np.random.default_rng(0).uniform(0, 60, (300, 3)))
    with pytest.warns(PrecisionWarning, match=f"metric '{metric}'"):
        neighbors.knn(X, 3, metric)
    with pytest.warns(PrecisionWarning, match=f"metric '{metric}'"):
        KNNTransformer(n_neighbors=3, metric=metric).fit_transform(X)


def test_no_warning_where_nothing_is_lost() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", PrecisionWarning)
        for make in DATA:
            neighbors.knn(make(), K)
        twice = np.repeat(np.random.default_rng(0).normal(size=(50, 3)) / 3, 8, axis=0)
        neighbors.knn(twice, K)
        neighbors.knn(scipy.sparse.random(300, 50, 0.1, random_state=0).tocsr(), K)
        UMAP(n_epochs=10, init="random").fit(twice)
        dr.Dataset({"main": twice, "labels": np.arange(400), "time": np.arange(400) / 7})


@pytest.mark.parametrize("dtype", ["datetime64[s]", "timedelta64[s]"])
def test_times_are_no_numbers(dtype: str) -> None:
    X = unix_times(30).astype(np.int64).astype(dtype)
    with pytest.raises(TypeError, match=r"X has dtype (datetime|timedelta)64\[s\]"):
        neighbors.knn(X, 3)
    with pytest.raises(TypeError, match=r"X has dtype (datetime|timedelta)64\[s\]"):
        KNNTransformer().fit(X)
