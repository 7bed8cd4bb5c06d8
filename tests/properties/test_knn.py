"""`knn` of random tables by every metric, against distances in float64."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from fastparadime import neighbors, ops
from fastparadime.ops import reference

from .arrays import ARRAY_FORMS, FORMS, KINDS, SEEDS, SOME, assert_nearest, content, table

DIFFERENCES = ("euclidean", "manhattan", "chebyshev", "minkowski")
NAMES = {"manhattan": "cityblock"}
ROWS = st.sampled_from([2, 3, 15, 16, 17, 31, 32, 33, 100])


def found(X: object, k: int, metric: str, **options: object) -> neighbors.NeighborGraph:
    with warnings.catch_warnings():
        # Few rows, and rows of zeros, are told of; here the distances are looked at.
        warnings.simplefilter("ignore", UserWarning)
        return neighbors.knn(X, k, metric, **options)


def true_distances(X: np.ndarray, metric: str, **options: object) -> np.ndarray:
    true = cdist(X.astype(float), X.astype(float), NAMES.get(metric, metric), **options)
    np.fill_diagonal(true, np.inf)
    return np.asarray(true)


@given(SEEDS, ROWS, SOME, SOME, st.sampled_from(DIFFERENCES), KINDS)
def test_by_differences(seed: int, n: int, d: int, k: int, metric: str, kind: str) -> None:
    assume(k < n)
    X, options = table(seed, n, d, kind), {"p": 3.0} if metric == "minkowski" else {}
    graph = found(X, k, metric, **options)
    true = true_distances(X, metric, **options)
    assert_nearest(graph.indices, graph.distances, true, k, rtol=1e-5, atol=1e-30)
    assert bool((graph.indices >= 0).all())


@given(SEEDS, ROWS, SOME, st.sampled_from([1e-25, 1e-6, 1e6, 1e25]), st.sampled_from(DIFFERENCES))
def test_data_of_any_scale(seed: int, n: int, d: int, scale: float, metric: str) -> None:
    X, k = table(seed, n, d, scale=scale), min(5, n - 1)
    options = {"p": 3.0} if metric == "minkowski" else {}
    graph = found(X, k, metric, **options)
    true = true_distances(X.astype(float) / scale, metric, **options) * scale
    assert_nearest(graph.indices, graph.distances, true, k, rtol=2e-5, atol=0)


@given(SEEDS, ROWS, SOME, st.floats(-1e6, 1e6))
def test_columns_far_from_zero(seed: int, n: int, d: int, shift: float) -> None:
    X, k = table(seed, n, d).astype(np.float64) + shift, min(5, n - 1)
    graph = found(X, k, "euclidean")
    true = true_distances(X, "euclidean")
    assert_nearest(graph.indices, graph.distances, true, k, rtol=1e-4, atol=1e-5)


@given(SEEDS, ROWS, st.sampled_from([2, 15, 16, 33]), st.sampled_from(["cosine", "correlation"]))
def test_by_directions(seed: int, n: int, d: int, metric: str) -> None:
    X, k = table(seed, n, d + 1), min(5, n - 1)
    graph = found(X, k, metric)
    # 1 - <x, y> of unit rows, each rounded at 6e-8.
    assert_nearest(
        graph.indices, graph.distances, true_distances(X, metric), k, rtol=1e-5, atol=1e-6
    )


@given(SEEDS, ROWS, SOME, st.sampled_from(["canberra", "braycurtis", "hamming"]))
def test_by_shares(seed: int, n: int, d: int, metric: str) -> None:
    X, k = np.abs(np.round(2 * table(seed, n, d))) + 1, min(5, n - 1)
    graph = found(X, k, metric)
    assert_nearest(
        graph.indices, graph.distances, true_distances(X, metric), k, rtol=1e-5, atol=1e-6
    )


@given(SEEDS, ROWS, SOME, st.floats(0, 1), st.sampled_from(ops.BINARY_METRICS))
def test_by_bits(seed: int, n: int, d: int, share: float, metric: str) -> None:
    X, k = np.random.default_rng([seed, n, d]).random((n, d)) < share, min(5, n - 1)
    graph = found(X, k, metric)
    _, wanted = reference.nearest_binary(X, k, metric)
    np.testing.assert_allclose(graph.distances, wanted, rtol=1e-6)


@given(SEEDS, ROWS, SOME, st.floats(0.05, 1), st.sampled_from(["euclidean", "manhattan", "cosine"]))
def test_sparse_rows_are_as_dense_ones(
    seed: int, n: int, d: int, density: float, metric: str
) -> None:
    rng, k = np.random.default_rng([seed, n, d]), min(5, n - 1)
    X = (table(seed, n, d) * (rng.random((n, d)) < density)).astype(np.float32)
    sparse, dense = found(scipy.sparse.csr_matrix(X), k, metric), found(X, k, metric)
    np.testing.assert_allclose(sparse.distances, dense.distances, rtol=1e-4, atol=1e-3)


@given(SEEDS, ARRAY_FORMS, st.sampled_from(["f2", "f4", "f8", "u1", "i4", "i8", "?"]))
def test_forms_and_dtypes_do_not_matter(seed: int, form: str, dtype: str) -> None:
    X = (10 * np.abs(table(seed, 33, 7))).astype(dtype)
    given_table = FORMS[form](X)
    kept = content(given_table).copy()
    one, other = found(given_table, 5, "euclidean"), found(X.astype(np.float32), 5, "euclidean")
    np.testing.assert_allclose(one.distances, other.distances, rtol=1e-6)
    np.testing.assert_array_equal(content(given_table), kept)


@given(SEEDS, ROWS, st.integers(1, 5))
def test_what_is_known_is_kept(seed: int, n: int, k: int) -> None:
    assume(k < n)
    X = table(seed, n, 4)
    graph = found(X, k, "euclidean")
    again = found((graph.indices, graph.distances), k, "euclidean")
    np.testing.assert_array_equal(again.indices, graph.indices)
    np.testing.assert_array_equal(again.distances, graph.distances)
    squares = true_distances(X, "euclidean")
    np.fill_diagonal(squares, 0)
    by_table = found(squares, k, "precomputed")
    np.testing.assert_allclose(by_table.distances, graph.distances, rtol=1e-5)


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("d", [0, 1, 33])
def test_too_few_rows_are_an_error(n: int, d: int) -> None:
    with pytest.raises(ValueError, match=r"X|k"):
        neighbors.knn(np.ones((n, d), np.float32), 1)
