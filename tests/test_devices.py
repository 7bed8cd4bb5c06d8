"""Devices: which of them can be used, what stays on them, and what is said when memory runs out."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import dr, ops, routines
from fastparadime.exceptions import CUDANotAvailableError, DeviceMemoryError
from fastparadime.layout import initialization
from fastparadime.ops import _checks
from fastparadime.utils.progress import memory_for

OUT_OF_MEMORY = (
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.11 GiB of "
    "which 3.50 GiB is free. Including non-PyTorch memory, this process has 75.00 GiB in use."
)


def table(n: int = 60, dim: int = 5) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, dim)).astype(np.float32)


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ((9, 0), "80-real 90-real 120-virtual", True),
        ((8, 6), "80-real 90-real 120-virtual", True),
        ((7, 5), "80-real 90-real 120-virtual", False),
        ((10, 3), "80-real 90-real 100-virtual", True),
        ((12, 0), "80-real 90-real", False),
        ((12, 0), "90", True),
        ((9, 0), "90a-real", True),
        ((8, 0), "86-real", False),
        ((9, 0), "all-major", True),
    ],
)
def test_code_for_a_chip(capability: tuple[int, int], architectures: str, runs: bool) -> None:
    assert _checks.has_code_for(capability, architectures) is runs


def test_a_driver_older_than_the_runtime() -> None:
    for driver, runtime in ((13000, 13000), (13000, 13020), (13010, 12080), (0, 0)):
        _checks.check_driver(driver, runtime)
    old = r"driver runs CUDA up to 12\.4, but .* runtime of CUDA 13\.0: update the driver"
    with pytest.raises(CUDANotAvailableError, match=old):
        _checks.check_driver(12040, 13000)


@pytest.mark.cuda
def test_the_core_knows_its_versions(cuda: torch.device) -> None:
    driver, runtime = _checks._core.cuda_versions()
    assert driver // 1000 >= runtime // 1000 >= 12
    assert ops.resolve_device(cuda).type == "cuda"


@pytest.fixture
def two_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were two devices of compute capability 7.0."""
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "V100")
    monkeypatch.setattr(_checks._core, "cuda_version", "13.0")
    monkeypatch.setattr(_checks._core, "cuda_architectures", "80-real 90-real 120-virtual")
    monkeypatch.setattr(_checks._core, "cuda_versions", lambda: (13_000, 13_000))


@pytest.mark.usefixtures("two_devices")
def test_devices_too_old_or_too_many() -> None:
    old = r"GPU V100 has compute capability 7\.0, but .* code for 80-real 90-real 120-virtual"
    with pytest.raises(CUDANotAvailableError, match=old):
        ops.resolve_device("cuda:1")
    with pytest.raises(CUDANotAvailableError, match="there are 2 CUDA devices, counted from 0"):
        ops.resolve_device("cuda:2")


@pytest.mark.usefixtures("two_devices")
def test_the_current_device_is_named_as_tensors_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 0))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    _checks._check_cuda_device.cache_clear()
    assert ops.resolve_device("cuda") == torch.device("cuda:1")
    assert ops.resolve_device("cuda:0") == torch.device("cuda:0")
    _checks._check_cuda_device.cache_clear()


@pytest.mark.usefixtures("two_devices")
def test_a_build_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checks._core, "cuda_version", "")
    with pytest.raises(CUDANotAvailableError, match="this build of fastparadime has no CUDA code"):
        ops.resolve_device("cuda")


@pytest.mark.parametrize("name", ["tpu", "mps"])
def test_other_devices(name: str) -> None:
    with pytest.raises((ValueError, RuntimeError), match="device"):
        ops.resolve_device(name)


@pytest.mark.cuda
def test_a_device_too_many(cuda: torch.device) -> None:
    count = torch.cuda.device_count()
    with pytest.raises(CUDANotAvailableError, match=f"'cuda:{count}' was asked for, but there are"):
        ops.resolve_device(f"{cuda}:{count}")


