"""Nearest rows of a fit to new rows, against a sort of all distances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from fastparadime import ops
from fastparadime.neighbors import projection, query_index
from fastparadime.neighbors.metric_space import Space
from fastparadime.neighbors.query_index import QueryIndex, _ProductSearch

K = 7


def images(n: int, seed: int) -> np.ndarray:
    """Rows of 300 columns that mostly lie near a subspace, in clusters."""
    rng = np.random.default_rng(3)
    basis, centres = rng.normal(size=(40, 300)), 2 * rng.normal(size=(20, 40))
    rng = np.random.default_rng(seed)
    inside = centres[rng.integers(0, 20, n)] + rng.normal(size=(n, 40))
    return (inside @ basis + rng.normal(size=(n, 300))).astype(np.float32)


def check(found: tuple[torch.Tensor, torch.Tensor], D: np.ndarray, k: int = K) -> None:
    indices, distances = (part.numpy() for part in found)
    wanted = np.sort(D, axis=1)[:, :k]
    np.testing.assert_allclose(distances, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(D, indices, 1), wanted, rtol=1e-5, atol=1e-6)


@pytest.fixture
def projected(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Searches of few rows go by bounds; the numbers of queries that each attempt looked at."""
    monkeypatch.setattr(query_index, "_FROM_QUERIES", 1)
    monkeypatch.setattr(projection, "_FROM_POINTS", 500)
    monkeypatch.setattr(projection, "_FROM_COLUMNS", 200)
    monkeypatch.setattr(projection, "_CANDIDATES", 1)
    monkeypatch.setattr(projection, "_MORE", 3)
    monkeypatch.setattr(projection, "_ROWS", 170)
    looked: list[int] = []
    search = _ProductSearch._by_bounds

    def counted(self: _ProductSearch, *args: object) -> object:
        looked.append(len(args[1]))  # type: ignore[arg-type]
        return search(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(_ProductSearch, "_by_bounds", counted)
    return looked


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine", "correlation"])
@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_bounds_prove_the_nearest(metric: str, shift: float, projected: list[int]) -> None:
    X, queries = images(900, 0) + np.float32(shift), images(60, 1) + np.float32(shift)
    found = QueryIndex(X, Space(metric)).nearest(queries, K)
    check(found, cdist(queries.astype(float), X.astype(float), metric))
    assert projected[0] == 60
    assert projected == sorted(projected, reverse=True)  # those that were left unproven


def test_bounds_that_prove_nothing(projected: list[int]) -> None:
    rng = np.random.default_rng(0)
    X, queries = (rng.normal(size=(n, 400)).astype(np.float32) for n in (600, 20))
    check(QueryIndex(X, Space("euclidean")).nearest(queries, K), cdist(queries, X))
    assert projected == [20, 20]  # 10 and 50 candidates; 250 are too many


@pytest.mark.usefixtures("projected")
@pytest.mark.parametrize("n", [300, 900])  # without and with bounds
def test_a_query_does_not_depend_on_the_others(n: int) -> None:
    index, queries = QueryIndex(images(n, 0), Space("euclidean")), images(90, 1)
    whole = index.nearest(queries, K)
    for part in (slice(3, 4), slice(20, 75)):
        found = index.nearest(queries[part], K)
        assert all(torch.equal(a, b[part]) for a, b in zip(found, whole, strict=True))


@pytest.mark.usefixtures("projected")
def test_data_of_any_size() -> None:
    X, queries = images(600, 0), images(20, 1)
    near = QueryIndex(X, Space("euclidean")).nearest(queries, K)
    for size in (2.0**-50, 2.0**50):
        far = QueryIndex(X * np.float32(size), Space("euclidean"))
        indices, distances = far.nearest(queries * np.float32(size), K)
        assert torch.equal(indices, near[0])
        torch.testing.assert_close(distances / size, near[1], rtol=1e-6, atol=0)


def test_rows_are_projected_for_many_queries_alone(
    monkeypatch: pytest.MonkeyPatch, projected: list[int]
) -> None:
    monkeypatch.setattr(query_index, "_FROM_QUERIES", 25)
    index, queries = QueryIndex(images(900, 0), Space("euclidean")), images(20, 1)
    first = index.nearest(queries, K)
    assert projected == []
    again = index.nearest(queries, K)  # 40 in all
    assert projected[0] == 20
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("spread", [1.0, 0.1, 1e-3])
@pytest.mark.parametrize("many", [5, 1024])  # so that there are more, or fewer
def test_close_rows_far_from_the_mean(
    spread: float, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Products have lost the digits that tell which row of a cluster is nearest."""
    monkeypatch.setattr(query_index, "_MANY", many)
    rng = np.random.default_rng(1)
    centres = 100 * rng.normal(size=(5, 20))
    X, queries = (
        (centres[rng.integers(0, 5, n)] + spread * rng.normal(size=(n, 20))).astype(np.float32)
        for n in (2000, 40)
    )
    index = QueryIndex(X, Space("euclidean"))
    found = index.nearest(queries, K)
    check(found, cdist(queries.astype(float), X.astype(float)))
    alone = index.nearest(queries[7:8], K)
    assert all(torch.equal(a[7:8], b) for a, b in zip(found, alone, strict=True))


@pytest.mark.usefixtures("projected")
@pytest.mark.parametrize("first", [1, 1000])  # without and with bounds
def test_ties_go_to_the_smaller_index(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_index, "_FROM_QUERIES", first)
    X = np.repeat(images(150, 0), 6, axis=0)
    queries = np.concatenate([X[::90], images(5, 1)])
    indices, distances = QueryIndex(X, Space("euclidean")).nearest(queries, K)
    every = torch.arange(len(X)).expand(len(queries), -1)
    wanted = ops.rerank(X, every, K, queries=queries)
    assert torch.equal(indices, wanted[0])
    assert torch.equal(distances, wanted[1])


def test_queries_in_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    X, queries = images(400, 0), images(30, 1)
    monkeypatch.setattr(query_index, "_QUERIES", 8)
    check(QueryIndex(X, Space("euclidean")).nearest(queries, 95), cdist(queries, X), 95)
    assert QueryIndex(X, Space("euclidean")).nearest(queries[:0], 5)[0].shape == (0, 5)
