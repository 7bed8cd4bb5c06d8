"""Where the positions of a layout are: umap-learn's output metrics."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime.neighbors.functions import is_compiled
from fastparadime.neighbors.metric_space import Space
from fastparadime.types import Array
from fastparadime.utils.validate import check_positive

_SPAN = 10.0  # of a start's columns
# Of the patch of the sphere that a start lies on, in colatitude and longitude: nothing is torn.
_PATCH = (2 * math.pi / 3, 4 * math.pi / 3)
_NAMES = {
    "euclidean": "euclidean", "l2": "euclidean",
    "manhattan": "minkowski", "l1": "minkowski", "taxicab": "minkowski", "cityblock": "minkowski",
    "chebyshev": "chebyshev", "linfinity": "chebyshev", "linfty": "chebyshev", "linf": "chebyshev",
    "minkowski": "minkowski", "wminkowski": "minkowski", "weighted_minkowski": "minkowski",
    "seuclidean": "mahalanobis", "standardised_euclidean": "mahalanobis",
    "mahalanobis": "mahalanobis", "canberra": "canberra", "braycurtis": "braycurtis",
    "cosine": "cosine", "correlation": "correlation",
    "haversine": "sphere", "hyperboloid": "hyperboloid",
    "spherical_gaussian_energy": "spherical_gaussian",
    "diagonal_gaussian_energy": "diagonal_gaussian", "gaussian_energy": "gaussian",
}  # fmt: skip
_OPTIONS = {
    "minkowski": {"p"},
    "wminkowski": {"p", "w"},
    "weighted_minkowski": {"p", "w"},
    "seuclidean": {"V"},
    "standardised_euclidean": {"V"},
    "mahalanobis": {"V", "VI"},
}
_MANHATTAN = ("manhattan", "l1", "taxicab", "cityblock")
# umap-learn has distances of these alone, or none that go back to the data.
_ONE_WAY = ("hyperboloid", "spherical_gaussian", "diagonal_gaussian", "gaussian")


@dataclass(frozen=True)
class OutputSpace:
    """A checked output metric.

    Attributes
    ----------
    name : str
        ``"euclidean"``, one of ``ops.LAYOUT_METRICS`` or ``"function"``.
    function : callable, optional
        Gives (distance, gradient).
    p : float
    parameters : float64 array, optional
        As ``ops.LayoutMetric`` takes them.
    """

    name: str = "euclidean"
    function: Callable[..., Any] | None = None
    p: float = 2.0
    parameters: Array | None = field(default=None, compare=False)

    @property
    def euclidean(self) -> bool:
        return self.name == "euclidean"

    def layout_metric(self) -> ops.LayoutMetric | None:
        """The metric of the layout; None for euclidean distances."""
        if self.euclidean:
            return None
        if self.function is None:
            return ops.LayoutMetric(self.name, p=self.p, parameters=self.parameters)
        return ops.LayoutMetric(self.function, compiled=_compiled(self.function))

    def start(self, positions: torch.Tensor) -> torch.Tensor:
        """Where a layout starts, from positions (n, n_components) in [0, 10]."""
        if self.name != "sphere":
            return positions
        shares = positions.double() / _SPAN - 0.5
        return _unit_vectors(math.pi / 2 + _PATCH[0] * shares[:, 0], _PATCH[1] * shares[:, 1])

    def means(self, means: torch.Tensor) -> torch.Tensor:
        """Weighted means of positions, where positions are."""
        if self.name != "sphere":
            return means
        return torch.nn.functional.normalize(means, dim=1)

    def coordinates(self, positions: torch.Tensor) -> torch.Tensor:
        """What a layout's positions are to the user: of a sphere, colatitude and longitude."""
        if self.name != "sphere":
            return positions
        x, y, z = positions.double().T
        return torch.stack([torch.atan2(torch.hypot(x, y), z), torch.atan2(y, x)], dim=1).float()

    def positions(self, coordinates: torch.Tensor) -> torch.Tensor:
        """The positions of such coordinates."""
        if self.name != "sphere":
            return coordinates
        return _unit_vectors(*coordinates.double().T)

    def search_space(self) -> Space:
        """Where neighbours of positions are searched.

        Raises
        ------
        ValueError
            For a metric without such a space.
        """
        if self.name in _ONE_WAY:
            raise ValueError(f"inverse_transform is not available for output_metric {self.name!r}")
        if self.function is not None:
            return Space(self.function)
        if self.name == "mahalanobis" and self.parameters is not None:
            return Space("euclidean", scale=_root(self.parameters))
        if self.name in ("euclidean", "sphere", "mahalanobis"):
            return Space("euclidean")
        scale = None if self.parameters is None else self.parameters ** (1 / self.p)
        return Space(self.name, self.p, scale)

    def search_distances(self, distances: torch.Tensor) -> torch.Tensor:
        """Distances by the metric from those that its search space has."""
        if self.name != "sphere":
            return distances
        return 2 * torch.asin((distances / 2).clamp(max=1))  # chords


