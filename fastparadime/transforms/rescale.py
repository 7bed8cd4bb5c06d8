"""Rescaling of each point's relations to fit its neighbourhood."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from fastparadime import ops
from fastparadime.relationdata import RelationData
from fastparadime.transforms.base import RelationTransform
from fastparadime.types import Array, TensorLike
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.logging import log
from fastparadime.utils.validate import check_callable, check_option, check_positive

_ROOT_OPTIONS = (
    "args", "method", "bracket", "fprime", "fprime2", "x0", "x1", "xtol", "rtol", "maxiter",
    "options",
)  # fmt: skip


class AdaptiveNeighborhoodRescale(RelationTransform):
    """Rescales the relations of each point by a kernel whose parameter fits its neighbourhood.

    Parameters
    ----------
    kernel : callable (values (k,), parameter) -> (k,)
    find_param : callable (values (k,), comparison constant, ...) -> parameter
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
        self.kernel = check_callable(kernel, "kernel")
        self.find_param = check_callable(find_param, "find_param")
        self.verbose = verbose
        self._param_values: TensorLike | None = None

    @property
    def param_values(self) -> Array:
        """The parameter found for each point (n,), after the transform was called."""
        if self._param_values is None:
            raise AttributeError("Parameter values only available after calling transform.")
        return to_numpy(self._param_values)

    def _set_root_scalar_defaults(self) -> None:
        """Called before a transform, for subclasses that complete their `kwargs`."""

    def _get_comparison_constant(self) -> float:
        raise NotImplementedError(f"{type(self).__name__} does not define a comparison constant")

    def _rescale(self, values: torch.Tensor) -> tuple[Any, Any]:
        """Rescaled values (n, k) and parameters (n,)."""
        constant = self._get_comparison_constant()
        table = to_numpy(values)
        there = ~np.isinf(table)  # at infinite distances are no neighbours
        if there.all():
            rows = list(table)
        else:
            rows = [row[own] for row, own in zip(table, there, strict=True)]
        params = [
            self.find_param(row, constant, **self.kwargs) if len(row) else np.nan for row in rows
        ]
        rescaled = [
            self.kernel(row, param) if len(row) else row
            for row, param in zip(rows, params, strict=True)
        ]
        if there.all():
            return np.stack(rescaled), np.asarray(params, dtype=float)
        found = np.concatenate(rescaled)
        filled = np.zeros(table.shape, found.dtype)
        filled[there] = found
        return filled, np.asarray(params, dtype=float)

    def transform(self, reldata: RelationData) -> RelationData:
        neighbors = reldata.to_neighbor_tuple().without_self()
        self._set_root_scalar_defaults()
        if self.verbose:
            log("Calculating probabilities.")
        values, params = self._rescale(neighbors.values)
        self._param_values = params  # to the host only if they are asked for
        return neighbors.with_values(values)


def _root_options(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The keywords, if they are all what `scipy.optimize.root_scalar` takes; else TypeError."""
    for name in kwargs:
        if name not in _ROOT_OPTIONS:
            raise TypeError(
                f"{name!r} is neither an argument of the transform nor one of a root search: "
                + ", ".join(_ROOT_OPTIONS)
            )
    return kwargs


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
        super().__init__(_native, _native, verbose=verbose, **_root_options(kwargs))
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
        super().__init__(_native, _native, verbose=verbose, **_root_options(kwargs))
        self.n_neighbors = check_positive(n_neighbors, "n_neighbors")
        self.rule = check_option(rule, ("paradime", "umap"), "rule")
        self.local_connectivity = check_positive(
            local_connectivity, "local_connectivity", zero_ok=True
        )

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
