"""A layout's checked arguments, and its epochs in the core."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from fastparadime import _core
from fastparadime.ops._checks import (
    MAX_POINTS,
    as_floats,
    as_indices,
    as_non_negative,
    as_positive,
    as_row_starts,
    check_same_device,
    on_device,
    target_of,
)
from fastparadime.ops.graph.symmetrize import Edges
from fastparadime.ops.layout._many_points import narrow_shares, windows_of
from fastparadime.ops.layout.density import DensityTerm
from fastparadime.ops.layout.metric_layout import LayoutMetric
from fastparadime.types import TensorLike
from fastparadime.utils.convert import mean_of, value_range
from fastparadime.utils.validate import check_integer

# Edges sampled by a point, on average, in one synchronous step: few where the points are, and more
# where they no longer fit into a cache, which each step passes through.
_FEW_SAMPLED, _MORE_SAMPLED = 0.2, 2 / 3
_MANY_POINTS = 500_000
_MOST_STEPS = 32  # by default
_FINER = 3  # times as many in an epoch with densMAP's term
_MOST_EPOCHS = 2**24  # the schedule counts samples in float32
_PAIR = 8  # bytes of two coordinates, which a device fetches at once
# Between calls of the core, an interrupt is noticed and progress reported.
_MOST_EPOCHS_PER_CALL = 10
_SAMPLED_PER_CALL = {"cpu": 1e7, "cuda": 1e9}  # edges, less than a second's work


@dataclass
class LayoutRun:
    """The checked arguments of a layout, and its positions on the way."""

    moved: torch.Tensor
    others: torch.Tensor
    edges: Edges
    lanes: torch.Tensor
    fixed: bool
    first_epoch: int
    n_epochs: int
    first_dense: int
    sampled: float  # edges of an epoch
    steps: int
    finer: int
    density: DensityTerm | None
    metric: LayoutMetric | None
    weights: torch.Tensor | None  # of rows
    negatives: int
    scalars: tuple[float, ...]  # learning rate, largest weight, seed, a, b, repulsion strength

    @staticmethod
    def of(
        positions: TensorLike,
        edges: Edges,
        a: float,
        b: float,
        n_epochs: int,
        *,
        first_epoch: int = 0,
        learning_rate: float = 1.0,
        repulsion_strength: float = 1.0,
        negative_sample_rate: int = 5,
        seed: int = 0,
        anchors: TensorLike | None = None,
        streams: TensorLike | None = None,
        largest_weight: float | None = None,
        steps_per_epoch: int | None = None,
        density: DensityTerm | None = None,
        density_epochs: int = 0,
        metric: LayoutMetric | None = None,
        row_weights: TensorLike | None = None,
    ) -> LayoutRun:
        """Of the arguments of `sgd_layout`, which are checked."""
        start, others, graph, lanes = _checked_arrays(positions, anchors, edges, streams)
        curve = (as_positive(a, "a"), as_positive(b, "b"))
        n_epochs, negatives, seed = checked_counts(n_epochs, negative_sample_rate, seed)
        first_epoch = check_integer(first_epoch, "first_epoch", minimum=0, maximum=n_epochs)
        size = as_positive(learning_rate, "learning_rate", zero_ok=True)
        strength = as_positive(repulsion_strength, "repulsion_strength", zero_ok=True)
        largest, sampled = _sampling(graph.weights, largest_weight)
        n = len(start)
        dense = _checked_density(density, density_epochs, n_epochs, start, anchors)
        if metric is not None:
            metric.check(start)
            if density is not None:
                raise ValueError("density is between euclidean distances: metric must be None")
        return LayoutRun(
            moved=start.clone(),
            others=others,
            edges=graph,
            lanes=lanes,
            fixed=anchors is not None,
            first_epoch=first_epoch,
            n_epochs=n_epochs,
            first_dense=n_epochs - dense,
            sampled=sampled,
            steps=steps_of(steps_per_epoch, n, sampled),
            finer=steps_of(steps_per_epoch, n, _FINER * sampled),
            density=density,
            metric=metric,
            weights=None if row_weights is None else _checked_weights(row_weights, others),
            negatives=negatives,
            scalars=(size, largest, seed, *curve, strength),
        )

    def advance(self, stops: Collection[int]) -> Iterator[int]:
        """Runs the epochs, and gives how many are done after some of them, `stops` among those."""
        moved, (n, dim) = self.moved, self.moved.shape
        with on_device(moved):
            target, following = target_of(moved), torch.empty_like(moved)
            edge_count, dense = len(self.edges.weights), self.first_dense < self.n_epochs
            size = _core.sgd_layout_scratch(
                n, edge_count, self.finer if dense else self.steps, target
            )
            scratch = torch.empty(size, dtype=torch.uint8, device=moved.device)
            sampled_weights = moved.new_empty(edge_count if dense else 0)
            pulls, gain, steps = moved.new_empty(0), 0.0, self.steps
            rate, largest, seed, a, b, strength = self.scalars
            shares = narrow_shares(self.edges.weights, largest, n, fixed=self.fixed)
        affordable = int(_SAMPLED_PER_CALL[moved.device.type] / max(1.0, self.sampled))
        with self._core_call(dim) as call:
            span = (self.first_epoch, self.n_epochs)
            for first, last in _calls(*span, affordable, stops, self.first_dense):
                # What a device sorts at first, and anew for the edges of densMAP's term.
                in_order = first not in {self.first_epoch, self.first_dense}
                with on_device(moved):
                    if self.density is not None and first >= self.first_dense:
                        steps = self.finer
                        pulls, gain = self.density.pulls(moved)
                    args = _core.SgdLayoutArgs(
                        moved.data_ptr(), following.data_ptr(), scratch.data_ptr(),
                        self.others.data_ptr() if self.fixed else 0, self.edges.indptr.data_ptr(),
                        self.edges.tails.data_ptr(), self.edges.weights.data_ptr(),
                        self.lanes.data_ptr(), n, edge_count, dim, len(self.others),
                        self.negatives, steps, first, last, self.n_epochs, rate, largest,
                        int(seed), a, b, strength, pulls.data_ptr(), sampled_weights.data_ptr(),
                        gain, in_order, 0 if self.weights is None else self.weights.data_ptr(),
                        0, *windows_of(n, fixed=self.fixed),
                        0 if shares is None else shares.data_ptr(),
                    )  # fmt: skip
                    call(args, target)
                yield last

    def _core_call(self, dim: int) -> contextlib.AbstractContextManager[Callable[[Any, Any], None]]:
        if self.metric is None:
            return contextlib.nullcontext(_core.sgd_layout)
        return self.metric.running(dim)


def _checked_arrays(
    positions: TensorLike, anchors: TensorLike | None, edges: Edges, streams: TensorLike | None
) -> tuple[torch.Tensor, torch.Tensor, Edges, torch.Tensor]:
    start = finite(positions, "positions")
    others = start if anchors is None else finite(anchors, "anchors")
    n, dim = start.shape
    if others.shape[1] != dim:
        raise ValueError(f"anchors must have {dim} columns as positions, not {others.shape[1]}")
    if others.data_ptr() % _PAIR:
        others = others.clone()
    graph = checked_graph(edges, n, len(others))
    if streams is None:
        lanes = torch.arange(n, dtype=torch.int32, device=start.device)
    else:
        lanes = as_indices(streams, "streams", 1, MAX_POINTS)
    if len(lanes) != n:
        raise ValueError(f"streams must have one entry a point, {n}, not {len(lanes)}")
    check_same_device(positions=start, anchors=others, weights=graph.weights, streams=lanes)
    return start, others, graph, lanes


def checked_counts(n_epochs: int, negatives: int, seed: int) -> tuple[int, int, int]:
    return (
        check_integer(n_epochs, "n_epochs", minimum=0, maximum=_MOST_EPOCHS),
        check_integer(negatives, "negative_sample_rate", minimum=0, maximum=2**16),
        check_integer(seed, "seed", minimum=0, maximum=2**64 - 1),
    )


def _checked_density(
    density: DensityTerm | None,
    epochs: int,
    n_epochs: int,
    start: torch.Tensor,
    anchors: TensorLike | None,
) -> int:
    """The epochs with densMAP's term."""
    wanted = check_integer(epochs, "density_epochs", minimum=0, maximum=n_epochs)
    if density is None:
        if wanted:
            raise ValueError(f"density_epochs must be 0 without density, not {wanted}")
        return 0
    if anchors is not None:
        raise ValueError("density cannot be combined with anchors")
    density.check(start)
    return wanted


