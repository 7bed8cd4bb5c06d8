"""The layout of points by their graph: UMAP's stochastic gradient descent on positions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch

from fastparadime.ops.graph.symmetrize import Edges
from fastparadime.ops.layout._run import LayoutRun
from fastparadime.ops.layout.density import DensityTerm
from fastparadime.ops.layout.metric_layout import LayoutMetric
from fastparadime.types import TensorLike
from fastparadime.utils.validate import check_integer


def sgd_layout(
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
    progress: Callable[[int], object] | None = None,
    stops: Collection[int] = (),
    at_stop: Callable[[int, torch.Tensor], object] | None = None,
    density: DensityTerm | None = None,
    density_epochs: int = 0,
    metric: LayoutMetric | None = None,
    row_weights: TensorLike | None = None,
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
    first_epoch : int
        Epochs that are done already: `positions` are those after them, and what follows has the
        same bits as if the layout had not stopped there.
    learning_rate : float
        Step size at the start, in units of the gradient.
    repulsion_strength : float
        Weight of the negatives.
    negative_sample_rate : int
        Negatives to each sampled edge, uniform; beyond a million points without `anchors`, heads in a
        row draw theirs from the same few thousand points in a row, anew in each step.
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
        change in place. The layout ends where it gives True.
    density : DensityTerm, optional
        densMAP's term of the same points, added to the attraction of the edges sampled in the last
        epochs, with the pulls at the start of each; not with `anchors`.
    density_epochs : int
        How many epochs the term takes part in.
    metric : LayoutMetric, optional
        Of distances between positions, on the CPU, instead of the euclidean; not with `density`.
    row_weights : (n,) array, optional
        On the CPU. A row pulls and pushes others as so many equal rows do that are moved as one:
        the moves of an edge's head are multiplied by the tail's weight, and a negative's by its own
        as well. Of the anchors where there are any. Only ratios count: their mean becomes 1.

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
    run = LayoutRun.of(
        positions,
        edges,
        a,
        b,
        n_epochs,
        first_epoch=first_epoch,
        learning_rate=learning_rate,
        repulsion_strength=repulsion_strength,
        negative_sample_rate=negative_sample_rate,
        seed=seed,
        anchors=anchors,
        streams=streams,
        largest_weight=largest_weight,
        steps_per_epoch=steps_per_epoch,
        density=density,
        density_epochs=density_epochs,
        metric=metric,
        row_weights=row_weights,
    )
    stops = {check_integer(stop, "stops", minimum=1, maximum=run.n_epochs) for stop in stops}
    for last in run.advance(stops):
        stopped = at_stop is not None and last in stops and at_stop(last, run.moved) is True
        if progress is not None:
            progress(last)
        if stopped:
            break
    return run.moved


def layout_epochs(
    positions: TensorLike, edges: Edges, a: float, b: float, n_epochs: int, **options: Any
) -> Iterator[tuple[int, torch.Tensor]]:
    """The layout of `sgd_layout`, an epoch at a time.

    Arguments are checked at once.

    Parameters
    ----------
    positions, edges, a, b, n_epochs, **options
        Those of `sgd_layout` but `progress`, `stops` and `at_stop`.

    Returns
    -------
    iterator of (int, float32 tensor (n, dim))
        After each epoch, the number of those done, and the positions, which may be changed in place
        before the next.

    Raises
    ------
    TypeError, ValueError
        As `sgd_layout`.
    """
    run = LayoutRun.of(positions, edges, a, b, n_epochs, **options)
    return ((last, run.moved) for last in run.advance(range(run.first_epoch + 1, run.n_epochs + 1)))
