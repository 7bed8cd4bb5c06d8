"""The lowest eigenvectors of all components of a graph at once, where its edges live.

Chebyshev-filtered subspace iteration (Zhou, Saad, Tiago and Chelikowsky, "Self-consistent-field
calculations using Chebyshev-filtered subspace iteration", J. Comput. Phys. 219, 2006): a
polynomial damps what lies above the block's largest Ritz value and lets the rest grow, then a
Rayleigh-Ritz step within the block's span sorts it. A graph of several components is a block
diagonal: each has its own interval and small matrices, all share the products.

Where the wanted eigenvalues lie close to all others, as those of a long shape do, no filter of a
bearable degree separates them. The block therefore starts from the eigenvectors of a coarser graph:
a smooth vector is nearly constant on a point and its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from fastparadime import ops
from fastparadime.layout.signs import signs_of
from fastparadime.layout.spectral import _dense
from fastparadime.layout.spectral._coarsening import coarsened
from fastparadime.layout.spectral._components import components_of, weighted_degrees
from fastparadime.ops import Edges, Segments
from fastparadime.types import Array

_GUARDS = 5  # vectors beside the wanted and the trivial one: those nearby converge together
_FIRST_DEGREE = 12  # of a filter; the next ones' double, up to what residuals ask for
_LEAST_DEGREE = 6
# Of the trivial vector in a filter, over what is damped. With more, too few digits of the others
# are left; where a cut is too near for the least, the filter damps what is rough instead.
_MOST_GROWTH, _LEAST_GROWTH = 1e5, 20.0
# With the graph: the third over its points, between the first two. Coarser graphs take twice as many
# each, up to _MOST_COARSE. More would be for clusters that nothing divides, whose vectors show nothing.
_LEAST_PRODUCTS, _MOST_PRODUCTS, _POINT_PRODUCTS = 60, 200, 4e6
_MOST_COARSE = 800
_ANGLE = 0.01  # to the wanted subspace, in radians, when iteration ends,
_LOST_ANGLE = 0.05  # or an estimate from above by what the last filter has changed
_LEAST_SHARE = 1e-14  # of the largest squared length below which a direction counts as absent
_LEAST_RESIDUAL = 1e-12  # what rounding allows to ask for
_MANY_POINTS = 2_000_000  # beyond which the eigenvectors of a coarser graph are the result, by so
_COARSE_PRODUCTS = 50  # products with that one, as it is an approximation itself,
_DAMPED = 3  # and so many steps that damp what is rough
_ROWS = 2**16  # of a block at a time, where a result of its own size would only be added


def block_width(out_dim: int) -> int:
    """Vectors that are iterated for `out_dim` wanted ones, a multiple of 4."""
    return -(-(1 + out_dim + _GUARDS) // 4) * 4


def most_solved_at_once(out_dim: int) -> int:
    """Points of a component up to which a dense solver takes less time."""
    return max(_dense.MOST_POINTS, 4 * block_width(out_dim))


@dataclass(frozen=True)
class _Ritz:
    """The block's Ritz vectors and, of each component, what is known of them."""

    vectors: torch.Tensor  # (n, p)
    values: Array  # of S G S (segments, p), descending
    residuals: Array  # (segments, p)


