"""What every operation checks and asks of its arguments before the core is called."""

from __future__ import annotations

import contextlib
import functools
import math
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from fastparadime import _core
from fastparadime.exceptions import CUDANotAvailableError
from fastparadime.types import Device, TensorLike
from fastparadime.utils.convert import share, to_torch, value_range
from fastparadime.utils.masks import without_mask
from fastparadime.utils.validate import check_positive

MAX_POINTS = 2**31 - 1  # node ids are int32; edges are counted in int64
_seen: Any = WeakTensorKeyDictionary()  # tails of graphs that were checked
_FLOAT32 = torch.finfo(torch.float32)


def resolve_device(device: Device | None) -> torch.device:
    """The torch device of a name, the current one for ``"cuda"``, if it can be used.

    Raises
    ------
    CUDANotAvailableError
        If CUDA is asked for where torch, the machine or this build has none; the message says
        which of them and what to do.
    """
    try:
        resolved = torch.device("cpu" if device is None else device)
    except RuntimeError:  # a name that torch does not know
        resolved = None
    if resolved is None or resolved.type not in ("cpu", "cuda"):
        raise ValueError(f"device must be 'cpu' or 'cuda', not {str(device)!r}")
    if resolved.type == "cuda":
        if not torch.backends.cuda.is_built():
            raise CUDANotAvailableError(
                f"device {str(resolved)!r} was asked for, but this torch ({torch.__version__}) is "
                "built without CUDA: install a CUDA build of torch, or use device='cpu'"
            )
        if not torch.cuda.is_available():
            raise CUDANotAvailableError(
                f"device {str(resolved)!r} was asked for, but torch sees no CUDA device: check the "
                "driver with nvidia-smi and CUDA_VISIBLE_DEVICES, or use device='cpu'"
            )
        if not _core.cuda_version:
            raise CUDANotAvailableError(
                f"device {str(resolved)!r} was asked for, but this build of fastparadime has no "
                "CUDA code: reinstall it with -C cmake.define.FASTPARADIME_CUDA=ON where nvcc is "
                "on the path, or use device='cpu'"
            )
        index: int | None = resolved.index
        _check_cuda_device(index)
        if index is None:  # tensors name theirs, which is not equal to "cuda"
            resolved = torch.device("cuda", torch.cuda.current_device())
    return resolved


@functools.cache
def _check_cuda_device(index: int | None) -> None:
    """Raises if the driver is too old, there is no such device or the core has no code for it."""
    check_driver(*_core.cuda_versions())
    count = torch.cuda.device_count()
    if index is not None and index >= count:
        raise CUDANotAvailableError(
            f"device 'cuda:{index}' was asked for, but there are {count} CUDA devices, counted from 0"
        )
    capability = torch.cuda.get_device_capability(index)
    if not has_code_for(capability, _core.cuda_architectures):
        raise CUDANotAvailableError(
            f"the GPU {torch.cuda.get_device_name(index)} has compute capability "
            f"{capability[0]}.{capability[1]}, but this build of fastparadime has code for "
            f"{_core.cuda_architectures}: reinstall it with "
            "-C cmake.define.CMAKE_CUDA_ARCHITECTURES=native on this machine, or use device='cpu'"
        )


def check_driver(driver: int, runtime: int) -> None:
    """Raises if a driver for one CUDA version cannot run the runtime of another.

    Versions are 1000 major + 10 minor. A runtime needs a driver of its major version or a later one.
    """
    if driver // 1000 < runtime // 1000:
        of_driver, of_build = (f"{v // 1000}.{v % 1000 // 10}" for v in (driver, runtime))
        raise CUDANotAvailableError(
            f"the NVIDIA driver runs CUDA up to {of_driver}, but this build of fastparadime has the "
            f"runtime of CUDA {of_build}: update the driver, reinstall fastparadime with an nvcc of "
            f"CUDA {of_driver} or older, or use device='cpu'"
        )


def has_code_for(capability: tuple[int, int], architectures: str) -> bool:
    """Whether code for these CMake architectures runs on a GPU of this compute capability.

    Machine code runs on later chips of its major version, PTX on all later ones.
    """
    codes = re.findall(r"(\d+)[af]?(-real|-virtual)?", architectures)
    for number, form in codes:
        major, minor = divmod(int(number), 10)
        if (major, minor) <= capability and (form != "-real" or major == capability[0]):
            return True
    return not codes  # names of sets of architectures, of which nothing is known


