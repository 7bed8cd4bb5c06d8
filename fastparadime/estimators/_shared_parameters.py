"""The parameters of a fit by several processes: which there are, and which must be the same."""

from __future__ import annotations

import inspect
from typing import Any

from fastparadime.estimators._constructor import UmapParameters
from fastparadime.estimators._neighbors import neighbors_given
from fastparadime.estimators._parameters import Settings

# What a fit with process_group does not do, by parameter: the value that leaves it out.
_LEFT_OUT = {
    "densmap": False,
    "output_dens": False,
    "unique": False,
    "min_shared_neighbors": 0,
    "transform_mode": "embedding",
    "callback": None,
    "sample": None,
    "max_memory": None,
}
# Those that may differ between ranks, or are compared by their kind.
_PER_RANK = ("random_state", "verbose", "tqdm_kwds", "init", "device", "n_jobs", "precomputed_knn")


def check_shared(estimator: UmapParameters, settings: Settings) -> None:
    """Raises ValueError for parameters that a fit by several processes does not take."""
    for name, value in _LEFT_OUT.items():
        if getattr(estimator, name) != value:
            raise ValueError(
                f"{name} must be {value!r} with process_group, not {getattr(estimator, name)!r}"
            )
    if not settings.output.euclidean:
        raise ValueError(
            f"output_metric must be 'euclidean' with process_group, not {estimator.output_metric!r}"
        )
    if settings.kept_epochs is not None:
        raise ValueError("n_epochs must be a number or None with process_group, not a list")
    if isinstance(settings.init, str) and settings.init == "pca":
        raise ValueError(
            "init must be 'spectral', 'random' or positions of the own rows with process_group, "
            "not 'pca'"
        )
    if settings.device.type != "cpu":
        raise ValueError(f"device must be 'cpu' with process_group, not {str(settings.device)!r}")
    if settings.row_metric.options:
        raise ValueError(
            f"metric_kwds must be without {sorted(settings.row_metric.options)} with process_group"
        )


def compared_parameters(estimator: UmapParameters) -> dict[str, Any]:
    """Parameters that must be the same on all ranks."""
    names = inspect.signature(type(estimator).__init__).parameters
    compared = {
        name: getattr(estimator, name)
        for name in names
        if hasattr(estimator, name) and name not in _PER_RANK
    }
    init, state = estimator.init, estimator.random_state
    compared["init"] = init if isinstance(init, str) else "positions"
    compared["precomputed_knn"] = "given" if neighbors_given(estimator.precomputed_knn) else None
    compared["random_state"] = state if isinstance(state, int) else type(state).__name__
    return compared
