"""What every operation checks and asks of its arguments before the core is called."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from typing import Any

import torch

from fastparadime import _core
from fastparadime.exceptions import CUDANotAvailableError, DeviceMemoryError
from fastparadime.types import Device, TensorLike
from fastparadime.utils.convert import to_torch, value_range

MAX_POINTS = 2**31 - 1  # node ids are int32; edges are counted in int64


def resolve_device(device: Device | None) -> torch.device:
    """The torch device of a name, after checking that it can be used.

    Raises
    ------
    CUDANotAvailableError
        If CUDA is asked for where torch, the machine or this build has none; the message says
        which of them and what to do.
    """
    resolved = torch.device("cpu" if device is None else device)
    if resolved.type not in ("cpu", "cuda"):
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
        if resolved.index is not None and resolved.index >= torch.cuda.device_count():
            raise CUDANotAvailableError(
                f"device {str(resolved)!r} was asked for, but there are {torch.cuda.device_count()}"
                " CUDA devices, counted from 0"
            )
        check_capability(
            str(resolved), torch.cuda.get_device_capability(resolved), _core.cuda_architectures
        )
    return resolved


def check_capability(device: str, capability: tuple[int, int], architectures: str) -> None:
    """Raises if a device is older than every architecture that the core was built for.

    Parameters
    ----------
    device : str
    capability : (int, int)
        Of the device: major and minor.
    architectures : str
        CMake's list, such as ``"80-real 90-real 120-virtual"``.

    Raises
    ------
    CUDANotAvailableError
    """
    built = [int(name) for name in re.findall(r"\d+", architectures)]
    if built and 10 * capability[0] + capability[1] < min(built):
        oldest = f"{min(built) // 10}.{min(built) % 10}"
        raise CUDANotAvailableError(
            f"device {device!r} was asked for, but its compute capability is {capability[0]}."
            f"{capability[1]} and this build of fastparadime is for {oldest} and later: use "
            "device='cpu', or rebuild it with -C cmake.define.CMAKE_CUDA_ARCHITECTURES="
            f"{capability[0]}{capability[1]}"
        )


@contextlib.contextmanager
def memory_for(stage: str, device: torch.device, needed: float, advice: str) -> Iterator[None]:
    """Turns torch's out-of-memory error within a stage into one that says what to do.

    Parameters
    ----------
    stage : str
        What is being done, as the start of the message.
    device : torch.device
    needed : float
        Bytes that the stage takes by its formula.
    advice : str
        What the caller may set.

    Raises
    ------
    DeviceMemoryError
    """
    failed = False
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        failed = True  # raised below, where the traceback no longer keeps tensors alive
    if failed:
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
        raise DeviceMemoryError(memory_message(stage, str(device), needed, free, advice))


def memory_message(stage: str, device: str, needed: float, free: float | None, advice: str) -> str:
    """What a stage that ran out of memory says."""
    there = "" if free is None else f", {free:.4g} are free now"
    return (
        f"{stage} ran out of memory on {device}: it takes about {needed:.4g} bytes{there}. {advice}"
    )


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


def as_floats(value: TensorLike, name: str, ndim: int) -> torch.Tensor:
    tensor = to_torch(value).detach()
    if tensor.is_complex() or tensor.is_sparse:
        raise TypeError(f"{name} must be real and dense, not {tensor.dtype}, {tensor.layout}")
    if tensor.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimensions, not shape {tuple(tensor.shape)}")
    return tensor.to(torch.float32).contiguous()


def as_non_negative(value: TensorLike, name: str, ndim: int) -> torch.Tensor:
    tensor = as_floats(value, name, ndim)
    if tensor.numel():
        low, high = value_range(tensor)
        if not (low >= 0 and high < math.inf):
            raise ValueError(
                f"{name} must be finite and not negative, but holds {_first_bad(tensor)}"
            )
    return tensor


def _first_bad(tensor: torch.Tensor) -> str:
    bad = (~torch.isfinite(tensor) | (tensor < 0)).flatten().nonzero()[0]
    position = [int(i) for i in torch.unravel_index(bad, tensor.shape)]
    return f"{float(tensor.flatten()[bad])} at {position}"


def as_indices(
    value: TensorLike, name: str, ndim: int, limit: int, *, negative_ok: bool = False
) -> torch.Tensor:
    tensor = to_torch(value)
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


def check_same_device(**tensors: torch.Tensor) -> None:
    devices = {str(t.device) for t in tensors.values()}
    if len(devices) > 1:
        where = ", ".join(f"{name} on {t.device}" for name, t in tensors.items())
        raise ValueError(f"arguments must be on one device, not {where}")
