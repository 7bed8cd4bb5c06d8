"""Masked arrays: taken where nothing is masked, else refused instead of read through their mask."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch


def without_mask(values: Any, name: str) -> Any:
    """The values of an argument, plain where they carried a mask that masks nothing.

    Parameters
    ----------
    values : object
        Arrays of numpy.ma and their like, masked tensors of torch, and lists of them are looked
        at; anything else is returned as it is.
    name : str
        What errors call it.

    Raises
    ------
    TypeError
        If values are masked, with their number.
    """
    if isinstance(values, (list, tuple)):
        if not any(_has_mask(part) for part in values):
            return values
        count = sum(_masked(part) for part in values if _has_mask(part))
    elif _has_mask(values):
        count = _masked(values)
    else:
        return values
    if count:
        raise TypeError(
            f"{name} is a masked array with {count} masked value{'s' * (count > 1)}: replace them, "
            "e.g. by .filled(0), or leave out their rows"
        )
    if isinstance(values, (list, tuple)):
        parts = [_plain(part) if _has_mask(part) else part for part in values]
        return tuple(parts) if isinstance(values, tuple) else parts
    return _plain(values)


def _has_mask(values: Any) -> bool:
    # By attribute: not only numpy.ma has masks. `Tensor.get_mask` is of torch's MaskedTensor alone.
    if isinstance(values, np.ndarray):
        return hasattr(values, "mask")
    return isinstance(values, torch.Tensor) and hasattr(values, "get_mask")


def _masked(values: Any) -> int:
    if isinstance(values, torch.Tensor):
        return int((~cast(Any, values).get_mask()).sum())
    return int(np.count_nonzero(values.mask))


def _plain(values: Any) -> Any:
    if isinstance(values, torch.Tensor):
        return cast(Any, values).get_data()
    return np.asarray(getattr(values, "data", values))
