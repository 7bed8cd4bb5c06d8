"""Devices, data and reference arrays that the tests share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Several processes of tests share the cores: threads of OpenMP that wait for one another by spinning
# take them from those that work. It is read where torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fastparadime import ops

_TESTS = Path(__file__).resolve().parent
_REPOSITORY = _TESTS.parent
_SHARED = _REPOSITORY.parent / "shared"


# Who asks for one of these reads files that the repository does not hold.
_DATA = {"find_data", "mnist", "words", "sentences", "reference_folder"}
# Folders and files whose many short tests take long together, and that few changes touch.
_SLOW = frozenset(
    {
        "bad_input", "compatibility", "emulated", "engines", "faults", "fuzzing", "parity",
        "properties", "test_array_kinds", "test_bench", "test_better_than_paradime", "test_cli",
        "test_cli_terminal", "test_config", "test_distributed", "test_distributed_checkpoints",
        "test_distributed_clusters", "test_distributed_hosts", "test_docs", "test_ecosystem",
        "test_examples", "test_exporting", "test_far_from_zero", "test_gallery",
        "test_neighbors_overlapping", "test_parametric_umap", "test_plot", "test_plot_html",
        "test_plot_looks", "test_plotting", "test_sample", "test_shapes", "test_simd",
        "test_site", "test_sklearn_contract", "test_tsne", "test_umap_density",
        "test_umap_label_metrics", "test_umap_output", "test_umap_targets",
    }
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Keeps pytest-xdist from taking files with many tests first: the longest have few."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks `data`, and `slow` whole places, so that `-m` can leave those tests out."""
    for item in items:
        if not _SLOW.isdisjoint((*item.path.parts[len(_TESTS.parts) : -1], item.path.stem)):
            item.add_marker(pytest.mark.slow)
        if _DATA & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.data)


def skip_without_onnx() -> None:
    """Skips a test that writes ONNX where something that it takes is missing."""
    for package in ("onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 6):
        pytest.skip(f"torch {torch.__version__} takes no program to write as ONNX, 2.6 does")


def _missing_cuda() -> str | None:
    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    if not ops.build_info()["cuda_version"]:
        return "this build of fastparadime has no CUDA code"
    return None


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """The CPU, and a CUDA device where there is one."""
    name: str = request.param
    reason = _missing_cuda() if name == "cuda" else None
    if reason is not None:
        pytest.skip(reason)
    return torch.device(name)


@pytest.fixture
def cuda() -> torch.device:
    """A CUDA device, for tests marked `cuda` that are about devices."""
    reason = _missing_cuda()
    if reason is not None:
        pytest.skip(reason)
    return torch.device("cuda")


def _find(variable: str, default: Path, what: str) -> Path:
    path = Path(os.environ.get(variable) or default)
    if not path.exists():
        pytest.skip(f"{what} not found at {path}: set {variable} to where they are")
    return path


@pytest.fixture(scope="session")
def reference_folder() -> Path:
    """The folder of stored outputs of paraDime and umap-learn."""
    return _find("FASTPARADIME_REFERENCE", _SHARED / "reference", "reference arrays")


@pytest.fixture(scope="session")
def find_data() -> Callable[[str], Path]:
    """The path of mnist.npz, words.npz or sentences.npz."""

    def find(name: str) -> Path:
        variable = f"FASTPARADIME_{name.removesuffix('.npz').upper()}"
        return _find(variable, _SHARED / "data" / name, name)

    return find


@pytest.fixture(scope="session")
def mnist() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """MNIST's images float32 (n, 784) in [0, 1] and labels."""
    path = _find("FASTPARADIME_MNIST", _SHARED / "data" / "mnist.npz", "MNIST images")
    with np.load(path) as stored:
        images, labels = stored["images"], stored["labels"]
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat /= 255.0
    return flat, labels.astype(np.int64)


@pytest.fixture(scope="session")
def words() -> npt.NDArray[np.float32]:
    """Word vectors (60000, 100), of full rank, for the cosine."""
    path = _find("FASTPARADIME_WORDS", _SHARED / "data" / "words.npz", "word vectors")
    with np.load(path) as stored:
        vectors: npt.NDArray[np.float16] = stored["vectors"]
    return vectors.astype(np.float32)


@pytest.fixture(scope="session")
def sentences() -> npt.NDArray[np.float32]:
    """Embeddings of sentences (20000, 384), for the cosine."""
    path = _find("FASTPARADIME_SENTENCES", _SHARED / "data" / "sentences.npz", "embeddings")
    with np.load(path) as stored:
        embeddings: npt.NDArray[np.float16] = stored["embeddings"]
    return embeddings.astype(np.float32)


@pytest.fixture(scope="session")
def digits() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """scikit-learn's digits: images float32 (1797, 64) in [0, 1] and labels."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return (images / 16).astype(np.float32), labels.astype(np.int64)


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    """Sets torch's number of threads, which is restored after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def assert_same_bits(
    set_threads: Callable[[int], None],
) -> Callable[[Callable[[], Any]], None]:
    """Asserts that a function returns the same tensors with 1, 2 and 3 threads."""

    def check(function: Callable[[], Any]) -> None:
        results = []
        for threads in (1, 2, 3):
            set_threads(threads)
            result = function()
            tensors = (result,) if isinstance(result, torch.Tensor) else tuple(result)
            results.append([tensor.detach().numpy().tobytes() for tensor in tensors])
        assert results[0] == results[1] == results[2]

    return check


@pytest.fixture
def registries() -> Iterator[None]:
    """What a test registers is forgotten after it."""
    from fastparadime import models
    from fastparadime.dr.spec import names

    known = [
        names.DATA_FUNCS, names.RELATIONS, names.TRANSFORMS, names.LOSSES, names.LOSS_FUNCS,
        models.networks._registered,
    ]  # fmt: skip
    before = [dict(registry) for registry in known]
    yield
    for registry, entries in zip(known, before, strict=True):
        registry.clear()
        registry.update(entries)


@pytest.fixture(autouse=True)
def _away_from_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that a test starts import the installed package, not the folder beside tests."""
    monkeypatch.chdir(tmp_path)
