"""More rows for a trained routine, whose rows stay in their places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from fastparadime import loss
from fastparadime.layout import Drift, Landmarks
from fastparadime.layout.landmarks import (
    LANDMARK_WEIGHT,
    MAX_DRIFT,
    blended,
    check_drift,
    spread_rows,
)
from fastparadime.models import as_input, method_of
from fastparadime.relationdata import RelationData
from fastparadime.relations import Relations
from fastparadime.training import TrainingPhase
from fastparadime.utils.convert import to_torch
from fastparadime.utils.validate import check_integer, check_positive

_WEIGHT_BESIDE_EDGES = 1.0  # of squared distances from where rows were, beside the cross-entropy
_RATE = 0.25  # of the learning rate of edges, as of a layout that is there


class _LandmarkLoss(loss.Loss):
    """The mean squared distance of landmarks, the first rows of a dataset, from where they were.

    Parameters
    ----------
    positions : float32 tensor (m, dim)
    data_key : str
        The entry that is embedded.
    """

    _prefix = "landmark_loss"

    def __init__(self, positions: torch.Tensor, data_key: str) -> None:
        super().__init__()
        self.positions, self.data_key = positions, data_key

    def forward(
        self,
        model: torch.nn.Module,
        global_relations: Mapping[str, RelationData],
        batch_relations: Mapping[str, Relations],
        batch: loss.Batch,
        device: torch.device,
    ) -> torch.Tensor:
        indices = batch["indices"]
        held = indices < len(self.positions)
        rows = as_input(model, batch[self.data_key][held])
        wanted = self.positions.to(device)[indices[held].to(device)]
        distances = (method_of(model, "embed")(rows) - wanted).square().sum(dim=1)
        mean: torch.Tensor = distances.sum() / max(1, len(distances))
        return mean


@dataclass(frozen=True)
class Held:
    """The first rows of a dataset while it is updated, and what holds them.

    Attributes
    ----------
    before : float32 tensor (m, dim)
        Where they were.
    weight : float
        Of that place, beside where the layout has them.
    max_drift : float, optional
        Of the layout; see `fastparadime.layout.Landmarks`.
    """

    before: torch.Tensor
    weight: float
    max_drift: float | None

    def landmarks(self, device: torch.device) -> Landmarks | None:
        if self.max_drift is None:
            return None
        return Landmarks(self.before.to(device), self.max_drift)

    def blended(self, positions: torch.Tensor) -> torch.Tensor:
        return blended(positions, self.before.to(positions.device), self.weight)


def add_rows(
    routine: Any,
    X: Any,
    y: Any,
    landmarks: Any,
    landmark_weight: float | None,
    max_drift: float | None,
) -> None:
    """What `ParametricUMAP.update` does, which says what it raises."""
    if landmark_weight is None:
        landmark_weight = _WEIGHT_BESIDE_EDGES if routine.quality is None else LANDMARK_WEIGHT
    weight = check_positive(landmark_weight, "landmark_weight", zero_ok=True)
    check_drift(max_drift)
    if routine.quality is None and max_drift != MAX_DRIFT:
        raise ValueError(
            f"max_drift is for the layout of a quality, but is {max_drift!r} without one: give "
            "landmark_weight"
        )
    routine._check_trained()
    if routine._weighted:
        raise ValueError(
            "update is not available after train with sample_weight: call train with all rows and "
            "their weights"
        )
    key = routine._embedded_key()
    known = _known_entries(routine, key, landmarks)
    new = {key: routine._in_fitted_order(X)}
    if "labels" in known:
        if y is None:
            raise ValueError("y must give labels of the new rows, since the dataset has 'labels'")
        new["labels"] = y
    elif y is not None:
        raise ValueError("y is for a dataset with an entry 'labels', which this one has not")
    before = routine.apply(known[key], "embed")
    entries = {name: torch.cat([part, to_torch(new[name])]) for name, part in known.items()}
    with _held(routine, Held(before, weight, max_drift), key):
        routine.train(entries)
    routine.drift_ = Drift.between(before, routine.apply(known[key], "embed"))


def _known_entries(routine: Any, key: str, landmarks: Any) -> dict[str, torch.Tensor]:
    """The rows that stay, and their labels where the dataset has some."""
    if landmarks is not None:
        return {key: to_torch(routine._in_fitted_order(landmarks))}
    if routine._dataset is None:
        kept = routine._saved_arrays.get("landmarks")
        if kept is None:
            raise ValueError(
                "update needs rows of the training after load, since the file holds none: give "
                "some as landmarks, or save with landmarks="
            )
        return {key: kept}
    data = routine.dataset.data
    stored = data.stored_name(key)
    other = set(data) - {stored, "indices", "labels", *routine.derived_data}
    if other:
        raise ValueError(
            f"update knows rows and labels, but the dataset also has {sorted(other)}: call train "
            "with all entries"
        )
    found = {key: data[stored]}
    return {**found, "labels": data["labels"]} if "labels" in data else found


def landmarks_of(routine: Any, count: int) -> dict[str, torch.Tensor]:
    """What a file keeps of the rows of a routine, of which some are asked for."""
    if not check_integer(count, "landmarks", minimum=0):
        return {}
    routine._check_trained()
    key = routine._embedded_key()
    rows = _known_entries(routine, key, None)[key]
    places = routine.apply(rows, "embed")
    return {"landmarks": spread_rows(rows, places, count, routine.seed)}


@contextmanager
def _held(routine: Any, held: Held, key: str) -> Iterator[None]:
    """The routine with landmarks; without a quality, phases that hold them and learn at a lower rate."""
    phases: list[TrainingPhase] = routine.training_phases
    kept = [(phase, phase.learning_rate, phase._loss) for phase in phases]
    routine._landmarks = held
    try:
        for phase in phases if routine.quality is None else ():
            phase.learning_rate *= _RATE
            if held.weight:
                parts = [phase.loss, _LandmarkLoss(held.before, key)]
                phase.loss = loss.CompoundLoss(parts, [1.0, held.weight])
        yield
    finally:
        routine._landmarks = None
        for phase, rate, part in kept:
            phase.learning_rate, phase._loss = rate, part