def test_running_out_of_memory_names_the_stage() -> None:
    kept: list[weakref.ref[torch.Tensor]] = []

    def greedy(X: torch.Tensor) -> torch.Tensor:
        doubled = torch.cat((X, X))
        kept.append(weakref.ref(doubled))
        raise torch.cuda.OutOfMemoryError(OUT_OF_MEMORY)

    routine = dr.ParametricDR(dataset=table(), derived_data={"pos": dr.DerivedData(greedy)})
    found = (
        r"^pos ran out of the device's memory \(20.00 GiB more were needed, 3.50 GiB free\): "
        "a smaller batch_size"
    )
    with pytest.raises(DeviceMemoryError, match=found) as caught:
        routine.train()
    assert caught.value.__traceback__ is not None
    assert kept[0]() is None  # though the error is still held
    assert "pos" not in routine.stages
    assert "pos" not in routine.dataset.data


def test_a_stage_says_what_it_takes_and_what_to_set() -> None:
    found = (
        r"^symmetrize ran out of the device's memory \(about 25.00 GiB in all, 20.00 GiB more were "
        r"needed, 3.50 GiB free\): fewer take less$"
    )
    with (
        pytest.raises(DeviceMemoryError, match=found),
        memory_for("symmetrize", "fewer take less", total=25 * 2**30),
    ):
        raise torch.cuda.OutOfMemoryError(OUT_OF_MEMORY)
    with pytest.raises(KeyError), memory_for("symmetrize"):
        raise KeyError


@pytest.mark.cuda
def test_after_running_out_of_memory_the_device_works(cuda: torch.device) -> None:
    def greedy(X: torch.Tensor) -> torch.Tensor:
        return X.to(cuda).new_empty(2**50)

    routine = dr.ParametricDR(
        dataset=table(), derived_data={"pos": dr.DerivedData(greedy)}, device=cuda
    )
    before = torch.cuda.memory_allocated()
    with pytest.raises(DeviceMemoryError, match="pos ran out of the device's memory"):
        routine.train()
    assert torch.cuda.memory_allocated() == before
    assert float(torch.ones(3, device=cuda).sum()) == 3


@pytest.mark.parametrize("n_components", [1, 2, 4])
def test_principal_components_by_covariance(n_components: int, device: torch.device) -> None:
    X = table(200, 6) * np.array([5, 4, 3, 2, 1, 0.5], dtype=np.float32) + 10
    expected = initialization.pca_positions(X, n_components)
    found = initialization._pca_by_covariance(torch.from_numpy(X).to(device), n_components)
    assert found.device.type == device.type
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-4, atol=1e-4)


def test_too_many_principal_components() -> None:
    with pytest.raises(ValueError, match="n_components=7 must be at most 6"):
        initialization._pca_by_covariance(torch.from_numpy(table(200, 6)), 7)


def routine_on(device: torch.device, **options: Any) -> routines.ParametricUMAP:
    return routines.ParametricUMAP(n_neighbors=5, hidden_dims=[8], seed=0, device=device, **options)


@pytest.mark.parametrize("quality", [None, "fast"])
def test_what_is_computed_is_on_the_device(quality: str | None, device: torch.device) -> None:
    options = {"epochs": 1, "init_epochs": 1} if quality is None else {}
    routine = routine_on(device, quality=quality, **options)
    routine.train(torch.from_numpy(table()).to(device))
    edges = routine.global_relation_data["rel"].to_sparse_array().edges
    positions = routine.dataset.data["spectral" if quality is None else "layout"]
    places = {part.device.type for part in (*edges, positions, routine.dataset.data["main"])}
    assert places == {device.type}


@pytest.mark.cuda
def test_entries_are_copied_to_the_device_once(
    cuda: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[tuple[int, ...]] = []
    to = torch.Tensor.to

    def watched(self: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        result = to(self, *args, **kwargs)
        if self.ndim == 2 and result.device != self.device:
            copied.append(tuple(self.shape))
        return result

    monkeypatch.setattr(torch.Tensor, "to", watched)
    routine_on(cuda, epochs=1, init_epochs=1).train(table())
    assert copied.count((60, 5)) == 1
