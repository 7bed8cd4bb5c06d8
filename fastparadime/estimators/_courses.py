"""The course of a fit that keeps a checkpoint: what decides about its result."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sklearn.base import BaseEstimator

from fastparadime.estimators._inputs import Inputs
from fastparadime.utils import checkpoints
from fastparadime.utils.checkpoints import CheckpointLike, Course

# Parameters that decide about no result, and what is told by itself.
_LEFT_OUT = (
    "verbose", "tqdm_kwds", "callback", "n_jobs", "low_memory", "random_state", "precomputed_knn",
)  # fmt: skip


def begun(
    checkpoint: CheckpointLike, estimator: BaseEstimator, data: dict[str, Any], seed: int
) -> tuple[Course, int]:
    """The course of a fit, and its seed; see `fastparadime.utils.checkpoints.begun`."""
    if checkpoint is None:
        return checkpoints.NOTHING, seed
    parameters, drawn = parameters_of(estimator)
    known = {name: part for name, part in data.items() if part is not None}
    return checkpoints.begun(checkpoint, parameters, known, seed, drawn=drawn)


def parameters_of(estimator: BaseEstimator) -> tuple[dict[str, Any], bool]:
    """The parameters that decide about a fit, and whether its seed is drawn."""
    given: dict[str, Any] = estimator.get_params(deep=False)
    parameters = {name: value for name, value in given.items() if name not in _LEFT_OUT}
    parameters["estimator"] = type(estimator).__qualname__
    return parameters, given["random_state"] is None


def of_inputs(
    checkpoint: CheckpointLike, estimator: BaseEstimator, inputs: Inputs
) -> tuple[Course, Inputs]:
    """The course of a fit of UMAP, and its inputs with the seed that it has."""
    data = {"X": inputs.table, "y": inputs.target, "knn": inputs.knn}
    data["sample_weight"] = inputs.weights
    course, seed = begun(checkpoint, estimator, data, inputs.settings.seed)
    return course, replace(inputs, settings=replace(inputs.settings, seed=seed))
