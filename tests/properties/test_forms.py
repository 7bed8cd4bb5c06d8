"""No operation depends on the form of an array in memory, and none changes what it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fastparadime import ops

from .arrays import ARRAY_FORMS, FORMS, SEEDS, content, table

A, B = 1.577, 0.8951
N, D, K = 17, 5, 3
GRAPH = ops.symmetrize(
    (np.arange(N)[:, None] + np.arange(1, K + 1)) % N, np.full((N, K), 0.5, np.float32)
)
LISTED = {"indptr": np.arange(0, 2 * N + 1, 2), "columns": np.tile([0, 3], N)}


@dataclass(frozen=True)
class Operation:
    """A call of an operation, and the random arrays that it takes by name."""

    arrays: Callable[[np.random.Generator], dict[str, Any]]
    call: Callable[..., Any]


def rows(rng: np.random.Generator, n: int = N, d: int = D) -> np.ndarray[Any, Any]:
    return rng.normal(size=(n, d)).astype(np.float32)


def numbers(rng: np.random.Generator, *shape: int) -> np.ndarray[Any, Any]:
    return rng.integers(N, size=shape)


def strengths(rng: np.random.Generator, *shape: int) -> np.ndarray[Any, Any]:
    return rng.uniform(0.1, 1, shape).astype(np.float32)


def _clusters(X: Any, centers: Any, within: Any) -> Any:
    search = ops.ClusterSearch(X, K, within=within)
    search.compare(torch.arange(N), torch.tensor([N]), centers)
    return search.nearest()


def _lists(points: Any, indices: Any, distances: Any) -> Any:
    lists = ops.NearestLists(N, K)
    lists.join(points, indices, distances)
    return lists.nearest()


def _candidates(own: Any, cosines: Any, norms: Any) -> Any:
    lists = ops.Candidates(own, 32)
    lists.update(cosines, norms, 0, slack=0.01)
    return lists.indices, lists.bounds


def _units(own: Any, units: Any, others: Any, norms: Any) -> Any:
    lists = ops.Candidates(own, 32)
    lists.update_from_units(units, others, norms, 0, slack=0.01)
    return lists.indices, lists.bounds


def _sparse(indptr: Any, columns: Any, values: Any, candidates: Any) -> Any:
    rows = ops.SparseTable(indptr, columns, values, D)
    return rows.nearest(candidates[0], K), *rows.rerank(candidates, K)


def _drawn(heads: Any, tails: Any, weights: Any) -> Any:
    return ops.EdgeSampler(heads, tails, weights, N, seed=3).draw_ends(20, 4, 1)


def _mlp(ids: Any) -> Any:
    network = ops.Mlp([torch.ones(2, D)], [torch.zeros(2)], "relu", N)
    return network.forward(torch.arange(float(N * D)).view(N, D), ids).clone()


def _tree(X: Any, queries: Any, leaves: Any) -> Any:
    tree = ops.KdTree(X)
    return tree.nearest(leaves, K)[0], tree.nearest_to(queries, K)


def _products(X: Any, mean: Any, queries: Any, within: Any) -> Any:
    products = ops.ProductTable(X, mean)
    return *products.nearest(K), *products.nearest_to(queries, K, within=within)


def _halves(rng: np.random.Generator, n: int) -> np.ndarray[Any, Any]:
    X = rng.normal(size=(n, 8))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float16)


OPERATIONS = {
    "smooth_knn": Operation(
        lambda r: {"distances": strengths(r, N, K)}, lambda distances: ops.smooth_knn(distances)
    ),
    "perplexity": Operation(
        lambda r: {"distances": strengths(r, N, K)}, lambda distances: ops.perplexity(distances, 2)
    ),
    "shared_neighbors": Operation(
        lambda r: {"indices": np.argsort(r.random((N, N)))[:, :K]}, ops.shared_neighbors
    ),
    "symmetrize": Operation(
        lambda r: {"indices": np.argsort(r.random((N, N)))[:, :K], "weights": strengths(r, N, K)},
        ops.symmetrize,
    ),
    "symmetrize of ragged rows": Operation(
        lambda r: {**LISTED, "weights": strengths(r, 2 * N)},
        lambda indptr, columns, weights: ops.symmetrize(columns, weights, indptr=indptr),
    ),
    "rerank": Operation(
        lambda r: {"X": rows(r), "candidates": numbers(r, 6, 9), "points": numbers(r, 6)},
        lambda X, candidates, points: ops.rerank(X, candidates, K, points=points),
    ),
    "rerank of queries": Operation(
        lambda r: {"X": rows(r), "candidates": numbers(r, 6, 9), "queries": rows(r, 6)},
        lambda X, candidates, queries: ops.rerank(X, candidates, K, queries=queries),
    ),
    "gather_rows": Operation(
        lambda r: {"table": rows(r), "indices": numbers(r, 9)}, ops.gather_rows
    ),
    "scatter_add": Operation(
        lambda r: {"rows": rows(r, 9), "indices": numbers(r, 9)},
        lambda rows, indices: ops.scatter_add(rows, indices, N),
    ),
    "unique_nodes": Operation(lambda r: {"ids": numbers(r, 4, 5)}, ops.unique_nodes),
    "graph_matmul": Operation(
        lambda r: {"scale": r.normal(size=N), "x": r.normal(size=(N, 4))},
        lambda scale, x: ops.graph_matmul(GRAPH, scale, x),
    ),
    "a step of graph_matmul": Operation(
        lambda r: {
            "gain": r.normal(size=N), "shift": r.normal(size=N), "before": r.normal(size=(N, 4))
        },
        lambda gain, shift, before: ops.graph_matmul(
            GRAPH, np.ones(N), np.ones((N, 4)), step=(gain, shift, before)
        ),
    ),
    "Segments": Operation(
        lambda r: {"sizes": np.array([4, 13]), "x": r.normal(size=(N, 3)),
                   "y": r.normal(size=(N, 2)), "matrices": r.normal(size=(2, 3, 2))},
        lambda sizes, x, y, matrices: (
            ops.Segments(sizes).gram(x, y), ops.Segments(sizes).matmul(x, matrices)
        ),
    ),
    "subgraph": Operation(
        lambda r: {"points": numbers(r, 9)}, lambda points: ops.subgraph(GRAPH, points)
    ),
    "EdgeSampler": Operation(
        lambda r: {"heads": numbers(r, 9), "tails": numbers(r, 9), "weights": strengths(r, 9)},
        _drawn,
    ),
    "anchor_cross_entropy": Operation(
        lambda r: {"scores": rows(r, 6, 20), "positions": rows(r, 6, 2), "anchors": rows(r, 20, 2)},
        lambda scores, positions, anchors: ops.anchor_cross_entropy(
            scores, positions, anchors, np.full(20, 0.5)
        ),
    ),
    "anchor_gradients": Operation(
        lambda r: {"scores": rows(r, 6, 20), "positions": rows(r, 6, 2), "anchors": rows(r, 20, 2)},
        lambda scores, positions, anchors: ops.anchor_gradients(
            scores, positions, anchors, np.full(20, 0.5)
        ),
    ),
    "anchor_modes": Operation(
        lambda r: {"scores": rows(r, 6, 20), "anchors": rows(r, 20, 2)},
        lambda scores, anchors: ops.anchor_modes(scores, anchors, np.full(20, 0.5)),
    ),
    "negative_edge_cross_entropy": Operation(
        lambda r: {"heads": rows(r, 6, 2), "tails": r.normal(size=(6, 4, 2)).astype(np.float32)},
        lambda heads, tails: ops.negative_edge_cross_entropy(heads, tails, A, B),
    ),
    "negative_edge_gradients": Operation(
        lambda r: {"ends": rows(r, 24, 2)}, lambda ends: ops.negative_edge_gradients(ends, 6, A, B)
    ),
    "sgd_layout": Operation(
        lambda r: {"positions": rows(r, N, 2)},
        lambda positions: ops.sgd_layout(positions, GRAPH, A, B, 3),
    ),
    "layout_epochs": Operation(
        lambda r: {"positions": rows(r, N, 2)},
        lambda positions: [moved.clone() for _, moved in ops.layout_epochs(positions, GRAPH, A, B, 2)],
    ),
    "LayoutMetric": Operation(
        lambda r: {"positions": rows(r, N, 2), "row_weights": strengths(r, N)},
        lambda positions, row_weights: ops.sgd_layout(
            positions, GRAPH, A, B, 3, metric=ops.LayoutMetric("canberra"), row_weights=row_weights
        ),
    ),
    "DensityTerm": Operation(
        lambda r: {"radii": strengths(r, N), "positions": rows(r, N, 2)},
        lambda radii, positions: ops.DensityTerm(GRAPH, radii, A, B).pulls(positions)[0],
    ),
    "KdTree": Operation(
        lambda r: {"X": rows(r), "queries": rows(r, 4), "leaves": np.array([1, 0])}, _tree
    ),
    "ProductTable": Operation(
        lambda r: {"X": rows(r), "mean": rows(r)[0], "queries": rows(r, 4),
                   "within": strengths(r, 4)},
        _products,
    ),
    "ClusterSearch": Operation(
        lambda r: {"X": rows(r), "centers": rows(r, 1), "within": strengths(r, N)}, _clusters
    ),
    "NearestLists": Operation(
        lambda r: {"points": np.array([0, 2, 3]), "indices": numbers(r, 3, 6),
                   "distances": strengths(r, 3, 6)},
        _lists,
    ),
    "Candidates": Operation(
        lambda r: {"own": strengths(r, 4), "cosines": rows(r, 4, N), "norms": strengths(r, N)},
        _candidates,
    ),
    "Candidates by units": Operation(
        lambda r: {"own": strengths(r, 4), "units": _halves(r, 4), "others": _halves(r, N),
                   "norms": strengths(r, N)},
        _units,
    ),
    "SparseTable": Operation(
        lambda r: {**LISTED, "values": strengths(r, 2 * N), "candidates": numbers(r, N, 6)}, _sparse
    ),
    "BinaryTable": Operation(
        lambda r: {"X": numbers(r, N, D) < 9},
        lambda X: ops.BinaryTable.packed([X], N, D).nearest(K, "jaccard"),
    ),
    "listed BinaryTable": Operation(
        lambda _: LISTED,
        lambda indptr, columns: ops.BinaryTable.listed(indptr, columns, D).nearest(K, "dice"),
    ),
    "nn_descent": Operation(lambda r: {"X": rows(r)}, lambda X: ops.nn_descent(X, K)),
    "Mlp": Operation(lambda r: {"ids": numbers(r, 6)}, _mlp),
}  # fmt: skip
# Their arguments are tensors of one form, which they check; or numbers.
OF_ONE_FORM = {
    "Adam", "BINARY_METRICS", "EdgeBatch", "EdgeStep", "Edges", "LAYOUT_METRICS", "LayoutShard",
    "METRICS", "MLP_ACTIVATIONS", "MOST_CANDIDATES", "MOST_UNIT_COLUMNS", "NeighborDescent",
    "POINTWISE_ACTIVATIONS", "ProductEngine", "SHARED_METRICS", "SPARSE_METRICS", "SmoothKnn",
    "Subspace", "TREE_METRICS", "build_info", "candidate_width", "embed_rows", "embed_rows_fit",
    "hidden_layers", "leaf_size", "list_width", "most_unit_columns", "nearest_by_differences",
    "product_bytes", "resolve_device", "tree_bytes",
}  # fmt: skip


def _bits(result: Any) -> list[bytes]:
    if isinstance(result, torch.Tensor):
        return [content(result).tobytes(), str(tuple(result.shape)).encode()]
    return [part for item in result for part in _bits(item)]


@pytest.mark.parametrize("name", OPERATIONS)
@given(SEEDS, st.data())
def test_forms_of_arrays_do_not_matter(name: str, seed: int, data: st.DataObject) -> None:
    operation = OPERATIONS[name]
    plain = operation.arrays(np.random.default_rng(seed))
    forms = {key: data.draw(ARRAY_FORMS, label=key) for key in plain}
    given_arrays = {key: FORMS[forms[key]](value) for key, value in plain.items()}
    kept = {key: content(value).copy() for key, value in given_arrays.items()}
    expected = operation.call(**{key: value.copy() for key, value in plain.items()})
    assert _bits(operation.call(**given_arrays)) == _bits(expected)
    for key, value in kept.items():
        np.testing.assert_array_equal(content(given_arrays[key]), value)


# A list has no dtype of its own, which the results of these follow or which they check.
BY_DTYPE = (
    "gather_rows",
    "anchor_cross_entropy",
    "negative_edge_cross_entropy",
    "Candidates by units",
)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in BY_DTYPE])
def test_lists_are_arrays(name: str) -> None:
    plain = OPERATIONS[name].arrays(np.random.default_rng(0))
    lists = {key: value.tolist() for key, value in plain.items()}
    assert _bits(OPERATIONS[name].call(**lists)) == _bits(OPERATIONS[name].call(**plain))


@pytest.mark.parametrize("form", FORMS)
@given(SEEDS, st.sampled_from(["f2", "f4", "f8", "u1", "i4", "i8", "?"]))
def test_dtypes_of_gathered_rows(form: str, seed: int, dtype: str) -> None:
    X = (10 * np.abs(table(seed, N, D))).astype(dtype)
    indices = np.random.default_rng(seed).integers(N, size=9)
    found = content(ops.gather_rows(FORMS[form](X), indices))
    assert found.dtype == X.dtype
    np.testing.assert_array_equal(found, X[indices])


def test_every_operation_is_there() -> None:
    named = {name.split()[-1] if name.split()[0] in ("a", "listed") else name.split()[0]
             for name in OPERATIONS}  # fmt: skip
    assert named | OF_ONE_FORM == set(ops.__all__)
