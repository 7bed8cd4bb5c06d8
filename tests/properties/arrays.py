"""Random tables of many kinds, and the forms that an array may have in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from hypothesis import strategies as st

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[Any]

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.sampled_from([0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 70])
SOME = st.sampled_from([1, 2, 3, 15, 16, 17, 31, 32, 33])
FEW = st.sampled_from([1, 2, 3, 7])
SCALES = st.sampled_from([1.0, 1e-15, 1e15])
KINDS = st.sampled_from(["normal", "few", "equal", "zeros", "outlier", "twins"])
DTYPES = st.sampled_from(["f2", "f4", "f8", "i1", "u1", "i2", "i4", "i8", "?"])


def table(seed: int, n: int, d: int, kind: str = "normal", scale: float = 1.0) -> Floats:
    """Random rows: usual ones, of few values, equal, zeros, one far out, each twice."""
    rng = np.random.default_rng([seed, n, d])
    values = rng.normal(size=(n, d))
    if kind == "few":
        values = rng.integers(-2, 3, size=(n, d)).astype(np.float64)
    elif kind == "equal":
        values[:] = values[:1]
    elif kind == "zeros":
        values[:] = 0
    elif kind == "outlier":
        values[: min(n, 1)] *= 100
    elif kind == "twins":
        values[1::2] = values[: 2 * (n // 2) : 2]
    return (values * scale).astype(np.float32)


def _spread(x: Array) -> Array:
    whole = np.zeros([2 * size for size in x.shape], x.dtype)
    part: Array = whole[(slice(None, None, 2),) * x.ndim]
    part[...] = x
    return part


def _reversed(x: Array) -> Array:
    turned = (slice(None, None, -1),) * x.ndim
    return np.ascontiguousarray(x[turned])[turned]


def _unaligned(x: Array) -> Array:
    room = np.empty(x.nbytes + 1, np.uint8)[1:]
    moved: Array = room.view(x.dtype).reshape(x.shape)
    moved[...] = x
    return moved


def _read_only(x: Array) -> Array:
    kept = x.copy()
    kept.flags.writeable = False
    return kept


def _unaligned_tensor(x: Array) -> torch.Tensor:
    if not x.size:
        return torch.from_numpy(x.copy())
    dtype, room = torch.from_numpy(x).dtype, bytearray(b"-" + x.tobytes())
    return torch.frombuffer(room, dtype=dtype, offset=1, count=x.size).view(x.shape)


FORMS: dict[str, Callable[[Array], Any]] = {
    "plain": np.copy,
    "fortran": lambda x: np.asfortranarray(x.copy()),
    "spread": _spread,
    "reversed": _reversed,
    "big endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "unaligned": _unaligned,
    "read only": _read_only,
    "tensor": lambda x: torch.from_numpy(x.copy()),
    "unaligned tensor": _unaligned_tensor,
    "tensor of strides": lambda x: torch.from_numpy(_spread(x)),
    "tensor in a graph": lambda x: torch.from_numpy(x.copy()).requires_grad_(x.dtype.kind == "f"),
}
ARRAY_FORMS = st.sampled_from(list(FORMS))
TENSOR_FORMS = st.sampled_from([name for name in FORMS if name.startswith("tensor")])


def content(value: Any) -> Array:
    """What an array or tensor holds."""
    return value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def assert_nearest(indices: Any, distances: Any, true: Array, k: int, **tolerance: float) -> None:
    """Asserts that lists name as near rows as a table of true distances has, in order.

    -1 and infinity stand where neighbours ran out, and may stand for one at infinity.
    """
    indices, distances = content(indices), content(distances)
    wanted = np.full((len(true), k), np.inf)
    ordered = np.sort(true, axis=1)[:, :k]
    wanted[:, : ordered.shape[1]] = ordered
    assert indices.shape == distances.shape == wanted.shape
    assert bool((np.isinf(wanted) | (indices >= 0)).all())
    np.testing.assert_allclose(distances, wanted, **tolerance)
    padded = np.concatenate([true, np.full((len(true), 1), np.inf)], axis=1)
    at = np.take_along_axis(padded, indices.astype(np.int64), axis=1)
    np.testing.assert_allclose(at, wanted, **tolerance)
    for row in indices:
        named = row[row >= 0]
        assert len(set(named.tolist())) == len(named)


def distances_of(X: Array, metric: str, p: float = 2.0, queries: Array | None = None) -> Array:
    """By the float64 reference; infinite from a row to itself."""
    from fastparadime.ops import reference

    asked = X if queries is None else queries
    true = np.array([[reference.distance(x, y, metric, p) for y in X] for x in asked])
    true = true.reshape(len(asked), len(X))
    if queries is None:
        np.fill_diagonal(true, np.inf)
    return true
