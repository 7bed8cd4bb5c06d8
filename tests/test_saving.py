"""Files of trained routines: what they bring back, for any model, and what is refused."""

from __future__ import annotations

import copy
import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import fastparadime
from fastparadime import dr, loss, models, relations, routines, transforms
from fastparadime.dr import saving
from fastparadime.exceptions import NotTrainedError, SpecificationError
from fastparadime.utils.digests import with_digests

DIM = 6


def table(n: int = 80) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, DIM)).astype(np.float32)


class Encoder(models.Model):
    """A user's own model: a batch norm, two heads and tied weights."""

    def __init__(self, out_dim: int = 2) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(DIM)
        self.head = torch.nn.Linear(DIM, out_dim)
        self.classes = torch.nn.Linear(DIM, out_dim)
        self.classes.weight = self.head.weight

    def embed(self, X: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.norm(X))
        return out

    def classify(self, X: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.classes(self.norm(X))
        return out

    forward = embed


@models.register
class Known(models.FullyConnectedEmbeddingModel):
    """A registered class, which the file alone can build."""

    def __init__(self, in_dim: int, width: int) -> None:
        super().__init__(in_dim, 3, [width])
        self.width = width

    def arguments(self) -> dict[str, Any]:
        return {"in_dim": self.in_dim, "width": self.width}


def trained(model: torch.nn.Module | None = None, **options: Any) -> dr.ParametricDR:
    """A routine after two epochs of regression onto the first columns of the data."""
    phase = dr.TrainingPhase("start", epochs=2, loss=loss.PositionLoss(position_key="start"))
    settings = {"hidden_dims": [8, 5], "seed": 3, "training_phases": [phase], **options}
    routine = dr.ParametricDR(model, **settings)
    routine.train({"main": table(), "start": table()[:, : settings.get("out_dim", 2)].copy()})
    return routine


def description(path: Path) -> dict[str, Any]:
    with safe_open(str(path), framework="pt") as file:
        content: dict[str, Any] = json.loads(file.metadata()["fastparadime"])
    return content


def rewrite(path: Path, weights: dict[str, torch.Tensor] | None = None, **changes: Any) -> None:
    """Puts other weights or another description into a file."""
    content = {**description(path), **changes}
    content.pop("digests")
    stored = load_file(path) if weights is None else weights
    whole = with_digests(content, stored)
    save_file(stored, str(path), metadata={"fastparadime": json.dumps(whole)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a trained default model."""
    trained().save(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("out_dim", [2, 3])
@pytest.mark.parametrize("hidden_dims", [[], [8, 5]])
def test_the_default_model(tmp_path: Path, out_dim: int, hidden_dims: list[int]) -> None:
    routine = trained(out_dim=out_dim, hidden_dims=hidden_dims)
    state = torch.get_rng_state()
    routine.save(tmp_path / "model")
    loaded = dr.ParametricDR.load(tmp_path / "model")
    assert torch.equal(torch.get_rng_state(), state)
    assert loaded.trained
    assert not loaded.model.training
    assert (loaded.seed, loaded.out_dim, loaded.hidden_dims) == (3, out_dim, hidden_dims)
    assert loaded.history == routine.history
    assert [(run["name"], len(run["losses"])) for run in loaded.history] == [("start", 2)]
    X = torch.from_numpy(table())
    assert torch.equal(loaded.apply(X), routine.apply(X))
    assert torch.equal(loaded.embed(X), routine.embed(X))
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_what_a_file_holds(path: Path) -> None:
    routine = dr.ParametricDR.load(path)
    assert description(path) == {
        "format": 2,
        "version": fastparadime.__version__,
        "model_class": "FullyConnectedEmbeddingModel",
        "arguments": {
            "in_dim": DIM,
            "out_dim": 2,
            "hidden_dims": [8, 5],
            "activation": "softplus",
        },
        "seed": 3,
        "out_dim": 2,
        "hidden_dims": [8, 5],
        "history": [{"name": "start", "losses": routine.history[0]["losses"]}],
        "columns": [],
        "amounts": False,
        "digests": description(path)["digests"],
    }
    layers = {f"layers.{i}.{part}" for i in range(3) for part in ("weight", "bias")}
    assert set(load_file(path)) == layers | {"alpha"}


def test_weights_keep_their_precision(tmp_path: Path) -> None:
    routine = trained(models.FullyConnectedEmbeddingModel(DIM, 2, [4]).double())
    routine.save(tmp_path / "model")
    loaded = dr.ParametricDR.load(tmp_path / "model")
    assert loaded.apply(table()).dtype == torch.float64
    assert torch.equal(loaded.apply(table()), routine.apply(table()))


def test_any_device(tmp_path: Path, device: torch.device) -> None:
    routine = trained(device=device)
    routine.save(tmp_path / "model")
    on_cpu = dr.ParametricDR.load(tmp_path / "model")
    there = dr.ParametricDR.load(tmp_path / "model", device=device)
    assert on_cpu.device.type == "cpu"
    assert there.device.type == device.type
    assert torch.equal(there.apply(table()), routine.apply(table()))
    torch.testing.assert_close(on_cpu.apply(table()), routine.apply(table()), rtol=0, atol=1e-5)


def test_own_models_take_an_instance(tmp_path: Path) -> None:
    routine = trained(Encoder())
    routine.save(tmp_path / "model")
    model = Encoder()
    loaded = dr.ParametricDR.load(tmp_path / "model", model=model)
    assert loaded.model is model
    assert model.classes.weight is model.head.weight
    X = torch.from_numpy(table())
    assert torch.equal(loaded.apply(X), routine.apply(X))
    assert torch.equal(loaded.classify(X), routine.classify(X))
    with pytest.raises(SpecificationError, match="load it with model= an instance of Encoder"):
        dr.ParametricDR.load(tmp_path / "model")


def test_registered_models_are_built(tmp_path: Path) -> None:
    routine = trained(Known(DIM, 7), out_dim=3)
    routine.save(tmp_path / "model")
    loaded = dr.ParametricDR.load(tmp_path / "model")
    assert type(loaded.model) is Known
    assert torch.equal(loaded.apply(table()), routine.apply(table()))


def test_subclasses_of_the_default_model_are_not_taken_for_it(tmp_path: Path) -> None:
    class Tanh(models.FullyConnectedEmbeddingModel):
        def forward(self, X: torch.Tensor) -> torch.Tensor:
            return super().forward(X).tanh()

    trained(Tanh(DIM, 2, [4])).save(tmp_path / "model")
    with pytest.raises(SpecificationError, match="Tanh, which the file cannot build"):
        dr.ParametricDR.load(tmp_path / "model")


def test_subclasses_of_routines_load_as_themselves(tmp_path: Path) -> None:
    options: dict[str, Any] = {"n_neighbors": 5, "epochs": 1, "init_epochs": 1}
    umap = routines.ParametricUMAP(seed=1, **options)
    umap.train(table())
    umap.save(tmp_path / "model")
    loaded = routines.ParametricUMAP.load(tmp_path / "model", **options)
    assert type(loaded) is routines.ParametricUMAP
    assert torch.equal(loaded.apply(table()), umap.apply(table()))
    # Further training goes on with new draws, the same as without the file.
    for routine in (umap, loaded):
        routine.train(table())
    assert [run["name"] for run in loaded.history] == ["spectral_init", "embedding", "embedding"]
    assert torch.equal(loaded.apply(table()), umap.apply(table()))


def test_training_goes_on_with_new_parts(path: Path) -> None:
    chain = [transforms.ConnectivityBasedRescale(n_neighbors=5), transforms.Symmetrize()]
    loaded = dr.ParametricDR.load(
        path,
        global_relations=relations.NeighborBasedPDist(transform=chain),
        batch_relations=relations.DistsFromTo(transform=transforms.ModifiedCauchyTransform()),
        losses=loss.RelationLoss(loss.cross_entropy_loss),
        training_phases=[dr.TrainingPhase("edges", epochs=1, sampling="negative_edge")],
    )
    before = loaded.apply(table())
    loaded.add_data({"main": table()})
    loaded.train()
    assert not torch.equal(loaded.apply(table()), before)
    assert [run["name"] for run in loaded.history] == ["start", "edges"]


def test_an_untrained_routine_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(NotTrainedError, match="train"):
        dr.ParametricDR(in_dim=2).save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_state_other_than_tensors_is_refused(path: Path) -> None:
    class Noted(Encoder):
        def get_extra_state(self) -> str:
            return "a note"

    stored, routine = path.read_bytes(), trained(Noted())
    with pytest.raises(TypeError, match="_extra_state"):
        routine.save(path)
    assert path.read_bytes() == stored


def test_a_flipped_bit_is_told_by_the_tensor_that_has_it(path: Path) -> None:
    stored, weights = path.read_bytes(), load_file(path)
    for name, value in weights.items():
        at = stored.index(value.numpy().tobytes())
        damaged = bytearray(stored)
        damaged[at + value.nbytes // 2] ^= 8
        path.write_bytes(damaged)
        with pytest.raises(SpecificationError, match=f"damaged: the tensor '{re.escape(name)}' d"):
            dr.ParametricDR.load(path)


@pytest.mark.parametrize(
    ("old", "new"), [(b'seed\\": 3', b'seed\\": 5'), (b"softplus", b"softsign")]
)
def test_an_edited_description_is_told(path: Path, old: bytes, new: bytes) -> None:
    stored = path.read_bytes()
    assert old in stored
    path.write_bytes(stored.replace(old, new))
    with pytest.raises(SpecificationError, match="it is damaged: the description does not have"):
        dr.ParametricDR.load(path)


def test_weights_of_integers_do_not_fit(path: Path) -> None:
    rewrite(path, {name: value.int() for name, value in load_file(path).items()})
    with pytest.raises(SpecificationError, match=r"weight is of torch.int32 instead of torch.fl"):
        dr.ParametricDR.load(path)


def test_a_tensor_without_digest_is_told(path: Path) -> None:
    content, weights = description(path), load_file(path)
    content["digests"].pop("alpha")
    save_file(weights, str(path), metadata={"fastparadime": json.dumps(content)})
    with pytest.raises(SpecificationError, match="the tensor 'alpha' does not have its digest"):
        dr.ParametricDR.load(path)


@pytest.mark.parametrize("damage", ["empty", "short", "text", "tensors", "npy", "list", "nested"])
def test_files_of_something_else(path: Path, damage: str) -> None:
    stored = path.read_bytes()
    if damage in ("list", "nested"):
        text = "[1, 2]" if damage == "list" else "[" * 100_000
        save_file(load_file(path), str(path), metadata={"fastparadime": text})
    elif damage == "tensors":
        save_file({"weight": torch.ones(3)}, str(path))
    elif damage == "npy":
        with path.open("wb") as file:
            np.save(file, table())
    else:
        content = {"empty": b"", "short": stored[: len(stored) // 2], "text": b"no model\n" * 50}
        path.write_bytes(content[damage])
    with pytest.raises(SpecificationError, match="model is not a fastparadime model file"):
        dr.ParametricDR.load(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": -1}, {"seed": "3"}, {"out_dim": 0}, {"hidden_dims": 3}, {"hidden_dims": [0.5]},
        {"history": [{"name": "start"}]}, {"history": 1}, {"arguments": [1]},
        {"arguments": {"width": 2}}, {"arguments": {"in_dim": 6, "out_dim": 2, "hidden_dims": 1}},
        {"arguments": {"in_dim": 10**30, "out_dim": 2, "hidden_dims": [8, 5]}},
        {"history": [{"name": "start", "losses": [10**400]}]},
    ],
    ids=lambda changes: str(changes)[:60],
)  # fmt: skip
def test_descriptions_of_something_else(path: Path, changes: dict[str, Any]) -> None:
    rewrite(path, **changes)
    with pytest.raises(SpecificationError, match="model is not a fastparadime model file"):
        dr.ParametricDR.load(path)


@pytest.mark.parametrize("number", [1, saving.FORMAT + 1, "two"])
def test_other_formats(path: Path, number: object) -> None:
    rewrite(path, format=number, version="9.8")
    with pytest.raises(SpecificationError, match=rf"{number!r} \(fastparadime 9\.8\), but .* 2"):
        dr.ParametricDR.load(path)


@pytest.mark.parametrize("given", [False, True])
def test_weights_that_do_not_fit(path: Path, given: bool) -> None:
    weights = load_file(path)
    weights["layers.3.bias"] = weights.pop("layers.2.bias")
    weights["layers.0.weight"] = weights["layers.0.weight"][:, :4].contiguous()
    rewrite(path, weights)
    model = models.FullyConnectedEmbeddingModel(DIM, 2, [8, 5]) if given else None
    before = copy.deepcopy(model.state_dict()) if model else {}
    found = (
        r"layers\.2\.bias is missing; layers\.3\.bias is unknown; "
        r"layers\.0\.weight has shape \(8, 4\) instead of \(8, 6\)"
    )
    with pytest.raises(SpecificationError, match=found):
        dr.ParametricDR.load(path, model=model)
    after = model.state_dict() if model else {}
    assert all(torch.equal(value, before[name]) for name, value in after.items())


def test_dimensions_beyond_the_weights_allocate_nothing(path: Path) -> None:
    rewrite(path, arguments={"in_dim": 10**12, "out_dim": 2, "hidden_dims": [8, 5]})
    with pytest.raises(SpecificationError, match=r"instead of \(8, 1000000000000\)"):
        dr.ParametricDR.load(path)


def test_an_instance_of_another_class(path: Path) -> None:
    with pytest.raises(SpecificationError, match=r"FullyConnectedEmbeddingModel, but .* Encoder"):
        dr.ParametricDR.load(path, model=Encoder())


def test_an_instance_stays_as_it_is_after_an_error(path: Path) -> None:
    model = models.FullyConnectedEmbeddingModel(DIM, 2, [8, 5])
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(TypeError, match="losses"):
        dr.ParametricDR.load(path, model=model, losses={"loss": "none"})
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for missing in (tmp_path / "absent", tmp_path):
        with pytest.raises(FileNotFoundError, match=missing.name):
            dr.ParametricDR.load(missing)


@pytest.mark.parametrize("copied", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy])
def test_pickled_and_copied_routines_are_whole(copied: Any) -> None:
    umap = routines.ParametricUMAP(n_neighbors=5, epochs=1, init_epochs=1, seed=1)
    umap.train(table())
    again = copied(umap)
    assert again.trained
    assert again.history == umap.history
    assert torch.equal(again.apply(table()), umap.apply(table()))
    for routine in (umap, again):
        routine.train()
    assert torch.equal(again.apply(table()), umap.apply(table()))
    own = copied(trained(Encoder()))
    assert own.model.classes.weight is own.model.head.weight
