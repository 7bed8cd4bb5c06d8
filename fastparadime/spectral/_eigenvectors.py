"""The lowest eigenvectors of all components of a graph at once, where its edges live.

Chebyshev-filtered subspace iteration (Zhou, Saad, Tiago and Chelikowsky, "Self-consistent-field
calculations using Chebyshev-filtered subspace iteration", J. Comput. Phys. 219, 2006): a
polynomial damps what lies above the block's largest Ritz value and lets the rest grow, then a
Rayleigh-Ritz step within the block's span sorts it. A graph of several components is a block
diagonal: each has its own interval and small matrices, all share the products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from fastparadime import ops
from fastparadime.ops import Edges, Segments
from fastparadime.types import Array

_GUARDS = 5  # vectors beside the wanted and the trivial one: those nearby converge together
_FIRST_DEGREE = 12  # of the filter, until residuals tell what is needed
_DEGREES = (6, 24)  # the least and the most of the later ones
_MOST_PRODUCTS = 500
_FIRST_CUT = 0.5  # of eigenvalues, until a Ritz value tells better
_ANGLE = 0.01  # to the wanted subspace, in radians, when iteration ends
_LEAST_RESIDUAL = 1e-7  # what the residuals' rounding allows to ask for
_LEAST_SHARE = 1e-14  # of the largest squared length below which a direction counts as absent


def block_width(out_dim: int) -> int:
    """Vectors that are iterated for `out_dim` wanted ones, a multiple of 4."""
    return -(-(1 + out_dim + _GUARDS) // 4) * 4


@dataclass(frozen=True)
class _Ritz:
    """Of each component: eigenvalues of S G S (segments, p), descending, and their residuals."""

    values: Array
    residuals: Array
    coefficients: Array  # (segments, p, p): the columns make Ritz vectors of the block


class ComponentSolver:
    """Leading eigenvectors of S G S within components, S the inverse roots of the degrees.

    Parameters
    ----------
    edges : Edges
        A symmetric graph whose components are consecutive points, each larger than `block_width`.
    sizes : int array (components,)
    out_dim : int
        Eigenvectors wanted beside the trivial one.
    seed : int
        Of the start.
    """

    def __init__(self, edges: Edges, sizes: Array, out_dim: int, seed: int) -> None:
        self._edges, self._out_dim, self._seed = edges, out_dim, seed
        self._segments = Segments(sizes, edges.weights.device)
        self._degrees = weighted_degrees(edges)
        self._scale = self._degrees.rsqrt()

    def solve(self) -> torch.Tensor:
        """The wanted eigenvectors, float64 (n, out_dim), on the edges' device."""
        cuts = np.full(self._segments.count, _FIRST_CUT)
        block = self._start()
        degree, products = _FIRST_DEGREE, 0
        while degree and products < _MOST_PRODUCTS:
            block = self._filtered(block, cuts, degree)
            ritz = self._ritz(block)
            block = self._segments.matmul(block, torch.from_numpy(ritz.coefficients))
            cuts = ritz.values[:, -1]
            products += degree + 1
            degree = self._missing_degree(ritz)
        return block[:, 1 : self._out_dim + 1]

    def _start(self) -> torch.Tensor:
        width = block_width(self._out_dim)
        start = np.random.default_rng(self._seed).standard_normal((self._segments.rows, width))
        # The trivial eigenvector is known.
        block = torch.from_numpy(start).to(self._scale.device)
        block[:, 0] = self._degrees.sqrt()
        return block

    def _filtered(self, block: torch.Tensor, cuts: Array, degree: int) -> torch.Tensor:
        """T((S G S - c) / h) block, [c - h, c + h] from -1 to the cut of each component."""
        centres, halves = (cuts - 1) / 2, (cuts + 1) / 2
        gains, shifts = (
            torch.from_numpy(values).to(block.device)[self._segments.of]
            for values in (1 / halves, -centres / halves)
        )
        before, now = block, self._step(block, gains, shifts, torch.zeros_like(block))
        gains, shifts = 2 * gains, 2 * shifts
        for _ in range(degree - 1):
            before, now = now, self._step(now, gains, shifts, before)
        return now

    def _step(
        self, x: torch.Tensor, gains: torch.Tensor, shifts: torch.Tensor, previous: torch.Tensor
    ) -> torch.Tensor:
        return ops.graph_matmul(
            self._edges, self._scale, x, step=(gains, shifts, previous), out=previous
        )

    def _ritz(self, block: torch.Tensor) -> _Ritz:
        image = ops.graph_matmul(self._edges, self._scale, block)
        gram, mixed, squares = (
            self._segments.gram(x, y).cpu().numpy()
            for x, y in ((block, block), (block, image), (image, image))
        )
        # Columns of length 1 first: their growth differs by orders of magnitude.
        lengths = np.sqrt(np.einsum("sii->si", gram))[:, None]
        share, directions = np.linalg.eigh(gram / lengths / lengths.swapaxes(1, 2))
        share = np.maximum(share, _LEAST_SHARE * share[:, -1:])
        whitened = directions / lengths.swapaxes(1, 2) / np.sqrt(share)[:, None]
        projected = whitened.swapaxes(1, 2) @ mixed @ whitened
        values, rotation = np.linalg.eigh((projected + projected.swapaxes(1, 2)) / 2)
        values, coefficients = values[:, ::-1], (whitened @ rotation)[:, :, ::-1]
        images = np.einsum("sij,sik,skj->sj", coefficients, squares, coefficients)
        residuals = np.sqrt(np.maximum(images - values**2, 0.0))
        return _Ritz(values, residuals, np.ascontiguousarray(coefficients))

    def _missing_degree(self, ritz: _Ritz) -> int:
        """The degree that should settle all components, 0 if they are."""
        wanted, last = ritz.values[:, 1 : self._out_dim + 1], ritz.values[:, -1:]
        # A residual over the gap to what is outside of the block bounds the angle to its span.
        gaps = np.maximum(wanted - last, _LEAST_RESIDUAL)
        excess = ritz.residuals[:, 1 : self._out_dim + 1] / np.maximum(
            _ANGLE * gaps, _LEAST_RESIDUAL
        )
        if (excess <= 1).all():
            return 0
        # At x beyond the damped interval the polynomial is cosh(degree acosh(x)), 1 at its end.
        beyond = 1 + gaps * 2 / (last + 1)
        degree = np.arccosh(np.maximum(2 * excess, 1)) / np.arccosh(beyond)
        return int(np.clip(np.ceil(degree.max()), *_DEGREES))


def weighted_degrees(edges: Edges) -> torch.Tensor:
    """Sums of each row's weights, float64 (n,), not 0."""
    n = len(edges.indptr) - 1
    ones = torch.ones(n, dtype=torch.float64, device=edges.weights.device)
    degrees = ops.graph_matmul(edges, ones, ones[:, None])[:, 0]
    return degrees.clamp_min(torch.finfo(torch.float64).tiny)
