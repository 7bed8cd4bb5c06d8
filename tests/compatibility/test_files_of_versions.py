"""Files that earlier versions wrote are read, and their models applied, to what they gave then."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from fastparadime import cli, dr, routines

_HERE = Path(__file__).resolve().parent
_MAKER = runpy.run_path(str(_HERE / "make_files.py"))
_FOLDERS = sorted(path for path in _HERE.iterdir() if path.name[0].isdigit())
_MODELS = [(folder, path) for folder in _FOLDERS for path in sorted(folder.glob("*.safetensors"))]
_SPECIFICATIONS = [path for folder in _FOLDERS for path in sorted(folder.glob("specification.*"))]


def _name(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


def _noted(folder: Path) -> pytest.WarningsRecorder:
    return pytest.warns(UserWarning, match=f"fastparadime {folder.name}, which kept no digests")


def _load(path: Path) -> dr.ParametricDR:
    own = _MAKER["OwnEncoder"]() if path.stem == "own" else None
    with _noted(path.parent):
        return dr.ParametricDR.load(path, model=own)


def _expected(folder: Path) -> dict[str, Any]:
    with np.load(folder / "expected.npz") as stored:
        return dict(stored)


def _assert_close(found: Any, expected: Any) -> None:
    scale = float(np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize(("folder", "path"), _MODELS, ids=[_name(path) for _, path in _MODELS])
def test_models_are_applied_as_they_were(folder: Path, path: Path) -> None:
    expected, routine = _expected(folder), _load(path)
    found = routine.apply(np.load(folder / "X.npy")).numpy()
    assert found.dtype == expected[path.stem].dtype
    _assert_close(found, expected[path.stem])


@pytest.mark.parametrize(("folder", "path"), _MODELS, ids=[_name(path) for _, path in _MODELS])
def test_their_history_is_kept(folder: Path, path: Path) -> None:
    expected, routine = _expected(folder), _load(path)
    phases = [key for key in expected if key.startswith(f"{path.stem}.phase")]
    assert [run["name"] for run in routine.history] == [str(expected[key]) for key in phases]
    for number, run in enumerate(routine.history):
        assert run["losses"] == expected[f"{path.stem}.losses{number}"].tolist()


@pytest.mark.parametrize("folder", _FOLDERS, ids=lambda folder: folder.name)
def test_a_model_is_trained_further_and_saved_anew(folder: Path, tmp_path: Path) -> None:
    X = np.load(folder / "X.npy")
    options = {"n_neighbors": 5, "epochs": 1, "initialization": None}
    with _noted(folder):
        routine = routines.ParametricUMAP.load(folder / "umap.safetensors", **options)
    before = routine.apply(X)
    routine.train(X)
    assert len(routine.history) == 3
    assert not torch.equal(routine.apply(X), before)
    routine.save(tmp_path / "again")
    assert torch.equal(dr.ParametricDR.load(tmp_path / "again").apply(X), routine.apply(X))


@pytest.mark.parametrize("folder", _FOLDERS, ids=lambda folder: folder.name)
def test_the_command_line_applies_a_model(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "Y.npy"
    arguments = ["apply", folder / "umap.safetensors", folder / "X.npy", "-o", output]
    with _noted(folder):
        result = CliRunner().invoke(cli.main, [str(part) for part in arguments])
    assert result.exit_code == 0, result.output
    _assert_close(np.load(output), np.load(folder / "embedding.npy"))


@pytest.mark.parametrize("path", _SPECIFICATIONS, ids=_name)
def test_specifications_build_routines(path: Path) -> None:
    document = dr.validate_spec(path)
    routine = dr.ParametricDR.from_spec(path)
    phases = [phase["name"] for phase in document["training phases"]]
    assert [phase.name for phase in routine.training_phases] == phases
    assert len(phases) == 2


def test_every_kind_of_file_is_there() -> None:
    kinds = {"umap", "tsne", "plain", "linear", "double", "registered", "own"}
    assert _FOLDERS[0].name == "0.1.0"
    for folder in _FOLDERS:
        assert {path.stem for path in folder.glob("*.safetensors")} >= kinds
