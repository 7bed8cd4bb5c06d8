"""densMAP in UMAP: radii against umap-learn, and what the term does to the embedding."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.manifold import trustworthiness

from fastparadime import UMAP

Table = npt.NDArray[np.float32]


def clouds(n: int = 300, dim: int = 6) -> Table:
    """Three clouds of very different widths."""
    rng = np.random.default_rng(0)
    widths = np.array([0.2, 1.0, 5.0])[np.arange(n) % 3]
    return (
        rng.normal(size=(n, dim)) * widths[:, None] + 30 * np.eye(dim)[np.arange(n) % 3]
    ).astype(np.float32)


def dense(**options: Any) -> UMAP:
    return UMAP(**{"densmap": True, "output_dens": True, "random_state": 0, **options})


def test_radii_are_those_of_umap_learn() -> None:
    umap_ = pytest.importorskip("umap.umap_", reason="umap-learn is not installed")
    X = clouds()
    estimator = dense(n_epochs=60)
    embedding, original, embedded = estimator.fit_transform(X)
    np.testing.assert_array_equal(original, estimator.rad_orig_)
    np.testing.assert_array_equal(embedded, estimator.rad_emb_)
    for table, found, square in ((X, original, 2), (embedding, embedded, 1)):
        distances = np.linalg.norm(table[:, None].astype(float) - table[None], axis=2)
        graph, _, _, lengths = umap_.fuzzy_simplicial_set(
            distances.astype(np.float32), 15, np.random.RandomState(0), "precomputed",
            return_dists=True,
        )  # fmt: skip
        weights = graph.toarray()
        if square == 2:  # edges that are never sampled count nothing
            weights[weights < weights.max() / 60] = 0
        sums = (weights * lengths.toarray() ** square).sum(axis=1)
        expected = np.log(1e-8 + sums / weights.sum(axis=1))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


def test_the_term_makes_radii_go_with_those_of_the_data() -> None:
    X = clouds()

    def correlation(**options: Any) -> float:
        estimator = dense(**options).fit(X)
        assert np.isfinite(estimator.embedding_).all()
        return float(np.corrcoef(estimator.rad_orig_, estimator.rad_emb_)[0, 1])

    plain = correlation(densmap=False)
    assert correlation() > max(plain + 0.2, 0.85)
    assert correlation(dens_lambda=0.0) == pytest.approx(correlation(dens_frac=0.0), abs=1e-6)
    assert correlation(dens_lambda=0.1) < correlation(dens_lambda=2.0)


# Seeds give 0.959 to 0.962 and 0.847 to 0.858. umap-learn, at 300 epochs: 0.960 and 0.835.
def test_the_term_keeps_the_map(digits: tuple[Any, Any]) -> None:
    X = digits[0]
    embedding, original, embedded = dense(n_epochs=200).fit_transform(X)
    assert float(trustworthiness(X, embedding, n_neighbors=15)) > 0.953
    assert float(np.corrcoef(original, embedded)[0, 1]) > 0.83


def test_more_epochs_are_the_default() -> None:
    X = clouds(60)
    estimator = dense(dens_lambda=0.0)
    np.testing.assert_array_equal(
        estimator.fit(X).embedding_, UMAP(n_epochs=700, random_state=0).fit(X).embedding_
    )


def test_embedding_alone_without_output_dens() -> None:
    X = clouds(60)
    estimator = dense(output_dens=False, n_epochs=30)
    assert estimator.fit_transform(X).shape == (60, 2)
    assert not hasattr(estimator, "rad_orig_")
    new = estimator.transform(X[:5] + 0.01)
    assert np.isfinite(new).all()


def test_points_without_neighbors_have_no_radius() -> None:
    X = clouds(60)
    X[7] = 1000
    with pytest.warns(UserWarning, match="1 of 60 points"):
        estimator = dense(disconnection_distance=200, n_epochs=30).fit(X)
    for radii in (estimator.rad_orig_, estimator.rad_emb_):
        assert np.flatnonzero(np.isnan(radii)).tolist() == [7]
    assert np.flatnonzero(np.isnan(estimator.embedding_[:, 0])).tolist() == [7]


def test_unique_rows_and_labels() -> None:
    X = np.repeat(clouds(60), 2, axis=0)
    embedding, original, embedded = dense(unique=True, n_epochs=30).fit_transform(X)
    for part in (embedding, original, embedded):
        np.testing.assert_array_equal(part[::2], part[1::2])
    y = np.arange(60) % 3
    for options in ({}, {"target_metric": "euclidean"}):
        estimator = dense(n_epochs=30, **options).fit(clouds(60), y)
        assert np.isfinite(estimator.rad_orig_).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"densmap": "yes"}, "densmap must be one of True, False"),
        ({"output_dens": 1}, "output_dens must be one of True, False"),
        ({"dens_lambda": -1.0}, "dens_lambda must be a finite number >= 0"),
        ({"dens_frac": 1.5}, r"dens_frac must lie in \[0, 1\]"),
        ({"dens_var_shift": -1.0}, "dens_var_shift must be a finite number >= 0"),
    ],
)
def test_bad_parameters(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dense(**options).fit(clouds(60))
