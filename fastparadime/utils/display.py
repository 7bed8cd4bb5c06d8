"""How objects are shown: short whatever they hold, and without going round in circles."""

from __future__ import annotations

import functools
import html
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

_MOST_ENTRIES, _LONGEST = 10, 100
_IN_ONE_LINE, _DEEPEST = 3, 6  # levels from which an object takes one line, and is not shown


class ReprMixin:
    """Shows an object as its class and public attributes, one a line."""

    @reprlib.recursive_repr("...")
    def __repr__(self) -> str:
        return _object(self, 0)

    def _displayed(self) -> dict[str, Any]:
        """What is shown, for subclasses to override."""
        return {key: value for key, value in vars(self).items() if not key.startswith("_")}


class HtmlReprMixin(ReprMixin):
    """Shows itself in notebooks as a table too."""

    def _repr_html_(self) -> str:
        """A table of what `_display_rows` gives, for notebooks."""
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
            for name, text in self._display_rows()
        )
        title = html.escape(type(self).__name__)
        return f"<table><caption><b>{title}</b></caption>{cells}</table>"

    def _display_rows(self) -> list[tuple[str, str]]:
        """Names and texts of the table."""
        return [(key, in_short(value)) for key, value in self._displayed().items()]


def in_short(value: Any) -> str:
    """One line for a value."""
    return _clipped(" ".join(_shown(value, _IN_ONE_LINE).split()))


def _object(value: ReprMixin, depth: int) -> str:
    shown = [(key, _shown(entry, depth + 1)) for key, entry in value._displayed().items()]
    if depth >= _IN_ONE_LINE:
        whole = ", ".join(f"{key}={text}" for key, text in shown)
        return _clipped(f"{type(value).__name__}({' '.join(whole.split())})")
    lines = [f"  {key}={_indented(text)},\n" for key, text in shown]
    body = "\n" + "".join(lines) if lines else ""
    return f"{type(value).__name__}({body})"


def _shown(value: Any, depth: int) -> str:
    kind = type(value).__name__
    if isinstance(value, (np.ndarray, torch.Tensor)) and value.ndim:
        return f"{kind}(shape={tuple(value.shape)}, dtype={value.dtype})"
    if hasattr(value, "nnz") and hasattr(value, "shape"):
        return f"{kind}(shape={tuple(value.shape)}, nnz={value.nnz})"
    if isinstance(value, torch.nn.Module):
        count = sum(parameter.numel() for parameter in value.parameters())
        return f"{kind}({count} parameters)" if count else f"{kind}()"
    if isinstance(value, ReprMixin) and type(value).__repr__ is ReprMixin.__repr__:
        return _object(value, depth) if depth < _DEEPEST else f"{kind}(...)"
    if isinstance(value, functools.partial):
        return f"partial({_shown(value.func, depth)})"
    if callable(value):
        return _name_of(value)
    if type(value) in (list, tuple) or isinstance(value, Mapping):
        return _container(value, depth)
    return _clipped(repr(value))


def _name_of(function: Callable[..., Any]) -> str:
    # Not its repr: that of a method shows the object it belongs to, which may hold it.
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else f"{type(function).__name__}(...)"


def _container(value: Any, depth: int) -> str:
    first, last = ("{", "}") if isinstance(value, Mapping) else ("[", "]")
    if type(value) is tuple:
        first, last = "(", ")"
    if not value:
        return first + last
    if depth >= _DEEPEST:
        return f"{first}...{last}"
    more = len(value) - _MOST_ENTRIES
    if isinstance(value, Mapping):
        some = list(value.items())[:_MOST_ENTRIES]
        lines = [f"{key!r}: {_indented(_shown(entry, depth + 1))}" for key, entry in some]
    else:
        lines = [_indented(_shown(entry, depth + 1)) for entry in value[:_MOST_ENTRIES]]
    if more > 0:
        lines.append(f"... {more} more")
    whole = f"{first}{', '.join(lines)}{last}"
    if not isinstance(value, Mapping) and "\n" not in whole and len(whole) <= _LONGEST:
        return whole
    entries = "".join(f"  {line},\n" for line in lines)
    return f"{first}\n{entries}{last}"


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")


def _clipped(text: str) -> str:
    short = text.partition("\n")[0][:_LONGEST]
    return short if short == text else f"{short}..."
