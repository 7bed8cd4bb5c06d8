"""Fits of the same points combined by *, + and -, against umap-learn."""

from __future__ import annotations

import operator
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import sklearn.exceptions
import torch

from fastparadime import UMAP, ops
from fastparadime.graph.set_operations import reset_local_metrics

Table = npt.NDArray[np.float32]
OPERATIONS = [operator.mul, operator.add, operator.sub]


def two_tables(n: int = 200) -> tuple[Table, Table]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 5)).astype(np.float32), rng.normal(size=(n, 20)).astype(np.float32)


def fits(*tables: Table, **options: Any) -> list[UMAP]:
    return [UMAP(n_epochs=5, random_state=0, **options).fit(X) for X in tables]


# With three edges of full strength, next to nothing tells a point's exponent, and umap-learn's
# float32 sums end elsewhere: one edge of a hundred may differ.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_intersection_is_that_of_umap_learn() -> None:
    umap = pytest.importorskip("umap", reason="umap-learn is not installed")
    tables = two_tables()
    graph = operator.mul(*fits(*tables)).graph_.toarray()
    theirs = [umap.UMAP(n_epochs=5, transform_mode="graph").fit(X) for X in tables]
    expected = operator.mul(*theirs).graph_.toarray()
    edges = (graph > 0) | (expected > 0)
    assert np.quantile(np.abs(graph - expected)[edges], 0.99) < 1e-4


def graph_of(strengths: np.ndarray, heads: np.ndarray, n: int) -> tuple[torch.Tensor, ops.Edges]:
    values, ends = torch.from_numpy(strengths), torch.from_numpy(heads)
    indptr = torch.from_numpy(np.searchsorted(heads, np.arange(n + 1)))
    return values, ops.Edges(indptr, ends, ends, values)


def test_strengths_of_a_union_sum_to_the_logarithm_of_fifteen() -> None:
    rng = np.random.default_rng(0)
    heads = np.repeat(np.arange(50), 12)
    strengths = rng.uniform(0.01, 0.9, 600)
    strengths[::12] = 1.0
    powers = reset_local_metrics(*graph_of(strengths, heads, 50)).numpy()
    np.testing.assert_allclose(np.bincount(heads, powers), np.log2(15), atol=1e-4)
    exponents = np.log(powers) / np.log(np.minimum(strengths, 0.999999))
    for point in range(50):
        own = exponents[12 * point + 1 : 12 * point + 12]
        np.testing.assert_allclose(own, own[0], rtol=1e-6)


def test_difference_weakens_the_edges_of_the_other() -> None:
    left, right = fits(*two_tables())
    first, second = left.graph_.toarray(), right.graph_.toarray()
    directed = first.astype(np.float64) * (1 - second)
    directed /= directed.max(axis=1, keepdims=True)
    expected = directed + directed.T - directed * directed.T
    np.testing.assert_allclose((left - right).graph_.toarray(), expected, atol=1e-6)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_combined_fits_are_laid_out(operation: Callable[..., Any]) -> None:
    left, right = fits(*two_tables())
    before = left.graph_.copy()
    combined = operation(left, right)
    assert combined.embedding_.shape == (200, 2)
    assert np.isfinite(combined.embedding_).all()
    np.testing.assert_array_equal(operation(left, right).embedding_, combined.embedding_)
    assert (left.graph_ != before).nnz == 0
    again = pickle.loads(pickle.dumps(combined)) * left
    assert again.embedding_.shape == (200, 2)


def test_clusters_that_one_table_shows_are_apart_in_the_intersection() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    split = (rng.normal(size=(200, 5)) + 20 * labels[:, None]).astype(np.float32)
    left, right = fits(rng.normal(size=(200, 5)).astype(np.float32), split)
    strengths = (left * right).graph_.tocoo()
    across = labels[strengths.row] != labels[strengths.col]
    assert strengths.data[across].mean() < 0.25 * strengths.data[~across].mean()


def test_settings_of_a_layout_between_two_others() -> None:
    X, Z = two_tables()
    left = UMAP(n_epochs=5, n_components=3, a=1.0, b=1.0, random_state=0).fit(X)
    right = UMAP(n_components=1, a=2.0, b=0.8, random_state=0, transform_mode="graph").fit(Z)
    combined = left * right
    assert combined.embedding_.shape == (200, 1)
    assert (combined._a, combined._b) == (1.5, 0.9)


def test_what_cannot_be_combined() -> None:
    X, Z = two_tables()
    left = fits(X)[0]
    with pytest.raises(ValueError, match=r"same points can be combined, not of \[200, 150\]"):
        left * fits(Z[:150])[0]
    with pytest.raises(sklearn.exceptions.NotFittedError, match="call fit first"):
        left + UMAP()
    with pytest.raises(TypeError, match="only fits of UMAP can be combined, not ndarray"):
        left - Z
    with pytest.raises(ValueError, match="fits with unique"):
        left * fits(X, unique=True)[0]
    with pytest.raises(ValueError, match="densMAP"):
        left * fits(X, output_dens=True)[0]


@pytest.mark.parametrize("method", ["transform", "inverse_transform", "update"])
def test_combined_fits_have_no_rows(method: str) -> None:
    left, right = fits(*two_tables())
    with pytest.raises(ValueError, match=f"{method} is not available for combined fits"):
        getattr(left * right, method)(two_tables()[0])


def test_points_with_many_edges_of_full_strength() -> None:
    strengths = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.999, 1.0, 0.3])
    raised = reset_local_metrics(*graph_of(strengths, np.array([0] * 7 + [1] * 2), 2))
    np.testing.assert_allclose(raised, [1, 1, 1, 1, 1, 0, 0, 1, 1], atol=1e-6)
