"""Exported programs: the coordinates of the model, for any number of rows."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fastparadime import dr, models
from fastparadime.dr import exporting
from fastparadime.exceptions import NotTrainedError
from tests.conftest import skip_without_onnx

DIM = 6
Program = Callable[[np.ndarray], np.ndarray]


def table(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, DIM)).astype(np.float32)


class Normed(models.Model):
    """Differs between training and evaluation, and does not say how wide its input is."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(DIM)
        self.drop = torch.nn.Dropout()
        self.head = torch.nn.Linear(DIM, 3)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.drop(self.norm(rows)))
        return out

    def classify(self, rows: torch.Tensor) -> torch.Tensor:
        return self.forward(rows).softmax(1)


class Table(models.Model):
    """Looks integers up."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(9, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.table(ids)
        return out


def network() -> models.FullyConnectedEmbeddingModel:
    generator = torch.Generator().manual_seed(0)
    return models.FullyConnectedEmbeddingModel(DIM, 2, [8, 5], generator=generator)


def normed() -> Normed:
    model = Normed()
    for seed in range(9):
        model(torch.from_numpy(table(50, seed) * 3 + 1))
    return model


def program_of(path: Path) -> Program:
    """The exported program, run by what it was written for."""
    if path.suffix == ".pt2":
        module = torch.export.load(path).module()
        return lambda X: module(torch.from_numpy(X)).detach().numpy()
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda X: session.run(["Y"], {"X": X})[0]


@pytest.fixture(params=[".onnx", ".pt2"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == ".onnx":
        skip_without_onnx()
    return tmp_path / f"model{request.param}"


def test_routines_export_their_model(path: Path, device: torch.device) -> None:
    routine = dr.ParametricDR(in_dim=DIM, hidden_dims=[8, 5], seed=0, device=device)
    with pytest.raises(NotTrainedError, match="train"):
        routine.export(path)
    routine.trained = True
    routine.export(path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert routine.device.type == device.type
    program = program_of(path)
    for n in (0, 1, 2, 3, 500):
        found = program(table(n, seed=n))
        assert found.dtype == np.float32
        wanted = routine.apply(table(n, seed=n)).numpy()
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("method", [None, "classify"])
def test_own_models_in_evaluation_mode(path: Path, method: str | None) -> None:
    model = normed()
    exporting.export(model, path, table(4), method)
    assert model.training
    program = program_of(path)
    model.eval()
    for n in (1, 7):
        wanted = models.embed_in_chunks(model, table(n), method).numpy()
        np.testing.assert_allclose(program(table(n)), wanted, rtol=0, atol=1e-4)


def test_integers_stay_integers(path: Path) -> None:
    model = Table()
    exporting.export(model, path, np.arange(3))
    ids = np.array([8, 0, 3, 3])
    wanted = models.embed_in_chunks(model, ids).numpy()
    np.testing.assert_allclose(program_of(path)(ids), wanted, rtol=0, atol=1e-4)


def test_files_hold_neither_data_nor_paths(path: Path) -> None:
    X = np.full((2, DIM), 0.123456789, np.float32)
    exporting.export(normed(), path, X)
    content = path.read_bytes()
    assert X[:1].tobytes() not in content
    assert str(Path(exporting.__file__).parent).encode() not in content


def test_nothing_is_logged_or_drawn(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state, loggers = torch.get_rng_state(), logging.getLogger("torch")
    loggers.addHandler(caplog.handler)
    try:
        exporting.export(network(), path)
    finally:
        loggers.removeHandler(caplog.handler)
    warned = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert warned == []
    assert torch.equal(torch.get_rng_state(), state)


def test_arguments_that_do_not_fit(path: Path) -> None:
    with pytest.raises(ValueError, match="Normed does not say how wide its input is: give rows"):
        exporting.export(Normed(), path)
    with pytest.raises(ValueError, match="X has 5 columns, but the model takes 6"):
        exporting.export(network(), path, table(3)[:, :5])
    with pytest.raises(ValueError, match="X must have at least one row"):
        exporting.export(network(), path, table(0))
    with pytest.raises(AttributeError, match="no guess method"):
        exporting.export(network(), path, method="guess")
    for name in ("model", "model.pt", "onnx"):
        with pytest.raises(ValueError, match=rf"{name} has .* exported as \.onnx or \.pt2"):
            exporting.export(network(), path.parent / name)
    assert list(path.parent.iterdir()) == []


def test_onnx_without_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = importlib.util.find_spec
    monkeypatch.setattr(
        exporting, "find_spec", lambda name: None if name == "onnxscript" else original(name)
    )
    with pytest.raises(ModuleNotFoundError, match=r"needs onnxscript.*: .*fastparadime\[onnx\]"):
        exporting.export(network(), tmp_path / "model.onnx")
    exporting.export(network(), tmp_path / "model.pt2")


def test_onnx_needs_a_torch_that_takes_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def export(model: object, f: object) -> None:
        raise AssertionError((model, f))

    monkeypatch.setattr(torch.onnx, "export", export)  # of torch 2.4
    model = models.FullyConnectedEmbeddingModel(4, 2, [3])
    with pytest.raises(ModuleNotFoundError, match=r"x.onnx needs .*a later torch than \d.*onnx\]"):
        exporting.export(model, tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []
