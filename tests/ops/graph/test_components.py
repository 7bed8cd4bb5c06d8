"""The connected components of a graph, beside SciPy's and those by propagation."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import torch
from scipy.sparse.csgraph import connected_components

from fastparadime import ops
from fastparadime.layout.spectral import _components
from fastparadime.ops.graph.components import component_roots


def test_components_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    n = 3000
    groups = np.where(np.arange(n) % 7 == 0, n + np.arange(n) % 3, rng.integers(0, 400, n))
    indices = np.full((n, 2), -1)
    for group in np.unique(groups):  # chains in any order, and points on their own
        members = rng.permutation(np.flatnonzero(groups == group))
        indices[members[:-1], 0] = members[1:]
    edges = ops.symmetrize(indices, np.ones((n, 2), np.float32))
    graph = scipy.sparse.csr_matrix((edges.weights, edges.tails, edges.indptr), shape=(n, n))
    expected = connected_components(graph, directed=False)[1]
    assert np.array_equal(_components.labels_of(edges), expected)
    assert torch.equal(_components.propagated_labels(edges), _components.labels_of(edges))
    roots = component_roots(edges)
    assert np.array_equal(roots, np.unique(expected, return_index=True)[1][expected])


def test_points_without_edges_are_their_own() -> None:
    edges = ops.symmetrize(np.full((4, 1), -1), np.ones((4, 1), np.float32))
    assert component_roots(edges).tolist() == [0, 1, 2, 3]
    empty = torch.empty(0, dtype=torch.int32)
    none = ops.Edges(torch.zeros(1, dtype=torch.int64), empty, empty, torch.empty(0))
    assert component_roots(none).tolist() == []


def test_bad_edges() -> None:
    edges = ops.symmetrize(np.array([[1], [0]]), np.ones((2, 1), np.float32))
    with pytest.raises(TypeError, match=r"edges\.tails must be a contiguous tensor"):
        component_roots(edges._replace(tails=edges.tails.long()))
