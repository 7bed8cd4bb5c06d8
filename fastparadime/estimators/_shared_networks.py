"""A fit of ParametricUMAP to the rows of several processes."""

from __future__ import annotations

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
from fastparadime.routines.quality import edge_step, noise_between
from fastparadime.training import History
from fastparadime.training.sampling import spread_of, spread_step
from fastparadime.training.sliced_steps import SlicedData, regress_in_slices
from fastparadime.types import Array
from fastparadime.utils.convert import to_float32, to_numpy
from fastparadime.utils.logging import log
from fastparadime.utils.seed import derive


def fit_shared_networks(estimator: Any, X: Any, process_group: Any, **others: Any) -> None:
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
    fit = lay_out(layout, table, ranks, **others)
    keep_shared(layout, fit)
    model, history = _regressed(fit, settings, seed, verbose=bool(estimator.verbose))
    estimator._keep(model, history, seed)
    estimator.umap_, estimator._supervised = layout, False
    with ranks.together():
        estimator.embedding_ = estimator._embedded(table, known)


def _check_supported(estimator: Any, settings: NetworkSettings) -> None:
    for name in ("callback", "encoder", "decoder", "prototypes", "sample"):
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
    positions = fit.positions[shards.first :][: shards.count]
    shown = _rows_at(np.arange(0, shards.n, spread_step(shards.n)), rows, fit)
    data = SlicedData.of(rows, positions, shown, ranks, shards)
    generator = torch.Generator().manual_seed(derive(seed, "model"))
    model = models.ScaledEmbeddingModel(
        rows.shape[1], positions.shape[1], settings.hidden_dims, generator=generator
    )
    for name, table in (("input", rows), ("output", positions)):
        model.take_scale(name, *_moments(table, data, ranks))
    history = History()
    regression = Regression(settings, {}, verbose, history)
    phase = regression.layout_phase()
    phase.epochs = regression.epochs(sum(data.counts), settings.quality)
    phase.noise = _noise(fit, rows, shown, settings.quality.noise)
    if verbose:
        log(f"ParametricUMAP: {phase.name}, {phase.epochs} epochs by {ranks.size} processes")
    regress_in_slices(model, phase, data, ranks, derive(seed, "phase", 1))
    history.append({"name": phase.name, "losses": phase.loss.history})
    return model.eval(), history


def _rows_at(numbers: Array, rows: torch.Tensor, fit: SharedFit) -> torch.Tensor:
    """Rows of some numbers, ascending, of all that ranks were dealt."""

    def read(places: Array) -> Array:
        return to_numpy(rows)[places]

    return torch.from_numpy(fit.ranks.rows_at(numbers, fit.shards.dealt, read))


def _moments(
    table: torch.Tensor, data: SlicedData, ranks: Ranks
) -> tuple[torch.Tensor, torch.Tensor]:
    """Variances and means of columns of all rows, float64, added slice by slice. Collective."""
    n = sum(data.counts)

    def total(values: list[torch.Tensor]) -> torch.Tensor:
        return sum(itertools.chain.from_iterable(ranks.told(values)), torch.zeros(table.shape[1]))

    parts = [table[ids].double() for ids in data.ids]
    mean = total([part.sum(dim=0) for part in parts]) / n
    return total([(part - mean).square().sum(dim=0) for part in parts]) / n, mean


def _noise(fit: SharedFit, rows: torch.Tensor, shown: torch.Tensor, length: float) -> float:
    """`noise_share` of the rows of all ranks. Collective."""
    edges = fit.graph.edges
    starts = (0, *itertools.accumulate(fit.ranks.told(len(edges.tails))))
    ends = np.stack([to_numpy(part) for part in edges[1:3]], axis=1)
    if not starts[-1]:
        return 0.0
    some = np.arange(0, starts[-1], edge_step(starts[-1]))
    pairs = fit.ranks.rows_at(some, starts, lambda places: ends[places])
    numbers, places = np.unique(pairs, return_inverse=True)
    found = _rows_at(numbers, rows, fit)[torch.from_numpy(places.reshape(pairs.shape))]
    return noise_between(found[:, 0], found[:, 1], float(spread_of(shown)), length)
