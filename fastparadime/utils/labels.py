"""Labels of any kind, and which of them are unknown."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastparadime.types import Array
from fastparadime.utils.convert import to_numpy

_NONE = ("NAType", "NaTType", "MaskedConstant")  # of pandas and numpy


def known_labels(labels: Any) -> tuple[Array, Array]:
    """Labels as an array of their shape, and which of them are known.

    None, NaN, NaT, pandas' NA and masked entries are unknown, and so is -1 among words, as a number
    or as the text that numpy makes of it in such a list.

    Parameters
    ----------
    labels : array, tensor, series or list

    Returns
    -------
    labels : array
        Of objects if it holds several kinds; what stands where labels are unknown means nothing.
    known : bool array
    """
    values = _as_array(labels)
    masked = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else False
    values = np.asarray(values)
    if values.dtype.kind == "O":
        known = ~np.array([_is_none(label) for label in values.flat], bool).reshape(values.shape)
        known &= ~np.asarray(masked)
        if _holds_words(values[known]):
            minus_one = [_is_minus_one(label) for label in values[known].tolist()]
            known[known] = ~np.array(minus_one, bool)
        return _plain(values, known), known
    known = np.ones(values.shape, bool) & ~np.asarray(masked)
    if values.dtype.kind in "fc":
        known &= ~np.isnan(values)
    elif values.dtype.kind in "mM":
        known &= ~np.isnat(values)
    elif values.dtype.kind == "U" and (values == "-1").any() and _holds_words(values[known]):
        known &= values != "-1"
    return values, known


def drawable(text: str) -> str:
    """Text with U+FFFD for lone halves of characters, which can be neither drawn nor written.

    Names of files have them for bytes that are not UTF-8.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _as_array(labels: Any) -> Any:
    """An array; what is no array of one kind becomes one of objects, not of numpy's common kind."""
    if hasattr(labels, "detach"):
        return to_numpy(labels)
    if isinstance(labels, (list, tuple)):
        found = np.array([*labels, None], dtype=object)[:-1]  # the last one makes it no table
        kinds = {type(label) for label in labels}
        words = any(issubclass(kind, str) for kind in kinds)
        return found if words and len(kinds) > 1 else np.asarray(labels)
    return labels if isinstance(labels, np.ma.MaskedArray) else np.asarray(labels)


def _plain(values: Array, known: Array) -> Array:
    """An array of objects by the kind of those that are known, if they are of one."""
    held = values[known].tolist()
    words = all(isinstance(label, str) for label in held)
    if not held or (not words and any(isinstance(label, str) for label in held)):
        return values
    plain = np.asarray(held)
    if plain.dtype.kind not in "biufU" or plain.ndim != 1:
        return values
    filled = np.zeros(values.shape, plain.dtype)
    filled[known] = plain
    return filled


def _is_none(label: Any) -> bool:
    if label is None or type(label).__name__ in _NONE:
        return True
    if isinstance(label, (np.datetime64, np.timedelta64)):
        return bool(np.isnat(label))
    return isinstance(label, (float, np.floating)) and bool(np.isnan(label))


def _is_minus_one(label: Any) -> bool:
    return label == "-1" if isinstance(label, str) else bool(label == -1)


def _holds_words(labels: Array) -> bool:
    """Whether some are text that is no whole number."""
    return any(
        isinstance(label, str) and not label.removeprefix("-").isdigit()
        for label in labels.tolist()
    )
