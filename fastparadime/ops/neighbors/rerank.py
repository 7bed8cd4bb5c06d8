"""True distances to candidate neighbours."""

from __future__ import annotations

import torch

from fastparadime import _core
from fastparadime.ops._checks import (
    as_floats,
    as_indices,
    as_positive,
    check_same_device,
    on_device,
    target_of,
)
from fastparadime.types import TensorLike
from fastparadime.utils.validate import check_integer, check_option

METRICS = (
    "euclidean", "sqeuclidean", "inner_product", "manhattan", "chebyshev", "minkowski", "canberra",
    "braycurtis", "jensenshannon", "hamming", "nan_euclidean",
)  # fmt: skip


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
