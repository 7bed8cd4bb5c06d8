"""More rows for a fit of ParametricUMAP, whose rows, or some that stand for them, stay in their places."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted

from fastparadime import dr
from fastparadime.estimators._fit import Embedding, fit_inputs
from fastparadime.estimators._fitted_networks import FittedNetworks
from fastparadime.estimators._inputs import Inputs
from fastparadime.estimators._kinds import place_of
from fastparadime.estimators._new_networks import grown, is_outgrown
from fastparadime.estimators._parametric_fit import (
    check_network,
    laid_out,
    trainable_parts,
)
from fastparadime.estimators._reporting import Report
from fastparadime.estimators.umap import UMAP
from fastparadime.layout import Drift
from fastparadime.layout.landmarks import blended, check_drift
from fastparadime.routines.quality import HELD_REPLACED
from fastparadime.training import History
from fastparadime.utils.convert import to_numpy, to_torch
from fastparadime.utils.seed import derive


def known_layout(mapper: FittedNetworks, landmarks: Any, method: str) -> UMAP:
    """The layout of the rows that a trained mapper knows, or of landmarks where it knows none.

    Raises
    ------
    ValueError
        If there are neither, or both.
    """
    if mapper.umap_ is not None:
        if landmarks is not None:
            raise ValueError(
                "landmarks stand for the rows of a fit that are not there, but this fit has its "
                "rows: leave them out"
            )
        return copy.copy(mapper.umap_)
    rows = mapper._landmarks if landmarks is None else landmarks
    if rows is None:
        raise ValueError(
            f"{method} is not available after load, since the file holds no rows: save with "
            "landmarks=, or give update some as landmarks"
        )
    positions = dr.apply_in_chunks(mapper.model_, rows, "embed")
    return _laid_out_at(layout_of(mapper), rows, positions)


def layout_of(mapper: FittedNetworks) -> UMAP:
    """A layout with the parameters of a mapper's map, for rows that have positions.

    Raises
    ------
    ValueError
        For a map whose file did not hold by what its rows are compared.
    """
    mapper._check_compared("the graph of rows")
    shared = mapper._layout_parameters
    shared.update(precomputed_knn=(None, None, None), init="random")
    return UMAP(random_state=mapper.seed_, **shared)


def inputs_of(layout: UMAP, rows: Any) -> Inputs:
    """What a fit of a layout to rows alone is given."""
    return Inputs.checked(
        layout,
        rows,
        None,
        ensure_all_finite=True,
        knn_graph=None,
        convert_dtype=True,
        sample_weight=None,
    )


def _laid_out_at(layout: UMAP, rows: Any, positions: torch.Tensor) -> UMAP:
    """A fit of UMAP to rows with their graph, where they are at given positions."""
    inputs = inputs_of(layout, rows)
    fitted, kept = fit_inputs(inputs, Report(layout.verbose, layout.tqdm_kwds))
    found = positions.to(inputs.settings.device, torch.float32)
    layout._keep_graph(fitted, inputs.settings)
    layout._keep_rows(replace(kept, positions=found))
    layout._keep_positions(Embedding(found, None, None), inputs.results)
    return layout


def add_rows(mapper: Any, X: Any, landmarks: Any, max_drift: float | None) -> None:
    """What `ParametricUMAP.update` does, which says what it raises."""
    check_is_fitted(mapper, "model_")
    check_drift(max_drift)
    X = mapper._known(X)
    table = mapper._validated(X, reset=False)
    if landmarks is not None:
        known = mapper._known(landmarks)
        landmarks = mapper._validated(known, reset=False, ensure_min_samples=2)
    settings = check_network(mapper, table.shape[1])
    layout = known_layout(mapper, landmarks, "update")
    layout._of_rows("update")
    before = dr.apply_in_chunks(mapper.model_, layout._raw_data, "embed")
    layout.update(table, max_drift=max_drift)
    laid = to_torch(to_numpy(layout.embedding_)).float()
    encoder, decoder = trainable_parts(copy.deepcopy(mapper.model_), table.shape[1], laid.shape[1])
    # A network whose rows are not there knows more than they would teach a new one.
    own = mapper.encoder is None and mapper.umap_ is not None
    outgrown = own and is_outgrown(encoder, settings, *laid.shape)
    weight = max(settings.landmark_weight, HELD_REPLACED if outgrown else 0.0)
    place = place_of(X, mapper.device)
    targets = blended(laid, before, weight)
    rows, positions, graph = laid_out(layout, layout._raw_data, place, targets)
    seed = derive(mapper.seed_, "update", len(rows))
    regression = mapper._regression(settings, seed, History(mapper.history_))
    quality = settings.quality.exact() if outgrown else settings.quality.further(encoder)
    encoder = grown(encoder, rows, positions, settings, seed, outgrown=outgrown)
    teaching = replace(regression, settings=replace(settings, quality=quality))
    teaching.encoder(encoder, rows, positions, graph, mapper.callback)
    model = regression.joined(encoder, decoder, rows, positions)
    like = getattr(mapper, "embedding_", X)
    mapper._keep(model, regression.history, mapper.seed_)
    mapper.umap_ = layout
    mapper.embedding_ = mapper._embedded(layout._raw_data, like)
    after = to_torch(to_numpy(mapper.embedding_))[: len(before)]
    mapper.drift_ = Drift.between(before, after)
