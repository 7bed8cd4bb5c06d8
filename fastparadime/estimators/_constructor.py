"""The constructor of UMAP: umap-learn's parameters, in its order and with its defaults, and a few more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.base import BaseEstimator

from fastparadime.estimators._cuml import understands_cuml
from fastparadime.neighbors import DEFAULT_RECALL
from fastparadime.types import Array, Device


class UmapParameters(BaseEstimator):  # type: ignore[misc]
    """Holds the parameters as they are given; `fit` checks them."""

    n_neighbors: int
    n_components: int
    metric: Any
    metric_kwds: dict[str, Any] | None
    output_metric: Any
    output_metric_kwds: dict[str, Any] | None
    n_epochs: int | Sequence[int] | None
    learning_rate: float
    init: str | Array
    min_dist: float
    spread: float
    low_memory: bool
    n_jobs: int | None
    set_op_mix_ratio: float
    local_connectivity: float
    repulsion_strength: float
    negative_sample_rate: int
    transform_queue_size: float
    a: float | None
    b: float | None
    random_state: Any
    angular_rp_forest: bool
    target_n_neighbors: int
    target_metric: Any
    target_metric_kwds: dict[str, Any] | None
    target_weight: float
    transform_seed: int
    transform_mode: str
    force_approximation_algorithm: bool
    verbose: bool
    tqdm_kwds: dict[str, Any] | None
    unique: bool
    densmap: bool
    dens_lambda: float
    dens_frac: float
    dens_var_shift: float
    output_dens: bool
    disconnection_distance: float | None
    precomputed_knn: Any
    recall: float
    min_shared_neighbors: int
    device: Device | None
    output_type: str | None
    callback: Any
    placement: str
    sample: int | float | None
    max_memory: float | None

    @understands_cuml
    def __init__(
        self,
        n_neighbors: int = 15,
        n_components: int = 2,
        metric: Any = "euclidean",
        metric_kwds: dict[str, Any] | None = None,
        output_metric: Any = "euclidean",
        output_metric_kwds: dict[str, Any] | None = None,
        n_epochs: int | Sequence[int] | None = None,
        learning_rate: float = 1.0,
        init: str | Array = "spectral",
        min_dist: float = 0.1,
        spread: float = 1.0,
        low_memory: bool = True,
        n_jobs: int | None = -1,
        set_op_mix_ratio: float = 1.0,
        local_connectivity: float = 1.0,
        repulsion_strength: float = 1.0,
        negative_sample_rate: int = 5,
        transform_queue_size: float = 4.0,
        a: float | None = None,
        b: float | None = None,
        random_state: Any = None,
        angular_rp_forest: bool = False,
        target_n_neighbors: int = -1,
        target_metric: Any = "categorical",
        target_metric_kwds: dict[str, Any] | None = None,
        target_weight: float = 0.5,
        transform_seed: int = 42,
        transform_mode: str = "embedding",
        force_approximation_algorithm: bool = False,
        verbose: bool = False,
        tqdm_kwds: dict[str, Any] | None = None,
        unique: bool = False,
        densmap: bool = False,
        dens_lambda: float = 2.0,
        dens_frac: float = 0.3,
        dens_var_shift: float = 0.1,
        output_dens: bool = False,
        disconnection_distance: float | None = None,
        precomputed_knn: Any = (None, None, None),
        *,
        recall: float = DEFAULT_RECALL,
        min_shared_neighbors: int = 0,
        device: Device | None = None,
        output_type: str | None = "input",
        callback: Any = None,
        placement: str = "layout",
        sample: float | None = None,
        max_memory: float | None = None,
    ) -> None:
        arguments = dict(locals())
        arguments.pop("self")
        self.__dict__.update(arguments)
