"""Searches among overlapping clusters: what they choose, on data that is hard and data that is odd."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from fastparadime import neighbors
from fastparadime.exceptions import RecallWarning
from fastparadime.neighbors import (
    approximate,
    cluster_plan,
    cluster_search,
    nearest_centers,
    tree,
)
from fastparadime.neighbors.recall_sample import Sample
from tests.clusters_job import clouds

K = 14


def normal(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([n, d, seed]).standard_normal((n, d), dtype=np.float32)


def plan_of(X: np.ndarray, recall: float = 0.95) -> cluster_plan.Plan:
    table = torch.from_numpy(X)
    return cluster_plan.make_plan(table, K, recall, 0, Sample.of(table, K, recall, 0))


def recall_of(graph: neighbors.NeighborGraph, X: np.ndarray, metric: str = "euclidean") -> float:
    """The share of neighbours that are as near as the k-th, of rows spread over the table."""
    exact = neighbors.knn(X, K, metric, recall=1.0)
    assert "exact" in exact.engine
    radius = exact.distances[:, -1:] * (1 + 1e-5)
    return float((graph.distances <= radius).double().mean())


def true_recall(graph: neighbors.NeighborGraph, X: np.ndarray) -> float:
    """The same for some rows by differences in float64, where X is too odd for products."""
    rows = np.random.default_rng(1).permutation(len(X))[:100]
    hits = []
    for row in rows:
        squares = np.square(X.astype(float) - X[row].astype(float)).sum(axis=1)
        squares[row] = np.inf
        radius = np.partition(squares, K - 1)[K - 1]
        hits.append((squares[graph.indices[row].numpy()] <= radius * (1 + 1e-5)).mean())
    return float(np.mean(hits))


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clusters are taken even where exact search is predicted to be faster."""
    monkeypatch.setattr(approximate, "_EXACT_COST", 1e6)
    monkeypatch.setattr(approximate, "_LEAST_ROWS", 1000)
    monkeypatch.setattr(approximate, "_MOST_WORK", math.inf)
    monkeypatch.setattr(tree, "_MOST_COLUMNS", 0)


def test_words_go_by_clusters_in_a_part_of_the_work(words: np.ndarray) -> None:
    graph = neighbors.knn(words, K, "cosine")
    assert "overlapping clusters" in graph.engine
    assert "of an exact search's work" in graph.engine
    assert 0.95 <= graph.recall_bound <= graph.recall_estimate < 0.98
    assert 0.95 <= recall_of(graph, words, "cosine") < 0.98
    assert plan_of(words[:30000] / np.linalg.norm(words[:30000], axis=1, keepdims=True)).work < 0.5


def test_sentences_are_compared_by_some_columns(sentences: np.ndarray) -> None:
    graph = neighbors.knn(sentences, K, "cosine")
    assert "of 384 columns" in graph.engine
    assert graph.recall_bound >= 0.95
    assert recall_of(graph, sentences, "cosine") >= 0.95


def test_the_predicted_number_of_clusters_is_enough(words: np.ndarray) -> None:
    units = words[:20000] / np.linalg.norm(words[:20000], axis=1, keepdims=True)
    for recall in (0.8, 0.9, 0.98):
        plan = plan_of(units, recall)
        sample = Sample.of(torch.from_numpy(units), K, recall, 0)
        graph = cluster_search.overlapping_knn(
            torch.from_numpy(units), K, "euclidean", recall, sample, plan
        )
        assert f"{plan.joined / 4:g} a point" in graph.engine  # none was added
        assert recall <= graph.recall_bound <= graph.recall_estimate < recall + 0.04


@pytest.mark.usefixtures("always")
def test_rows_near_each_other_are_compared_with_the_same_centers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nearest_centers, "_LEAST_GROUPED", 100)
    X = clouds(12_000, 80)
    plan = plan_of(X)
    assert plan.groups is not None
    groups, rows = len(plan.groups.means), torch.from_numpy(X)
    assert groups + len(plan.groups.near) / groups < 0.5 * len(plan.centers)
    every = dataclasses.replace(plan, groups=None).nearest(rows, 4)
    assert float((plan.nearest(rows, 4) == every).double().mean()) > 0.98
    graph = neighbors.knn(X, K, recall=0.9)
    assert "overlapping clusters" in graph.engine
    assert graph.recall_bound >= 0.9
    assert recall_of(graph, X) >= 0.9


def test_rows_without_groups_are_compared_with_all_centers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nearest_centers, "_LEAST_GROUPED", 100)
    assert plan_of(normal(12_000, 60)).groups is None


def test_more_recall_asks_for_more_clusters() -> None:
    X = normal(20000, 30)
    joined = [plan_of(X, recall).joined for recall in (0.7, 0.9, 0.98)]
    assert joined == sorted(joined)
    assert joined[0] < joined[2]


def test_exact_search_where_clusters_would_take_longer() -> None:
    # Norms over decades: the many rows in the middle share no cluster with their neighbours.
    rng = np.random.default_rng(0)
    X = normal(17000, 400) / rng.random((17000, 1), dtype=np.float32)
    assert plan_of(X).work > approximate._MOST_WORK
    graph = neighbors.knn(X, K)
    assert graph.engine.startswith("products, exact")
    assert "clusters were predicted at" in graph.engine


