"""Models: chunks, weights of a seed, and the classes that files may name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import models, ops


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
    monkeypatch.setattr(models.chunks, "_CHUNK_BYTES", rows * 6 * 4)
    for X in (table(), torch.from_numpy(table()).to(device)):
        chunked = models.embed_in_chunks(model, X)
        assert chunked.device.type == "cpu"
        assert not chunked.requires_grad
        torch.testing.assert_close(chunked, whole, rtol=1e-6, atol=1e-6)


def test_memory_mapped_and_other_tables(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.chunks, "_CHUNK_BYTES", 9 * 6 * 4)
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
    for name, value in first.layers.state_dict().items():
        assert torch.equal(value, again.layers.state_dict()[name])
        assert not torch.equal(value, other.layers.state_dict()[name])
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


def test_registered_classes() -> None:
    assert models.registered("FullyConnectedEmbeddingModel") is models.FullyConnectedEmbeddingModel
    assert models.registered("Linear") is None
    with pytest.raises(TypeError, match="Linear must have a method 'arguments'"):
        models.register(torch.nn.Linear)
    namesake = type("FullyConnectedEmbeddingModel", (models.FullyConnectedEmbeddingModel,), {})
    with pytest.raises(
        ValueError, match=r"of fastparadime\.models\.networks is registered already"
    ):
        models.register(namesake)
    assert models.registered("Linear") is None
    assert models.registered("FullyConnectedEmbeddingModel") is models.FullyConnectedEmbeddingModel


def test_input_width() -> None:
    layers = torch.nn.Sequential(torch.nn.Linear(4, 2))
    found = [models.input_width(model) for model in (network(), layers, torch.nn.Softplus())]
    assert found == [6, 4, None]


@pytest.mark.parametrize("activation", models.ACTIVATIONS)
def test_activation_of_the_hidden_layers(activation: str) -> None:
    model = models.FullyConnectedEmbeddingModel(6, 2, [5], activation=activation)
    X = torch.from_numpy(table())
    first, last = model.layers
    of_rows = {"dim": 1} if activation == "softmax" else {}
    wanted = last(getattr(torch.nn.functional, activation)(first(X), **of_rows))
    torch.testing.assert_close(model.embed(X), wanted)
    assert model.arguments()["activation"] == activation


def test_scaled_model_takes_data_and_gives_coordinates_in_their_own_units() -> None:
    rng = np.random.default_rng(0)
    X = torch.from_numpy(rng.normal(40, 7, (300, 6)).astype(np.float32))
    positions = torch.from_numpy(rng.normal((-9, 5), 3, (300, 2)).astype(np.float32))
    model = models.ScaledEmbeddingModel(6, 2, [8, 5])
    plain = models.FullyConnectedEmbeddingModel(6, 2, [8, 5], activation="silu")
    plain.load_state_dict(model.state_dict(), strict=False)
    torch.testing.assert_close(model(X), plain(X))
    model.fit_scales(X, positions)
    scale = X.var(0, correction=0).mean().sqrt()
    spread = positions.var(0, correction=0).mean().sqrt()
    wanted = plain((X - X.mean(0)) / scale) * spread + positions.mean(0)
    torch.testing.assert_close(model(X), wanted, rtol=1e-5, atol=1e-4)


def test_scaled_model_of_constant_data_stays_finite() -> None:
    model = models.ScaledEmbeddingModel(3, 2, [4])
    model.fit_scales(torch.full((5, 3), 2.0), torch.zeros(5, 2))
    assert bool(torch.isfinite(model(torch.full((5, 3), 2.0))).all())


def trained_scales(model: models.FullyConnectedEmbeddingModel) -> None:
    if isinstance(model, models.ScaledEmbeddingModel):
        rows = torch.arange(60.0).view(-1, 6) ** 1.1
        model.fit_scales(rows, rows[:, :2] * 3 + 1)


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    # Sums of large numbers may end near zero: four steps of float32 at the largest.
    least = 2.0**-21 * max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=least)


@pytest.mark.parametrize("method", [None, "embed", "forward"])
@pytest.mark.parametrize("kind", [models.FullyConnectedEmbeddingModel, models.ScaledEmbeddingModel])
def test_a_network_is_applied_by_one_kernel(
    kind: Any, method: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    calls: list[int] = []
    embed_rows = ops.embed_rows

    def counted(*arguments: Any, **options: Any) -> torch.Tensor:
        calls.append(1)
        return embed_rows(*arguments, **options)

    monkeypatch.setattr(ops, "embed_rows", counted)
    monkeypatch.setattr(models.chunks, "_CHUNK_BYTES", 6 * 4 * 100)
    model = kind(6, 2, [33, 17])
    trained_scales(model)
    X = torch.randn(250, 6)
    expected = models.embed_in_chunks(model, X, method)
    assert calls == []
    monkeypatch.setattr(models.chunks, "DEVICES", {"cpu", "cuda"})
    assert_close(models.embed_in_chunks(model, X, method), expected)
    assert calls == [1, 1, 1]


@pytest.mark.parametrize("hidden", [[33, 17], [200], []])
@pytest.mark.parametrize("kind", [models.FullyConnectedEmbeddingModel, models.ScaledEmbeddingModel])
def test_a_row_has_the_same_bits_whatever_is_beside_it(
    kind: Any, hidden: list[int], assert_same_bits: Any
) -> None:
    torch.manual_seed(0)
    model = kind(6, 2, hidden)
    trained_scales(model)
    X = torch.randn(5000, 6)
    whole = models.embed_in_chunks(model, X)
    for start, stop in ((0, 1), (3, 8), (17, 2100), (2048, 5000)):
        assert torch.equal(models.embed_in_chunks(model, X[start:stop]), whole[start:stop])
    assert_same_bits(lambda: models.embed_in_chunks(model, X))
    with torch.no_grad():
        assert_close(whole, model(X))


@pytest.mark.parametrize(
    "change", ["hook", "dtype", "subclass", "method", "forward", "wide", "bias", "layer", "deep"]
)
def test_other_networks_are_applied_as_they_are(
    change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(models.FullyConnectedEmbeddingModel):
        pass

    kind = Own if change == "subclass" else models.FullyConnectedEmbeddingModel
    model = kind(6, 2, [129 if change == "wide" else 5])
    if change == "hook":
        model.layers[0].register_forward_hook(lambda *_: None)
    elif change == "dtype":
        model = model.double()
    elif change == "method":
        model.embed = lambda rows: rows + 1  # type: ignore[method-assign]
    elif change == "forward":
        model.forward = lambda rows: rows[:, :2]  # type: ignore[method-assign]
    elif change == "layer":
        model.layers[0] = torch.nn.Sequential(torch.nn.Linear(6, 5))
    elif change == "bias":
        model.layers[0] = torch.nn.Linear(6, 5, bias=False)
    monkeypatch.setattr(models.chunks, "DEVICES", {"cpu", "cuda"})
    monkeypatch.setattr(ops, "embed_rows", None)
    X = torch.randn(20, 3, 6) if change == "deep" else torch.randn(20, 6)
    with torch.no_grad():
        expected = model.embed(models.as_input(model, X))
    assert torch.equal(models.embed_in_chunks(model, X, "embed"), expected)


@pytest.mark.cuda
@pytest.mark.parametrize("there", [False, True])
def test_results_of_a_device_come_in_order(there: bool, cuda: torch.device) -> None:
    model = models.FullyConnectedEmbeddingModel(128, 2, [100, 100]).to(cuda)
    X = torch.randn(300_000, 128)  # five chunks and a part
    found = models.embed_in_chunks(model, X.to(cuda) if there else X)
    with torch.no_grad():
        expected = model.cpu()(X)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
