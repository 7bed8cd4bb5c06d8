"""Arrays of any library: how they come in, and in which kind and place results go out."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.dlpack import from_dlpack

from fastparadime import ops
from fastparadime.layout import OutputSpace
from fastparadime.types import Array, Device
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.validate import check_option

_OUTPUT_TYPES = ("input", "numpy", "cupy")
_ON_A_GPU = (2, 13)  # DLPack's numbers of CUDA memory, plain and managed


def as_known(X: Any) -> Any:
    """The tensor over the memory of another library's array; anything else as it is.

    Raises
    ------
    CUDANotAvailableError
        For an array on a GPU that torch or this build cannot use.
    """
    if isinstance(X, (np.ndarray, np.generic, torch.Tensor)) or hasattr(X, "to_numpy"):
        return X
    if hasattr(X, "__dlpack__") and hasattr(X, "__dlpack_device__"):
        kind, number = X.__dlpack_device__()
        if kind in _ON_A_GPU:
            ops.resolve_device(f"cuda:{number}")
        return from_dlpack(X)
    if hasattr(X, "__cuda_array_interface__"):
        return torch.as_tensor(X, device=ops.resolve_device("cuda"))
    return X


def place_of(X: Any, device: Device | None) -> torch.device:
    """The device that is asked for, or the one where `X` is known to be.

    Raises
    ------
    CUDANotAvailableError, ValueError
        If it is none that this build can use.
    """
    if device is None and isinstance(X, torch.Tensor):
        device = X.device
    return ops.resolve_device(device)


def check_output_type(output_type: str | None) -> str:
    """cuML's choice of what results are; None is its default, the kind that came in."""
    return check_option(
        "input" if output_type is None else output_type, _OUTPUT_TYPES, "output_type"
    )


@dataclass(frozen=True)
class Kind:
    """What results become: arrays of numpy or of another library, or tensors.

    Attributes
    ----------
    library : module
        numpy, torch or one with `from_dlpack`.
    device : torch.device or None
        Where tensors and arrays of another library lie.
    """

    library: Any
    device: torch.device | None = None

    @staticmethod
    def of(X: Any, output_type: str | None = None) -> Kind:
        """The kind of an argument, unless another is asked for.

        Raises
        ------
        ImportError
            For ``"cupy"`` where it is not installed.
        """
        wanted = check_output_type(output_type)
        if wanted == "numpy":
            return Kind(np)
        if wanted == "cupy":
            return Kind(_cupy(), ops.resolve_device("cuda"))
        known = as_known(X)
        if not isinstance(known, torch.Tensor):
            return Kind(np)
        if known is not X and hasattr(X, "__array_namespace__"):
            return Kind(X.__array_namespace__(), known.device)
        return Kind(torch, known.device)

    def array(self, values: torch.Tensor, dtype: Any) -> Any:
        """Values as an array of this kind and of a dtype of numpy, float32 or float64."""
        values = values.to(torch.float64 if dtype == np.float64 else torch.float32)
        if self.library is np:
            return to_numpy(values)
        there = values.to(self.device)
        return there if self.library is torch else self.library.from_dlpack(there)


@dataclass(frozen=True)
class Results:
    """How the tensors of a fit become what the user gets.

    Attributes
    ----------
    kind : Kind
    dtype : dtype of numpy
        Of positions.
    inverse : integer array (n_samples,) or None
        Which row of the fit each row of the data is, where each is fitted once.
    output : OutputSpace
    """

    kind: Kind
    dtype: Any
    inverse: Array | None
    output: OutputSpace

    def positions(self, positions: torch.Tensor) -> Any:
        """Positions of a layout, of all rows of the data."""
        return self.values(self.output.coordinates(positions), self.dtype)

    def values(self, values: torch.Tensor, dtype: Any) -> Any:
        """One of each row."""
        if self.inverse is not None:
            values = values[torch.from_numpy(self.inverse).to(values.device)]
        return self.kind.array(values, dtype)


def _cupy() -> Any:
    try:
        return importlib.import_module("cupy")
    except ImportError:
        raise ImportError(
            "output_type='cupy' needs CuPy, which is not installed: install it (cupy-cuda12x or "
            "cupy-cuda13x), or take output_type='input', which gives torch tensors for tensors"
        ) from None
