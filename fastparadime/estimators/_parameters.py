"""The checks of UMAP's parameters, all of them before any work begins."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastparadime import transforms
from fastparadime.neighbors import Metric, check_metric
from fastparadime.types import Array
from fastparadime.utils.seed import draw_seed
from fastparadime.utils.validate import check_integer, check_option, check_positive

if TYPE_CHECKING:
    from fastparadime.estimators.umap import UMAP

_INITS = ("spectral", "pca", "random")
# Distances at which points have nothing in common, by metric, as umap-learn sets them.
_UNRELATED = {"correlation": 2.0, "cosine": 2.0, "jaccard": 1.0, "dice": 1.0}


@dataclass(frozen=True)
class Settings:
    """Checked parameters, under their own names where they are not derived."""

    n_neighbors: int
    n_components: int
    metric: Metric
    p: float
    n_epochs: int | None
    learning_rate: float
    init: str | Array
    a: float
    b: float
    set_op_mix_ratio: float
    local_connectivity: float
    repulsion_strength: float
    negative_sample_rate: int
    target_weight: float
    unique: bool
    unrelated_distance: float
    seed: int
    transform_seed: int


def check_parameters(estimator: UMAP) -> Settings:
    """The parameters of an estimator, checked.

    Raises
    ------
    NotImplementedError
        For parts of umap-learn that are not supported.
    TypeError, ValueError
        For values out of range, naming the parameter.
    """
    _refuse_unsupported(estimator)
    _check_without_effect(estimator)
    metric, p = _checked_metric(estimator.metric, estimator.metric_kwds)
    a, b = _curve(estimator)
    epochs, unique = estimator.n_epochs, check_option(estimator.unique, (True, False), "unique")
    if unique and metric == "precomputed":
        raise ValueError("unique=True needs rows of data, not metric='precomputed'")
    if unique and neighbors_given(estimator.precomputed_knn):
        raise ValueError("unique=True cannot be combined with precomputed_knn")
    return Settings(
        n_neighbors=check_integer(estimator.n_neighbors, "n_neighbors", minimum=2),
        n_components=check_integer(estimator.n_components, "n_components", minimum=1),
        metric=metric,
        p=p,
        n_epochs=None if epochs is None else check_integer(epochs, "n_epochs", minimum=0),
        learning_rate=check_positive(estimator.learning_rate, "learning_rate"),
        init=_checked_init(estimator.init),
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
        target_weight=_share(estimator.target_weight, "target_weight"),
        unique=unique,
        unrelated_distance=_unrelated_distance(estimator.disconnection_distance, metric),
        seed=seed_of(estimator.random_state),
        transform_seed=check_integer(
            estimator.transform_seed, "transform_seed", minimum=0, maximum=2**63 - 1
        ),
    )


def _refuse_unsupported(estimator: UMAP) -> None:
    unsupported = {
        "densmap": estimator.densmap is not False,
        "output_dens": estimator.output_dens is not False,
        "output_metric": estimator.output_metric not in ("euclidean", "l2"),
        "output_metric_kwds": bool(estimator.output_metric_kwds),
        "target_metric": estimator.target_metric != "categorical",
        "target_metric_kwds": bool(estimator.target_metric_kwds),
        "transform_mode": estimator.transform_mode != "embedding",
        "n_epochs": isinstance(estimator.n_epochs, (list, tuple, np.ndarray)),
    }
    for name, refused in unsupported.items():
        if refused:
            value = getattr(estimator, name)
            raise NotImplementedError(
                f"{name}={value!r} is not supported by fastparadime's UMAP: leave {name} at its "
                "default, or use umap-learn for it"
            )


def _check_without_effect(estimator: UMAP) -> None:
    """Parameters that change nothing here are still held to umap-learn's ranges."""
    check_n_jobs(estimator.n_jobs)
    check_positive(estimator.dens_lambda, "dens_lambda", zero_ok=True)
    _share(estimator.dens_frac, "dens_frac")
    check_positive(estimator.dens_var_shift, "dens_var_shift", zero_ok=True)
    check_positive(estimator.transform_queue_size, "transform_queue_size")
    if estimator.target_n_neighbors != -1:
        check_integer(estimator.target_n_neighbors, "target_n_neighbors", minimum=2)
    if estimator.tqdm_kwds is not None and not isinstance(estimator.tqdm_kwds, dict):
        raise TypeError(f"tqdm_kwds must be a dictionary or None, not {estimator.tqdm_kwds!r}")


def check_n_jobs(n_jobs: Any) -> None:
    """Accepted for scikit-learn's sake: the threads are torch's."""
    if n_jobs is not None and check_integer(n_jobs, "n_jobs", minimum=-1) == 0:
        raise ValueError("n_jobs must be a positive integer, -1 or None, not 0")


def _share(value: Any, name: str) -> float:
    number = check_positive(value, name, zero_ok=True)
    if number > 1:
        raise ValueError(f"{name} must lie in [0, 1], not {value}")
    return number


def _checked_metric(metric: Any, metric_kwds: Any) -> tuple[Metric, float]:
    if metric_kwds is not None and not isinstance(metric_kwds, dict):
        raise TypeError(f"metric_kwds must be a dictionary or None, not {metric_kwds!r}")
    if not isinstance(metric, str) and not callable(metric):
        raise TypeError(f"metric must be a name or a function of two rows, not {metric!r}")
    known: Metric = "precomputed" if metric == "precomputed" else check_metric(metric)
    if known == "inner_product":  # 1 - <x, y> may be negative
        raise NotImplementedError(
            "metric='inner_product' is not supported by UMAP, which takes distances: use 'cosine'"
        )
    options = dict(metric_kwds or {})
    p = check_positive(options.pop("p", 2.0), "metric_kwds['p']") if known == "minkowski" else 2.0
    if options:
        raise NotImplementedError(
            f"metric_kwds {sorted(options)} are not supported for metric {metric!r}: only 'p' of "
            "'minkowski' is; a function of two rows can hold them instead"
        )
    return known, p


def _curve(estimator: UMAP) -> tuple[float, float]:
    min_dist = check_positive(estimator.min_dist, "min_dist", zero_ok=True)
    spread = check_positive(estimator.spread, "spread")
    if min_dist > spread:
        raise ValueError(f"min_dist must be at most spread, {spread}, not {min_dist}")
    if estimator.a is None or estimator.b is None:
        return transforms.find_ab(min_dist, spread)
    return check_positive(estimator.a, "a"), check_positive(estimator.b, "b")


def _checked_init(init: Any) -> str | Array:
    if isinstance(init, str):
        return check_option(init, _INITS, "init")
    if not isinstance(init, np.ndarray):
        known = ", ".join(repr(name) for name in _INITS)
        raise ValueError(f"init must be one of {known} or an array of positions, not {init!r}")
    return init


def _unrelated_distance(value: Any, metric: Metric) -> float:
    if value is None:
        return _UNRELATED.get(metric, math.inf) if isinstance(metric, str) else math.inf
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


def neighbors_given(precomputed_knn: Any) -> bool:
    return precomputed_knn is not None and any(part is not None for part in precomputed_knn)
