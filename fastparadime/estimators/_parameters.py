"""The checks of UMAP's parameters, all of them before any work begins."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fastparadime.estimators._constructor import UmapParameters
from fastparadime.estimators._kinds import as_known, check_output_type, place_of
from fastparadime.estimators._neighbors import neighbors_given
from fastparadime.estimators._rows import check_device
from fastparadime.exceptions import ParameterError
from fastparadime.graph.label_metrics import (
    LABEL_METRICS,
    LabelMetric,
    check_label_metric,
)
from fastparadime.graph.supervised import Target
from fastparadime.layout import LayoutParameters, OutputSpace, check_output_metric, find_ab
from fastparadime.layout.optimize import DensityParameters
from fastparadime.neighbors import Metric, check_recall
from fastparadime.neighbors.metric_space import RowMetric, check_row_metric
from fastparadime.types import Array
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.masks import without_mask
from fastparadime.utils.seed import draw_seed
from fastparadime.utils.validate import check_integer, check_option, check_positive

_INITS = ("spectral", "tswspectral", "pca", "random")
_MODES = ("embedding", "graph")
_PLACEMENTS = ("layout", "median", "mutual")
# Parameters of a run, which say nothing of its map.
_OF_A_RUN = ("callback", "tqdm_kwds", "verbose", "random_state", "precomputed_knn", "device")
# Distances at which points have nothing in common, by metric, as umap-learn sets them.
_DISCONNECTION_DISTANCES = {
    "correlation": 2.0,
    "cosine": 2.0,
    "hellinger": 1.0 - 1e-6,  # rows that share nothing are at 1 up to rounding
    "jaccard": 1.0,
    "dice": 1.0,
}


@dataclass(frozen=True, kw_only=True)
class Settings(LayoutParameters):
    """Checked parameters, under their own names where they are not derived."""

    n_neighbors: int
    n_components: int
    row_metric: RowMetric
    n_epochs: int | None
    init: str | Array
    set_op_mix_ratio: float
    local_connectivity: float
    target: Target
    output_dens: bool
    graph_alone: bool
    unique: bool
    disconnection_distance: float
    recall: float
    min_shared_neighbors: int
    transform_seed: int
    placement: str
    max_memory: float | None
    device: torch.device
    given: Mapping[str, Any]  # parameters that the map was made with, which may be set anew since

    @property
    def metric(self) -> Metric:
        return self.row_metric.name


def check_parameters(estimator: UmapParameters, X: Any) -> Settings:
    """The parameters of an estimator, checked; the device is that of `X` unless one is given.

    Raises
    ------
    CUDANotAvailableError
        For a device that is not there.
    NotImplementedError
        For metrics that are not supported.
    ParameterError
        For values of a wrong type, which is both a TypeError and a ValueError.
    ValueError
        For values out of range, naming the parameter.
    """
    try:
        return _checked(estimator, X)
    except TypeError as error:
        raise ParameterError(str(error)) from error


def kept_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """Those that a map was made with, plain and as they are now."""
    kept = {name: value for name, value in parameters.items() if name not in _OF_A_RUN}
    kept["init"] = kept["init"] if isinstance(kept["init"], str) else "random"  # which is over
    for name, value in kept.items():
        if isinstance(value, np.generic):
            kept[name] = value.item()
        elif isinstance(value, dict):
            kept[name] = dict(value)
    return kept


def _checked(estimator: UmapParameters, X: Any) -> Settings:
    _check_without_effect(estimator)
    row_metric = check_row_metric(estimator.metric, estimator.metric_kwds)
    a, b = _curve(estimator)
    epochs, kept_epochs = _checked_epochs(estimator.n_epochs)
    unique = check_option(estimator.unique, (True, False), "unique")
    if unique and row_metric.name == "precomputed":
        raise ValueError("unique=True needs rows of data, not metric='precomputed'")
    n_components = check_integer(estimator.n_components, "n_components", minimum=1)
    output = check_output_metric(
        estimator.output_metric, estimator.output_metric_kwds, n_components
    )
    return Settings(
        n_neighbors=check_integer(estimator.n_neighbors, "n_neighbors", minimum=2),
        n_components=n_components,
        output=output,
        row_metric=row_metric,
        n_epochs=epochs,
        kept_epochs=kept_epochs,
        learning_rate=check_positive(estimator.learning_rate, "learning_rate", zero_ok=True),
        init=checked_init(estimator.init),
        a=a,
        b=b,
        set_op_mix_ratio=_share(estimator.set_op_mix_ratio, "set_op_mix_ratio"),
        local_connectivity=check_positive(estimator.local_connectivity, "local_connectivity"),
        repulsion_strength=check_positive(
            estimator.repulsion_strength, "repulsion_strength", zero_ok=True
        ),
        negative_sample_rate=check_integer(
            estimator.negative_sample_rate, "negative_sample_rate", minimum=0, maximum=2**16
        ),
        target=_checked_target(estimator),
        density=_checked_density(estimator, output),
        output_dens=check_option(estimator.output_dens, (True, False), "output_dens"),
        graph_alone=check_option(estimator.transform_mode, _MODES, "transform_mode") == "graph",
        unique=unique,
        disconnection_distance=_disconnection_distance(
            estimator.disconnection_distance, row_metric.name
        ),
        recall=check_recall(estimator.recall),
        min_shared_neighbors=_min_shared_neighbors(estimator),
        seed=seed_of(estimator.random_state),
        transform_seed=check_integer(
            estimator.transform_seed, "transform_seed", minimum=0, maximum=2**63 - 1
        ),
        placement=check_option(estimator.placement, _PLACEMENTS, "placement"),
        max_memory=None
        if estimator.max_memory is None
        else check_positive(estimator.max_memory, "max_memory"),
        device=place_of(X, estimator.device),
        given=kept_parameters(estimator.get_params(deep=False)),
    )


def _min_shared_neighbors(estimator: UmapParameters) -> int:
    least = check_integer(estimator.min_shared_neighbors, "min_shared_neighbors", minimum=0)
    if least >= estimator.n_neighbors:
        raise ValueError(
            f"min_shared_neighbors must be less than n_neighbors={estimator.n_neighbors}, "
            f"not {least}"
        )
    if least and neighbors_given(estimator.precomputed_knn):
        raise ValueError(
            "min_shared_neighbors chooses among more neighbors than n_neighbors: it must be 0 "
            "where precomputed_knn is given"
        )
    return least


def check_places(settings: Settings, X: Any, *, supervised: bool, weighted: bool) -> None:
    """Raises for what the settings' device cannot do, before any work is done elsewhere."""
    check_device(settings.device, X, settings.metric)
    on_host = {"output_metric": not settings.output.euclidean, "sample_weight": weighted}
    for name, is_so in on_host.items():
        if is_so and settings.device.type != "cpu":
            raise ValueError(
                f"layouts with {name} are made on the CPU: device must be 'cpu', not "
                f"{str(settings.device)!r}"
            )
    target = settings.target.metric
    if supervised and target is not None:
        check_device(settings.device, None, target.name, "target_metric")


