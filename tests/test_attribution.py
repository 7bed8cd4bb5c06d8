"""Which features move a row: the network's Jacobian, and its means over regions."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from fastparadime import ParametricUMAP, dr, loss, models, ops, routines
from fastparadime.ops import reference

WIDTHS = [(1, 1), (5, 2), (16, 16, 16), (13, 33, 17, 3), (129, 100, 2), (300, 20, 20, 2)]


def network_of(widths: tuple[int, ...], activation: str) -> tuple[ops.Mlp, dict[str, Any]]:
    """A native network with what the reference takes of it."""
    rng = np.random.default_rng(0)
    shapes = [(out, width) for width, out in itertools.pairwise(widths)]
    weights = [rng.normal(size=shape) / shape[1] ** 0.5 for shape in shapes]
    biases = [rng.normal(size=shape[0]) for shape in shapes]
    means = rng.normal(size=widths[0]), rng.normal(size=widths[-1])
    tensors = [[torch.tensor(part).float() for part in parts] for parts in (weights, biases, means)]
    network = ops.Mlp(
        *tensors[:2], activation, 80, input_mean=tensors[2][0], input_scale=1.75,
        output_mean=tensors[2][1], output_scale=0.3,
    )  # fmt: skip
    kept = [[part.double().numpy() for part in parts] for parts in tensors]
    scales = (kept[2][0], 1.75, kept[2][1], 0.3)
    return network, {"weights": kept[0], "biases": kept[1], "scales": scales}


@pytest.mark.parametrize("activation", ops.MLP_ACTIVATIONS)
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_the_operation_equals_the_reference(widths: tuple[int, ...], activation: str) -> None:
    network, known = network_of(widths, activation)
    table = torch.randn((90, widths[0]), generator=torch.Generator().manual_seed(1))
    for ids in (torch.arange(80), torch.tensor([3, 3, 89]), torch.arange(0)):
        found = network.jacobian(table, ids)
        rows = table[ids].double().numpy()
        expected = reference.mlp_jacobian(rows, activation=activation, **known)
        assert found.shape == (len(ids), widths[-1], widths[0])
        error = np.linalg.norm(found.numpy() - expected)
        assert error <= 1e-5 * np.linalg.norm(expected)


def test_the_reference_equals_finite_differences_and_torch() -> None:
    _, known = network_of((7, 9, 4, 2), "silu")
    rows = np.random.default_rng(2).normal(size=(5, 7))

    def output(at: np.ndarray) -> np.ndarray:
        return reference.mlp(at, known["weights"], known["biases"], "silu", np.ones((5, 2)),
                             known["scales"])[0]  # fmt: skip

    steps = 1e-5 * np.eye(7)
    differences = [(output(rows + step) - output(rows - step)) / 2e-5 for step in steps]
    found = reference.mlp_jacobian(rows, activation="silu", **known)
    np.testing.assert_allclose(found, np.stack(differences, axis=2), rtol=1e-6, atol=1e-8)


def test_one_result_for_any_number_of_threads(
    assert_same_bits: Callable[[Callable[[], Any]], None],
) -> None:
    network, _ = network_of((40, 30, 20, 2), "softplus")
    table = torch.randn((80, 40), generator=torch.Generator().manual_seed(0))
    assert_same_bits(lambda: network.jacobian(table, torch.arange(80)))


def by_torch(model: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """(n, out, in) of torch's own, a row at a time."""
    one = torch.func.jacrev(lambda row: model(row[None])[0])
    return torch.stack([one(row).flatten(1) for row in rows]).detach()


def trained(model: torch.nn.Module, rows: torch.Tensor, dim: int = 2) -> dr.ParametricDR:
    phase = dr.TrainingPhase(epochs=1, loss=loss.PositionLoss())
    routine = dr.ParametricDR(model, out_dim=dim, training_phases=[phase], seed=0)
    routine.train({"main": rows, "pos": torch.zeros(len(rows), dim)})
    return routine