def _checked_weights(row_weights: TensorLike, rows: torch.Tensor) -> torch.Tensor:
    """Weights of mean 1."""
    weights = as_non_negative(row_weights, "row_weights", 1)
    if len(weights) != len(rows):
        raise ValueError(f"row_weights must have an entry a row, {len(rows)}, not {len(weights)}")
    check_same_device(positions=rows, row_weights=weights)
    if weights.device.type != "cpu":
        raise ValueError(f"row_weights are taken on the CPU, not on {weights.device}")
    mean = float(mean_of(weights)) if len(weights) else 1.0
    if mean == 0.0:
        raise ValueError("row_weights must not all be zero")
    return (weights.double() / mean).float()


def finite(value: TensorLike, name: str) -> torch.Tensor:
    tensor = as_floats(value, name, 2)
    if tensor.shape[1] == 0:
        raise ValueError(f"{name} must have at least 1 column, not shape {tuple(tensor.shape)}")
    if tensor.numel() and not all(map(math.isfinite, value_range(tensor))):
        bad = (~torch.isfinite(tensor)).any(dim=1).nonzero()
        raise ValueError(f"{name} must be finite, but row {int(bad[0])} is not")
    return tensor


def checked_graph(edges: Edges, n: int, tail_count: int) -> Edges:
    if len(edges.indptr) != n + 1:
        raise ValueError(
            f"edges.indptr must have an entry more than positions, {n + 1}, not {len(edges.indptr)}"
        )
    weights = as_non_negative(edges.weights, "edges.weights", 1)
    tails = as_indices(edges.tails, "edges.tails", 1, tail_count)
    if len(tails) != len(weights):
        raise ValueError(
            f"edges.tails and edges.weights must have one length, not {len(tails)} and "
            f"{len(weights)}"
        )
    indptr = as_row_starts(edges.indptr, "edges.indptr", len(weights))
    return Edges(indptr, edges.heads, tails, weights)


