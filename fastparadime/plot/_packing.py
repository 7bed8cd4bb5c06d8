"""The data of a page: arrays in few bytes, and a header in JSON that says where they are."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import numpy as np

from fastparadime.types import Array

_ALIGNED = 8  # bytes, as JavaScript's arrays need
_LARGEST_INTEGER = 2**53  # that JavaScript's numbers hold
_TEXT_END = "\0"


class Pack:
    """Arrays one behind the other, each described by its type, place and length."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, values: Array) -> dict[str, Any]:
        """Keeps the values of an array; returns where they are."""
        content = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
        place = {"dtype": values.dtype.name, "offset": self._size, "length": values.size}
        self._parts.append(_padded(content))
        self._size += len(self._parts[-1])
        return place

    def add_column(self, name: str, values: Array) -> dict[str, Any]:
        """Keeps a column as numbers, as codes of few words, or as text; returns its description."""
        known = np.array([value is not None for value in values.tolist()], bool)
        numbers = _as_numbers(values, known)
        if numbers is not None:
            return {"name": name, "kind": "number", "array": self.add(numbers)}
        texts = [str(v).replace(_TEXT_END, " ") if v is not None else "" for v in values.tolist()]
        words, codes = np.unique(np.array(texts, dtype=object), return_inverse=True)
        if len(words) <= max(len(texts) // 2, 1):
            array = self.add(as_codes(codes, len(words)))
            return {"name": name, "kind": "codes", "values": words.tolist(), "array": array}
        content = _TEXT_END.join(texts).encode("utf-8", errors="replace")
        return {"name": name, "kind": "text", "array": self.add(np.frombuffer(content, np.uint8))}

    def encoded(self, header: dict[str, Any]) -> str:
        """The header and the arrays, compressed, in letters that pages may hold."""
        text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
        head = _padded(len(text).to_bytes(4, "little") + text)
        # No time in it: the same map is the same file.
        packed = gzip.compress(b"".join([head, *self._parts]), compresslevel=6, mtime=0)
        return base64.b64encode(packed).decode("ascii")


def _padded(content: bytes) -> bytes:
    return content + b"\0" * (-len(content) % _ALIGNED)


def as_codes(codes: Array, count: int) -> Array:
    """Codes below `count` in the fewest bytes."""
    small = np.uint8 if count <= 256 else np.uint16 if count <= 65536 else np.uint32
    return codes.astype(small)


def _as_numbers(values: Array, known: Array) -> Array | None:
    """The numbers of a column, NaN where unknown; None if they are none, or lose digits as such."""
    if known.all() and values.dtype.kind in "iu":
        low, high = int(values.min()), int(values.max())
        if low >= -(2**31) and high < 2**31:
            return values.astype(np.int32)
    held = values[known].tolist()
    if not held or not all(type(value) in (int, float) for value in held):
        return None
    if any(type(value) is int and abs(value) > _LARGEST_INTEGER for value in held):
        return None
    numbers = np.full(len(values), np.nan)
    numbers[known] = held
    with np.errstate(over="ignore"):
        single = numbers.astype(np.float32)
    whole = all(type(value) is int for value in held)
    near = np.allclose(single, numbers, rtol=1e-6, atol=0, equal_nan=True)
    return single if near and not whole else numbers