@pytest.mark.parametrize("kind", ["native", "scaled", "own", "images"])
def test_models_of_all_kinds(kind: str) -> None:
    torch.manual_seed(0)
    rows = torch.rand(60, 1, 4, 4) if kind == "images" else torch.rand(60, 16)
    model: torch.nn.Module = {
        "native": lambda: models.FullyConnectedEmbeddingModel(16, 2, [12, 8]),
        "scaled": lambda: models.ScaledEmbeddingModel(16, 2, [12]),
        "own": lambda: dr.EncoderDecoderModel(
            torch.nn.Sequential(torch.nn.Linear(16, 6), torch.nn.BatchNorm1d(6), torch.nn.Tanh(),
                                torch.nn.Linear(6, 2)), in_dim=16, out_dim=2),
        "images": lambda: dr.EncoderDecoderModel(
            torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(),
                                torch.nn.Linear(12, 2)), in_dim=16, out_dim=2),
    }[kind]()  # fmt: skip
    routine = trained(model, rows)
    found = routine.attribution(rows)
    assert found.shape == (60, 2, 16)
    np.testing.assert_allclose(found, by_torch(routine.model, rows), rtol=1e-4, atol=1e-6)
    labels = np.arange(60) % 3
    regions = routine.attribution_by_region(rows, labels)
    means = [found[labels == label].abs().mean(dim=0).numpy() for label in range(3)]
    np.testing.assert_allclose(regions.values, means, rtol=1e-5)
    assert regions.rows.tolist() == [20, 20, 20]
    assert repr(regions) == "RegionAttribution(3 regions, 2 coordinates, 16 features)"


def test_an_estimator_says_which_features_count() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(240, 6)).astype(np.float32)
    X[:, 1] += 12 * (np.arange(240) % 2)  # the only feature that tells the two groups apart
    mapper = ParametricUMAP(quality="fast", hidden_dims=[16], n_epochs=50, random_state=0).fit(X)
    found = mapper.attribution(X.astype(np.float64))
    assert (found.shape, found.dtype) == ((240, 2, 6), np.float64)
    np.testing.assert_allclose(found, by_torch(mapper.model_, torch.from_numpy(X)), atol=1e-4)
    assert isinstance(mapper.attribution(torch.from_numpy(X)), torch.Tensor)
    moved = np.abs(mapper.transform(X + 0.01 * np.eye(6, dtype=np.float32)[1]) - mapper.embedding_)
    np.testing.assert_allclose(moved.mean(0) / 0.01, np.abs(found[:, :, 1]).mean(0), rtol=0.1)
    labels = pd.Series(["a", "b", None] * 80)
    regions = mapper.attribution_by_region(X, labels)
    assert regions.regions.tolist() == ["a", "b"]
    assert regions.values.shape == (2, 2, 6)
    assert regions.rows.tolist() == [80, 80]


def test_bad_input() -> None:
    mapper = ParametricUMAP(quality="fast", hidden_dims=[4], n_epochs=10, random_state=0)
    X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    mapper.fit(X)
    with pytest.raises(ValueError, match="X has 2 features"):
        mapper.attribution(X[:, :2])
    with pytest.raises(ValueError, match=r"labels must be one for each of 60 rows, not \(59,\)"):
        mapper.attribution_by_region(X, np.zeros(59))
    with pytest.raises(ValueError, match="labels must be known for at least one row"):
        mapper.attribution_by_region(X, [None] * 60)
    with pytest.raises(Exception, match="not trained yet"):
        routines.ParametricUMAP(in_dim=3).attribution(X)
    table = torch.nn.Sequential(torch.nn.Embedding(5, 2), torch.nn.Flatten())
    looked_up = dr.EncoderDecoderModel(table, in_dim=1, out_dim=2)
    routine = trained(looked_up, torch.arange(5)[:, None])
    with pytest.raises(TypeError, match="attribution needs rows of floats"):
        routine.attribution(torch.arange(5)[:, None])