EUCLIDEAN = OutputSpace()


def check_output_metric(metric: Any, given: Any, n_components: int) -> OutputSpace:
    """The space of an `output_metric` with its `output_metric_kwds`.

    Raises
    ------
    TypeError, ValueError
        For what is no such metric, options that do not suit it, and another number of components
        than it has.
    """
    if given is not None and not isinstance(given, dict):
        raise TypeError(f"output_metric_kwds must be a dictionary or None, not {given!r}")
    options = dict(given or {})
    if callable(metric):
        return _of_function(metric, options, n_components)
    if not isinstance(metric, str) or metric not in _NAMES:
        raise ValueError(
            f"output_metric must be one of {', '.join(map(repr, _NAMES))}, or a function of two "
            f"positions that gives (distance, gradient), not {metric!r}"
        )
    unknown = sorted(set(options) - _OPTIONS.get(metric, set()))
    if unknown:
        raise ValueError(
            f"output_metric_kwds {unknown} are none of {metric!r}: it takes "
            f"{sorted(_OPTIONS.get(metric, set())) or 'none'}"
        )
    name = _NAMES[metric]
    columns = 2 if name == "sphere" else ops.LAYOUT_METRICS.get(name)
    if columns is not None and n_components != columns:
        raise ValueError(
            f"output_metric={metric!r} needs n_components={columns}, not {n_components}"
        )
    p = 1.0 if metric in _MANHATTAN else check_positive(options.pop("p", 2.0), "p")
    if p < 1:
        raise ValueError(f"output_metric_kwds['p'] must be at least 1, not {p}")
    return OutputSpace(name, None, p, _parameters(metric, options, n_components))


def _parameters(metric: str, options: dict[str, Any], dim: int) -> Array | None:
    if len(options) > 1:
        raise ValueError(f"output_metric_kwds must have one of {sorted(options)}, not all")
    for key, given in options.items():
        shape = (dim, dim) if metric == "mahalanobis" else (dim,)
        values = np.asarray(given, dtype=np.float64)
        if values.shape != shape or not np.isfinite(values).all():
            raise ValueError(
                f"output_metric_kwds[{key!r}] must hold finite numbers of shape {shape}, not of "
                f"{values.shape}"
            )
        if metric == "mahalanobis":
            return _checked_form(values if key == "VI" else np.linalg.pinv(values), key)
        if (values <= 0).any():
            raise ValueError(f"output_metric_kwds[{key!r}] must be positive, not {values.min()}")
        return values if key == "w" else np.diag(1 / values)
    return None


def _checked_form(matrix: Array, key: str) -> Array:
    values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    if not np.allclose(matrix, matrix.T) or values[0] < -1e-8 * abs(values[-1]):
        raise ValueError(
            f"output_metric_kwds[{key!r}] must be symmetric and positive semi-definite, but its "
            f"least eigenvalue is {values[0]:.3g}"
        )
    return matrix


def _root(matrix: Array) -> Array:
    values, vectors = np.linalg.eigh(matrix)
    root: Array = vectors * np.sqrt(np.maximum(values, 0))
    return root


def _of_function(
    metric: Callable[..., Any], options: dict[str, Any], n_components: int
) -> OutputSpace:
    function = functools.partial(metric, **options) if options else metric
    rows = np.random.default_rng(0).random((2, n_components))
    found = function(*rows)
    try:
        distance, gradient = found
        suits = np.ndim(distance) == 0 and np.shape(gradient) == (n_components,)
    except (TypeError, ValueError):
        suits = False
    if not suits:
        raise ValueError(
            f"output_metric must give (distance, gradient of {n_components} numbers) for two "
            f"positions, not {found!r}"
        )
    return OutputSpace("function", function)


@functools.lru_cache(maxsize=16)
def _compiled(function: Callable[..., Any]) -> Any:
    """The function as one of C, if numba compiled it: a call from Python takes longer."""
    if not is_compiled(function) or function.targetoptions.get("forceobj"):  # type: ignore[attr-defined]
        return None
    import numba

    types: Any = numba.types
    carray: Any = numba.carray  # type: ignore[attr-defined]

    floats = types.CPointer(types.float64)

    def pair(x: Any, y: Any, dim: int, gradient: Any) -> Any:
        distance, slopes = function(carray(x, (dim,)), carray(y, (dim,)))
        out = carray(gradient, (dim,))
        for c in range(dim):
            out[c] = slopes[c]
        return distance

    return numba.cfunc(types.float64(floats, floats, types.int64, floats))(pair)


def _unit_vectors(colatitude: torch.Tensor, longitude: torch.Tensor) -> torch.Tensor:
    across = colatitude.sin()
    columns = [across * longitude.cos(), across * longitude.sin(), colatitude.cos()]
    return torch.stack(columns, dim=1).float()
