"""The symmetrized graph, parts of it, and the true distances of neighbours."""

from __future__ import annotations

from typing import NamedTuple

import torch

from fastparadime import _core
from fastparadime.ops._checks import (
    MAX_POINTS,
    as_floats,
    as_indices,
    as_non_negative,
    as_positive,
    as_row_starts,
    check_form,
    check_same_device,
    on_device,
    target_of,
)
from fastparadime.types import TensorLike
from fastparadime.utils.convert import value_range
from fastparadime.utils.stages import memory_for
from fastparadime.utils.validate import check_integer, check_option

METRICS = (
    "euclidean", "sqeuclidean", "inner_product", "manhattan", "chebyshev", "minkowski", "canberra",
    "braycurtis", "jensenshannon", "hamming", "nan_euclidean",
)  # fmt: skip
_OPERATIONS = ("union", "intersection", "mix", "mean")


class Edges(NamedTuple):
    """A sparse graph sorted by head, then tail, as `symmetrize` gives it.

    ``indptr`` int64 (n + 1,), ``heads`` and ``tails`` int32 (edges,), ``weights`` float32 (edges,).
    """

    indptr: torch.Tensor
    heads: torch.Tensor
    tails: torch.Tensor
    weights: torch.Tensor


def symmetrize(
    indices: TensorLike,
    weights: TensorLike,
    operation: str = "union",
    *,
    mix_ratio: float = 1.0,
    indptr: TensorLike | None = None,
) -> Edges:
    """A directed graph joined with its transpose, in time linear in its edges.

    Parameters
    ----------
    indices, weights : (n, k) arrays, or (edges,) arrays with `indptr`
        Neighbours of each point, distinct within a row and in any order, and their weights. A
        negative index in (n, k) is no neighbour.
    operation : {"union", "intersection", "mix", "mean"}
        union w + w' - w w', intersection w w', their blend by `mix_ratio`, or (w + w') / 2.
    mix_ratio : float
        ``"mix"`` only: 1 is the union, 0 the intersection.
    indptr : (n + 1,) array, optional
        Row starts, if rows differ in length.

    Returns
    -------
    Edges
        Every edge in both directions; edges of weight zero are left out.

    Raises
    ------
    ValueError
        For shapes that disagree, indices that are no points, negative or NaN weights, n >= 2^31.
    """
    check_option(operation, _OPERATIONS, "operation")
    if operation == "mix" and not 0 <= mix_ratio <= 1:
        raise ValueError(f"mix_ratio must lie in [0, 1], not {mix_ratio}")
    ratio = {"union": 1.0, "intersection": 0.0}.get(operation, float(mix_ratio))
    ndim = 2 if indptr is None else 1
    weights = as_non_negative(weights, "weights", ndim)
    starts = _row_starts(weights, indptr)
    n = len(starts) - 1
    if n >= MAX_POINTS:
        raise ValueError(f"a graph may have fewer than 2^31 - 1 points, not {n}")
    indices = as_indices(indices, "indices", ndim, n, negative_ok=indptr is None)
    if indices.shape != weights.shape:
        raise ValueError(
            f"indices and weights must have one shape, not {tuple(indices.shape)} and "
            f"{tuple(weights.shape)}"
        )
    check_same_device(indices=indices, weights=weights, indptr=starts)
    if indptr is None and indices.numel() and value_range(indices)[0] < 0:
        there = indices >= 0
        starts[1:] = there.sum(dim=1).cumsum(0)
        indices, weights = indices[there], weights[there]
    nnz = indices.numel()
    code = 1 if operation == "mean" else 0
    advice = "fewer neighbors take less, and the graph of a CPU tensor is built on the CPU"
    with on_device(weights), memory_for("symmetrize", advice, total=68 * nnz + 24 * n):
        target = target_of(weights)
        size = _core.symmetrize_scratch(n, nnz, target)
        scratch = torch.empty(size, dtype=torch.uint8, device=weights.device)
        out = torch.zeros(n + 1, dtype=torch.int64, device=weights.device)
        graph = (starts.data_ptr(), indices.data_ptr(), weights.data_ptr(), n, nnz)
        _core.symmetrize_plan(out.data_ptr(), scratch.data_ptr(), *graph, code, ratio, target)
        edges = int(out[-1])
        heads = indices.new_empty(edges)
        tails, joined = torch.empty_like(heads), weights.new_empty(edges)
        _core.symmetrize_fill(
            out.data_ptr(),
            heads.data_ptr(),
            tails.data_ptr(),
            joined.data_ptr(),
            scratch.data_ptr(),
            n,
            nnz,
            code,
            ratio,
            target,
        )
    return Edges(out, heads, tails, joined)


