"""UMAP(min_shared_neighbors=...): neighbours that have others in common with a point."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness

from fastparadime import UMAP, neighbors
from fastparadime.graph.shared import candidates_for, with_shared_neighbors
from fastparadime.ops import reference


def test_a_shortcut_gives_way_to_a_neighbour_of_the_same_group() -> None:
    # Two squares of points; point 0 lies nearer to the other square's corner than to its own others.
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(30, 8)), rng.normal(size=(30, 8)) + 6]).astype(np.float32)
    X[0] = (X[1] + X[31]) / 2
    nearest = neighbors.knn(X, candidates_for(len(X), 5), recall=1.0)
    chosen = with_shared_neighbors(nearest, 5, 1)
    counts = reference.shared_neighbors(nearest.indices.numpy(), 5)
    for i in range(len(X)):
        kept = [
            j for j, shared in zip(nearest.indices[i].tolist(), counts[i], strict=True) if shared
        ]
        wanted = kept[:5]
        assert set(wanted) <= set(chosen.indices[i].tolist())
        if len(kept) >= 5:
            assert chosen.indices[i].tolist() == wanted
    assert (chosen.distances.diff(dim=1) >= 0).all()
    assert "had fewer than 1 neighbors in common" in chosen.engine


def test_none_is_replaced_without_a_least_number() -> None:
    nearest = neighbors.knn(np.random.default_rng(1).normal(size=(80, 4)), 12, recall=1.0)
    chosen = with_shared_neighbors(nearest, 5, 0)
    assert torch.equal(chosen.indices, nearest.indices[:, :5])
    assert torch.equal(chosen.distances, nearest.distances[:, :5])


def test_few_points_take_what_there_is() -> None:
    X = np.random.default_rng(2).normal(size=(6, 3))
    graph = UMAP(n_neighbors=5, min_shared_neighbors=2, n_epochs=0, init="random").fit(X).graph_
    assert graph.shape == (6, 6)
    assert candidates_for(6, 4) == 5


@pytest.mark.parametrize("seed", [0, 1])
def test_maps_of_sentences_are_more_trustworthy(sentences: np.ndarray[Any, Any], seed: int) -> None:
    X = sentences[np.random.default_rng(seed).choice(len(sentences), 5000, replace=False)]
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    maps = [
        UMAP(metric="cosine", min_shared_neighbors=least, random_state=seed).fit_transform(X)
        for least in (0, 2)
    ]
    trust = [trustworthiness(X[::2], Y[::2], n_neighbors=15) for Y in maps]
    assert trust[1] > trust[0] + 0.005


def test_by_distances_as_by_rows() -> None:
    X = load_digits().data[:300]
    D = np.sqrt(np.maximum(((X[:, None] - X[None]) ** 2).sum(axis=2), 0))
    options: dict[str, Any] = {"min_shared_neighbors": 2, "n_epochs": 0, "init": "random"}
    rows = UMAP(**options).fit(X).graph_
    given = UMAP(metric="precomputed", **options).fit(D).graph_
    np.testing.assert_allclose(rows.toarray(), given.toarray(), atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_shared_neighbors": -1}, "min_shared_neighbors must be an integer >= 0, not -1"),
        ({"min_shared_neighbors": 15}, "must be less than n_neighbors=15, not 15"),
        (
            {
                "min_shared_neighbors": 1,
                "precomputed_knn": (np.zeros((9, 3), int), np.zeros((9, 3))),
            },
            "must be 0 where precomputed_knn is given",
        ),
    ],
)
def test_bad_parameters(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UMAP(**options).fit(np.eye(40))
