"""Arrays of other libraries in UMAP and KNNTransformer, the kinds that come out, and dispatch."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import UMAP, KNNTransformer
from fastparadime.estimators._kinds import Kind, as_known
from fastparadime.exceptions import CUDANotAvailableError

LABELS = np.arange(100) % 3


def quick(**options: Any) -> UMAP:
    return UMAP(**{"n_epochs": 10, "n_neighbors": 8, "random_state": 0, **options})


def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(100, 5)).astype(np.float32)


class Foreign:
    """An array of another library, by DLPack and the array API."""

    def __init__(self, held: torch.Tensor) -> None:
        self.held, self.shape, self.dtype = held, tuple(held.shape), "float32"

    def __dlpack__(self, **options: Any) -> Any:
        return self.held.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.held.__dlpack_device__()

    def __array_namespace__(self) -> Any:
        return Foreign

    @staticmethod
    def from_dlpack(tensor: torch.Tensor) -> Foreign:
        return Foreign(tensor)


def test_arrays_of_other_libraries(device: torch.device) -> None:
    X = rows()
    there = torch.from_numpy(X).to(device)
    others = there[:9] + 0.5
    expected = quick().fit(there, LABELS)
    found = quick().fit(Foreign(there), Foreign(torch.from_numpy(LABELS).to(device)))
    for mine, wanted in (
        (found.embedding_, expected.embedding_),
        (found.transform(Foreign(others)), expected.transform(others)),
        (
            found.inverse_transform(found.embedding_),
            expected.inverse_transform(expected.embedding_),
        ),
    ):
        assert isinstance(mine, Foreign)
        assert torch.equal(mine.held, wanted)
    assert isinstance(quick(output_type="numpy").fit_transform(Foreign(there)), np.ndarray)
    assert as_known(X) is X


class OnAGpu:
    """What CuPy's and numba's arrays show of themselves."""

    shape, dtype, ndim = (3, 2), np.dtype("f4"), 2

    def __getitem__(self, rows: Any) -> Any:
        raise AssertionError("read by the host")


class ByInterface(OnAGpu):
    __cuda_array_interface__ = {"shape": (3, 2), "typestr": "<f4", "data": (0, False), "version": 3}  # noqa: RUF012


class ByDlpack(OnAGpu):
    def __dlpack__(self) -> Any:
        raise AssertionError("read by the host")

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0


@pytest.mark.parametrize("array", [ByInterface(), ByDlpack()])
def test_arrays_on_a_gpu_that_is_absent(monkeypatch: pytest.MonkeyPatch, array: Any) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for estimator in (quick(), KNNTransformer()):
        with pytest.raises(CUDANotAvailableError, match=r"'cuda(:0)?' was asked for"):
            estimator.fit(array)


def test_output_types(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = torch.from_numpy(rows())
    expected = quick().fit_transform(tensor)
    for output_type in (None, "input"):
        assert torch.equal(quick(output_type=output_type).fit_transform(tensor), expected)
    found = quick(output_type="numpy").fit(tensor)
    np.testing.assert_array_equal(found.embedding_, expected.numpy())
    assert isinstance(found.transform(tensor[:2] + 1), np.ndarray)
    assert isinstance(found.inverse_transform(expected[:2]), np.ndarray)
    with pytest.raises(ValueError, match=r"output_type must be one of .*, not 'cudf'"):
        quick(output_type="cudf").fit(tensor)
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError, match="output_type='cupy' needs CuPy"):
        quick(output_type="cupy").fit(tensor)
    assert Kind.of(rows()).library is np


CONTRACT = """
import warnings
warnings.simplefilter("ignore")
from sklearn.utils.estimator_checks import check_array_api_input
from fastparadime import UMAP
for options in ({}, {"init": "pca"}, {"metric": "cosine"}):
    estimator = UMAP(n_epochs=5, n_neighbors=5, random_state=0, **options)
    for dtype in ("float32", "float64"):
        check_array_api_input("UMAP", estimator, "torch", "cpu", dtype, check_values=True)
print("done")
"""


def test_array_api_dispatch() -> None:
    """scikit-learn's own check with torch tensors, which SciPy has to be told of before its import."""
    pytest.importorskip("array_api_compat", reason="array API dispatch needs it in older releases")
    command = [sys.executable, "-c", CONTRACT]
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "done", ran.stderr