def _row_starts(weights: torch.Tensor, indptr: TensorLike | None) -> torch.Tensor:
    if indptr is None:
        n, k = weights.shape
        return torch.arange(n + 1, dtype=torch.int64, device=weights.device) * k
    return as_row_starts(indptr, "indptr", len(weights))


def rerank(
    X: torch.Tensor,
    candidates: torch.Tensor,
    k: int,
    metric: str = "euclidean",
    *,
    p: float = 2.0,
    first_row: int = 0,
    points: TensorLike | None = None,
    queries: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """True distances of rows to their candidate neighbours, and the k nearest in order.

    Parameters
    ----------
    X : float32 tensor (n, dim)
        Finite; NaN where a value is missing, for ``"nan_euclidean"``.
    candidates : integer tensor (rows, count)
        Of rows `first_row`, ... of `X`, or of `points`; negative entries are empty. The row itself,
        repeated candidates and those whose distance is not a number are dropped.
    metric : str
        One of `METRICS`; ``"inner_product"`` is 1 - <x, y>.
    p : float
        Exponent of ``"minkowski"``.
    points : integer tensor (rows,), optional
        The rows of `X` that the candidates belong to. Close ones in turn find their candidates in
        the cache.
    queries : float32 tensor (rows, dim), optional
        Rows beside `X` that the candidates belong to.

    Returns
    -------
    indices, distances : int32 and float32 tensors (rows, k)
        Ascending, ties by index; -1 and infinity where the candidates ran out.
    """
    check_option(metric, METRICS, "metric")
    k = check_integer(k, "k", minimum=1)
    p = as_positive(p, "p")
    first_row = check_integer(first_row, "first_row", minimum=0)
    X = as_floats(X, "X", 2)
    candidates = as_indices(candidates, "candidates", 2, len(X), negative_ok=True)
    check_same_device(X=X, candidates=candidates)
    rows, count = candidates.shape
    if points is not None:
        points = as_indices(points, "points", 1, len(X))
        check_same_device(X=X, points=points)
        if len(points) != rows:
            raise ValueError(f"points must name the {rows} rows of candidates, not {len(points)}")
    elif queries is not None:
        queries = as_floats(queries, "queries", 2)
        check_same_device(X=X, queries=queries)
        if queries.shape != (rows, X.shape[1]):
            wanted = (rows, X.shape[1])
            raise ValueError(f"queries must have shape {wanted}, not {tuple(queries.shape)}")
    elif first_row > len(X) - rows:
        raise ValueError(f"candidates must belong to rows of X, not to {first_row} + {rows} rows")
    with on_device(X):
        indices, distances = candidates.new_empty((rows, k)), X.new_empty((rows, k))
        _core.rerank(
            indices.data_ptr(),
            distances.data_ptr(),
            X.data_ptr(),
            candidates.data_ptr(),
            0 if points is None else points.data_ptr(),
            0 if queries is None else queries.data_ptr(),
            first_row,
            rows,
            count,
            X.shape[1],
            k,
            METRICS.index(metric),
            p,
            target_of(X),
        )
    return indices, distances


def subgraph(edges: Edges, points: TensorLike) -> torch.Tensor:
    """The square matrix of a graph's weights among some of its points.

    Parameters
    ----------
    edges : Edges
        The graph of n points.
    points : int (m,)
        Within [0, n), repeated ones included.

    Returns
    -------
    float32 tensor (m, m)
        Entry (i, j) is the weight of the edge from ``points[i]`` to ``points[j]``, else 0.
    """
    check_form(edges)
    n = len(edges.indptr) - 1
    points = as_indices(points, "points", 1, n).to(edges.weights.device)
    m = len(points)
    order = torch.arange(m, dtype=torch.int32, device=points.device)
    with on_device(edges.weights):
        places = torch.full((n,), -1, dtype=torch.int32, device=points.device)
        places[points] = order
        if not torch.equal(places[points], order):
            distinct, inverse = points.unique(return_inverse=True)
            return subgraph(edges, distinct)[inverse][:, inverse]
        out = edges.weights.new_zeros((m, m))
        _core.subgraph(
            out.data_ptr(),
            points.data_ptr(),
            places.data_ptr(),
            edges.indptr.data_ptr(),
            edges.tails.data_ptr(),
            edges.weights.data_ptr(),
            m,
            target_of(out),
        )
    return out
