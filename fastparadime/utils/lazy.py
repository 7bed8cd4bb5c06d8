"""What an object makes on demand, once, whichever thread asks first."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

_Value = TypeVar("_Value")

# Locks of what is being made. Objects keep none, so that they can be copied and pickled.
_making: dict[tuple[int, str], threading.Lock] = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_making.clear)  # whoever held them is not in the child


class lazy_property(Generic[_Value]):  # noqa: N801
    """A property that is computed at first and then kept in the object's ``__dict__``.

    functools.cached_property computes it in each of several threads that ask at once, since
    Python 3.12: the core may still read what the first one made when the second replaces it.
    """

    def __init__(self, make: Callable[[Any], _Value]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> lazy_property[_Value]: ...

    @overload
    def __get__(self, owner: object, kind: type) -> _Value: ...

    def __get__(self, owner: object | None, kind: type) -> lazy_property[_Value] | _Value:
        if owner is None:
            return self
        key = id(owner), self._name
        kept: dict[str, _Value] = vars(owner)
        with _making.setdefault(key, threading.Lock()):
            try:
                if self._name not in kept:
                    kept.setdefault(self._name, self._make(owner))
            finally:
                _making.pop(key, None)
        return kept[self._name]
