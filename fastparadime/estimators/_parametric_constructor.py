"""The constructor of ParametricUMAP: umap-learn's parameters of the layout, and those of the network."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from sklearn.base import BaseEstimator

from fastparadime.layout.landmarks import LANDMARK_WEIGHT
from fastparadime.neighbors import DEFAULT_RECALL
from fastparadime.types import Array, Device
from fastparadime.utils.callbacks import Callback
from fastparadime.utils.display import in_short

_Constructor = TypeVar("_Constructor", bound=Callable[..., None])

PLACEMENTS = "network", "median", "mutual"  # of new rows

_ANY = object()
# umap-learn's names that are no parameters here: the values that ask for what is done anyway, and
# what to do for others.
_ARGUMENTS: dict[str, tuple[tuple[Any, ...], str]] = dict.fromkeys(("low_memory", "n_jobs", "angular_rp_forest", "force_approximation_algorithm", "transform_queue_size", "transform_seed", "loss_report_frequency", "run_eagerly", "dens_lambda", "dens_frac", "dens_var_shift"), ((_ANY,), "")) | {
    "densmap": ((False,), "UMAP(densmap=True) lays out by density, without a network"),
    "output_dens": ((False,), "UMAP(output_dens=True) gives radii, without a network"),
    "unique": ((False,), "drop equal rows before the fit"),
    "transform_mode": (("embedding",), "UMAP(transform_mode='graph') gives the graph alone"),
    "output_metric": (("euclidean", "l2"), "a network gives plain coordinates"),
    "output_metric_kwds": ((None, {}), "a network gives plain coordinates"),
    "tqdm_kwds": ((None, {}), "callback= is told of every epoch"),
    "reconstruction_validation": (
        (None,),
        "compare inverse_transform(transform(rows)) with rows that were held out",
    ),
    "global_correlation_loss_weight": (
        (0,),
        "to_routine() gives a routine that takes a phase with a loss of your own",
    ),
    "landmark_loss_fn": (
        (None,),
        "landmark_loss_weight weighs squared distances from where rows were before an update",
    ),
    "keras_fit_kwargs": ((None, {}), "set batch_size, n_training_epochs and callback instead"),
    "optimizer": ((None,), "to_routine() gives a routine whose phases take any optimizer of torch"),
}  # fmt: skip


def understands_umap_learn(init: _Constructor) -> _Constructor:
    """A constructor that also takes what umap-learn's class has and this one has not.

    Raises
    ------
    TypeError
        For values that ask for what is not done, with what to use instead.
    """
    parameters = frozenset(inspect.signature(init).parameters)

    @functools.wraps(init)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        name_of_class = type(self).__name__
        for name in sorted(_ARGUMENTS.keys() & kwargs.keys()):
            value, (accepted, advice) = kwargs.pop(name), _ARGUMENTS[name]
            if accepted[0] is not _ANY and not any(_same(value, one) for one in accepted):
                raise TypeError(
                    f"{name_of_class} has no {name}={in_short(value)}, which umap-learn's takes: "
                    f"{advice}"
                )
        unknown = kwargs.keys() - parameters
        if unknown:  # Python would name the class that defines the constructor
            raise TypeError(
                f"{name_of_class}() got an unexpected keyword argument {min(unknown)!r}"
            )
        init(self, *args, **kwargs)

    return cast(_Constructor, wrapped)


def _same(value: Any, other: Any) -> bool:
    return value is other or (isinstance(value, type(other)) and bool(value == other))


class ParametricParameters(BaseEstimator):  # type: ignore[misc]
    """Holds the parameters as they are given; `fit` checks them."""

    @understands_umap_learn
    def __init__(
        self,
        n_neighbors: int = 15,
        n_components: int = 2,
        metric: Any = "euclidean",
        metric_kwds: dict[str, Any] | None = None,
        n_epochs: int | None = None,
        learning_rate: float = 1.0,
        init: str | Array = "spectral",
        min_dist: float = 0.1,
        spread: float = 1.0,
        set_op_mix_ratio: float = 1.0,
        local_connectivity: float = 1.0,
        repulsion_strength: float = 1.0,
        negative_sample_rate: int = 5,
        a: float | None = None,
        b: float | None = None,
        random_state: Any = None,
        target_n_neighbors: int = -1,
        target_metric: Any = "categorical",
        target_metric_kwds: dict[str, Any] | None = None,
        target_weight: float = 0.5,
        disconnection_distance: float | None = None,
        precomputed_knn: Any = (None, None, None),
        verbose: bool = False,
        *,
        quality: str = "balanced",
        batch_size: int | None = None,
        dims: Sequence[int] | None = None,
        encoder: Any = None,
        decoder: Any = None,
        hidden_dims: Sequence[int] | None = None,
        prototypes: int | None = None,
        anchors: int | None = None,
        placement: str = "network",
        n_training_epochs: int = 1,
        parametric_reconstruction: bool = False,
        parametric_reconstruction_loss_fcn: Any = None,
        parametric_reconstruction_loss_weight: float = 1.0,
        autoencoder_loss: bool = False,
        landmark_loss_weight: float = LANDMARK_WEIGHT,
        recall: float = DEFAULT_RECALL,
        device: Device | None = None,
        callback: Callback | None = None,
        sample: float | None = None,
        max_memory: float | None = None,
    ) -> None:
        arguments = dict(locals())
        arguments.pop("self")
        self.__dict__.update(arguments)


# Parameters that the layout takes under the same names.
OF_THE_LAYOUT = (
    "n_neighbors", "n_components", "metric", "metric_kwds", "n_epochs", "learning_rate", "init",
    "min_dist", "spread", "set_op_mix_ratio", "local_connectivity", "repulsion_strength",
    "negative_sample_rate", "a", "b", "target_n_neighbors", "target_metric", "target_metric_kwds",
    "target_weight", "disconnection_distance", "precomputed_knn", "verbose", "recall", "device",
    "max_memory",
)  # fmt: skip