def check_callback(callback: Any) -> None:
    if callback is not None and not callable(callback):
        raise TypeError(
            "callback must be a function of the epoch, the loss and the positions, or None, not "
            f"{callback!r}"
        )


def _check_without_effect(estimator: UmapParameters) -> None:
    """Parameters that change nothing here are still held to umap-learn's ranges."""
    check_n_jobs(estimator.n_jobs)
    check_output_type(estimator.output_type)
    check_positive(estimator.transform_queue_size, "transform_queue_size")
    check_callback(estimator.callback)
    if estimator.tqdm_kwds is not None and not isinstance(estimator.tqdm_kwds, dict):
        raise TypeError(f"tqdm_kwds must be a dictionary or None, not {estimator.tqdm_kwds!r}")


def check_n_jobs(n_jobs: Any) -> None:
    """Accepted for scikit-learn's sake: the threads are torch's."""
    if n_jobs is not None and check_integer(n_jobs, "n_jobs", minimum=-1) == 0:
        raise ValueError("n_jobs must be a positive integer, -1 or None, not 0")


def _checked_epochs(n_epochs: Any) -> tuple[int | None, tuple[int, ...] | None]:
    """The number of epochs, and those whose positions are kept, ascending."""
    if n_epochs is None:
        return None, None
    if not isinstance(n_epochs, (list, tuple, np.ndarray)):
        return check_integer(n_epochs, "n_epochs", minimum=0), None
    kept = {check_integer(epoch, "n_epochs", minimum=0) for epoch in n_epochs}
    if not kept:
        raise ValueError("n_epochs must be a number or a list of numbers, but the list is empty")
    return max(kept), tuple(sorted(kept))


