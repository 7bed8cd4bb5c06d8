"""A fit of ParametricUMAP to the rows of several processes."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import torch

from fastparadime import models
from fastparadime.distributed import SLICES, Ranks
from fastparadime.estimators._parameters import seed_of
from fastparadime.estimators._parametric_constructor import OF_THE_LAYOUT
from fastparadime.estimators._parametric_fit import NetworkSettings, Regression, check_network
from fastparadime.estimators._shared_fit import SharedFit, keep_shared, lay_out
from fastparadime.estimators._shared_parameters import compared_parameters
from fastparadime.estimators.umap import UMAP
from fastparadime.models.anchors import drawn_positions, set_anchors
from fastparadime.models.prototypes import drawn_rows, set_prototypes
from fastparadime.routines.quality import distance_between, edge_step, noise_between
from fastparadime.training import History
from fastparadime.training.sampling import spread_of, spread_step
from fastparadime.training.sliced_steps import SlicedData, regress_in_slices
from fastparadime.types import Array
from fastparadime.utils.checkpoints import CheckpointLike
from fastparadime.utils.convert import sums_over, to_float32, to_numpy
from fastparadime.utils.logging import log
from fastparadime.utils.seed import derive


def fit_shared_networks(
    estimator: Any, X: Any, process_group: Any, *, checkpoint: CheckpointLike, **others: Any
) -> None:
    """`ParametricUMAP.fit` of the rows of all processes of a group, the own ones of which are `X`.

    Raises
    ------
    TypeError, ValueError
        As `ParametricUMAP.fit`, on all ranks; for what is not done with process_group.
    """
    ranks = Ranks(process_group)
    with ranks.together():
        known = estimator._known(X)
        table = estimator._validated(known, ensure_min_samples=0)
        settings = check_network(estimator, table.shape[1])
        _check_supported(estimator, settings)
        seed = seed_of(estimator.random_state)
    ranks.agree(compared_parameters(estimator))
    seed = ranks.told(seed)[0]
    layout = UMAP(random_state=seed, **{name: getattr(estimator, name) for name in OF_THE_LAYOUT})
    fit = lay_out(layout, table, ranks, checkpoint=checkpoint, owner=estimator, **others)
    layout.random_state = seed = fit.settings.seed  # of the run that began the checkpoint
    keep_shared(layout, fit)
    model, history = _regressed(fit, settings, seed, verbose=bool(estimator.verbose))
    estimator._keep(model, history, seed)
    estimator._keep_parameters(settings.hidden_dims)
    estimator.umap_, estimator._supervised = layout, False
    with ranks.together():
        estimator.embedding_ = estimator._embedded(table, known)


def _check_supported(estimator: Any, settings: NetworkSettings) -> None:
    for name in ("callback", "encoder", "decoder", "sample"):
        if getattr(estimator, name) is not None:
            raise ValueError(f"{name} must be None with process_group, not given")
    if estimator.placement != "network":
        raise ValueError(
            f"placement must be 'network' with process_group, not {estimator.placement!r}: no "
            "process has all rows"
        )
    if settings.batch_size < SLICES:
        raise ValueError(
            f"batch_size must be at least {SLICES} with process_group, which cuts a batch in so "
            f"many slices, not {settings.batch_size}"
        )
    if settings.decodes:
        raise ValueError("parametric_reconstruction must be False with process_group")


def _regressed(
    fit: SharedFit, settings: NetworkSettings, seed: int, *, verbose: bool
) -> tuple[models.ScaledEmbeddingModel, History]:
    """The trained network, the same on all ranks, and what it cost."""
    ranks, shards = fit.ranks, fit.shards
    with ranks.together():
        local = to_float32(fit.table).contiguous()
    rows = ranks.moved(local, shards.given, shards.dealt)
    lone = fit.graph.edges.indptr.diff() == 0  # which the network is not told of
    positions = fit.positions[shards.first :][: shards.count].masked_fill(lone[:, None], torch.nan)
    shown = _rows_at(np.arange(0, shards.n, spread_step(shards.n)), rows, fit)
    data = SlicedData.of(rows, positions, shown, ranks, shards)
    ends = _ends_of_edges(fit, rows)
    model = _new_encoder(data, settings, ends, ranks, derive(seed, "model"))
    history = History()
    regression = Regression(settings, {}, verbose, history)
    phase = regression.layout_phase(model)
    quality = settings.quality.of(model)
    phase.epochs = regression.epochs(sum(data.counts), quality)
    phase.noise = noise_between(*ends, float(spread_of(shown)), quality.noise)
    if verbose:
        log(f"ParametricUMAP: {phase.name}, {phase.epochs} epochs by {ranks.size} processes")
    model.train()
    regress_in_slices(model, phase, data, ranks, derive(seed, "phase", 1), fit.course)
    history.append({"name": phase.name, "losses": phase.loss.history})
    return model.eval(), history


def _rows_at(numbers: Array, rows: torch.Tensor, fit: SharedFit) -> torch.Tensor:
    """Rows of some numbers, ascending, of all that ranks were dealt."""

    def read(places: Array) -> Array:
        return to_numpy(rows)[places]

    return torch.from_numpy(fit.ranks.rows_at(numbers, fit.shards.dealt, read))


def _new_encoder(
    data: SlicedData,
    settings: NetworkSettings,
    ends: tuple[torch.Tensor, torch.Tensor],
    ranks: Ranks,
    seed: int,
) -> models.ScaledEmbeddingModel:
    """The network to be trained, as `new_encoder` makes that of one process. Collective."""
    generator = torch.Generator().manual_seed(seed)
    widths, n = (data.rows.shape[1], data.positions.shape[1]), sum(data.counts)
    anchors = 0 if settings.prototypes is not None else settings.anchors_of(n, widths[1])
    model: models.ScaledEmbeddingModel
    if settings.prototypes is not None:
        count = min(settings.prototypes, n)
        model = models.PrototypeEmbeddingModel(*widths, (count,), generator=generator)
    elif anchors:
        hidden = settings.hidden_dims
        model = models.AnchorEmbeddingModel(*widths, hidden, anchors, generator=generator)
    else:
        model = models.ScaledEmbeddingModel(*widths, settings.hidden_dims, generator=generator)
    for name, table in (("input", data.rows), ("output", data.positions)):
        model.take_scale(name, *_moments(table, data, ranks))
    if settings.prototypes is not None:
        drawn, times = drawn_rows(n, count, generator)
        rows, positions = (
            _trained_at(drawn, table, data, ranks) for table in (data.rows, data.positions)
        )
        length = _mean_length(data, ranks) if settings.by_angle else None
        set_prototypes(model, rows, positions, times, distance_between(*ends), length)
    elif isinstance(model, models.AnchorEmbeddingModel):
        sample = drawn_positions(n, anchors, generator)
        set_anchors(model, _trained_at(sample, data.positions, data, ranks))
    return model


def _trained_at(
    drawn: torch.Tensor, table: torch.Tensor, data: SlicedData, ranks: Ranks
) -> torch.Tensor:
    """Rows of a table of all ranks, by their numbers among those that are trained on. Collective."""
    ids = torch.cat([*data.ids, torch.empty(0, dtype=torch.int64)])
    starts = (0, *itertools.accumulate(ranks.told(len(ids))))
    numbers, places = drawn.unique(return_inverse=True)

    def read(own: Array) -> Array:
        return to_numpy(table[ids[torch.from_numpy(own)]])

    return torch.from_numpy(ranks.rows_at(numbers.numpy(), starts, read))[places]


def _mean_length(data: SlicedData, ranks: Ranks) -> float:
    """The mean length of rows that are trained on, added slice by slice. Collective."""
    sums = [sums_over(data.rows[ids].double().norm(dim=1), 0) for ids in data.ids]
    return float(_total(sums, ranks)) / sum(data.counts)


def _total(parts: list[torch.Tensor], ranks: Ranks) -> torch.Tensor:
    """The sum of what there is of each slice, in their order. Collective."""
    told = itertools.chain.from_iterable(ranks.told(parts))
    total: torch.Tensor = functools.reduce(torch.add, told)
    return total


def _moments(
    table: torch.Tensor, data: SlicedData, ranks: Ranks
) -> tuple[torch.Tensor, torch.Tensor]:
    """Variances and means of columns of all rows, float64, added slice by slice. Collective."""
    n, parts = sum(data.counts), [table[ids].double() for ids in data.ids]
    mean = _total([sums_over(part, 0) for part in parts], ranks) / n
    return _total([sums_over((part - mean).square(), 0) for part in parts], ranks) / n, mean


def _ends_of_edges(fit: SharedFit, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows at both ends of some edges, by which neighbours are so far apart. Collective."""
    edges = fit.graph.edges
    starts = (0, *itertools.accumulate(fit.ranks.told(len(edges.tails))))
    ends = np.stack([to_numpy(part) for part in edges[1:3]], axis=1)
    if not starts[-1]:
        return rows[:0], rows[:0]
    some = np.arange(0, starts[-1], edge_step(starts[-1]))
    pairs = fit.ranks.rows_at(some, starts, lambda places: ends[places])
    numbers, places = np.unique(pairs, return_inverse=True)
    found = _rows_at(numbers, rows, fit)[torch.from_numpy(places.reshape(pairs.shape))]
    return found[:, 0], found[:, 1]
