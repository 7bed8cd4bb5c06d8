"""Searches for the nearest rows."""

from __future__ import annotations

import numpy as np

from fastparadime.ops.reference.kinds import Floats, Ints
from fastparadime.ops.reference.metrics import binary_distance, distance


def nn_descent(X: Floats, k: int) -> tuple[Ints, Floats]:
    """The k nearest other rows by Euclidean distance, ties by index: what a recall is against."""
    X = np.asarray(X, dtype=np.float64)
    indices, distances = np.empty((len(X), k), np.int64), np.empty((len(X), k))
    for i, row in enumerate(X):
        found = np.sqrt(((X - row) ** 2).sum(axis=1))
        found[i] = np.inf
        indices[i] = np.argsort(found, kind="stable")[:k]
        distances[i] = found[indices[i]]
    return indices, distances


def rerank(
    X: Floats, candidates: Ints, k: int, metric: str, p: float = 2.0, first_row: int = 0
) -> tuple[Ints, Floats]:
    """The k nearest candidates of each row and their distances, padded with -1 and infinity."""
    X = np.asarray(X, dtype=np.float64)
    indices = np.full((len(candidates), k), -1)
    distances = np.full((len(candidates), k), np.inf)
    for i, row in enumerate(candidates):
        others = np.unique(row[(row >= 0) & (row != first_row + i)])
        found = sorted((distance(X[first_row + i], X[j], metric, p), j) for j in others)[:k]
        for slot, (least, j) in enumerate(found):
            indices[i, slot], distances[i, slot] = j, least
    return indices, distances


def nearest_in_tile(
    cosines: Floats, row_norms: Floats, norms: Floats, slack: float, width: int
) -> tuple[Ints, Floats]:
    """The columns of the `width` lowest distance bounds of each row, and the bounds."""
    bounds = norms**2 - 2 * row_norms[:, None] * norms * (cosines + slack)
    order = np.argsort(bounds, axis=1, kind="stable")[:, :width]
    return order, np.take_along_axis(bounds, order, axis=1)


def nearest_by_differences(X: Floats, points: Ints, width: int) -> tuple[Ints, Floats]:
    """The `width` nearest rows to some rows, themselves among them, and their squared distances."""
    squares = np.array([np.square(X[point] - X).sum(axis=1) for point in points])
    order = np.argsort(squares, axis=1, kind="stable")[:, :width]
    return order, np.take_along_axis(squares, order, axis=1)


def nearest_by_products(
    X: Floats, width: int, queries: Floats | None = None
) -> tuple[Ints, Floats]:
    """The `width` nearest rows to each other row, or to queries, and their squared distances."""
    own = queries is None
    asked = X if queries is None else queries
    squares = np.array([np.square(row - X).sum(axis=1) for row in asked]).reshape(-1, len(X))
    if own:
        np.fill_diagonal(squares, np.inf)
    order = np.argsort(squares, axis=1, kind="stable")[:, : min(width, len(X) - own)]
    return order, np.take_along_axis(squares, order, axis=1)


def nearest_by_tree(
    X: Floats, width: int, metric: str, p: float = 2.0, queries: Floats | None = None
) -> tuple[Ints, Floats]:
    """The `width` nearest rows to each other row, or to queries, and their distances."""
    asked = X if queries is None else queries
    distances = np.array([[distance(x, y, metric, p) for y in X] for x in asked])
    distances = distances.reshape(len(asked), len(X))
    if queries is None:
        np.fill_diagonal(distances, np.inf)
    order = np.argsort(distances, axis=1, kind="stable")[
        :, : min(width, len(X) - (queries is None))
    ]
    return order, np.take_along_axis(distances, order, axis=1)


def nearest_in_clusters(X: Floats, width: int, clusters: list[Ints]) -> tuple[Ints, Floats]:
    """The `width` nearest rows that each row shares a cluster with, and their squared distances.

    -1 and infinity where a row shares clusters with fewer.
    """
    squares = np.full((len(X), len(X)), np.inf)
    for members in clusters:
        rows = X[members]
        squares[np.ix_(members, members)] = np.square(rows[:, None] - rows).sum(axis=2)
    np.fill_diagonal(squares, np.inf)
    squares = np.pad(squares, ((0, 0), (0, width)), constant_values=np.inf)
    order = np.argsort(squares, axis=1, kind="stable")[:, :width]
    found = np.take_along_axis(squares, order, axis=1)
    return np.where(np.isinf(found), -1, order), found


def join_lists(lists: list[list[tuple[int, float]]], width: int) -> tuple[Ints, Floats]:
    """The `width` nearest neighbours that each list names, by (distance, index), each once.

    -1 and infinity where a list names fewer.
    """
    indices = np.full((len(lists), width), -1)
    distances = np.full((len(lists), width), np.inf)
    for i, pairs in enumerate(lists):
        least: dict[int, float] = {}
        for index, away in pairs:
            least[index] = min(away, least.get(index, np.inf))
        nearest = sorted((away, index) for index, away in least.items())[:width]
        for j, (away, index) in enumerate(nearest):
            indices[i, j], distances[i, j] = index, away
    return indices, distances


def nearest_binary(
    X: Floats, k: int, metric: str, queries: Floats | None = None
) -> tuple[Ints, Floats]:
    """The k nearest rows to each query, or others of each row, padded with -1 and infinity."""
    asked = X if queries is None else queries
    indices = np.full((len(asked), k), -1)
    distances = np.full((len(asked), k), np.inf)
    for i, row in enumerate(asked):
        others = [j for j in range(len(X)) if queries is not None or j != i]
        # In float32, in which equal distances are equal.
        found = sorted((np.float32(binary_distance(row, X[j], metric)), j) for j in others)[:k]
        for slot, (least, j) in enumerate(found):
            indices[i, slot], distances[i, slot] = j, least
    return indices, distances


def neighbors_of_neighbors(X: Floats, lists: list[list[int]], width: int) -> tuple[Ints, Floats]:
    """The nearest of a row's list, of the rows that list it, and of the lists of all these.

    Parameters
    ----------
    X : float array (n, d)
    lists : list of lists
        Of each row.
    width : int

    Returns
    -------
    indices, squares : int and float arrays (n, width)
        Ascending by (square, index); -1 and infinity where there are fewer.
    """
    near = [set(own) | {j for j in range(len(X)) if i in lists[j]} for i, own in enumerate(lists)]
    met = [(own | {k for j in own for k in lists[j]}) - {i} for i, own in enumerate(near)]
    indices = np.full((len(X), width), -1)
    squares = np.full((len(X), width), np.inf)
    for i, candidates in enumerate(met):
        rows = np.array(sorted(candidates), dtype=int)
        distances = np.square(X[rows] - X[i]).sum(axis=1)
        kept = np.argsort(distances, kind="stable")[:width]
        indices[i, : len(kept)], squares[i, : len(kept)] = rows[kept], distances[kept]
    return indices, squares
