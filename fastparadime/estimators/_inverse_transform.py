"""From positions in the embedding back to rows of data."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_array

from fastparadime.estimators._rows import taken
from fastparadime.estimators._transform import FittedRows
from fastparadime.neighbors.metric_space import Space
from fastparadime.neighbors.query_index import QueryIndex
from fastparadime.types import TensorLike
from fastparadime.utils.convert import is_sparse, share, to_float32, to_numpy
from fastparadime.utils.masks import without_mask
from fastparadime.utils.medians import weighted_means
from fastparadime.utils.validate import check_data

# Those whose distances change smoothly with the values of a row.
SMOOTH_METRICS = (
    "euclidean", "sqeuclidean", "manhattan", "chebyshev", "minkowski", "seuclidean", "mahalanobis",
    "canberra", "braycurtis", "cosine", "correlation", "hellinger",
)  # fmt: skip


def inverse_rows(X: Any, fitted: FittedRows) -> tuple[torch.Tensor, Any]:
    """Rows of data (m, d) for positions (m, dim), and their dtype: means of the rows embedded nearest.

    The mean, by the membership strengths of the embedding, minimises the expected squared distance
    to the rows that the position belongs to.

    Raises
    ------
    ValueError
        Where the fit has no such rows, and for positions that are not as described.
    """
    settings = fitted.settings
    if is_sparse(fitted.rows):
        raise ValueError("inverse_transform is not available for sparse data")
    if not _is_smooth(settings.metric, fitted.rows):
        raise ValueError(
            f"inverse_transform is not available for metric {settings.metric!r}: it takes "
            "functions that give (distance, gradient), and " + ", ".join(SMOOTH_METRICS)
        )
    output = settings.output
    space = output.search_space()
    if settings.density is not None:
        raise ValueError("inverse_transform is not available for densmap=True")
    if fitted.positions is None:
        raise ValueError("inverse_transform is not available for transform_mode='graph'")
    positions, dtype = _validated(X, settings.n_components)
    there = fitted.positions[:, 0].isfinite()
    anchors, rows = fitted.positions[there], share(taken(fitted.rows, there))
    k = min(settings.n_neighbors, len(rows))
    queries = output.positions(to_float32(positions).to(anchors.device))
    indices, distances = _nearest(anchors, queries, k, space)
    distances = output.search_distances(distances.double())
    strengths = 1 / (1 + settings.a * distances ** (2 * settings.b))
    found = fitted.row_format.data(weighted_means(strengths, indices, rows))
    return found, np.float64 if found.dtype == torch.float64 else dtype


def _nearest(
    anchors: torch.Tensor, queries: torch.Tensor, k: int, space: Space
) -> tuple[torch.Tensor, torch.Tensor]:
    if callable(space.metric):  # functions take arrays
        return QueryIndex(to_numpy(anchors), space).nearest(to_numpy(queries), k)
    return QueryIndex(anchors, space).nearest(queries, k)


def _is_smooth(metric: Any, rows: Any) -> bool:
    """Whether distances change smoothly with a row: a function says so by a gradient."""
    if not callable(metric):
        return metric in SMOOTH_METRICS
    return isinstance(metric(rows[0].copy(), rows[-1].copy()), tuple)


def _validated(X: Any, n_components: int) -> tuple[TensorLike, Any]:
    """Positions that are as described, and the dtype of results: float32 for such alone."""
    X = without_mask(X, "X")
    positions: TensorLike
    if isinstance(X, torch.Tensor):
        positions = check_data(X.detach(), min_rows=1)
    else:
        positions = check_array(X, dtype=(np.float64, np.float32), input_name="X")
    if positions.shape[1] != n_components:
        raise ValueError(
            f"X must have n_components = {n_components} columns, not {positions.shape[1]}"
        )
    return positions, np.float32 if str(positions.dtype).endswith("float32") else np.float64
