"""Networks of prototypes: where they start, and where they place new rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from fastparadime import ParametricUMAP, models
from fastparadime.dr.attribution import jacobian
from fastparadime.models.prototypes import SHARPNESS
from fastparadime.routines.quality import QUALITIES
from tests.new_rows import recall


def drawn(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    values = np.random.default_rng(seed).normal(3.0, 2.0, (rows, columns))
    return torch.from_numpy(values.astype(np.float32))


def network(count: int, activation: str = "softmax") -> models.ScaledEmbeddingModel:
    return models.ScaledEmbeddingModel(6, 2, [count], activation=activation)


def kernel_means(X: torch.Tensor, centres: torch.Tensor, positions: torch.Tensor) -> np.ndarray:
    """Means of positions by the weights that `place_prototypes` documents, float64."""
    squares = torch.cdist(X.double(), centres.double()).square()
    weights = torch.softmax(-SHARPNESS * squares, dim=1)
    return (weights @ positions.double()).numpy()


@pytest.mark.parametrize("count", [40, 100])
def test_a_network_starts_as_a_mean_of_positions_by_distance(count: int) -> None:
    X, positions, new = drawn(40, 6), drawn(40, 2, 1), drawn(30, 6, 2)
    model = network(count)  # 100 prototypes of 40 rows have some rows twice, some three times
    models.place_prototypes(model, X, positions, 1.5)
    expected = kernel_means(new / 1.5, X / 1.5, positions)
    np.testing.assert_allclose(model(new).detach(), expected, rtol=1e-3, atol=1e-3)


def test_by_angle_the_nearest_prototype_does_not_depend_on_the_length_of_a_row() -> None:
    X, positions, new = drawn(40, 6) - 3, drawn(40, 2, 1), drawn(30, 6, 2) - 3
    X[:20] *= 5
    model = network(40)
    models.place_prototypes(model, X, positions, 0.02, by_angle=True)
    unit = torch.nn.functional.normalize
    nearest = (unit(new) @ unit(X).T).argmax(dim=1)
    for length in (0.5, 2.0):
        torch.testing.assert_close(model(length * new), positions[nearest], rtol=0, atol=0.02)


def test_rows_that_are_all_alike_give_their_mean() -> None:
    X, positions = torch.full((10, 6), 2.0), drawn(10, 2)
    model = network(4)
    models.place_prototypes(model, X, positions, 0.0)
    assert bool(torch.isfinite(model(X)).all())


@pytest.mark.parametrize(
    ("model", "found"),
    [
        (network(5, "silu"), "not 'silu' and 1"),
        (models.ScaledEmbeddingModel(6, 2, [5, 5], activation="softmax"), "not 'softmax' and 2"),
    ],
    ids=["silu", "two layers"],
)
def test_other_networks_have_no_prototypes(model: models.ScaledEmbeddingModel, found: str) -> None:
    before = [parameter.clone() for parameter in model.parameters()]
    with pytest.raises(ValueError, match=f"model must have the activation 'softmax'.* {found}"):
        models.place_prototypes(model, drawn(9, 6), drawn(9, 2), 1.0)
    for parameter, kept in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, kept)


def placed_network(count: int = 40) -> models.PrototypeEmbeddingModel:
    model = models.PrototypeEmbeddingModel(6, 2, [count])
    models.place_prototypes(model, drawn(200, 6), drawn(200, 2, 1), 12.0)
    return model


def test_prototypes_are_trained_by_means_and_applied_by_medians() -> None:
    model, X = placed_network(), drawn(30, 6, 2)
    as_means = models.ScaledEmbeddingModel(6, 2, [40], activation="softmax")
    as_means.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(model(X).detach(), as_means(X).detach())
    model.eval()
    weights, biases = as_means.folded()
    shares = torch.softmax((X @ weights[0].T + biases[0]).double(), dim=1).topk(16, dim=1)
    places = (weights[1].T + biases[1]).double()[shares.indices]

    def cost(found: torch.Tensor) -> torch.Tensor:
        return (shares.values * (places - found[:, None]).norm(dim=2)).sum(dim=1)

    found = model(X).detach().double()
    for step in torch.from_numpy(np.random.default_rng(3).normal(0, 0.1, (20, 30, 2))):
        assert (cost(found) < cost(found + step) + 2e-2).all()
    assert (cost(found) < cost(as_means(X).detach().double())).float().mean() > 0.9


def test_prototypes_vote_by_each_row_alone() -> None:
    model, X = placed_network().eval(), drawn(30, 6, 2)
    placed = models.embed_in_chunks(model, X)
    torch.testing.assert_close(placed, model(X).detach(), rtol=1e-4, atol=1e-4)
    assert torch.equal(models.embed_in_chunks(model, X.flip(0)).flip(0), placed)
    assert torch.equal(models.embed_in_chunks(model, X[3:4]), placed[3:4])
    trained = models.embed_in_chunks(model.train(), X)
    torch.testing.assert_close(trained, model(X).detach(), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(trained, placed, atol=1e-2)


def test_votes_have_derivatives() -> None:
    model, X = placed_network().eval(), drawn(8, 6, 2)
    found, step = jacobian(model, X), 1e-3
    model.double()
    for column in range(6):
        ends = [X.double().clone() for _ in range(2)]
        ends[0][:, column] -= step
        ends[1][:, column] += step
        below, above = (model(end).detach() for end in ends)
        slope = (above - below) / (2 * step)
        np.testing.assert_allclose(found[:, :, column], slope, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"hidden_dims": [3, 3]}, "hidden_dims must be one number, of prototypes, not 2"),
        ({"hidden_dims": [3], "activation": "silu"}, "activation must be .*'softmax'.*'silu'"),
    ],
    ids=["two layers", "silu"],
)
def test_arguments_of_prototypes(given: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        models.PrototypeEmbeddingModel(6, 2, **given)


def digits() -> tuple[np.ndarray, np.ndarray]:
    X = (load_digits().data / 16).astype(np.float32)
    X = X[np.random.default_rng(0).permutation(len(X))]
    return X[:1000], X[1000:1500]


def test_new_rows_are_placed_beside_their_neighbours() -> None:
    X, new = digits()
    found = []
    for network in ({"anchors": 0}, {"prototypes": 1000}):
        mapper = ParametricUMAP(quality="fast", random_state=0, **network).fit(X)
        found.append(recall(X, new, mapper.embedding_, mapper.transform(new)))
    assert found[1] > found[0] + 0.01


def test_prototypes_take_a_fifth_of_the_steps() -> None:
    X, _ = digits()
    given = {"quality": "fast", "n_epochs": 1, "random_state": 0}
    epochs = []
    for parametric_reconstruction in (False, True):
        mapper = ParametricUMAP(
            prototypes=50, parametric_reconstruction=parametric_reconstruction, **given
        )
        mapper.fit(X[:300])
        epochs.append([len(phase["losses"]) for phase in mapper.history_])
    assert epochs == [[100], [100, 500]]  # a decoder has the whole budget


@pytest.mark.parametrize(
    ("quality", "few", "many"), [("fast", 100, 4), ("balanced", 200, 8), ("best", 1600, 40)]
)
def test_best_takes_two_fifths_of_the_steps(quality: str, few: int, many: int) -> None:
    budget = QUALITIES[quality].of(models.PrototypeEmbeddingModel(3, 2, [4]))
    assert (budget.epochs(300), budget.epochs(1_000_000)) == (few, many)


def test_a_file_has_prototypes(tmp_path: Path) -> None:
    X, new = digits()
    mapper = ParametricUMAP(quality="fast", prototypes=500, random_state=0).fit(X[:300])
    assert mapper.encoder_.hidden_dims == [300]  # no more than rows
    mapper.save(tmp_path / "mapper.safetensors")
    loaded = ParametricUMAP.load(tmp_path / "mapper.safetensors")
    np.testing.assert_array_equal(loaded.transform(new), mapper.transform(new))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prototypes": 0}, "prototypes must be .* not 0"),
        (
            {"prototypes": 5, "encoder": torch.nn.Linear(64, 2)},
            "prototypes are of the default encoder",
        ),
        ({"prototypes": 5, "hidden_dims": [8]}, "hidden_dims has no network beside prototypes"),
    ],
    ids=["none", "beside an encoder", "beside widths"],
)
def test_prototypes_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ParametricUMAP(**given).fit(digits()[0][:50])


def test_prototypes_are_exported_and_go_on(tmp_path: Path) -> None:
    X, new = digits()
    mapper = ParametricUMAP(quality="fast", n_epochs=50, random_state=0, prototypes=60)
    mapper.fit(X[:200])
    mapper.export(tmp_path / "encoder.pt2")
    program = torch.export.load(tmp_path / "encoder.pt2").module()
    found = program(torch.from_numpy(new)).detach()
    np.testing.assert_allclose(found, mapper.transform(new), rtol=1e-4, atol=1e-4)
    before = mapper.encoder_.layers[0].weight.clone()
    mapper.update(new[:50])
    assert isinstance(mapper.encoder_, models.PrototypeEmbeddingModel)
    assert not torch.equal(mapper.encoder_.layers[0].weight, before)
    assert mapper.embedding_.shape == (250, 2)
    np.testing.assert_array_equal(mapper.to_routine().apply(new), mapper.transform(new))


@pytest.mark.parametrize("given", [{"prototypes": 60}, {"hidden_dims": [20]}])
def test_a_program_places_rows_far_from_zero_as_transform_does(
    given: dict[str, Any], tmp_path: Path
) -> None:
    X, new = (part + np.float32(1000.0) for part in digits())
    mapper = ParametricUMAP(quality="fast", n_epochs=50, random_state=0, **given).fit(X[:200])
    mapper.export(tmp_path / "encoder.pt2")
    program = torch.export.load(tmp_path / "encoder.pt2").module()
    rows, placed = torch.from_numpy(new), mapper.transform(new)
    for found in (program(rows), mapper.model_(rows)):
        np.testing.assert_allclose(found.detach(), placed, rtol=1e-4, atol=1e-4)


def test_what_the_hidden_layer_gave_is_there_after_a_forward_pass_alone() -> None:
    model, X = placed_network(), drawn(9, 6, 2)
    core = models.core_network(model, 9)
    with pytest.raises(RuntimeError, match="hidden needs a hidden layer, and a forward pass"):
        core.hidden()
    core.forward(X, np.arange(9))
    weights, biases = model.folded()
    expected = torch.softmax(X @ weights[0].T + biases[0], dim=1).detach()
    torch.testing.assert_close(core.hidden(), expected, rtol=1e-3, atol=1e-4)
