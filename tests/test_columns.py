"""Names of columns are part of a model: in training, in its files and in exported programs."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from fastparadime import dr, exceptions, loss, relations, transforms
from fastparadime.utils.digests import with_digests
from fastparadime.utils.frames import NamedRows

NAMES = ["a", "b", "c", "d"]
X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
WRONG = [
    (NAMES[:3], "lacks 'd'$"),
    (["a", "b", "c", "x"], "lacks 'd' and has besides 'x'$"),
    ([*NAMES, "x"], "but has besides 'x'$"),
]


def named(names: list[str], table: np.ndarray = X) -> NamedRows:
    """The columns of those names, ones for a name that the table does not have."""
    parts = [table[:, NAMES.index(name)] if name in NAMES else table[:, 0] for name in names]
    return NamedRows(np.stack(parts, axis=1), names)


def routine(data: Any = None, **options: Any) -> dr.ParametricDR:
    made = dr.ParametricDR(
        hidden_dims=[5],
        batch_relations=relations.DifferentiablePDist(transform=transforms.ToSquareTensor()),
        global_relations=relations.PDist(),
        seed=0,
        **options,
    )
    compared = loss.RelationLoss(loss_function=torch.nn.functional.mse_loss)
    made.add_training_phase(name="all", epochs=2, batch_size=16, loss=compared)
    if data is not None:
        made.train(data)
    return made


def test_columns_are_put_in_order_everywhere() -> None:
    trained = routine(named(NAMES))
    expected = trained.apply(X)
    turned = named(NAMES[::-1])
    assert torch.equal(trained.apply(turned), expected)
    assert torch.equal(trained.embed(turned), trained.embed(torch.from_numpy(X)))
    assert torch.equal(trained.apply(X), expected)  # arrays by place
    assert trained.feature_names_in_.tolist() == NAMES
    again, by_place = routine(named(NAMES)), routine(named(NAMES))
    again.train({"main": turned})
    by_place.train(X)
    assert torch.equal(again.apply(X), by_place.apply(X))
    assert torch.equal(again.dataset.data["main"], torch.from_numpy(X))
    for data in (turned, {"data": turned}, dr.Dataset(turned)):
        again.register_dataset(data)
        assert torch.equal(again.dataset.data["main"], torch.from_numpy(X))
    given = dr.Dataset(turned)
    again.register_dataset(given)
    assert given.columns["main"] == tuple(NAMES[::-1])  # the caller's is as it was


@pytest.mark.parametrize(("names", "match"), WRONG)
def test_columns_that_are_missing_or_foreign_are_named(names: list[str], match: str) -> None:
    trained = routine(named(NAMES))
    before = trained.dataset.data["main"]
    for face, what in (
        (trained.apply, "X"),
        (trained.embed, "X"),
        (trained.train, "entry 'main'"),
        (trained.register_dataset, "entry 'main'"),
    ):
        with pytest.raises(ValueError, match=f"^{what} must have the 4 columns .*{match}"):
            face(named(names))
    assert trained.dataset.data["main"] is before


def test_names_before_training_are_those_of_the_last_data() -> None:
    fresh = routine(dataset=named(NAMES))
    assert not hasattr(fresh, "feature_names_in_")
    fresh.add_data({"main": named(NAMES[::-1])})
    fresh.train()
    assert fresh.feature_names_in_.tolist() == NAMES[::-1]
    plain = routine(X)
    plain.train(named(NAMES))  # by place: it was trained on columns without names
    assert not hasattr(plain, "feature_names_in_")


def test_wide_digits_follow_their_column() -> None:
    far = X.astype(np.float64)
    far[:, 1] += 2.0**30
    with pytest.warns(exceptions.PrecisionWarning):
        dataset = dr.Dataset(NamedRows(far, NAMES))
    turned = dataset.in_order("data", NAMES[::-1])
    assert turned.columns == {"main": tuple(NAMES[::-1])}
    np.testing.assert_array_equal(turned.relation_data("main"), far[:, ::-1])
    np.testing.assert_array_equal(dataset.relation_data("main"), far)
    assert dataset.in_order("main", NAMES) is dataset


def test_files_keep_names(tmp_path: Path) -> None:
    trained = routine(named(NAMES))
    trained.save(tmp_path / "model")
    loaded = dr.ParametricDR.load(tmp_path / "model")
    assert loaded.feature_names_in_.tolist() == NAMES
    assert torch.equal(loaded.apply(named(NAMES[::-1])), trained.apply(X))
    with pytest.raises(ValueError, match="lacks 'd'"):
        loaded.apply(named(NAMES[:3]))
    loaded.save(tmp_path / "again")
    assert dr.ParametricDR.load(tmp_path / "again").feature_names_in_.tolist() == NAMES


def changed(path: Path, **values: Any) -> Path:
    """The file with other values in its description, of which None takes one out."""
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        content = json.loads(file.metadata()["fastparadime"])
    content.update(values)
    content = {key: value for key, value in content.items() if value is not None}
    weights, other = load_file(path), path.with_name("changed")
    described = json.dumps(with_digests(content, weights))
    save_file(weights, other, {"fastparadime": described})
    return other


def test_files_without_names_load(tmp_path: Path) -> None:
    trained = routine(named(NAMES))
    trained.save(tmp_path / "model")
    loaded = dr.ParametricDR.load(changed(tmp_path / "model", columns=None, amounts=None))
    assert not hasattr(loaded, "feature_names_in_")
    assert torch.equal(loaded.apply(X), trained.apply(X))


@pytest.mark.parametrize(
    "columns", ["abcd", 3, ["a", 1, "b", "c"], ["a", "a", "b", "c"], {"a": 1}, ["a"]]
)
def test_names_in_damaged_files(tmp_path: Path, columns: Any) -> None:
    routine(named(NAMES)).save(tmp_path / "model")
    path = changed(tmp_path / "model", columns=columns)
    with pytest.raises(exceptions.SpecificationError, match="columns"):
        dr.ParametricDR.load(path)


def test_exported_programs_tell_names(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    if "dynamic_shapes" not in inspect.signature(torch.onnx.export).parameters:
        pytest.skip("torch 2.4 writes no ONNX of an exported program")
    trained = routine(named(NAMES))
    for name in ("model.onnx", "model.pt2"):
        trained.export(tmp_path / name, named(NAMES[::-1]))
    entries = onnx.load(tmp_path / "model.onnx").metadata_props
    assert {entry.key: json.loads(entry.value) for entry in entries} == {"columns": NAMES}
    about = {"columns": ""}
    program = torch.export.load(tmp_path / "model.pt2", extra_files=about)
    assert json.loads(about["columns"]) == NAMES
    found = program.module()(torch.from_numpy(X))
    torch.testing.assert_close(found, trained.apply(X), rtol=1e-5, atol=1e-5)
