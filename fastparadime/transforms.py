"""Transforms of relations: each takes a container and returns a new one, its input untouched."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime import relationdata as rd
from fastparadime.relationdata import RelationData
from fastparadime.types import Array
from fastparadime.utils import ReprMixin
from fastparadime.utils.convert import to_numpy, to_torch
from fastparadime.utils.logging import log
from fastparadime.utils.validate import check_option, check_positive


class RelationTransform(ReprMixin):
    """Base class of transforms; subclasses define `transform`."""

    def __init__(self, **kwargs: Any) -> None:
        self.kwargs = kwargs

    def __call__(self, reldata: RelationData) -> RelationData:
        return self.transform(reldata)

    def transform(self, reldata: RelationData) -> RelationData:
        """The transformed relations, as a new container."""
        raise NotImplementedError(f"{type(self).__name__} does not define transform")

    def _set_verbosity(self, verbose: bool) -> None:
        if hasattr(self, "verbose"):
            self.verbose = verbose


class Identity(RelationTransform):
    """Returns the relations as they are."""

    def transform(self, reldata: RelationData) -> RelationData:
        return reldata


class _Conversion(RelationTransform):
    _method: str

    def transform(self, reldata: RelationData) -> RelationData:
        converted: RelationData = getattr(reldata, self._method)()
        return converted


class ToFlatArray(_Conversion):
    """Converts to a `FlatRelationArray`."""

    _method = "to_flat_array"


class ToFlatTensor(_Conversion):
    """Converts to a `FlatRelationTensor`."""

    _method = "to_flat_tensor"


class ToSquareArray(_Conversion):
    """Converts to a `SquareRelationArray`."""

    _method = "to_square_array"


class ToSquareTensor(_Conversion):
    """Converts to a `SquareRelationTensor`."""

    _method = "to_square_tensor"


class ToTriangularArray(_Conversion):
    """Converts to a `TriangularRelationArray`."""

    _method = "to_triangular_array"


class ToTriangularTensor(_Conversion):
    """Converts to a `TriangularRelationTensor`."""

    _method = "to_triangular_tensor"


class ToNeighborTuple(_Conversion):
    """Converts to a `NeighborRelationTuple`."""

    _method = "to_neighbor_tuple"


class ToSparseArray(_Conversion):
    """Converts to a `SparseRelationArray`."""

    _method = "to_sparse_array"


class AdaptiveNeighborhoodRescale(RelationTransform):
    """Rescales the relations of each point by a kernel whose parameter fits its neighbourhood.

    Parameters
    ----------
    kernel : callable (values (k,), parameter) -> (k,)
    find_param : callable (values (k,), comparison constant, **kwargs) -> parameter
    verbose : bool
    """

    def __init__(
        self,
        kernel: Callable[[Array, float], Any],
        find_param: Callable[..., float],
        verbose: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kernel = kernel
        self.find_param = find_param
        self.verbose = verbose
        self._param_values: Array | None = None

    @property
    def param_values(self) -> Array:
        """The parameter found for each point (n,), after the transform was called."""
        if self._param_values is None:
            raise AttributeError("Parameter values only available after calling transform.")
        return self._param_values

    def _get_comparison_constant(self) -> float:
        raise NotImplementedError(f"{type(self).__name__} does not define a comparison constant")

    def _rescale(self, values: torch.Tensor) -> tuple[Any, Any]:
        """Rescaled values (n, k) and parameters (n,)."""
        constant = self._get_comparison_constant()
        rows = to_numpy(values)
        params = [self.find_param(row, constant, **self.kwargs) for row in rows]
        rescaled = [self.kernel(row, param) for row, param in zip(rows, params, strict=True)]
        return np.stack(rescaled), np.asarray(params, dtype=float)

    def transform(self, reldata: RelationData) -> RelationData:
        neighbors = reldata.to_neighbor_tuple().without_self()
        if self.verbose:
            log("Calculating probabilities.")
        values, params = self._rescale(neighbors.values)
        self._param_values = to_numpy(params)
        return neighbors.with_values(values)


def _native(*_: Any, **__: Any) -> Any:
    raise TypeError("this transform solves all rows at once and has no kernel for one of them")


class PerplexityBasedRescale(AdaptiveNeighborhoodRescale):
    """t-SNE's rescaling: each row a distribution with the entropy of `perplexity` neighbours.

    Parameters
    ----------
    perplexity : float
        At least 1 and below the number of neighbours.
    verbose : bool
    **kwargs
        Root-search options of paraDime; the native solver needs none of them.
    """

    def __init__(self, perplexity: float = 30, verbose: bool = False, **kwargs: Any) -> None:
        super().__init__(_native, _native, verbose=verbose, **kwargs)
        self.perplexity = check_positive(perplexity, "perplexity")

    @property
    def betas(self) -> Array:
        """The precision of each point's kernel (n,)."""
        return self.param_values

    def _get_comparison_constant(self) -> float:
        return self.perplexity

    def _rescale(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return ops.perplexity(values, self.perplexity)


class ConnectivityBasedRescale(AdaptiveNeighborhoodRescale):
    """UMAP's rescaling: membership strengths that sum to log2(n_neighbors) in each row.

    Parameters
    ----------
    n_neighbors : float
        Neighbours that the sum stands for.
    verbose : bool
    rule : {"paradime", "umap"}
        How neighbours are counted and rho is found; see `fastparadime.ops.smooth_knn`.
    local_connectivity : float
        UMAP's rule only.
    **kwargs
        Root-search options of paraDime; the native solver needs none of them.
    """

    def __init__(
        self,
        n_neighbors: float = 15,
        verbose: bool = False,
        *,
        rule: str = "paradime",
        local_connectivity: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(_native, _native, verbose=verbose, **kwargs)
        self.n_neighbors = check_positive(n_neighbors, "n_neighbors")
        self.rule = check_option(rule, ("paradime", "umap"), "rule")
        self.local_connectivity = local_connectivity

    @property
    def sigmas(self) -> Array:
        """The width of each point's kernel (n,)."""
        return self.param_values

    def _get_comparison_constant(self) -> float:
        return self.n_neighbors

    def _rescale(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        weights, _, sigma = ops.smooth_knn(
            values,
            self.rule,
            n_neighbors=self.n_neighbors,
            local_connectivity=self.local_connectivity,
        )
        return weights, sigma


class Symmetrize(RelationTransform):
    """Joins relations M with their transpose.

    Parameters
    ----------
    subtract_product : bool
        False: (M + M^T) / 2. True: M + M^T - M * M^T, the fuzzy union that UMAP uses.
    """

    def __init__(self, subtract_product: bool = False) -> None:
        super().__init__()
        self.subtract_product = subtract_product

    def transform(self, reldata: RelationData) -> RelationData:
        operation = "union" if self.subtract_product else "mean"
        if isinstance(reldata, (rd.TriangularRelationArray, rd.TriangularRelationTensor)):
            return reldata
        if isinstance(reldata, rd.NeighborRelationTuple):
            edges = ops.symmetrize(reldata.indices, reldata.values, operation)
            return rd.SparseRelationArray(edges)
        if isinstance(reldata, rd.SparseRelationArray):
            graph = reldata.edges
            edges = ops.symmetrize(graph.tails, graph.weights, operation, indptr=graph.indptr)
            return rd.SparseRelationArray(edges)
        m = _square_values(reldata)
        joined = m + m.T - m * m.T if self.subtract_product else 0.5 * (m + m.T)
        return reldata.with_values(joined)


def _square_values(reldata: RelationData) -> Any:
    if not isinstance(reldata, (rd.SquareRelationArray, rd.SquareRelationTensor)):
        raise TypeError(f"expected relations between points, not {type(reldata).__name__}")
    return reldata.values


class NormalizeRows(RelationTransform):
    """Divides the relations of each point by their sum."""

    def transform(self, reldata: RelationData) -> RelationData:
        if isinstance(reldata, rd.TriangularRelationArray):
            reldata = reldata.to_square_array()
        elif isinstance(reldata, rd.TriangularRelationTensor):
            reldata = reldata.to_square_tensor()
        if isinstance(reldata, rd.SparseRelationArray):
            heads, weights = reldata.edges.heads.long(), reldata.values
            sums = weights.new_zeros(len(reldata.edges.indptr) - 1).index_add(0, heads, weights)
            return reldata.with_values(weights / sums[heads])
        if isinstance(reldata, rd.NeighborRelationTuple):
            values: Any = reldata.values
        else:
            values = _square_values(reldata)
        return reldata.with_values(values / values.sum(1)[:, None])


class Normalize(RelationTransform):
    """Divides all relations by their sum, each pair counted in both directions."""

    def transform(self, reldata: RelationData) -> RelationData:
        triangular = isinstance(reldata, (rd.TriangularRelationArray, rd.TriangularRelationTensor))
        values = reldata.values
        return reldata.with_values(values / ((2 if triangular else 1) * values.sum()))


class ZeroDiagonal(RelationTransform):
    """Sets all relations of points to themselves to zero."""

    def transform(self, reldata: RelationData) -> RelationData:
        if isinstance(reldata, (rd.TriangularRelationArray, rd.TriangularRelationTensor)):
            return reldata
        if isinstance(reldata, rd.NeighborRelationTuple):
            return reldata.without_self()
        if isinstance(reldata, rd.SparseRelationArray):
            own = reldata.edges.heads == reldata.edges.tails
            return reldata.with_values(reldata.values.masked_fill(own, 0.0))
        values = _square_values(reldata)
        off_diagonal = 1 - torch.eye(len(values), device=to_torch(values).device)
        factor = to_numpy(off_diagonal) if isinstance(values, np.ndarray) else off_diagonal
        return reldata.with_values(values * factor)


def _complete(reldata: RelationData) -> RelationData:
    # A kernel of the distance is not zero where a sparse container is silent.
    return reldata.to_square_array() if isinstance(reldata, rd.SparseRelationArray) else reldata


class StudentTTransform(RelationTransform):
    """Student's t kernel (1 + d^2 / alpha)^(-(alpha + 1) / 2).

    Parameters
    ----------
    alpha : float or tensor
        Degrees of freedom; a model's parameter is trained along.
    """

    def __init__(self, alpha: float | torch.Tensor) -> None:
        super().__init__()
        self.alpha = alpha

    def transform(self, reldata: RelationData) -> RelationData:
        reldata = _complete(reldata)
        base = 1.0 + reldata.values**2.0 / self.alpha
        return reldata.with_values(base ** (-(self.alpha + 1.0) / 2.0))


class ModifiedCauchyTransform(RelationTransform):
    """UMAP's low-dimensional kernel 1 / (1 + a d^(2b)).

    Parameters
    ----------
    min_dist, spread : float
        `a` and `b` are fitted to them where not given; see `find_ab`.
    a, b : float or tensor, optional
        The curve's parameters; a model's parameter is trained along.
    """

    def __init__(
        self,
        min_dist: float = 0.1,
        spread: float = 1.0,
        a: float | torch.Tensor | None = None,
        b: float | torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        self.min_dist = min_dist
        self.spread = spread
        fitted = find_ab(min_dist, spread) if a is None or b is None else (0.0, 0.0)
        self.a = fitted[0] if a is None else a
        self.b = fitted[1] if b is None else b

    def transform(self, reldata: RelationData) -> RelationData:
        reldata = _complete(reldata)
        return reldata.with_values(1.0 / (1.0 + self.a * reldata.values ** (2.0 * self.b)))


@functools.cache
def find_ab(min_dist: float = 0.1, spread: float = 1.0) -> tuple[float, float]:
    """The curve parameters (a, b) that fit UMAP's offset exponential by least squares.

    Parameters
    ----------
    min_dist, spread : float
        The curve is 1 below `min_dist` and exp(-(d - min_dist) / spread) beyond, on 300 points of
        [0, 3 spread]. `spread` must be positive, `min_dist` in [0, 3 spread).

    Raises
    ------
    ValueError
        If one of them is out of its range.
    """
    from scipy.optimize import curve_fit

    spread = check_positive(spread, "spread")
    if not 0 <= min_dist < 3 * spread:
        raise ValueError(f"min_dist must lie in [0, 3 spread) = [0, {3 * spread}), not {min_dist}")
    d = np.linspace(0, 3 * spread, 300)
    target = np.where(d < min_dist, 1.0, np.exp(-(d - min_dist) / spread))
    (a, b), _ = curve_fit(lambda x, a, b: 1.0 / (1.0 + a * x ** (2 * b)), d, target)
    return float(a), float(b)


class Functional(RelationTransform):
    """Applies a function to the relations.

    Parameters
    ----------
    f : callable
        Of the raw data, or of the container where `in_place` is False.
    in_place : bool
        Whether `f` maps raw data of one container to raw data of the same kind.
    check_valid : bool
        Whether the result is checked to fit the container.

    Raises
    ------
    ValueError
        If the result does not fit the container, with `check_valid`.
    """

    def __init__(
        self, f: Callable[..., Any], in_place: bool = True, check_valid: bool = False
    ) -> None:
        super().__init__()
        self.f = f
        self.in_place = in_place
        self.check_valid = check_valid

    def transform(self, reldata: RelationData) -> RelationData:
        if not self.in_place:
            transformed: RelationData = self.f(reldata)
            return transformed
        changed = self.f(_copy(reldata.data))
        if self.check_valid:
            try:
                return type(reldata)(changed)  # type: ignore[call-arg]
            except (TypeError, ValueError) as error:
                raise ValueError(
                    "Transformed relation data no longer compatible with type "
                    f"{type(reldata).__name__}."
                ) from error
        result = object.__new__(type(reldata))
        result.data = changed
        return result


def _copy(data: Any) -> Any:
    if isinstance(data, tuple):
        return tuple(part.copy() for part in data)
    return data.clone() if isinstance(data, torch.Tensor) else data.copy()
