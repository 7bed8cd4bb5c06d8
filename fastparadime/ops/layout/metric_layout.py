"""Metrics between the positions of a layout, with their gradients."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from fastparadime import _core
from fastparadime.types import Array, TensorLike
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.validate import check_option, check_positive

# Name: the number of columns of its positions, or None for any.
LAYOUT_METRICS: dict[str, int | None] = {
    "minkowski": None,
    "chebyshev": None,
    "mahalanobis": None,
    "cosine": None,
    "correlation": None,
    "canberra": None,
    "braycurtis": None,
    "sphere": 3,
    "hyperboloid": None,
    "spherical_gaussian": 3,
    "diagonal_gaussian": 4,
    "gaussian": 5,
}

_FLOATS = ctypes.POINTER(ctypes.c_double)
_SIGNATURE = ctypes.CFUNCTYPE(ctypes.c_double, _FLOATS, _FLOATS, ctypes.c_int64, _FLOATS)


class LayoutMetric:
    """A metric between positions of `sgd_layout`, which moves them along its gradient.

    Parameters
    ----------
    metric : str or callable
        One of `LAYOUT_METRICS`: ``"minkowski"`` with `p` and `parameters`, weights (dim,);
        ``"mahalanobis"`` with a symmetric matrix (dim, dim) in `parameters`; ``"sphere"``, the angle
        between unit vectors of three columns, where positions stay; and umap-learn's output
        metrics. A function takes two positions, float64 arrays (dim,), which it may change, and
        gives (distance, gradient (dim,) in the first).
    p : float
        Of ``"minkowski"``, at least 1.
    parameters : array, optional
        Ones for the weights by default, and the unit matrix.
    compiled : object, optional
        The function in C, which several threads may call at once instead of it: its `address` is
        that of a ``double (double* x, double* y, int64_t dim, double* gradient)``.

    Raises
    ------
    TypeError, ValueError
        For a metric that is not known and parameters that do not suit it.
    """

    def __init__(
        self,
        metric: str | Callable[[Array, Array], tuple[float, Array]],
        *,
        p: float = 2.0,
        parameters: TensorLike | None = None,
        compiled: Any = None,
    ) -> None:
        self.function = metric if callable(metric) else None
        if callable(metric):
            self.name = "function"
        else:
            self.name = check_option(metric, tuple(LAYOUT_METRICS), "metric")
        self.p = check_positive(p, "p")
        if self.p < 1:
            raise ValueError(f"p must be at least 1, not {p}")
        self.compiled = compiled
        self.parameters = None if parameters is None else _doubles(parameters)

    def check(self, positions: torch.Tensor) -> None:
        """Raises ValueError for positions that the metric does not take."""
        dim = positions.shape[1]
        columns = LAYOUT_METRICS.get(self.name)
        if columns is not None and dim != columns:
            raise ValueError(f"positions must have {columns} columns by {self.name!r}, not {dim}")
        if positions.device.type != "cpu":
            raise ValueError(
                f"layouts by another metric run on the CPU: positions must be there, not on "
                f"{positions.device}"
            )
        wanted = {"minkowski": (dim,), "mahalanobis": (dim, dim)}.get(self.name)
        if wanted and self.parameters is not None and self.parameters.shape != wanted:
            raise ValueError(
                f"parameters of {self.name!r} must have shape {wanted}, not {self.parameters.shape}"
            )

    @contextmanager
    def running(self, dim: int) -> Iterator[Callable[[Any, Any], None]]:
        """What runs epochs of a layout: called with the core's arguments and target."""
        if self.parameters is not None:
            parameters = self.parameters
        else:
            parameters = np.eye(dim) if self.name == "mahalanobis" else np.ones(dim)
        kind = getattr(_core.OutputMetric, self.name)
        calls = None if self.function is None or self.compiled else _Calls(self.function)
        address = getattr(self.compiled or calls, "address", 0)

        def run(args: Any, target: Any) -> None:
            if calls is not None:  # threads would wait for each other in Python
                target = _core.Target("cpu", 1)
            _core.metric_layout(args, kind, self.p, parameters.ctypes.data, address, target)
            if calls is not None and calls.error is not None:
                raise calls.error

        yield run


class _Calls:
    """A Python function as one of C; what it raises is kept, and it is not called again."""

    def __init__(self, function: Callable[[Array, Array], tuple[float, Array]]) -> None:
        self.error: BaseException | None = None

        def call(x: Any, y: Any, dim: int, gradient: Any) -> float:
            if self.error is not None:
                return 0.0
            out = np.ctypeslib.as_array(gradient, (dim,))
            try:
                rows = (np.ctypeslib.as_array(row, (dim,)) for row in (x, y))
                distance, out[:] = function(*rows)
                return float(distance)
            except BaseException as error:  # noqa: BLE001 - ctypes would only print it
                self.error = error
                return 0.0

        self._function = _SIGNATURE(call)  # kept alive
        self.address = ctypes.cast(self._function, ctypes.c_void_p).value or 0


def _doubles(parameters: TensorLike) -> Array:
    values = np.ascontiguousarray(to_numpy(parameters), dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("parameters must be finite")
    return values
