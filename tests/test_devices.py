"""What is said of devices that are absent, too old or too small."""

from __future__ import annotations

import re
import weakref

import pytest
import torch

from fastparadime import ops
from fastparadime.exceptions import CUDANotAvailableError, DeviceMemoryError
from fastparadime.ops import _checks

BUILT = "80-real 90-real 120-real 120-virtual"


@pytest.mark.parametrize("capability", [(8, 0), (8, 9), (9, 0), (12, 1)])
def test_devices_from_the_oldest_architecture_on(capability: tuple[int, int]) -> None:
    _checks.check_capability("cuda:0", capability, BUILT)
    _checks.check_capability("cuda:0", (1, 0), "")  # a build without CUDA has its own error


@pytest.mark.parametrize("capability", [(7, 5), (6, 1)])
def test_an_older_device_is_refused(capability: tuple[int, int]) -> None:
    major, minor = capability
    message = (
        f"device 'cuda:1' was asked for, but its compute capability is {major}.{minor} and this "
        "build of fastparadime is for 8.0 and later"
    )
    with pytest.raises(CUDANotAvailableError, match=re.escape(message)):
        _checks.check_capability("cuda:1", capability, BUILT)


@pytest.fixture
def two_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were two devices of compute capability 7.0."""
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 0))
    monkeypatch.setattr(_checks._core, "cuda_version", "13.0")
    monkeypatch.setattr(_checks._core, "cuda_architectures", BUILT)


@pytest.mark.usefixtures("two_devices")
def test_resolving_a_device() -> None:
    with pytest.raises(CUDANotAvailableError, match=r"compute capability is 7\.0"):
        ops.resolve_device("cuda:1")
    with pytest.raises(CUDANotAvailableError, match="there are 2 CUDA devices, counted from 0"):
        ops.resolve_device("cuda:2")


def test_a_build_without_cuda_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(_checks._core, "cuda_version", "")
    with pytest.raises(CUDANotAvailableError, match="this build of fastparadime has no CUDA code"):
        ops.resolve_device("cuda")


def test_out_of_memory_names_stage_bytes_and_what_to_set() -> None:
    message = _checks.memory_message("symmetrize", "cuda:0", 2.5e9, 1.25e8, "Fewer take less.")
    assert message == (
        "symmetrize ran out of memory on cuda:0: it takes about 2.5e+09 bytes, 1.25e+08 are free "
        "now. Fewer take less."
    )


def test_out_of_memory_keeps_nothing_alive() -> None:
    kept = []

    def fill() -> None:
        held = torch.ones(1000)
        kept.append(weakref.ref(held))
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    with (
        pytest.raises(DeviceMemoryError, match=r"a stage ran out of memory on cpu: .* Do that\."),
        ops.memory_for("a stage", torch.device("cpu"), 4000, "Do that."),
    ):
        fill()
    assert kept[0]() is None


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), ops.memory_for("a stage", torch.device("cpu"), 1, ""):
        raise KeyError
