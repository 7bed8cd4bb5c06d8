"""What tells whether two runs were given the same: parameters as JSON, arrays as digests."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastparadime.types import Array
from fastparadime.utils import sources
from fastparadime.utils.convert import is_sparse, to_numpy

_BLOCK_BYTES = 16 * 2**20  # of rows hashed at a time
_DEEPEST = 8  # parts of parts that are looked into
_NO_PARAMETERS = ("verbose", "training")  # attributes that decide about no result


def described(value: Any, depth: int = 0) -> Any:
    """What JSON holds of a parameter: equal for what is equal, in another process too.

    Arrays, tensors and tables are told by shape, dtype and SHA-256; functions and classes by their
    full names; other objects by their class and public attributes, networks also by the shapes of
    their weights. Code that has changed under the same name is not noticed.
    """
    if value is None or isinstance(value, (bool, str, int, float, np.generic)):
        return _number(value)
    if isinstance(value, (torch.dtype, torch.device, Path)):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): described(part, depth + 1) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [described(part, depth + 1) for part in value]
    if is_sparse(value) or hasattr(value, "shape"):
        return fingerprint(value)
    if isinstance(value, functools.partial):
        return described([value.func, value.args, value.keywords], depth)
    if hasattr(value, "__qualname__"):  # functions and classes
        return _name(value)
    if isinstance(value, np.ufunc):  # which has no such name in numpy 1.24
        return f"numpy.{value.__name__}"
    return _object(value, depth)


def _number(value: Any) -> Any:
    """A number as Python's, if JSON holds it."""
    plain = value.item() if isinstance(value, np.generic) else value
    infinite = isinstance(plain, float) and not math.isfinite(plain)
    return str(plain) if infinite or isinstance(plain, (bytes, complex)) else plain


def _object(value: Any, depth: int) -> Any:
    told: dict[str, Any] = {"class": _name(type(value))}
    if isinstance(value, torch.nn.Module):
        shapes = {name: list(part.shape) for name, part in value.state_dict().items()}
        told.update({"weights": shapes} if shapes else {})
    for key, part in getattr(value, "__dict__", {}).items() if depth < _DEEPEST else ():
        if not (key.startswith("_") or key in _NO_PARAMETERS):
            told[key] = described(part, depth + 1)
    return told


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def fingerprint(table: Any) -> dict[str, Any]:
    """Shape, dtype and SHA-256 of an array, tensor, sparse matrix or source of rows.

    Rows are read block by block, so that they may be on the disk. Equal values of equal dtype have
    one fingerprint wherever they lie.
    """
    total = hashlib.sha256()
    for block in _blocks(table):
        total.update(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data)
    dtype = str(getattr(table, "dtype", "")).removeprefix("torch.")
    return {"shape": list(table.shape), "dtype": dtype, "sha256": total.hexdigest()}


def _blocks(table: Any) -> Iterator[Array]:
    if is_sparse(table):
        rows = table.tocsr()
        yield from (rows.indptr.astype(np.int64), rows.indices.astype(np.int64), rows.data)
    elif sources.is_source(table) and table.ndim > 1:
        yield from (block for _, block in sources.row_blocks(table, "X"))
    elif getattr(table, "dtype", None) == object or not hasattr(table, "dtype"):
        values = np.asarray(table, dtype=object).ravel().tolist()
        yield np.frombuffer(json.dumps([repr(value) for value in values]).encode(), np.uint8)
    elif not table.shape or 0 in table.shape:
        yield np.atleast_1d(to_numpy(table))
    else:
        row_bytes = max(1, math.prod(table.shape[1:]) * 8)
        step = max(1, _BLOCK_BYTES // row_bytes)
        for start in range(0, table.shape[0], step):
            yield to_numpy(table[start : start + step])
