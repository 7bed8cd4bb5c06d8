"""Fits of the same points as fuzzy sets: ``*``, ``+`` and ``-`` join their graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from fastparadime.estimators._fit import FittedGraph, embed_graph
from fastparadime.estimators._fitted import FittedUmap
from fastparadime.estimators._kinds import Kind, Results
from fastparadime.estimators._parameters import Settings
from fastparadime.estimators._reporting import Report
from fastparadime.graph.set_operations import (
    AlignedGraphs,
    difference,
    intersection,
    reset_local_connectivity,
    union,
)
from fastparadime.layout import initial_positions
from fastparadime.neighbors import NeighborGraph

if TYPE_CHECKING:
    from typing_extensions import Self

_Fit = TypeVar("_Fit", bound=FittedUmap)


class FuzzySetOperators(FittedUmap):
    """Fits of the same points as sets: ``*`` intersects, ``+`` unites, ``-`` takes away."""

    def __mul__(self, other: Self) -> Self:
        """The layout of what both graphs hold. `transform` is not available for it."""
        return _combined(self, other, intersection, reset_metrics=True)

    def __add__(self, other: Self) -> Self:
        """The layout of what either graph holds. `transform` is not available for it."""
        return _combined(self, other, union, reset_metrics=True)

    def __sub__(self, other: Self) -> Self:
        """The layout of this graph without the other's. `transform` is not available for it."""
        return _combined(self, other, difference, reset_metrics=False)


def _combined(
    first: _Fit,
    second: Any,
    strengths: Callable[[AlignedGraphs], torch.Tensor],
    *,
    reset_metrics: bool,
) -> _Fit:
    n = _check_both(first, second)
    edges = [fit._fitted_graph.edges for fit in (first, second)]
    settings = _common(first._settings, second._settings)
    if second._settings.output != settings.output:
        raise ValueError("only fits of one output_metric can be combined")
    if second._settings.device != settings.device:
        raise ValueError(
            "only fits on one device can be combined, not on "
            f"{settings.device} and {second._settings.device}"
        )
    if settings.density is not None or settings.output_dens:
        raise ValueError("densMAP needs the distances of one table: its fits cannot be combined")
    graphs = AlignedGraphs.of(*edges)
    joined = reset_local_connectivity(*graphs[:3], strengths(graphs), reset_metrics=reset_metrics)
    # No table has distances of these edges, so no neighbours are kept.
    none = torch.empty((n, 0), device=settings.device)
    nothing = none.new_zeros(n)
    nearest = NeighborGraph(none.int(), none, "none: fits were combined")
    wanted = min(first._n_neighbors, second._n_neighbors)
    fitted = FittedGraph(joined, nearest, nothing, nothing, wanted)
    result: _Fit = clone(first)
    report = Report(result.verbose, result.tqdm_kwds)
    start = initial_positions(none, joined, settings.init, settings.n_components, settings.seed)
    found = embed_graph(settings.output.start(start), fitted, settings, report)
    result._keep_graph(fitted, settings)
    kind = Kind.of(getattr(first, "embedding_", None), first.output_type)
    result._keep_positions(found, Results(kind, np.float32, None, settings.output))
    return result


def _check_both(first: FittedUmap, second: Any) -> int:
    """The number of points of two fits; raises for fits whose graphs do not say the same of them."""
    if not isinstance(second, type(first)):
        raise TypeError(f"only fits of UMAP can be combined, not {type(second).__name__}")
    for fit in (first, second):
        check_is_fitted(fit, "seed_", msg="only fits can be combined: call fit first")
    counts = [len(fit._fitted_graph.edges.indptr) - 1 for fit in (first, second)]
    if counts[0] != counts[1]:
        raise ValueError(f"only fits of the same points can be combined, not of {counts}")
    if any(fit._fitted_graph.points is not None for fit in (first, second)):
        raise ValueError("fits with process_group cannot be combined: each has some rows alone")
    for name in ("unique", "sample"):
        if getattr(first, name) or getattr(second, name):
            raise ValueError(f"fits with {name} cannot be combined: their graphs omit rows")
    if first._weighted or second._weighted:
        raise ValueError("fits with sample_weight cannot be combined: their graphs have no weights")
    return counts[0]


def _common(first: Settings, second: Settings) -> Settings:
    """Settings of a layout between two others', as in umap-learn; the seed is the first's."""
    given = [part.n_epochs for part in (first, second) if part.n_epochs is not None]
    return replace(
        first,
        n_components=min(first.n_components, second.n_components),
        n_epochs=max(given, default=None),
        kept_epochs=None,
        learning_rate=min(first.learning_rate, second.learning_rate),
        init="spectral",
        a=(first.a + second.a) / 2,
        b=(first.b + second.b) / 2,
        repulsion_strength=(first.repulsion_strength + second.repulsion_strength) / 2,
        negative_sample_rate=(first.negative_sample_rate + second.negative_sample_rate + 1) // 2,
        density=first.density or second.density,
        output_dens=first.output_dens or second.output_dens,
        graph_alone=False,
    )
