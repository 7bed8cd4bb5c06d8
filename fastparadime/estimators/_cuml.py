"""What cuML's UMAP takes beside umap-learn's parameters: accepted where it asks for nothing else."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

_Constructor = TypeVar("_Constructor", bound=Callable[..., None])


def _any(_: Any) -> bool:
    return True


def _unset(value: Any) -> bool:
    return not value


# Name: which values ask for what is the case here anyway, and what to do for others.
_ARGUMENTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "hash_input": (_any, ""),  # rows of the fit are always recognised
    "force_serial_epochs": (_any, ""),  # every layout is reproducible
    "build_algo": (
        lambda value: value in (None, "auto"),
        "give the neighbours of fastparadime.neighbors.knn(X, k, recall=...) as precomputed_knn",
    ),
    "build_kwds": (
        _unset,
        "give the neighbours of fastparadime.neighbors.knn(X, k, recall=...) as precomputed_knn",
    ),
    "device_ids": (_unset, "device='cuda:0' names the one device that a fit runs on"),
    "handle": (_unset, "the threads and the stream are torch's"),
}


def understands_cuml(init: _Constructor) -> _Constructor:
    """A constructor that takes cuML's arguments as well, which are no parameters of its own.

    Raises
    ------
    TypeError
        For values that ask for what is not done, with what to use instead.
    """

    @functools.wraps(init)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        for name in _ARGUMENTS.keys() & kwargs.keys():
            value = kwargs.pop(name)
            accepted, advice = _ARGUMENTS[name]
            if not accepted(value):
                raise TypeError(f"UMAP has no {name}={value!r}, which cuML's takes: {advice}")
        unknown = kwargs.keys() - _parameters_of(init)
        if unknown:  # Python would name the class that defines the constructor
            name = type(self).__name__
            raise TypeError(f"{name}() got an unexpected keyword argument {min(unknown)!r}")
        init(self, *args, **kwargs)

    return cast(_Constructor, wrapped)


@functools.cache
def _parameters_of(init: Callable[..., None]) -> frozenset[str]:
    return frozenset(inspect.signature(init).parameters)


def check_data_options(*, ensure_all_finite: Any, convert_dtype: Any) -> None:
    """Raises for options of `fit` and `transform` that are none."""
    if ensure_all_finite not in (True, False, "allow-nan"):
        raise ValueError(
            f"ensure_all_finite must be True, False or 'allow-nan', not {ensure_all_finite!r}"
        )
    if not isinstance(convert_dtype, bool):
        raise TypeError(f"convert_dtype must be a bool, not {convert_dtype!r}")
