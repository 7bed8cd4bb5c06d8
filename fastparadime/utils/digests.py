"""Digests of what a file holds, a tensor each and one of the description, so that damage is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

_KEY = "digests"
_DESCRIPTION = ""  # no tensor has this name
_BLOCK_BYTES = 2**20  # of a file read at a time


def with_digests(content: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """A description with the SHA-256 of itself and of each tensor beside it, instead of old ones."""
    about = {name: value for name, value in content.items() if name != _KEY}
    return {**about, _KEY: _digests(about, tensors)}


def check_digests(content: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether a description has digests, which early versions did not write.

    Raises
    ------
    ValueError
        If anything does not have its digest; the message names the first tensor of which this is so.
    """
    stored = content.get(_KEY)
    if stored is None:
        return False
    about = {name: value for name, value in content.items() if name != _KEY}
    found = _digests(about, tensors)
    for name in sorted({*stored, *found}):
        if stored.get(name) != found.get(name):
            part = f"the tensor {name!r}" if name != _DESCRIPTION else "the description"
            raise ValueError(f"it is damaged: {part} does not have its digest")
    return True


def digest_of(content: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> str:
    """One SHA-256 of a description and the tensors beside it."""
    parts = sorted(_digests(content, tensors).items())
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _digests(content: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> dict[str, str]:
    described = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    return {
        _DESCRIPTION: described.hexdigest(),
        **{name: _of_tensor(value) for name, value in tensors.items()},
    }


def _of_tensor(tensor: torch.Tensor) -> str:
    total = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
    total.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


class HashedFile:
    """A file that is written while the SHA-256 of its content is taken."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._total = file, hashlib.sha256()

    def write(self, content: bytes) -> int:
        self._total.update(content)
        return self._file.write(content)

    def digest(self) -> str:
        """Of what was written so far."""
        return self._total.hexdigest()


def digest_of_bytes(content: bytes) -> str:
    """The SHA-256 of a content."""
    return hashlib.sha256(content).hexdigest()


def digest_of_file(path: Path) -> str:
    """The SHA-256 of a file, read block by block."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            total.update(block)
    return total.hexdigest()
