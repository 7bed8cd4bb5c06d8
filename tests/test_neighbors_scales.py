"""Neighbours among rows of any scale: found, or refused by name where float32 cannot sum distances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import UMAP, neighbors, ops

METRICS = ["euclidean", "sqeuclidean"]


@pytest.fixture(name="X")
def random_rows() -> Any:
    return np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)


@pytest.mark.parametrize("metric", ["cosine", "correlation"])
@pytest.mark.parametrize("exponent", [-90, -42, 66, 120])
def test_angles_do_not_depend_on_the_scale(X: Any, metric: str, exponent: int) -> None:
    expected = neighbors.knn(X, 5, metric)
    rows = X * np.float32(2.0) ** exponent
    found = neighbors.knn(rows, 5, metric)
    torch.testing.assert_close(found.indices, expected.indices)
    torch.testing.assert_close(found.distances, expected.distances, rtol=1e-5, atol=1e-7)
    fitted = UMAP(n_neighbors=5, n_epochs=1, metric=metric, random_state=0).fit(X)
    placed, distances = fitted._placed.query(rows, 1)
    assert (placed[:, 0] == np.arange(60)).all()
    assert distances.max() < 1e-6


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("exponent", "wrong"), [(-90, "small"), (66, "large"), (120, "large")])
def test_squares_that_float32_does_not_hold(X: Any, metric: str, exponent: int, wrong: str) -> None:
    with pytest.raises(ValueError, match=f"X has distances too {wrong} for float32"):
        neighbors.knn(X * np.float32(2.0) ** exponent, 5, metric)


@pytest.mark.parametrize(("factor", "wrong"), [(1e-5, "small"), (1e4, "large")])
def test_powers_that_float32_does_not_hold(X: Any, factor: float, wrong: str) -> None:
    with pytest.raises(ValueError, match=f"X has distances too {wrong} for float32"):
        neighbors.knn(X * factor, 5, "minkowski", p=12)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("exponent", [-50, 50])
def test_scales_that_it_holds(X: Any, metric: str, exponent: int) -> None:
    power = 2 if metric == "sqeuclidean" else 1
    found = neighbors.knn(X * np.float32(2.0) ** exponent, 5, metric)
    expected = neighbors.knn(X, 5, metric)
    torch.testing.assert_close(found.indices, expected.indices)
    torch.testing.assert_close(found.distances * 2.0 ** (-power * exponent), expected.distances)


def test_equal_rows_are_no_matter_of_scale(X: Any) -> None:
    for rows in (np.repeat(X[:10], 6, axis=0), np.ones((20, 3)), np.zeros((20, 3))):
        assert not neighbors.knn(rows, 5).distances.any()


def test_a_new_row_too_far_away(X: Any) -> None:
    fitted = UMAP(n_neighbors=5, n_epochs=1, random_state=0).fit(X)
    with pytest.raises(ValueError, match="row 1 of X is too far from those of the fit"):
        fitted.transform(np.stack([X[0], X[1] * 1e25]))


def test_a_device_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="device must be 'cpu' or 'cuda', not 'gpu'"):
        ops.resolve_device("gpu")