def build_info() -> dict[str, str]:
    """What the compiled core was built with and which instruction set it uses."""
    names = ("version", "compiler", "simd_level", "cuda_version", "cuda_architectures")
    return {name: getattr(_core, name) for name in names}


def on_device(tensor: torch.Tensor) -> contextlib.AbstractContextManager[Any]:
    if tensor.device.type == "cuda":
        resolve_device(tensor.device)
        return torch.cuda.device(tensor.device)
    if tensor.device.type != "cpu":
        raise ValueError(f"tensors must be on the CPU or a CUDA device, not on {tensor.device}")
    return contextlib.nullcontext()


def target_of(tensor: torch.Tensor) -> _core.Target:
    if tensor.device.type == "cuda":
        return _core.Target("cuda", 0, torch.cuda.current_stream(tensor.device).cuda_stream)
    return _core.Target("cpu", torch.get_num_threads())


def as_dense(tensor: torch.Tensor, name: str) -> torch.Tensor:
    """The tensor outside of torch's graph, with what it holds in memory: the core reads that."""
    if tensor.layout != torch.strided or tensor.is_quantized:
        raise TypeError(f"{name} must be dense, not {tensor.dtype}, {tensor.layout}")
    return tensor.detach().resolve_conj().resolve_neg()


def as_real(tensor: torch.Tensor, name: str, dtype: torch.dtype) -> torch.Tensor:
    if tensor.is_complex() or tensor.layout != torch.strided:
        raise TypeError(f"{name} must be real and dense, not {tensor.dtype}, {tensor.layout}")
    return as_dense(tensor, name).to(dtype).contiguous()


def as_floating(value: TensorLike, name: str) -> torch.Tensor:
    """The tensor within torch's graph, in its own dtype, float32 of integers."""
    tensor = share(without_mask(value, name))
    if tensor.is_complex() or tensor.layout != torch.strided:
        raise TypeError(f"{name} must be real and dense, not {tensor.dtype}, {tensor.layout}")
    return tensor if tensor.is_floating_point() else tensor.float()


def as_floats(value: TensorLike, name: str, ndim: int) -> torch.Tensor:
    tensor = to_torch(without_mask(value, name))
    if tensor.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimensions, not shape {tuple(tensor.shape)}")
    return as_real(tensor, name, torch.float32)


def as_positive(value: Any, name: str, *, zero_ok: bool = False) -> float:
    """The number, if it is positive, or zero where that is accepted, as the core's float32 too."""
    number = check_positive(value, name, zero_ok=zero_ok)
    if number != 0 and not _FLOAT32.tiny <= number <= _FLOAT32.max:
        raise ValueError(f"{name} must lie within float32, 1.2e-38 to 3.4e38, not {value}")
    return number


def as_non_negative(value: TensorLike, name: str, ndim: int) -> torch.Tensor:
    tensor = as_floats(value, name, ndim)
    if tensor.numel():
        low, high = value_range(tensor)
        if not (low >= 0 and high < math.inf):
            raise ValueError(
                f"{name} must be finite and not negative, but holds {_first_bad(tensor)}"
            )
    return tensor


