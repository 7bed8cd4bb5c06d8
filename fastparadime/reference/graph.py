"""Neighbours, rescaling, symmetrization, draws and the loss."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastparadime.reference.kinds import Floats, Ints
from fastparadime.reference.metrics import distance
from fastparadime.reference.philox import philox

_SIGMA_SHARE = 1e-3
_BISECTIONS = 200


def _rho(row: Floats, local_connectivity: float) -> float:
    nonzero = np.sort(row[row > 0])
    if len(nonzero) == 0:
        return 0.0
    if len(nonzero) < local_connectivity:
        return float(nonzero[-1])
    rank = int(local_connectivity)
    fraction = local_connectivity - rank
    below = nonzero[rank - 1] if rank > 0 else 0.0
    if fraction <= 1e-5:
        return float(below)
    return float(below + fraction * (nonzero[rank] - below))


def smooth_knn(
    distances: Floats,
    rule: str = "paradime",
    n_neighbors: float | None = None,
    local_connectivity: float = 1.0,
) -> tuple[Floats, Floats, Floats]:
    """Weights (n, k), rho (n,) and sigma (n,): sum_j exp(-(d_j - rho)+ / sigma) = log2(size).

    Infinite distances are of neighbours that are lacking: the others of such a row have weight 1.
    """
    distances = np.asarray(distances, dtype=np.float64)
    n, k = distances.shape
    counted = k + 1 if rule == "umap" else k
    target = np.log2(counted if n_neighbors is None else n_neighbors)
    weights, rho, sigma = np.empty((n, k)), np.empty(n), np.empty(n)
    finite = np.isfinite(distances)
    for i, row in enumerate(distances):
        there = row[finite[i]]
        rho[i] = _rho(there, local_connectivity) if rule == "umap" else there.min(initial=np.inf)
        if len(there) < k:
            weights[i], sigma[i] = finite[i], np.inf
            rho[i] = rho[i] if len(there) else 0.0
            continue
        offsets = np.maximum(row - rho[i], 0)
        mean = row.sum() / counted if rho[i] > 0 else distances[finite].mean() * (k / counted)
        low, high = 0.0, 1.0
        if (offsets == 0).sum() >= target:
            sigma[i] = _SIGMA_SHARE * mean
        elif target >= k:
            sigma[i] = np.inf  # beyond what any width gives
        else:
            while np.exp(-offsets / high).sum() < target:
                high *= 2
            for _ in range(_BISECTIONS):
                middle = (low + high) / 2
                if np.exp(-offsets / middle).sum() < target:
                    low = middle
                else:
                    high = middle
            sigma[i] = max(high, _SIGMA_SHARE * mean)
        weights[i] = np.exp(-offsets / sigma[i]) if sigma[i] > 0 else 1.0
    return weights, rho, sigma


def perplexity(distances: Floats, perplexity: float) -> tuple[Floats, Floats]:
    """Weights (n, k) with rows summing to one, and beta (n,): entropy = log2(perplexity).

    Infinite distances are of neighbours that are lacking and have weight 0.
    """
    distances = np.asarray(distances, dtype=np.float64)
    weights, beta = np.zeros_like(distances), np.zeros(len(distances))
    for i, finite in enumerate(np.isfinite(distances)):
        row = distances[i, finite]
        if len(row) < len(finite) and len(row) <= perplexity:
            weights[i, finite] = 1 / max(len(row), 1)
            continue
        squares = row**2 - row.min() ** 2
        mean = squares.mean()
        low, high = 0.0, 1e6 / mean if mean > 0 else 0.0
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            y = np.exp(-middle * squares)
            p = y / y.sum()
            if -(p[p > 0] * np.log2(p[p > 0])).sum() > np.log2(perplexity):
                low = middle
            else:
                high = middle
        beta[i] = high
        y = np.exp(-high * squares)
        weights[i, finite] = y / y.sum()
    return weights, beta


def symmetrize(
    n: int, heads: Ints, tails: Ints, weights: Floats, operation: str, mix_ratio: float = 1.0
) -> tuple[Ints, Ints, Floats]:
    """Heads, tails and weights of the joined graph, sorted by head, then tail."""
    dense = np.zeros((n, n))
    dense[heads, tails] = weights
    product = dense * dense.T
    union = dense + dense.T - product
    ratio = {"union": 1.0, "intersection": 0.0}.get(operation, mix_ratio)
    mean = (dense + dense.T) / 2
    joined = mean if operation == "mean" else ratio * union + (1 - ratio) * product
    out_heads, out_tails = np.nonzero(joined)
    return out_heads, out_tails, joined[out_heads, out_tails]


def draw_edges(
    heads: Ints,
    tails: Ints,
    weights: npt.NDArray[np.float32],
    n: int,
    batch_size: int,
    negatives: int,
    seed: int,
    step: int,
) -> tuple[Ints, Ints]:
    """The sampler's draws (batch,) and (batch, 1 + negatives), by search of the running sum."""
    bits = min(32, 61 - int(np.ceil(np.log2(len(weights) + 1))))
    scale = 2.0**bits / float(weights.max())
    quantised = (weights.astype(np.float64) * scale).astype(np.int64)
    quantised[(weights > 0) & (quantised == 0)] = 1
    cumulative = np.cumsum(quantised)
    out_heads = np.empty(batch_size, dtype=np.int64)
    out_tails = np.empty((batch_size, 1 + negatives), dtype=np.int64)
    for lane in range(batch_size):
        words = [w for block in range(negatives // 2 + 1) for w in philox(seed, step, lane, block)]
        edge = np.searchsorted(cumulative, (words[0] * int(cumulative[-1])) >> 64, side="right")
        out_heads[lane] = heads[edge]
        out_tails[lane] = [tails[edge]] + [(w * n) >> 64 for w in words[1 : 1 + negatives]]
    return out_heads, out_tails


def negative_edge_cross_entropy(
    heads: Floats,
    tails: Floats,
    a: float,
    b: float,
    epsilon: float = 1e-7,
    repulsion_strength: float = 1.0,
) -> tuple[float, Floats, Floats]:
    """Mean loss and its gradients in heads (batch, dim) and tails (batch, slots, dim)."""
    heads, tails = np.asarray(heads, dtype=np.float64), np.asarray(tails, dtype=np.float64)
    difference = heads[:, None] - tails
    d2 = np.maximum((difference**2).sum(axis=2), np.finfo(np.float32).tiny)
    power = a * d2**b
    likelihood = power / (1 + power)
    likelihood[:, 0] = 1 / (1 + power[:, 0])
    scale = np.full(d2.shape, repulsion_strength)
    scale[:, 0] = 1.0
    # d(-log q)/d d2 = b q a d2^(b - 1) and d(-log(1 - q))/d d2 = -b q / d2
    slope = -b / d2 / (1 + power)
    slope[:, 0] *= -power[:, 0]
    slope = np.where(likelihood < epsilon, 0.0, slope) * scale / d2.size
    loss = (-np.log(np.maximum(likelihood, epsilon)) * scale).mean()
    gradient = 2 * slope[..., None] * difference
    return float(loss), gradient.sum(axis=1), -gradient


def gather_rows(table: npt.NDArray[np.generic], indices: Ints) -> npt.NDArray[np.generic]:
    """Rows of a table picked by index."""
    return np.stack([table[i] for i in indices]) if len(indices) else table[:0]


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


def graph_matmul(
    n: int, heads: Ints, tails: Ints, weights: Floats, scale: Floats, x: Floats
) -> Floats:
    """S G S x with S = diag(scale)."""
    dense = np.zeros((n, n))
    dense[heads, tails] = weights
    return scale[:, None] * (dense @ (scale[:, None] * x))


def segment_gram(x: Floats, y: Floats, sizes: Ints) -> Floats:
    """x^T y of the rows of each segment (segments, p, q)."""
    ends = np.cumsum(sizes)
    rows = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    return np.array([x[part].T @ y[part] for part in rows])


def segment_matmul(x: Floats, matrices: Floats, sizes: Ints) -> Floats:
    """Each row times the matrix of its segment."""
    found: Floats = np.einsum("ri,rij->rj", x, np.repeat(matrices, sizes, axis=0))
    return found


def nearest_in_tile(
    cosines: Floats, row_norms: Floats, norms: Floats, slack: float, width: int
) -> tuple[Ints, Floats]:
    """The columns of the `width` lowest distance bounds of each row, and the bounds."""
    bounds = norms**2 - 2 * row_norms[:, None] * norms * (cosines + slack)
    order = np.argsort(bounds, axis=1, kind="stable")[:, :width]
    return order, np.take_along_axis(bounds, order, axis=1)


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


def subgraph(n: int, heads: Ints, tails: Ints, weights: Floats, points: Ints) -> Floats:
    """The square matrix of a graph's weights among some of its points."""
    dense = np.zeros((n, n))
    dense[heads, tails] = weights
    points = np.asarray(points, dtype=np.int64)
    return dense[np.ix_(points, points)]


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
