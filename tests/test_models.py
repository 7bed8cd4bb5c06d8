"""Models: chunks, files, and weights of a seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fastparadime import models
from fastparadime.exceptions import SpecificationError


def network(
    in_dim: int = 6, out_dim: int = 2, seed: int = 0
) -> models.FullyConnectedEmbeddingModel:
    generator = torch.Generator().manual_seed(seed)
    return models.FullyConnectedEmbeddingModel(in_dim, out_dim, [8, 5], generator=generator)


def table(n: int = 100, dim: int = 6) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, dim)).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 7, 99, 100])
def test_chunks_equal_one_pass(
    rows: int, monkeypatch: pytest.MonkeyPatch, device: torch.device
) -> None:
    model = network().to(device)
    whole = model(torch.from_numpy(table()).to(device)).detach().cpu()
    monkeypatch.setattr(models, "_CHUNK_BYTES", rows * 6 * 4)
    chunked = models.embed_in_chunks(model, table())
    assert chunked.device.type == "cpu"
    assert not chunked.requires_grad
    torch.testing.assert_close(chunked, whole, rtol=1e-6, atol=1e-6)


def test_memory_mapped_and_other_tables(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_CHUNK_BYTES", 9 * 6 * 4)
    model = network()
    wanted = models.embed_in_chunks(model, torch.from_numpy(table()))
    np.save(tmp_path / "X.npy", table())
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for given in (mapped, table().astype(float), np.asfortranarray(table())):
        torch.testing.assert_close(models.embed_in_chunks(model, given), wanted)
    torch.testing.assert_close(models.embed_in_chunks(model, mapped[::-1]), wanted.flip(0))
    integers = models.embed_in_chunks(model, np.ones((3, 6), np.uint8))
    torch.testing.assert_close(integers, model(torch.ones(3, 6)).detach())


def test_methods_and_empty_tables() -> None:
    class Two(models.Model):
        def forward(self, X: torch.Tensor) -> torch.Tensor:
            return X + 1

        def classify(self, X: torch.Tensor) -> torch.Tensor:
            return X[:, :1] * 3

    X = torch.from_numpy(table())
    torch.testing.assert_close(models.embed_in_chunks(Two(), X), X + 1)
    torch.testing.assert_close(models.embed_in_chunks(Two(), X, "classify"), 3 * X[:, :1])
    assert models.embed_in_chunks(network(), np.empty((0, 6), np.float32)).shape == (0, 2)
    with pytest.raises(AttributeError, match="no guess method"):
        models.embed_in_chunks(Two(), X, "guess")
    for name in ("embed", "encode", "decode"):
        with pytest.raises(NotImplementedError, match=f"Two does not define {name}"):
            models.embed_in_chunks(Two(), X, name)


@pytest.mark.parametrize("width", [5, 7])
def test_wrong_width(width: int) -> None:
    with pytest.raises(ValueError, match=f"X has {width} columns, but the model takes 6"):
        models.embed_in_chunks(network(), np.zeros((3, width), np.float32))


def test_codes_may_have_another_width_than_the_data() -> None:
    class Doubling(models.Model):
        in_dim = 6

        def decode(self, X: torch.Tensor) -> torch.Tensor:
            return X.repeat(1, 3)

    codes = torch.from_numpy(table(dim=2))
    torch.testing.assert_close(
        models.embed_in_chunks(Doubling(), codes, "decode"), codes.repeat(1, 3)
    )
    with pytest.raises(ValueError, match="2 columns, but the model takes 6"):
        models.embed_in_chunks(Doubling(), codes, "embed")


def test_weights_are_the_generators() -> None:
    state = torch.get_rng_state()
    first, again, other = network(seed=1), network(seed=1), network(seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
        assert not torch.equal(value, other.state_dict()[name])
    # torch's own distribution: uniform within 1 / sqrt(inputs).
    wide = network(400, seed=3).layers[0].weight.detach()
    assert wide.abs().max() <= 400**-0.5
    assert abs(float(wide.std()) / (400**-0.5 / 3**0.5) - 1) < 0.05


def test_softplus_between_layers_and_a_linear_end() -> None:
    model, X = network(), torch.from_numpy(table())
    for layer in model.layers[:-1]:
        X = torch.nn.functional.softplus(X @ layer.weight.T + layer.bias)
    wanted = X @ model.layers[-1].weight.T + model.layers[-1].bias
    torch.testing.assert_close(model.embed(torch.from_numpy(table())), wanted)


def test_files_keep_the_model(tmp_path) -> None:
    for model in (network(), models.FullyConnectedEmbeddingModel(6, 3, [])):
        path = tmp_path / f"model{model.out_dim}"
        models.save(model, path)
        loaded = models.load(path)
        assert not loaded.training
        assert (loaded.in_dim, loaded.out_dim) == (6, model.out_dim)
        assert loaded.hidden_dims == model.hidden_dims
        X = table()
        assert torch.equal(models.embed_in_chunks(loaded, X), models.embed_in_chunks(model, X))


def test_own_models_are_not_saved(tmp_path) -> None:
    with pytest.raises(TypeError, match=r"Linear with torch\.save"):
        models.save(torch.nn.Linear(2, 2), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["empty", "short", "text", "tensors", "other width", "npy"])
def test_files_that_are_no_models(damage: str, tmp_path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "model"
    models.save(network(), path)
    stored = path.read_bytes()
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "short":
        path.write_bytes(stored[: len(stored) // 2])
    elif damage == "text":
        path.write_text("this is no model\n" * 50)
    elif damage == "tensors":
        save_file({"weight": torch.ones(3)}, str(path))
    elif damage == "other width":
        path.write_bytes(stored.replace(b'\\"in_dim\\": 6', b'\\"in_dim\\": 7'))
    else:
        np.save(tmp_path / "model.npy", table())
        path = tmp_path / "model.npy"
    assert path.read_bytes() != stored
    with pytest.raises(SpecificationError, match=f"{path.name} is not a fastparadime model file"):
        models.load(path)


def test_files_that_are_not_there(tmp_path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(FileNotFoundError, match=path.name):
            models.load(path)