def as_distances(
    value: TensorLike, name: str, ndim: int = 2
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Distances, usually (n, k), that are not negative, and where they are infinite, None if nowhere."""
    tensor = as_floats(value, name, ndim)
    low, high = value_range(tensor) if tensor.numel() else (0.0, 0.0)
    if not low >= 0:
        held = _first_bad(tensor.masked_fill(tensor == math.inf, 0.0))
        raise ValueError(f"{name} must be numbers >= 0, but holds {held}")
    return tensor, tensor.isinf() if high == math.inf else None


def _first_bad(tensor: torch.Tensor) -> str:
    bad = (~torch.isfinite(tensor) | (tensor < 0)).flatten().nonzero()[0]
    position = [int(i) for i in torch.unravel_index(bad, tensor.shape)]
    return f"{float(tensor.flatten()[bad])} at {position}"


def as_indices(
    value: TensorLike, name: str, ndim: int, limit: int, *, negative_ok: bool = False
) -> torch.Tensor:
    tensor = to_torch(without_mask(value, name))
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise TypeError(f"{name} must hold integers, not {tensor.dtype}")
    if tensor.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimensions, not shape {tuple(tensor.shape)}")
    if tensor.numel():
        low, high = (int(v) for v in value_range(tensor))
        if high >= limit or (low < 0 and not negative_ok):
            accepted = f"below {limit}" if negative_ok else f"in [0, {limit})"
            raise ValueError(
                f"{name} must lie {accepted}, but holds {high if high >= limit else low}"
            )
        if low < -1:
            tensor = tensor.clamp_min(-1)
    return tensor.to(torch.int32).contiguous()


def as_row_starts(value: TensorLike, name: str, edges: int) -> torch.Tensor:
    starts = to_torch(without_mask(value, name))
    if starts.ndim != 1 or len(starts) == 0:
        raise ValueError(f"{name} must have the shape (n + 1,), not {tuple(starts.shape)}")
    if starts.is_floating_point() or starts.is_complex() or starts.dtype == torch.bool:
        raise TypeError(f"{name} must hold integers, not {starts.dtype}")
    starts = as_dense(starts, name).to(torch.int64).contiguous()
    if (int(starts[0]), int(starts[-1])) != (0, edges) or bool((starts.diff() < 0).any()):
        raise ValueError(f"{name} must ascend from 0 to the number of edges, {edges}")
    return starts


def check_form(edges: Any) -> None:
    """Raises unless a graph's arrays are as `symmetrize` gives them; weights are not read."""
    dtypes = {"indptr": torch.int64, "tails": torch.int32, "weights": torch.float32}
    for name, dtype in dtypes.items():
        part = getattr(edges, name)
        plain = isinstance(part, torch.Tensor) and part.dtype == dtype and part.ndim == 1
        if not plain or not part.is_contiguous():
            found = f"{part.dtype} {tuple(part.shape)}" if hasattr(part, "shape") else repr(part)
            raise TypeError(
                f"edges.{name} must be a contiguous tensor of one dimension and {dtype}, as "
                f"symmetrize gives it, not {type(part).__name__} {found}"
            )
    if len(edges.indptr) == 0 or len(edges.tails) != len(edges.weights):
        raise ValueError(
            "edges must have n + 1 row starts and as many tails as weights, not "
            f"{len(edges.indptr)}, {len(edges.tails)} and {len(edges.weights)}"
        )
    check_same_device(indptr=edges.indptr, tails=edges.tails, weights=edges.weights)
    _check_addresses(edges.indptr, edges.tails)


def _check_addresses(indptr: torch.Tensor, tails: torch.Tensor) -> None:
    """Raises unless rows and tails lie within the graph; read once, and again after a change."""
    versions = [0 if part.is_inference() else part._version for part in (indptr, tails)]
    form = (indptr.data_ptr(), len(indptr), *versions)
    if _seen.get(tails) == form:
        return
    as_row_starts(indptr, "edges.indptr", len(tails))
    as_indices(tails, "edges.tails", 1, len(indptr) - 1)
    _seen[tails] = form


def check_same_device(**tensors: torch.Tensor) -> None:
    devices = {str(t.device) for t in tensors.values()}
    if len(devices) > 1:
        where = ", ".join(f"{name} on {t.device}" for name, t in tensors.items())
        raise ValueError(f"arguments must be on one device, not {where}")


def check_as_many(weights: Sequence[torch.Tensor], biases: Sequence[torch.Tensor]) -> None:
    """Raises unless a network has a bias to each weight, and at least one."""
    if not weights or len(weights) != len(biases):
        raise ValueError(
            f"weights and biases must be as many, and not none, but are {len(weights)} and "
            f"{len(biases)}"
        )


def check_plain(tensor: torch.Tensor, name: str, shape: tuple[int | None, ...]) -> None:
    """Raises unless a tensor is float32, contiguous, on the CPU and of a shape; None is any size."""
    if not isinstance(tensor, torch.Tensor) or tensor.dtype != torch.float32:
        kind = tensor.dtype if isinstance(tensor, torch.Tensor) else type(tensor).__name__
        raise TypeError(f"{name} must be a float32 tensor, not {kind}")
    if tensor.device.type != "cpu" or not tensor.is_contiguous():
        raise ValueError(
            f"{name} must be contiguous and on the CPU, not strides {tensor.stride()} on "
            f"{tensor.device}"
        )
    fits = len(shape) == tensor.ndim and all(
        size in (None, found) for size, found in zip(shape, tensor.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must have shape ({wanted}), not {tuple(tensor.shape)}")