def leading_vectors(
    edges: Edges, sizes: Array, out_dim: int, seed: int, products: int
) -> torch.Tensor:
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
    products : int
        With the graph, after which iteration ends.

    Returns
    -------
    float64 tensor (n, block_width(out_dim))
        The trivial eigenvector, those wanted and guards, on the edges' device.
    """
    segments = Segments(sizes, edges.weights.device)
    degrees = weighted_degrees(edges)
    small = sizes <= most_solved_at_once(out_dim)
    if not small.any():
        block = _started(edges, segments, degrees, out_dim, seed, products)
        return _Solver(edges, segments, degrees, out_dim).solve(block, products)
    width = block_width(out_dim)
    block = degrees.sqrt()[:, None].repeat(1, width)
    rows, part = components_of(edges, segments, small)
    block[rows, 1:] = _dense.leading_vectors(part, sizes[small], width - 1).to(degrees.device)
    if not small.all():
        rows, part = components_of(edges, segments, ~small)
        block[rows] = leading_vectors(part, sizes[~small], out_dim, seed, products)
    return block


def _started(
    edges: Edges, segments: Segments, degrees: torch.Tensor, out_dim: int, seed: int, products: int
) -> torch.Tensor:
    """Where iteration begins: from a coarser graph, or from random vectors and the trivial one."""
    found = _from_coarser(edges, segments, degrees, out_dim, seed, products)
    if found is None:
        start = np.random.default_rng(seed).standard_normal((len(degrees), block_width(out_dim)))
        block = torch.from_numpy(start).to(degrees.device)
        block[:, 0] = degrees.sqrt()
        return block
    return found


def _from_coarser(
    edges: Edges,
    segments: Segments,
    degrees: torch.Tensor,
    out_dim: int,
    seed: int,
    products: int,
    columns: slice = slice(None),
) -> torch.Tensor | None:
    """Some eigenvectors of a coarser graph at the points of this one, None where none is coarser."""
    coarse = coarsened(edges, segments, most_solved_at_once(out_dim), seed)
    if coarse is None:
        return None
    found = leading_vectors(
        coarse.edges, coarse.sizes, out_dim, seed, min(2 * products, _MOST_COARSE)
    )
    found = found[:, columns] / weighted_degrees(coarse.edges).sqrt()[:, None]
    return found[coarse.owners].mul_(degrees.sqrt()[:, None])


def smooth_vectors(edges: Edges, sizes: Array, out_dim: int, seed: int) -> torch.Tensor:
    """The wanted ones of `leading_vectors` (n, out_dim), of many points those of a coarser graph.

    These are made smooth by a few steps of damping. What blocks of all points would take, and the
    time of their products, is then that of a coarser graph.
    """
    wanted = slice(1, out_dim + 1)
    n = int(sizes.sum())
    most = int(np.clip(_POINT_PRODUCTS / n, _LEAST_PRODUCTS, _MOST_PRODUCTS))
    if n <= _MANY_POINTS:
        return leading_vectors(edges, sizes, out_dim, seed, most)[:, wanted]
    segments = Segments(sizes, edges.weights.device)
    degrees = weighted_degrees(edges)
    products = _COARSE_PRODUCTS // 2
    found = _from_coarser(edges, segments, degrees, out_dim, seed, products, wanted)
    if found is None:
        return leading_vectors(edges, sizes, out_dim, seed, most)[:, wanted]
    scale = degrees.rsqrt()
    for _ in range(_DAMPED):
        found = (found + ops.graph_matmul(edges, scale, found)).div_(2)
    return found


class _Solver:
    """Filtered subspace iteration on the graph of one level."""

    def __init__(
        self, edges: Edges, segments: Segments, degrees: torch.Tensor, out_dim: int
    ) -> None:
        self._edges, self._segments, self._out_dim = edges, segments, out_dim
        self._degrees, self._scale = degrees, degrees.rsqrt()
        self._sizes = segments.sizes.numpy()

    def solve(
        self, block: torch.Tensor, products: int, degree: int = _FIRST_DEGREE
    ) -> torch.Tensor:
        """The Ritz vectors that filters make of a start by so many products, the first of `degree`.

        Components that are settled are left out as soon as they are half of what is iterated.
        """
        ritz, left = self._ritz(block), products - 1
        missing = self._missing_degrees(ritz)
        while missing.any() and left > _LEAST_DEGREE:
            if 2 * self._sizes[missing > 0].sum() <= len(block):
                return self._solve_rest(ritz.vectors, missing > 0, left, degree)
            degree = min(degree, left - 1)
            block, values = ritz.vectors, ritz.values
            del ritz  # blocks are large beside the graph
            cuts = np.clip(
                values[:, -1], _cut_of(_MOST_GROWTH, degree), _cut_of(_LEAST_GROWTH, degree)
            )
            block = self._filtered(block, cuts, degree)
            ritz = self._ritz(block)
            left -= degree + 1
            missing = self._missing_degrees(ritz)
            missing[self._angles(ritz.values, values, cuts, degree) <= _LOST_ANGLE] = 0
            degree = min(int(missing.max()), 2 * degree)
        return ritz.vectors

    def _solve_rest(
        self, vectors: torch.Tensor, chosen: Array, products: int, degree: int
    ) -> torch.Tensor:
        """Vectors that are left as they are but in some components, where they are solved for."""
        rows, edges = components_of(self._edges, self._segments, chosen)
        segments = Segments(self._sizes[chosen], vectors.device)
        rest = _Solver(edges, segments, self._degrees[rows], self._out_dim)
        vectors[rows] = rest.solve(vectors[rows], products, degree)
        return vectors

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
        gram, mixed = (self._segments.gram(block, x).cpu().numpy() for x in (block, image))
        # Columns of length 1 first: their growth differs by orders of magnitude.
        lengths = np.sqrt(np.einsum("sii->si", gram))[:, None]
        share, directions = np.linalg.eigh(gram / lengths / lengths.swapaxes(1, 2))
        share = np.maximum(share, _LEAST_SHARE * share[:, -1:])
        whitened = directions / lengths.swapaxes(1, 2) / np.sqrt(share)[:, None]
        projected = whitened.swapaxes(1, 2) @ mixed @ whitened
        values, rotation = np.linalg.eigh((projected + projected.swapaxes(1, 2)) / 2)
        values, coefficients = values[:, ::-1].copy(), (whitened @ rotation)[:, :, ::-1]
        # Vectors keep their direction: LAPACK's sign depends on rounding, so on BLAS's threads.
        coefficients = coefficients * signs_of(coefficients * lengths.swapaxes(1, 2), 1)
        # As vectors: differences of squares would lose half of the digits.
        lost = self._segments.matmul(image, torch.from_numpy(coefficients))
        del image
        vectors = self._segments.matmul(block, torch.from_numpy(coefficients))
        values_of = torch.from_numpy(values).to(block.device)
        for first in range(0, len(lost), _ROWS):
            rows = slice(first, first + _ROWS)
            lost[rows] -= vectors[rows] * values_of[self._segments.of[rows]]
        ones = lost.new_ones((len(lost), 1))
        residuals = self._segments.gram(ones, lost.square_()).sqrt()[:, 0]
        return _Ritz(vectors, values, residuals.cpu().numpy())

    def _missing_degrees(self, ritz: _Ritz) -> Array:
        """The degrees that should settle the components, 0 of those that are."""
        wanted, last = ritz.values[:, 1 : self._out_dim + 1], ritz.values[:, -1:]
        # A residual over the gap to what is outside of the block bounds the angle to its span.
        gaps = np.maximum(wanted - last, _LEAST_RESIDUAL / _ANGLE)
        excess = ritz.residuals[:, 1 : self._out_dim + 1] / (_ANGLE * gaps)
        # At x beyond the damped interval the polynomial is cosh(degree acosh(x)), 1 at its end.
        degrees = np.arccosh(np.maximum(2 * excess, 1)) / np.arccosh(1 + gaps * 2 / (last + 1))
        degrees = np.ceil(degrees.max(1)).clip(_LEAST_DEGREE).astype(np.int64)
        return np.where((excess <= 1).all(1), 0, degrees)

    def _angles(self, values: Array, before: Array, cuts: Array, degree: int) -> Array:
        """About the largest angle of each component, by what a filter has changed.

        It has divided the squares of what is outside of the block, beside the wanted, by at least
        g^2: what is left of their share of a Ritz value is what it has lost, over g^2 - 1. Where
        eigenvalues are close, as of clusters that hardly anything connects, that is far below what
        residuals allow for, which are of rough vectors.
        """
        wanted, last = slice(1, self._out_dim + 1), values[:, -1:]
        growths = _log_growth(values[:, wanted], cuts[:, None], degree)
        growths -= _log_growth(last, cuts[:, None], degree)
        lost = np.maximum(values[:, wanted] - before[:, wanted], 0) + np.finfo(np.float64).eps
        gaps = np.maximum(values[:, wanted] - last, _LEAST_RESIDUAL)
        squares = lost / np.expm1(2 * growths).clip(_LEAST_RESIDUAL) / gaps
        return np.asarray(np.sqrt(squares.max(1)))


def _log_growth(values: Array, cuts: Array, degree: int) -> Array:
    """The logarithm of the filter at some values: |values| within [-1, cut] grow by up to 1."""
    beyond = np.maximum(1 + 2 * (values - cuts) / (1 + cuts), 1)
    return np.asarray(np.log(np.cosh(degree * np.arccosh(beyond))))


def _cut_of(growth: float, degree: int) -> float:
    """The end of the damped interval from which the eigenvector of 1 grows so much."""
    beyond = float(np.cosh(np.arccosh(growth) / degree))
    return (3 - beyond) / (1 + beyond)
