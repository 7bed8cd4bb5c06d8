"""Datasets of torch, item by item, as arrays of all their items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils import data as torch_data

from fastparadime.types import TensorLike
from fastparadime.utils.convert import to_numpy, to_torch

_NAMES = ("main", "labels")  # of the parts of an item that is a tuple
_ITEMS = 256  # read at a time, where no loader says


def is_items(data: object) -> bool:
    """Whether `data` is a dataset or a loader of torch."""
    return isinstance(data, (torch_data.Dataset, torch_data.DataLoader))


def read_items(data: Any, name: str = "data") -> dict[str, TensorLike]:
    """The entries of a dataset of torch, in the order of its items.

    Parameters
    ----------
    data : torch.utils.data.Dataset or DataLoader
        With a length. Items are mappings of entries, tuples (main,) or (main, labels), or the main
        entry alone. A loader's dataset is read in its own order, whatever the loader's, by its
        `collate_fn`, workers and batch size.
    name : str
        What errors call it.

    Returns
    -------
    dict of tensors or arrays (n, ...)
        Of the dtypes that torch's `default_collate` gives; a `TensorDataset` gives its tensors.

    Raises
    ------
    TypeError
        For a dataset without a length, or items of another kind.
    ValueError
        If it is empty, or items differ in their shapes.
    """
    loader = _loader_of(data, name)
    dataset: Any = loader.dataset
    if isinstance(dataset, torch_data.TensorDataset) and not isinstance(
        data, torch_data.DataLoader
    ):
        return _entries_of(tuple(dataset.tensors), name)
    whole: dict[str, Any] = {}
    n, first = len(dataset), 0
    for entries in _batches(loader, name):
        for key, part in entries.items():
            if key not in whole:
                whole[key] = torch.empty((n, *part.shape[1:]), dtype=part.dtype)
            place = whole[key]
            if part.shape[1:] != place.shape[1:] or part.dtype != place.dtype:
                raise ValueError(
                    f"items of {name} must have one shape and dtype, but {key!r} has "
                    f"{tuple(place.shape[1:])} {place.dtype} at first and "
                    f"{tuple(part.shape[1:])} {part.dtype} from item {first} on"
                )
            place[first : first + len(part)] = part
        first += len(part)
    # As arrays, whose dtypes a dataset chooses as those of any other.
    return {key: to_numpy(part) for key, part in whole.items()}


def _loader_of(data: Any, name: str) -> torch_data.DataLoader[Any]:
    dataset = data.dataset if isinstance(data, torch_data.DataLoader) else data
    if isinstance(dataset, torch_data.IterableDataset) or not hasattr(dataset, "__len__"):
        raise TypeError(
            f"{name} is a {type(dataset).__name__} without a length, whose items cannot be drawn "
            "again: give a dataset with __len__ and __getitem__, or an array of its items"
        )
    if len(dataset) == 0:
        raise ValueError(f"{name} is empty")
    if not isinstance(data, torch_data.DataLoader):
        return torch_data.DataLoader(dataset, batch_size=_ITEMS)
    return torch_data.DataLoader(
        dataset,
        batch_size=data.batch_size or _ITEMS,
        collate_fn=data.collate_fn,
        num_workers=data.num_workers,
    )


def _batches(loader: torch_data.DataLoader[Any], name: str) -> Iterator[dict[str, torch.Tensor]]:
    try:
        for batch in loader:
            yield {key: _as_tensor(part) for key, part in _entries_of(batch, name).items()}
    except RuntimeError as error:  # of torch's stacking
        raise ValueError(f"items of {name} cannot be put together: {error}") from error


def _as_tensor(part: Any) -> torch.Tensor:
    return part if isinstance(part, torch.Tensor) else to_torch(np.asarray(part))


def _entries_of(batch: Any, name: str) -> dict[str, Any]:
    if isinstance(batch, Mapping):
        return {str(key): part for key, part in batch.items()}
    if not isinstance(batch, (tuple, list)):
        return {_NAMES[0]: batch}
    if len(batch) > len(_NAMES):
        raise TypeError(
            f"items of {name} have {len(batch)} parts, which are named {' and '.join(_NAMES)} up to "
            "two: give items that are mappings of entries"
        )
    return dict(zip(_NAMES, batch, strict=False))
