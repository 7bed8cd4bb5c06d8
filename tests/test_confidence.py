"""How far places in a map can be trusted: planted outliers, and rows midway between two groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score

from fastparadime import UMAP, ParametricUMAP
from fastparadime.estimators import Confidence


class Planted:
    """Two groups, and new rows: some like them, some far away, some midway between both."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        basis = np.linalg.qr(rng.normal(size=(10, 10)))[0].astype(np.float32)
        plane, apart = 5 * basis[:3], 15 * basis[3]

        def rows(n: int) -> np.ndarray:
            found = rng.normal(size=(n, 3)) @ plane + 0.1 * rng.normal(size=(n, 10))
            return found.astype(np.float32)

        first = rows(250)  # whose rows have twins in the second group
        self.X = np.concatenate([first, first + apart])
        self.usual = np.concatenate([rows(40), rows(40) + apart])
        self.far, self.midway = rows(30), rows(30) + apart / 2
        self.far += 50 * basis[4]


@pytest.fixture(scope="module")
def planted() -> Planted:
    return Planted()


@pytest.fixture(scope="module")
def fits(planted: Planted) -> dict[str, Any]:
    options: dict[str, Any] = {"random_state": 0, "n_epochs": 200}
    return {
        "layout": UMAP(**options).fit(planted.X),
        "network": ParametricUMAP(quality="fast", hidden_dims=[32], **options).fit(planted.X),
    }


def auc(lower: np.ndarray, higher: np.ndarray) -> float:
    """The chance that a value of the second is above one of the first."""
    truth = np.r_[np.zeros(len(lower)), np.ones(len(higher))]
    return float(roc_auc_score(truth, np.r_[lower, higher]))


@pytest.mark.parametrize("kind", ["layout", "network"])
def test_outliers_and_doubtful_rows_are_found(kind: str, fits: Any, planted: Planted) -> None:
    fit = fits[kind]
    usual, far, midway = map(fit.confidence, (planted.usual, planted.far, planted.midway))
    assert auc(usual.distance_ratio, far.distance_ratio) > 0.999
    assert auc(midway.stability, usual.stability) > 0.95
    for found, rows in ((usual, planted.usual), (far, planted.far)):
        assert isinstance(found, Confidence)
        for values in (found.kept_neighbors, found.distance_ratio, found.stability):
            assert (values.shape, values.dtype) == ((len(rows),), np.float32)
        assert ((found.kept_neighbors >= 0) & (found.kept_neighbors <= 1)).all()
        assert ((found.stability >= 0) & (found.stability <= 1)).all()
    assert 0.8 < np.median(usual.distance_ratio) < 1.3
    assert repr(usual).startswith("Confidence(80 rows, medians kept_neighbors≈")


@pytest.mark.parametrize("kind", ["layout", "network"])
def test_a_row_of_the_fit_is_not_its_own_neighbor(kind: str, fits: Any, planted: Planted) -> None:
    found = fits[kind].confidence(planted.X)
    assert 0.9 < np.median(found.distance_ratio) < 1.1
    assert np.median(found.kept_neighbors) > 0.2
    # A row's values are those of that row alone.
    some = fits[kind].confidence(planted.X[10:13])
    np.testing.assert_allclose(some.kept_neighbors, found.kept_neighbors[10:13])
    np.testing.assert_allclose(some.distance_ratio, found.distance_ratio[10:13], rtol=1e-6)
    np.testing.assert_allclose(some.stability, found.stability[10:13], atol=1e-6)


def test_ratios_are_those_of_the_definition(fits: Any, planted: Planted) -> None:
    fit, rows = fits["layout"], planted.usual[:5]
    lengths = np.linalg.norm(planted.X[:, None] - planted.X[None], axis=2)
    own = np.sort(lengths, axis=1)[:, 1:15].mean(axis=1)  # the 14 others of n_neighbors=15
    to_fit = np.linalg.norm(rows[:, None] - planted.X[None], axis=2)
    nearest = np.argsort(to_fit, axis=1)[:, :15]
    expected = np.take_along_axis(to_fit, nearest, 1).mean(axis=1) / own[nearest].mean(axis=1)
    found = fit.confidence(rows)
    np.testing.assert_allclose(found.distance_ratio, expected, rtol=1e-4)
    places = np.linalg.norm(fit.transform(rows)[:, None] - fit.embedding_[None], axis=2)
    near = np.argsort(places, axis=1)[:, :15]
    kept = [len(set(a) & set(b)) / 15 for a, b in zip(nearest, near, strict=True)]
    np.testing.assert_allclose(found.kept_neighbors, kept, atol=1e-6)


def test_other_data_and_outputs(planted: Planted, tmp_path: Path) -> None:
    X = scipy.sparse.csr_matrix(np.maximum(planted.X[::4], 0))
    found = UMAP(metric="cosine", n_epochs=20, random_state=0).fit(X).confidence(X[:7])
    assert np.isfinite(found.stability).all()
    ball = UMAP(output_metric="haversine", n_epochs=20, random_state=0).fit(planted.X[::5])
    assert np.isfinite(ball.confidence(planted.usual[:7]).stability).all()
    assert ball.confidence(planted.usual[:7]).stability.shape == (7,)
    few = UMAP(n_neighbors=3, n_epochs=5, random_state=0).fit(planted.X[:4])
    assert few.confidence(planted.X[:4]).kept_neighbors.tolist() == [1, 1, 1, 1]
    network = ParametricUMAP(quality="fast", hidden_dims=[4], n_epochs=10, random_state=0)
    network.fit(planted.X[::5]).save(tmp_path / "model", landmarks=60)
    loaded = ParametricUMAP.load(tmp_path / "model")
    assert loaded.confidence(planted.far).distance_ratio.min() > 2
    assert loaded.umap_ is None


def test_what_has_no_confidence(planted: Planted) -> None:
    with pytest.raises(NotFittedError):
        UMAP().confidence(planted.X)
    with pytest.raises(ValueError, match="not available for a fit with transform_mode='graph'"):
        UMAP(transform_mode="graph").fit(planted.X[:50]).confidence(planted.X)
    distances = np.linalg.norm(planted.X[:50, None] - planted.X[None, :50], axis=2)
    with pytest.raises(ValueError, match="not available for a fit with metric='precomputed'"):
        UMAP(metric="precomputed", n_epochs=5).fit(distances).confidence(distances)
    with pytest.raises(ValueError, match="X has 3 features"):
        UMAP(n_epochs=5).fit(planted.X[:50]).confidence(planted.X[:, :3])
