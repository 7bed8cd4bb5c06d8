"""New rows at the median of their neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from scipy.spatial.distance import cdist

from fastparadime import UMAP, neighbors
from fastparadime.neighbors.metric_space import Space
from fastparadime.neighbors.query_index import QueryIndex
from fastparadime.utils.medians import weighted_medians


def test_medians_have_the_least_sum_of_distances() -> None:
    rng = np.random.default_rng(0)
    anchors = torch.from_numpy(rng.normal(size=(60, 2)))
    indices = torch.from_numpy(rng.integers(0, 60, (40, 5)))
    weights = torch.from_numpy(rng.random((40, 5)))
    found = weighted_medians(weights, indices, anchors)

    def cost(places: torch.Tensor) -> torch.Tensor:
        return (weights * (anchors[indices] - places[:, None]).norm(dim=2)).sum(dim=1)

    for step in torch.from_numpy(rng.normal(size=(20, 40, 2)) * 0.05):
        assert (cost(found) < cost(found + step) + 1e-3).all()
    # Three of five lie at one place: that is the median, however far the others are.
    indices[:, :3] = 7
    equal = torch.ones_like(weights)
    np.testing.assert_allclose(
        weighted_medians(equal, indices, anchors), anchors[7].expand(40, 2), atol=5e-3
    )
    assert weighted_medians(0 * equal, indices, anchors).isnan().all()


def kept_by(placement: str, seed: int) -> float:
    """The share of new rows' 15 nearest rows that are among their 15 nearest in the map."""
    rng = np.random.default_rng(seed)
    centers = 2 * rng.normal(size=(12, 12))
    rows = (centers[rng.integers(0, 12, 1600)] + rng.normal(size=(1600, 12))).astype(np.float32)
    X, new = rows[:1300], rows[1300:]
    true = QueryIndex(torch.from_numpy(X), Space("euclidean")).nearest(torch.from_numpy(new), 15)[0]
    estimator = UMAP(random_state=seed, n_epochs=200, placement=placement).fit(X)
    anchors = torch.from_numpy(estimator.embedding_)
    placed = torch.from_numpy(estimator.transform(new))
    found = QueryIndex(anchors, Space("euclidean")).nearest(placed, 15)[0]
    both = [np.isin(a, b).mean() for a, b in zip(true.numpy(), found.numpy(), strict=True)]
    return float(np.mean(both))


def test_new_rows_of_clusters_keep_more_neighbors() -> None:
    gains = [kept_by("median", seed) - kept_by("layout", seed) for seed in range(3)]
    assert np.mean(gains) > 0.01


def test_neighbors_that_have_nearer_ones_have_less_of_a_say() -> None:
    """A dense group within a broad one, whose new rows are near to it: it is not near to them."""
    rng = np.random.default_rng(0)
    broad, dense = rng.normal(size=(300, 8)), 0.35 * rng.normal(size=(60, 8))
    X = np.concatenate([broad, dense]).astype(np.float32)
    new = rng.normal(size=(200, 8)).astype(np.float32)
    shares = {}
    for placement in ("median", "mutual"):
        estimator = UMAP(placement=placement, n_epochs=100, random_state=0).fit(X)
        anchors = torch.from_numpy(estimator.embedding_)
        placed = torch.from_numpy(estimator.transform(new))
        near = QueryIndex(anchors, Space("euclidean")).nearest(placed, 5)[0]
        shares[placement] = float((near >= len(broad)).double().mean())
    assert shares["mutual"] < 0.8 * shares["median"], shares


@pytest.mark.parametrize("placement", ["median", "mutual"])
@pytest.mark.parametrize("output_metric", ["euclidean", "haversine"])
def test_a_row_is_placed_by_itself(output_metric: str, placement: str) -> None:
    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(200, 5)), rng.normal(size=(50, 5))
    options: dict[str, Any] = {"n_epochs": 30, "random_state": 0, "output_metric": output_metric}
    estimator = UMAP(placement=placement, **options).fit(X)
    np.testing.assert_array_equal(estimator.embedding_, UMAP(**options).fit(X).embedding_)
    placed = estimator.transform(new)
    np.testing.assert_array_equal(estimator.transform(new[::-1])[::-1], placed)
    np.testing.assert_array_equal(estimator.transform(new[7:8]), placed[7:8])
    np.testing.assert_array_equal(estimator.transform(X[:9]), estimator.embedding_[:9])
    assert np.isfinite(placed).all()
    estimator.update(new)
    assert estimator.embedding_.shape == (250, 2)
    assert neighbors.knn(estimator.embedding_, 3).indices.shape == (250, 3)


@pytest.mark.filterwarnings("ignore:X holds fewer than k:UserWarning")  # of the lone row
@pytest.mark.parametrize("placement", ["layout", "median", "mutual"])
@pytest.mark.parametrize("kind", ["infinite", "beyond", "sparse"])
def test_distances_of_rows_of_which_one_has_no_neighbour(placement: str, kind: str) -> None:
    """The others place new rows as if the lone one had not been there."""
    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(150, 6)), rng.normal(size=(20, 6))
    among, to = (cdist(part, X).astype(np.float32) for part in (X, new))
    lone, limit = among.copy(), 50.0 if kind == "beyond" else None
    lone[7] = lone[:, 7] = 90.0 if kind == "beyond" else np.inf
    lone[7, 7] = 0
    rest = np.arange(150) != 7
    if kind == "sparse":
        lone = scipy.sparse.csr_matrix(np.where(np.isfinite(lone), lone, 0))
    options: dict[str, Any] = {"metric": "precomputed", "placement": placement, "n_epochs": 0}
    options |= {"disconnection_distance": limit, "n_neighbors": 8, "random_state": 0}
    start = rng.normal(size=(150, 2))
    start[7] = 0.0  # within the span of the others
    with pytest.warns(UserWarning, match="1 of 150 points"):
        found = UMAP(init=start, **options).fit(lone)
    assert np.isnan(found.embedding_[7]).all()
    others = UMAP(init=start[rest], **options).fit(among[np.ix_(rest, rest)])
    np.testing.assert_array_equal(found.embedding_[rest], others.embedding_)
    np.testing.assert_allclose(found.transform(to), others.transform(to[:, rest]), atol=1e-5)
