"""The layout of points by their graph: UMAP's stochastic gradient descent on positions."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator

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
from fastparadime.ops.layout.density import DensityTerm
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


def sgd_layout(
    positions: TensorLike,
    edges: Edges,
    a: float,
    b: float,
    n_epochs: int,
    *,
    learning_rate: float = 1.0,
    repulsion_strength: float = 1.0,
    negative_sample_rate: int = 5,
    seed: int = 0,
    anchors: TensorLike | None = None,
    streams: TensorLike | None = None,
    largest_weight: float | None = None,
    steps_per_epoch: int | None = None,
    progress: Callable[[int], object] | None = None,
    stops: Collection[int] = (),
    at_stop: Callable[[int, torch.Tensor], object] | None = None,
    density: DensityTerm | None = None,
    density_epochs: int = 0,
) -> torch.Tensor:
    """Positions after UMAP's stochastic gradient descent on the cross-entropy of a graph.

    In each epoch an edge is sampled in proportion to its weight, on UMAP's schedule; the ends of a
    sampled edge attract each other, and its head is repelled by `negative_sample_rate` points
    drawn uniformly. The step size falls linearly to zero. The two directions of an edge are
    samples of their own, in different parts of the epoch.

    Parameters
    ----------
    positions : (n, dim) array
        Where the points start, finite.
    edges : Edges
        The graph of the n points, every edge in both directions with one weight; with `anchors`,
        edges from the n points to them.
    a, b : float
        The curve's parameters, positive; see `fastparadime.transforms.find_ab`.
    n_epochs : int
    learning_rate : float
        Step size at the start, in units of the gradient.
    repulsion_strength : float
        Weight of the negatives.
    negative_sample_rate : int
        Negatives to each sampled edge.
    seed : int
        Key of the Philox generator, in [0, 2^64).
    anchors : (m, dim) array, optional
        Fixed points that the edges' tails and the negatives are taken from instead.
    streams : (n,) integer array, optional
        Which random stream each point draws from, below 2^31; its index by default.
    largest_weight : float, optional
        The weight of an edge that is sampled in every epoch; the largest one by default.
    steps_per_epoch : int, optional
        Parts of an epoch between which all points see each other's moves; by default so many that
        a point samples a fifth of an edge in each on average, beyond 500,000 points two thirds;
        three times as many where `density` takes part; at most 32.
    progress : callable, optional
        Called with the number of epochs done, now and then.
    stops : collection of int
        Numbers of epochs done, in [1, n_epochs], at which `at_stop` is called.
    at_stop : callable, optional
        Called with the number of epochs done and the positions, float32 (n, dim), which it may
        change in place.
    density : DensityTerm, optional
        densMAP's term of the same points, added to the attraction of the edges sampled in the last
        epochs, with the pulls at the start of each; not with `anchors`.
    density_epochs : int
        How many epochs the term takes part in.

    Returns
    -------
    float32 tensor (n, dim)
        The same bits for any number of threads.

    Raises
    ------
    TypeError, ValueError
        For shapes that disagree, values that are not finite or parameters out of range.

    Notes
    -----
    McInnes et al., "UMAP", arXiv 1802.03426, section 4.2 and algorithm 5. Where UMAP moves the
    points one edge at a time, here all of them move at once, a few times in an epoch.
    """
    start, others, graph, lanes = _checked_arrays(positions, anchors, edges, streams)
    n, dim = start.shape
    curve = (as_positive(a, "a"), as_positive(b, "b"))
    n_epochs, negatives, seed = _checked_counts(n_epochs, negative_sample_rate, seed)
    size = as_positive(learning_rate, "learning_rate", zero_ok=True)
    strength = as_positive(repulsion_strength, "repulsion_strength", zero_ok=True)
    stops = {check_integer(stop, "stops", minimum=1, maximum=n_epochs) for stop in stops}
    largest, sampled = _sampling(graph.weights, largest_weight)
    steps = _steps(steps_per_epoch, n, sampled)
    finer = _steps(steps_per_epoch, n, _FINER * sampled)
    first_dense = n_epochs - _checked_density(density, density_epochs, n_epochs, start, anchors)
    with on_device(start):
        target = target_of(start)
        moved, following = start.clone(), torch.empty_like(start)
        most = steps if first_dense == n_epochs else finer
        bytes_needed = _core.sgd_layout_scratch(n, len(graph.weights), most, target)
        scratch = torch.empty(bytes_needed, dtype=torch.uint8, device=start.device)
        sampled_weights = moved.new_empty(len(graph.weights) if first_dense < n_epochs else 0)
        pulls, gain = moved.new_empty(0), 0.0
        affordable = int(_SAMPLED_PER_CALL[start.device.type] / max(1.0, sampled))
        for first, last in _calls(n_epochs, affordable, stops, first_dense):
            if density is not None and first >= first_dense:
                steps = finer
                pulls, gain = density.pulls(moved)
            in_order = first not in {0, first_dense}  # what a device sorts, the term's edges anew
            _core.sgd_layout(
                moved.data_ptr(), following.data_ptr(), scratch.data_ptr(),
                0 if anchors is None else others.data_ptr(), graph.indptr.data_ptr(),
                graph.tails.data_ptr(), graph.weights.data_ptr(), lanes.data_ptr(), n,
                len(graph.weights), dim, len(others), negatives, steps, first, last, n_epochs,
                size, largest, seed, *curve, strength, pulls.data_ptr(),
                sampled_weights.data_ptr(), gain, in_order, target,
            )  # fmt: skip
            if at_stop is not None and last in stops:
                at_stop(last, moved)
            if progress is not None:
                progress(last)
    return moved


def _checked_arrays(
    positions: TensorLike, anchors: TensorLike | None, edges: Edges, streams: TensorLike | None
) -> tuple[torch.Tensor, torch.Tensor, Edges, torch.Tensor]:
    start = _finite(positions, "positions")
    others = start if anchors is None else _finite(anchors, "anchors")
    n, dim = start.shape
    if others.shape[1] != dim:
        raise ValueError(f"anchors must have {dim} columns as positions, not {others.shape[1]}")
    if others.data_ptr() % _PAIR:
        others = others.clone()
    graph = _checked_graph(edges, n, len(others))
    if streams is None:
        lanes = torch.arange(n, dtype=torch.int32, device=start.device)
    else:
        lanes = as_indices(streams, "streams", 1, MAX_POINTS)
    if len(lanes) != n:
        raise ValueError(f"streams must have one entry a point, {n}, not {len(lanes)}")
    check_same_device(positions=start, anchors=others, weights=graph.weights, streams=lanes)
    return start, others, graph, lanes


def _checked_counts(n_epochs: int, negatives: int, seed: int) -> tuple[int, int, int]:
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


def _finite(value: TensorLike, name: str) -> torch.Tensor:
    tensor = as_floats(value, name, 2)
    if tensor.shape[1] == 0:
        raise ValueError(f"{name} must have at least 1 column, not shape {tuple(tensor.shape)}")
    if tensor.numel() and not all(map(math.isfinite, value_range(tensor))):
        bad = (~torch.isfinite(tensor)).any(dim=1).nonzero()
        raise ValueError(f"{name} must be finite, but row {int(bad[0])} is not")
    return tensor


def _checked_graph(edges: Edges, n: int, tail_count: int) -> Edges:
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


def _steps(wanted: int | None, n: int, sampled: float) -> int:
    if wanted is None:
        each = _FEW_SAMPLED if n <= _MANY_POINTS else _MORE_SAMPLED
        return max(1, min(_MOST_STEPS, round(sampled / (max(1, n) * each))))
    return check_integer(wanted, "steps_per_epoch", minimum=1, maximum=2**16)


def _calls(
    n_epochs: int, affordable: int, stops: Collection[int], first_dense: int
) -> Iterator[tuple[int, int]]:
    """First and one past the last epoch of each call of the core, of so many at the most."""
    stride = max(1, min(_MOST_EPOCHS_PER_CALL, affordable))
    first = 0
    for end in sorted({*stops, *range(first_dense, n_epochs), n_epochs}):
        for start in range(first, end, stride):
            yield start, min(end, start + stride)
        first = end