def _sampling(weights: torch.Tensor, largest: float | None) -> tuple[float, float]:
    """The weight of an edge that is sampled in every epoch, and the samples of an epoch."""
    if largest is not None:
        top = as_positive(largest, "largest_weight")
    else:
        top = float(weights.max()) if len(weights) else 0.0
    if top == 0.0:
        return 1.0, 0.0
    counted = weights if largest is None else weights.clamp(max=top)
    return top, float(mean_of(counted)) * len(weights) / top


def steps_of(wanted: int | None, n: int, sampled: float) -> int:
    if wanted is None:
        each = _FEW_SAMPLED if n <= _MANY_POINTS else _MORE_SAMPLED
        return max(1, min(_MOST_STEPS, round(sampled / (max(1, n) * each))))
    return check_integer(wanted, "steps_per_epoch", minimum=1, maximum=2**16)


def _calls(
    first: int, n_epochs: int, affordable: int, stops: Collection[int], first_dense: int
) -> Iterator[tuple[int, int]]:
    """First and one past the last epoch of each call of the core, of so many at the most."""
    stride = max(1, min(_MOST_EPOCHS_PER_CALL, affordable))
    ends = {*stops, *range(first_dense, n_epochs), n_epochs}
    for end in sorted(end for end in ends if end > first):
        for start in range(first, end, stride):
            yield start, min(end, start + stride)
        first = end
