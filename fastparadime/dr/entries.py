"""From what a user gives to the entries of a dataset: arrays of rows, and names of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from fastparadime.types import TensorLike
from fastparadime.utils import frames, sources
from fastparadime.utils.convert import share, to_torch
from fastparadime.utils.masks import without_mask
from fastparadime.utils.shards import NARROW, held_within
from fastparadime.utils.validate import check_data


def check_table(data: Any, name: str, columns: Sequence[str] = ()) -> TensorLike:
    """The data to embed, checked: a finite table, or items of more dimensions."""
    if sources.is_source(data) and data.ndim > 2:
        data = sources.load(data, name)
    if isinstance(data, (np.ndarray, torch.Tensor)) and data.ndim > 2:
        check_data(data.reshape((len(data), -1)), name)
        return data
    return check_data(data, name, columns=columns)


def loaded(
    data: Any, max_memory: float | None = None
) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
    """The entries, with sources of rows, lists and data frames as arrays, and names of columns."""
    if not isinstance(data, Mapping):
        rows, columns = frames.rows_and_names(data, "data")
        return {"main": _as_array(rows, "data", max_memory)}, {"main": columns}
    found = {key: frames.rows_and_names(value, f"entry {key!r}") for key, value in data.items()}
    entries = {
        key: _as_array(rows, f"entry {key!r}", max_memory) for key, (rows, _) in found.items()
    }
    return entries, {key: columns for key, (_, columns) in found.items()}


def _as_array(value: Any, name: str, max_memory: float | None) -> Any:
    value = held_within(without_mask(value, name), max_memory, name)
    if sources.is_source(value):
        return sources.load(value, name)
    if hasattr(value, "to_numpy"):  # what is no frame, such as xarray's arrays
        return np.asarray(without_mask(value.to_numpy(), name))
    if isinstance(value, (list, tuple)):
        try:
            return np.asarray(value)
        except ValueError:
            raise ValueError(f"{name} must be a table, but its rows differ in length") from None
    return value


def length_of(key: str, value: Any) -> int:
    """The rows of an entry, if it is an array or tensor that has any."""
    if not isinstance(value, (np.ndarray, torch.Tensor)):
        raise TypeError(
            f"Value for key {key!r} must be a numpy array or PyTorch tensor, not "
            f"{type(value).__name__}."
        )
    if value.ndim == 0:
        raise ValueError(f"Value for key {key!r} must have rows, but is a single number.")
    return len(value)


def as_entry(value: TensorLike) -> torch.Tensor:
    """The tensor of an array: of float32, int64, or as narrow as the values of a table are."""
    narrow = isinstance(value, np.ndarray) and value.dtype in NARROW and value.ndim > 1
    return share(value) if narrow else to_torch(value)
