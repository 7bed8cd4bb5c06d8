"""From distances to the symmetrized graph, and what is solved on it."""

from __future__ import annotations

import numpy as np

from fastparadime.ops.reference.kinds import Floats, Ints

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


def subgraph(n: int, heads: Ints, tails: Ints, weights: Floats, points: Ints) -> Floats:
    """The square matrix of a graph's weights among some of its points."""
    dense = np.zeros((n, n))
    dense[heads, tails] = weights
    points = np.asarray(points, dtype=np.int64)
    return dense[np.ix_(points, points)]


def shared_neighbors(indices: Ints, width: int) -> Ints:
    """How many neighbours a point has in common with each of its own; 0 where one is lacking."""
    rows = indices.tolist()
    near = [{j for j in row[:width] if j >= 0} for row in rows]
    counts = [[len(near[i] & near[j]) if j >= 0 else 0 for j in row] for i, row in enumerate(rows)]
    return np.array(counts, dtype=np.int64).reshape(indices.shape)