def _checked_target(estimator: UmapParameters) -> Target:
    metric, kwds, wanted = (
        estimator.target_metric, estimator.target_metric_kwds, estimator.target_n_neighbors
    )  # fmt: skip
    if kwds is not None and not isinstance(kwds, dict):
        raise TypeError(f"target_metric_kwds must be a dictionary or None, not {kwds!r}")
    if wanted != -1:
        check_integer(wanted, "target_n_neighbors", minimum=2)
    if isinstance(metric, str) and metric == "precomputed":
        raise ValueError("target_metric must be a metric of y's rows, not 'precomputed'")
    checked: RowMetric | LabelMetric | None = None
    if isinstance(metric, str) and metric == "categorical":
        if kwds:
            raise ValueError(f"target_metric_kwds must be empty for categories, not {kwds!r}")
    elif isinstance(metric, str) and metric in LABEL_METRICS:
        checked = check_label_metric(metric, kwds)
    else:
        checked = check_row_metric(metric, kwds, "target_metric")
    weight = _share(estimator.target_weight, "target_weight")
    return Target(checked, weight, None if wanted == -1 else int(wanted))


def _checked_density(estimator: UmapParameters, output: OutputSpace) -> DensityParameters | None:
    for name in ("densmap", "output_dens"):
        if getattr(estimator, name) and not output.euclidean:
            raise ValueError(f"{name}=True needs output_metric='euclidean', not {output.name!r}")
    density = DensityParameters(
        check_positive(estimator.dens_lambda, "dens_lambda", zero_ok=True),
        _share(estimator.dens_frac, "dens_frac"),
        check_positive(estimator.dens_var_shift, "dens_var_shift", zero_ok=True),
    )
    return density if check_option(estimator.densmap, (True, False), "densmap") else None


def _share(value: Any, name: str) -> float:
    number = check_positive(value, name, zero_ok=True)
    if number > 1:
        raise ValueError(f"{name} must lie in [0, 1], not {value}")
    return number


def _curve(estimator: UmapParameters) -> tuple[float, float]:
    min_dist = check_positive(estimator.min_dist, "min_dist", zero_ok=True)
    spread = check_positive(estimator.spread, "spread")
    if min_dist > spread:
        raise ValueError(f"min_dist must be at most spread, {spread}, not {min_dist}")
    if estimator.a is None or estimator.b is None:
        return find_ab(min_dist, spread)
    return check_positive(estimator.a, "a"), check_positive(estimator.b, "b")


def checked_init(init: Any) -> str | Array:
    if isinstance(init, str):
        return check_option(init, _INITS, "init")
    init = without_mask(as_known(init), "init")
    try:
        positions: Array = to_numpy(init) if isinstance(init, torch.Tensor) else np.asarray(init)
    except ValueError:  # rows of several lengths
        positions = np.empty(0, dtype=object)
    if positions.ndim != 2 or positions.dtype.kind not in "iuf":
        known = ", ".join(repr(name) for name in _INITS)
        raise ValueError(
            f"init must be one of {known} or a table of positions, not of type "
            f"{type(init).__name__}"
        )
    return positions


def _disconnection_distance(value: Any, metric: Metric) -> float:
    if value is None:
        return (
            _DISCONNECTION_DISTANCES.get(metric, math.inf) if isinstance(metric, str) else math.inf
        )
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or math.isnan(float(value)):
        raise ValueError(f"disconnection_distance must be a number or None, not {value!r}")
    return float(value)


def seed_of(random_state: Any) -> int:
    """The seed that a `random_state` of scikit-learn's kinds stands for; None draws one."""
    if random_state is None:
        return draw_seed()
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63 - 1))
    return check_integer(random_state, "random_state", minimum=0, maximum=2**63 - 1)
