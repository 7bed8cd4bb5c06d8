"""Model files in which something was changed after they were written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from fastparadime import dr, loss
from fastparadime.exceptions import SpecificationError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    X = np.random.default_rng(0).standard_normal((60, 6)).astype(np.float32)
    phase = dr.TrainingPhase("start", epochs=1, loss=loss.PositionLoss(position_key="start"))
    routine = dr.ParametricDR(hidden_dims=[8, 5], seed=3, training_phases=[phase])
    routine.train({"main": X, "start": X[:, :2].copy()})
    routine.save(tmp_path / "model")
    return tmp_path / "model"


def header(path: Path) -> dict[str, str]:
    with safe_open(str(path), framework="pt") as file:
        found: dict[str, str] = file.metadata()
    return found


def without_checksums(path: Path, weights: dict[str, torch.Tensor] | None = None) -> None:
    """The file as 0.2 wrote it, with other weights if they are given."""
    content = json.loads(header(path)["fastparadime"])
    del content["sha256"]
    stored = load_file(path) if weights is None else weights
    save_file(stored, str(path), metadata={"fastparadime": json.dumps(content)})


def test_every_flipped_bit_is_found(path: Path) -> None:
    stored = path.read_bytes()
    bits = np.random.default_rng(0).choice(8 * len(stored), 400, replace=False)
    for bit in bits.tolist():
        flipped = bytearray(stored)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(SpecificationError):
            dr.ParametricDR.load(path)


def test_changed_weights_are_named(path: Path) -> None:
    stored, weights = header(path), load_file(path)
    weights["layers.1.weight"][2, 3] += 1e-6
    save_file(weights, str(path), metadata=stored)
    with pytest.raises(SpecificationError, match=r"damaged: weights .* \(layers\.1\.weight\)"):
        dr.ParametricDR.load(path)


def test_a_changed_description_is_named(path: Path) -> None:
    stored, weights = header(path), load_file(path)
    stored["fastparadime"] = stored["fastparadime"].replace('"seed": 3', '"seed": 4')
    save_file(weights, str(path), metadata=stored)
    with pytest.raises(SpecificationError, match="damaged: the description"):
        dr.ParametricDR.load(path)


def test_files_without_checksums_load_with_a_note(path: Path) -> None:
    expected = dr.ParametricDR.load(path).model.state_dict()
    without_checksums(path)
    with pytest.warns(UserWarning, match="model has no checksums, as files of fastparadime 0.2"):
        found = dr.ParametricDR.load(path).model.state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.filterwarnings("ignore:.*has no checksums")
def test_integers_are_no_weights(path: Path) -> None:
    weights = load_file(path)
    weights["layers.0.bias"] = weights["layers.0.bias"].view(torch.int32)
    without_checksums(path, weights)
    with pytest.raises(SpecificationError, match=r"layers\.0\.bias holds torch\.int32"):
        dr.ParametricDR.load(path)


@pytest.mark.filterwarnings("ignore:.*has no checksums")
def test_layers_without_weights_are_not_made(path: Path) -> None:
    stored, weights = header(path), load_file(path)
    content = json.loads(stored["fastparadime"])
    del content["sha256"]
    content["arguments"]["hidden_dims"] = [1] * 200_000
    save_file(weights, str(path), metadata={"fastparadime": json.dumps(content)})
    with pytest.raises(SpecificationError, match="200000 hidden layers") as error:
        dr.ParametricDR.load(path)
    assert len(str(error.value)) < 1000
