"""nearest_binary: rows of zeros and ones, packed and listed, beside umap-learn's definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

from fastparadime import ops
from fastparadime.ops import reference

FORMS = ("packed", "listed")


def rows(n: int = 70, dim: int = 90, density: float = 0.3, seed: int = 0) -> np.ndarray:
    """Counts, with an empty row, a full one and equal ones."""
    rng = np.random.default_rng([n, dim, seed])
    X = rng.poisson(3, (n, dim)) * (rng.random((n, dim)) < density)
    X[0], X[1] = 0, 2
    X[3] = X[2]
    X[4] = 3 * X[2]
    return X


def table(X: np.ndarray, form: str) -> ops.BinaryTable:
    if form == "packed":
        return ops.BinaryTable.packed([X[:20], X[20:]], *X.shape)
    listed = scipy.sparse.csr_matrix(X)
    return ops.BinaryTable.listed(listed.indptr, listed.indices, X.shape[1])


def assert_equals_reference(found: Iterable[torch.Tensor], expected: Iterable[Any]) -> None:
    indices, distances = found
    assert (indices.dtype, distances.dtype) == (torch.int32, torch.float32)
    numbers, values = expected
    np.testing.assert_allclose(distances, values, rtol=1e-6)
    # In float32 by other steps, equal distances may differ in the last digit.
    off = indices.numpy() != numbers
    assert off.mean() < 0.1
    np.testing.assert_allclose(distances.numpy()[off], values[off], rtol=1e-6)


@pytest.mark.parametrize("metric", ops.BINARY_METRICS)
@pytest.mark.parametrize("dim", [1, 63, 64, 65, 300])
def test_equals_reference(metric: str, dim: int) -> None:
    X, queries = rows(dim=dim), rows(30, dim, seed=1)
    among = reference.nearest_binary(X, 9, metric)
    expected = reference.nearest_binary(X, 9, metric, queries)
    for form in FORMS:
        assert_equals_reference(table(X, form).nearest(9, metric), among)
        found = table(X, form).nearest(9, metric, queries=table(queries, form))
        assert_equals_reference(found, expected)


@pytest.mark.parametrize("metric", ops.BINARY_METRICS)
def test_equals_umap_learn(metric: str) -> None:
    named = pytest.importorskip("umap.distances").named_distances
    X = rows(40).astype(np.float32)
    indices, distances = table(X, "packed").nearest(39, metric)
    for i in range(40):
        at = [named[metric](X[i], X[j]) for j in indices[i].tolist()]
        np.testing.assert_allclose(distances[i], at, rtol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_ties_go_to_the_smaller_index(form: str) -> None:
    X = np.random.default_rng(0).integers(0, 2, (3000, 3))
    indices, distances = table(X, form).nearest(20, "matching")
    D = (X[:, None] != X[None, :50]).mean(axis=2).T.astype(np.float32)
    for i in range(50):
        D[i, i] = np.inf
        order = np.lexsort((np.arange(3000), D[i]))[:20]
        assert indices[i].tolist() == order.tolist()
        np.testing.assert_array_equal(distances[i], D[i, order])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("k", [1, 17, 69, 80])
def test_any_k(form: str, k: int) -> None:
    X = rows()
    indices, distances = table(X, form).nearest(k, "jaccard")
    assert_equals_reference((indices, distances), reference.nearest_binary(X, k, "jaccard"))
    assert all(i not in row for i, row in enumerate(indices.tolist()))


@pytest.mark.parametrize("form", FORMS)
def test_no_rows(form: str) -> None:
    empty, X = table(np.zeros((0, 5)), form), table(rows(dim=5), form)
    assert empty.nearest(3, "dice")[0].shape == (0, 3)
    assert X.nearest(3, "dice", queries=empty)[0].shape == (0, 3)
    indices, distances = empty.nearest(2, "dice", queries=X)
    assert (indices == -1).all()
    assert (distances == np.inf).all()


@pytest.mark.parametrize("form", FORMS)
def test_threads_do_not_matter(form: str, assert_same_bits: Callable[[Any], None]) -> None:
    rows_ = table(rows(700, 200), form)
    assert_same_bits(lambda: rows_.nearest(15, "sokalsneath"))


def test_bad_tables_and_requests() -> None:
    packed = ops.BinaryTable.packed
    with pytest.raises(
        ValueError, match=r"blocks must hold 3 rows of 2 columns in all, not \(3, 3\)"
    ):
        packed([np.ones((3, 3))], 3, 2)
    with pytest.raises(ValueError, match="blocks must hold 4 rows in all, not 3"):
        packed([np.ones((3, 3))], 4, 3)
    with pytest.raises(ValueError, match=r"columns must lie in \[0, 3\), but holds 3"):
        ops.BinaryTable.listed([0, 1], [3], 3)
    with pytest.raises(ValueError, match="indptr must ascend"):
        ops.BinaryTable.listed([0, 2], [1], 3)
    X = table(rows(), "packed")
    with pytest.raises(ValueError, match="metric must be one of 'jaccard'"):
        X.nearest(3, "hamming")
    with pytest.raises(ValueError, match="k must be an integer >= 1"):
        X.nearest(0, "dice")
    for other in (table(rows(), "listed"), table(rows(dim=5), "packed")):
        with pytest.raises(ValueError, match="queries must have the columns of the rows"):
            X.nearest(3, "dice", queries=other)
