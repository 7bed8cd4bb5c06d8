"""Type aliases used in public signatures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union

import numpy as np
import numpy.typing as npt
import torch

if TYPE_CHECKING:
    import scipy.sparse

__all__ = [
    "Array",
    "BinaryTensorFun",
    "Data",
    "Device",
    "IndexList",
    "Rels",
    "TensorLike",
    "TypeKeyTuples",
]

Array: TypeAlias = npt.NDArray[Any]
TensorLike: TypeAlias = Array | torch.Tensor
Data: TypeAlias = TensorLike | Mapping[str, TensorLike]
Rels: TypeAlias = Union[
    Array, torch.Tensor, "scipy.sparse.spmatrix", "scipy.sparse.sparray", tuple[Array, Array]
]
TypeKeyTuples: TypeAlias = list[tuple[Literal["data", "rels"], str]]
BinaryTensorFun: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
IndexList: TypeAlias = list[int] | npt.NDArray[np.integer[Any]] | torch.Tensor
Device: TypeAlias = str | torch.device
