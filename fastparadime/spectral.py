"""Initial positions from the graph: eigenvectors of its normalised Laplacian."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime.ops import Edges
from fastparadime.types import Array
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.validate import check_integer

_DENSE_POINTS = 256  # components up to which a dense solver is faster than an iterative one
_BASIS_BYTES = 256 * 2**20  # of the iterative solver's vectors, as far as it needs no more
_TOLERANCE = 1e-4  # relative, of the eigenvalues: a start for training needs no more


def spectral_positions(edges: Edges, out_dim: int = 2, *, seed: int = 0) -> torch.Tensor:
    """The lowest non-trivial eigenvectors of the symmetric normalised Laplacian, standardised.

    A graph in several components has each of them embedded on its own and placed side by side,
    in an area that grows with its size.

    Parameters
    ----------
    edges : Edges
        A symmetric graph of n points.
    out_dim : int
        Columns of the result.
    seed : int
        Of the solver's start vector.

    Returns
    -------
    float32 tensor (n, out_dim)
        Each column with mean 0 and standard deviation 1, on the edges' device; the eigenvectors
        are solved on the host.
    """
    import scipy.sparse
    from scipy.sparse.csgraph import connected_components

    out_dim = check_integer(out_dim, "out_dim", minimum=1)
    device = edges.weights.device
    host = Edges(*(part.cpu() for part in edges))
    indptr, _, tails, weights = (to_numpy(part) for part in host)
    n = len(indptr) - 1
    graph = scipy.sparse.csr_matrix((weights, tails, indptr), shape=(n, n))
    count, labels = connected_components(graph, directed=False)
    if count == 1:
        positions = _component_positions(host, out_dim, seed)
    else:
        order = np.argsort(labels, kind="stable")
        members = np.split(order, np.cumsum(np.bincount(labels))[:-1])
        parts = [_component_positions(_subgraph(graph, rows), out_dim, seed) for rows in members]
        positions = np.empty((n, out_dim))
        for rows, part, centre in zip(members, parts, _centres(members, out_dim), strict=True):
            # Standardised parts span about +-2: a radius of sqrt(size) keeps their density even.
            positions[rows] = centre + part * (len(rows) ** 0.5 / 2)
    return torch.from_numpy(_standardised(positions).astype(np.float32)).to(device)


def _standardised(positions: Array) -> Array:
    centred = positions - positions.mean(axis=0)
    spread = centred.std(axis=0)
    scaled: Array = centred / np.where(spread > 0, spread, 1.0)
    return scaled


def _subgraph(graph: Any, rows: Array) -> Edges:
    block = graph[rows][:, rows]
    return Edges(
        torch.from_numpy(block.indptr.astype(np.int64)),
        torch.empty(0, dtype=torch.int32),
        torch.from_numpy(block.indices.astype(np.int32)),
        torch.from_numpy(block.data),
    )


def _centres(members: list[Array], out_dim: int) -> Array:
    """Places of the components: shelves of squares, the largest first."""
    sides = 3 * np.array([len(rows) ** 0.5 for rows in members])  # their diameter and a gap
    centres = np.zeros((len(members), out_dim))
    shelf_width = np.sqrt((sides**2).sum()) if out_dim > 1 else np.inf
    x = y = height = 0.0
    for i in np.argsort(-sides, kind="stable"):
        side = sides[i]
        if x > 0 and x + side > shelf_width:
            x, y, height = 0.0, y + height, 0.0
        centres[i, 0] = x + side / 2
        if out_dim > 1:
            centres[i, 1] = y + side / 2
        x, height = x + side, max(height, side)
    return centres


def _component_positions(edges: Edges, out_dim: int, seed: int) -> Array:
    """Standardised eigenvectors of one component, float64 (n, out_dim)."""
    n = len(edges.indptr) - 1
    if n <= out_dim + 1:
        # Too few points for as many eigenvectors: spread along the first axes.
        return _standardised(np.eye(n, out_dim) * np.arange(1, n + 1)[:, None])
    degrees = torch.zeros(n, dtype=torch.float64)
    rows = torch.repeat_interleave(torch.arange(n), edges.indptr.diff())
    degrees.index_add_(0, rows, edges.weights.double())
    scale = degrees.clamp_min(torch.finfo(torch.float64).tiny).rsqrt()

    def product(x: Array) -> Array:
        columns = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64).reshape(n, -1))
        result: Array = ops.graph_matmul(edges, scale, columns).numpy().reshape(x.shape)
        return result

    trivial = (degrees.sqrt() / degrees.sqrt().norm()).numpy()
    return _standardised(_leading_vectors(product, trivial, out_dim, seed))


def _leading_vectors(product: Any, trivial: Array, out_dim: int, seed: int) -> Array:
    """The `out_dim` largest eigenvectors beside the trivial one, largest first."""
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    n = len(trivial)
    if n <= _DENSE_POINTS:
        vectors: Array = np.linalg.eigh(product(np.eye(n)))[1]
        return vectors[:, ::-1][:, 1 : out_dim + 1]

    def deflated(x: Array) -> Array:
        flat = x.reshape(n)
        # Eigenvalues move from [-1, 1] to [0, 2], the trivial one to 0: the largest are wanted.
        result: Array = product(flat) + flat - 2 * trivial * (trivial @ flat)
        return result

    start = np.random.default_rng(seed).standard_normal(n)
    operator = LinearOperator((n, n), matvec=deflated, dtype=np.float64)
    options = {"k": out_dim, "which": "LA", "v0": start, "tol": _TOLERANCE}
    # A larger basis needs fewer products, but holds as many vectors of n.
    affordable = int(np.clip(_BASIS_BYTES / (8 * n), 20, 64))
    basis = min(n - 1, max(2 * out_dim + 1, min(affordable, int(n**0.5))))
    try:
        _, vectors = eigsh(operator, ncv=basis, maxiter=200, **options)
    except ArpackNoConvergence as stopped:
        return _completed(stopped.eigenvectors, operator, trivial, out_dim, seed)
    return vectors[:, ::-1]


def _completed(found: Array, operator: Any, trivial: Array, out_dim: int, seed: int) -> Array:
    """Eigenvectors that Lanczos did not settle, by LOBPCG beside those it did."""
    import warnings

    from scipy.sparse.linalg import lobpcg

    start = np.random.default_rng(seed).standard_normal((len(trivial), out_dim))
    start[:, : found.shape[1]] = found
    with warnings.catch_warnings():
        # It reports that its tolerance was not met: the best it reached is a good enough start.
        warnings.simplefilter("ignore", UserWarning)
        _, vectors = lobpcg(operator, start, Y=trivial[:, None], maxiter=100, tol=1e-3)
    result: Array = np.asarray(vectors)
    return result
