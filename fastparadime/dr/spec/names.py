"""The parts that specifications name, and registering parts of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from fastparadime import loss as losses
from fastparadime import relations, transforms
from fastparadime.dr.dataset import pca_positions, spectral_positions
from fastparadime.utils.validate import check_callable

DATA_FUNCS: dict[str, Callable[..., Any]] = {
    "pca": pca_positions,
    "spectral": spectral_positions,
}
RELATIONS: dict[str, type[relations.Relations]] = {
    "precomp": relations.Precomputed,
    "pdist": relations.PDist,
    "neighbor": relations.NeighborBasedPDist,
    "pdistdiff": relations.DifferentiablePDist,
    "fromto": relations.DistsFromTo,
}
TRANSFORMS: dict[str, type[transforms.RelationTransform]] = {
    "identity": transforms.Identity,
    "symmetrize": transforms.Symmetrize,
    "normalize": transforms.Normalize,
    "normalize rows": transforms.NormalizeRows,
    "zero diagonal": transforms.ZeroDiagonal,
    "perplexity": transforms.PerplexityBasedRescale,
    "connect": transforms.ConnectivityBasedRescale,
    "t-dist": transforms.StudentTTransform,
    "modified cauchy": transforms.ModifiedCauchyTransform,
    "functional": transforms.Functional,
    "flat array": transforms.ToFlatArray,
    "flat tensor": transforms.ToFlatTensor,
    "square array": transforms.ToSquareArray,
    "square tensor": transforms.ToSquareTensor,
    "triangular array": transforms.ToTriangularArray,
    "triangular tensor": transforms.ToTriangularTensor,
    "neighbor tuple": transforms.ToNeighborTuple,
    "sparse array": transforms.ToSparseArray,
}
LOSSES: dict[str, type[losses.Loss]] = {
    "relation": losses.RelationLoss,
    "classification": losses.ClassificationLoss,
    "reconstruction": losses.ReconstructionLoss,
    "position": losses.PositionLoss,
}
LOSS_FUNCS: dict[str, Callable[..., Any]] = {
    "mse": torch.nn.MSELoss(),
    "kl div": losses.kullback_leibler_div,
    "cross entropy": torch.nn.CrossEntropyLoss(),
    "umap cross entropy": losses.cross_entropy_loss,
}
OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    name.lower(): kind
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)
    if kind is not torch.optim.Optimizer
}
SAMPLING = {"item": "standard", "edge": "negative_edge"}

# The arguments that the lists under a loss's 'keys' stand for, in order.
_LOSS_KEYS: dict[type[losses.Loss], dict[str, tuple[str, ...]]] = {
    losses.RelationLoss: {
        "rels": ("global_relation_key", "batch_relation_key"),
        "methods": ("embedding_method",),
    },
    losses.ClassificationLoss: {
        "data": ("data_key", "label_key"),
        "methods": ("classification_method",),
    },
    losses.ReconstructionLoss: {
        "data": ("data_key",),
        "methods": ("encoding_method", "decoding_method"),
    },
    losses.PositionLoss: {
        "data": ("data_key", "position_key"),
        "methods": ("embedding_method",),
    },
}


def loss_keys(kind: type[losses.Loss]) -> dict[str, tuple[str, ...]]:
    """What a loss reads from 'keys'; empty for one that extends none of the package's losses."""
    return next((_LOSS_KEYS[base] for base in kind.__mro__ if base in _LOSS_KEYS), {})


def _register(known: dict[str, Any], name: str, part: Any, what: str) -> None:
    if not isinstance(name, str) or not name:
        raise TypeError(f"name must be a string with at least one character, not {name!r}")
    if name in known:
        raise KeyError(f"Key '{name}' already reserved for {what}.")
    known[name] = part


def _check_class(part: Any, base: type, argument: str) -> None:
    if not (isinstance(part, type) and issubclass(part, base)):
        shown = part.__name__ if isinstance(part, type) else f"an object {type(part).__name__}"
        raise TypeError(f"{argument} must be a subclass of {base.__name__}, not {shown}")


def register_data_func(name: str, data_func: Callable[..., Any]) -> None:
    """Names a function that derived data can be computed by.

    Parameters
    ----------
    name : str
    data_func : callable
        Takes the data entries and relations that 'keys' lists, then options by keyword, and
        returns an array or tensor (n, ...).

    Raises
    ------
    KeyError
        If the name is taken.
    TypeError
        If `data_func` is not callable, or `name` not a string.
    """
    check_callable(data_func, "data_func")
    _register(DATA_FUNCS, name, data_func, "a data function")


def register_relations(name: str, rel: type[relations.Relations]) -> None:
    """Names a subclass of `Relations`; options are arguments of its constructor.

    Parameters
    ----------
    name : str
    rel : type
        Takes `transform`, and `data_key` if it is computed from a data entry. `describe` works for
        classes that keep their arguments as attributes of the same names.

    Raises
    ------
    KeyError
        If the name is taken.
    TypeError
        If `rel` is not a subclass of `Relations`, or `name` not a string.
    """
    _check_class(rel, relations.Relations, "rel")
    _register(RELATIONS, name, rel, "a relations object")


def register_transform(name: str, tf: type[transforms.RelationTransform]) -> None:
    """Names a subclass of `RelationTransform`; options are arguments of its constructor.

    Parameters
    ----------
    name : str
    tf : type
        `describe` works for classes that keep their arguments as attributes of the same names.

    Raises
    ------
    KeyError
        If the name is taken.
    TypeError
        If `tf` is not a subclass of `RelationTransform`, or `name` not a string.
    """
    _check_class(tf, transforms.RelationTransform, "tf")
    _register(TRANSFORMS, name, tf, "a transformation")


def register_loss(name: str, loss: type[losses.Loss]) -> None:
    """Names a subclass of `Loss`.

    Parameters
    ----------
    name : str
    loss : type
        Its constructor gets 'func' as `loss_function` and 'options' by keyword. One that extends a
        loss of the package reads 'keys' as that does; others have no 'keys'.

    Raises
    ------
    KeyError
        If the name is taken.
    TypeError
        If `loss` is not a subclass of `Loss`, or `name` not a string.
    """
    _check_class(loss, losses.Loss, "loss")
    _register(LOSSES, name, loss, "a loss type")


def register_loss_func(name: str, loss_func: Callable[..., Any]) -> None:
    """Names a function that losses compare by.

    Parameters
    ----------
    name : str
    loss_func : callable (tensor, tensor) -> tensor ()

    Raises
    ------
    KeyError
        If the name is taken.
    TypeError
        If `loss_func` is not callable, or `name` not a string.
    """
    check_callable(loss_func, "loss_func")
    _register(LOSS_FUNCS, name, loss_func, "a loss function")