def test_neighbors_of_neighbors_take_the_place_of_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    # Rows of few directions, among which the neighbours of neighbours are near.
    X = normal(20000, 12) @ normal(12, 400) + 0.3 * normal(20000, 400)
    sample = Sample.of(torch.from_numpy(X), K, 0.95, 0)
    plan = plan_of(X)
    monkeypatch.setattr(cluster_search, "_SAVING", 0.0)
    graph = cluster_search.overlapping_knn(torch.from_numpy(X), K, "euclidean", 0.95, sample, plan)
    assert ", neighbors of neighbors" in graph.engine
    assert float(graph.engine.split("clusters, ")[1].split(" a point")[0]) < plan.joined / 4
    assert graph.recall_bound >= 0.95
    assert recall_of(graph, X) >= 0.95


def test_clusters_go_on_where_neighbors_of_neighbors_are_no_nearer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X = normal(20000, 60)
    sample = Sample.of(torch.from_numpy(X), K, 0.9, 0)
    plan = plan_of(X, 0.9)
    monkeypatch.setattr(cluster_search, "_MISSED_FIRST", 6.0)
    monkeypatch.setattr(cluster_search, "_SAVING", 0.5)
    graph = cluster_search.overlapping_knn(torch.from_numpy(X), K, "euclidean", 0.9, sample, plan)
    assert graph.recall_bound >= 0.9
    assert recall_of(graph, X) >= 0.9


def test_columns_without_a_subspace_are_all_compared() -> None:
    X = normal(20000, 200)
    assert plan_of(X, 0.6).rows.shape == (20000, 200)


def test_few_directions_in_many_columns_are_compared_by_these() -> None:
    X = normal(20000, 10) @ normal(10, 300) + 1e-3 * normal(20000, 300)
    plan = plan_of(X)
    assert plan.rows.shape == (20000, 64)
    assert plan.width < 2 * K


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda X: np.concatenate([X[:4000] * 1e-3, X[4000:]]), id="a dense half"),
        pytest.param(lambda X: X + 1e3 * (np.arange(len(X)) % 2)[:, None], id="two far groups"),
        pytest.param(
            lambda X: X * np.where(np.arange(len(X)) < 20, 1e4, 1)[:, None], id="outliers"
        ),
        pytest.param(lambda X: X[np.arange(len(X)) // 20], id="twenty copies"),
        pytest.param(lambda X: X * (np.arange(len(X)) % 2)[:, None], id="zeros in every other row"),
        pytest.param(lambda X: X * 1e-25, id="tiny"),
        pytest.param(lambda X: np.round(X), id="ties"),
        pytest.param(lambda X: np.eye(20)[np.arange(len(X)) % 20], id="twenty different rows"),
    ],
)
def test_odd_data_keeps_the_promise(change: Callable[[np.ndarray], np.ndarray]) -> None:
    X = change(normal(8000, 20)).astype(np.float32)
    graph = neighbors.knn(X, K, recall=0.9)
    assert graph.recall_bound >= 0.9
    assert true_recall(graph, X) >= 0.9
    assert not (graph.indices == torch.arange(len(X))[:, None]).any()
    assert (graph.indices >= 0).all()


@pytest.mark.usefixtures("always")
def test_tight_clusters_far_apart() -> None:
    rng = np.random.default_rng(0)
    centers = 100 * normal(40, 100)
    X = centers[rng.integers(0, 40, 12000)] + 1e-3 * normal(12000, 100)
    graph = neighbors.knn(X, K)
    assert "overlapping clusters" in graph.engine
    assert true_recall(graph, X) >= 0.95


def test_equal_rows_are_one_cluster_and_searched_exactly() -> None:
    graph = neighbors.knn(np.ones((17000, 400), np.float32), K)
    assert "exact" in graph.engine
    assert (graph.distances == 0).all()


@pytest.mark.usefixtures("always")
def test_clusters_are_added_where_the_prediction_fell_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster_plan.Plan, "steps_for", lambda *_: 4)
    monkeypatch.setattr(cluster_search, "_MOST_WORK", math.inf)
    X = normal(6000, 20)
    graph = neighbors.knn(X, K, recall=0.9)
    assert graph.recall_bound >= 0.9
    assert recall_of(graph, X) >= 0.9


@pytest.mark.usefixtures("always")
def test_what_was_found_is_returned_where_more_would_cost_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster_plan.Plan, "steps_for", lambda *_: 8)
    monkeypatch.setattr(cluster_search, "_MOST_WORK", 0.0)
    X = normal(6000, 20)
    with pytest.warns(RecallWarning, match=r"recall=0.99 was not reached: overlapping clusters"):
        graph = neighbors.knn(X, K, recall=0.99)
    assert graph.recall_bound < 0.99
    assert graph.recall_estimate == pytest.approx(recall_of(graph, X), abs=0.03)


@pytest.mark.usefixtures("always")
def test_a_row_in_a_cluster_of_its_own_gets_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_plan.Plan, "steps_for", lambda *_: 4)
    monkeypatch.setattr(cluster_search, "_MOST_WORK", 0.0)
    X = normal(6000, 3)
    X[:5] += 1000 * np.arange(1, 6)[:, None]
    with pytest.warns(RecallWarning):
        graph = neighbors.knn(X, 60, recall=0.99)
    exact = neighbors.knn(X, 60, recall=1.0)
    assert (graph.indices >= 0).all()
    np.testing.assert_allclose(graph.distances[:5], exact.distances[:5], rtol=1e-5)
