"""The course of a routine's training that keeps a checkpoint: what decides about its result."""

from __future__ import annotations

from typing import Any

from fastparadime.utils import checkpoints
from fastparadime.utils.checkpoints import CheckpointLike, Course
from fastparadime.utils.fingerprints import fingerprint

_PLAIN = (bool, int, float, str, list, tuple, type(None))
# Attributes that decide about no result, or are told otherwise.
_NO_SETTINGS = ("verbose", "progress", "callback", "trained", "seed", "history", "training_phases")


def begun(routine: Any, checkpoint: CheckpointLike) -> Course:
    """The course of `routine.train`, whose model and seed become those that the run began with.

    Raises
    ------
    CheckpointError, OSError
        As of `fastparadime.utils.checkpoints.begun`.
    """
    if checkpoint is None:
        return checkpoints.NOTHING
    if isinstance(checkpoint, Course):  # of a fit that has looked at all that it was given
        course = checkpoint
    else:
        dataset = routine.dataset
        data = {key: fingerprint(dataset.relation_data(key)) for key in dataset.data}
        if routine._row_weights is not None:
            data["sample_weight"] = fingerprint(routine._row_weights)
        course, routine.seed = checkpoints.begun(
            checkpoint, _parameters(routine), data, routine.seed, drawn=routine._seed_drawn
        )
    model = routine._model
    stage = course.read("model")
    if model is not None and stage is not None:
        model.load_state_dict(stage.arrays)
    elif model is not None and course.keeps:
        course.write("model", model.state_dict(), weights=True)
    return course


def _parameters(routine: Any) -> dict[str, Any]:
    """What training depends on beside data and seed."""
    phases = [vars(phase) | {"loss": phase.loss} for phase in routine._phases_to_run()]
    weights = None
    if routine.trained:  # training goes on from them
        weights = {name: fingerprint(part) for name, part in routine.model.state_dict().items()}
    settings = {
        name: value
        for name, value in vars(routine).items()
        if not (name.startswith("_") or name in _NO_SETTINGS) and isinstance(value, _PLAIN)
    }
    return {
        **settings,
        "routine": type(routine).__qualname__,
        "device": routine.device,
        "model": routine._model,
        "trained weights": weights,
        "global_relations": routine.global_relations,
        "batch_relations": routine.batch_relations,
        "derived_data": routine.derived_data,
        "training_phases": phases,
    }
