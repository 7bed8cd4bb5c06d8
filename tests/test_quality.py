"""ParametricUMAP with a quality: the layout of free coordinates and the regression onto it."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from fastparadime import neighbors, ops, routines
from fastparadime.relationdata import SparseRelationArray
from fastparadime.routines import quality
from fastparadime.training import sampling


def digits(n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return (X[:n] / 16).astype(np.float32), y[:n]


def accuracy(coords: torch.Tensor, y: np.ndarray) -> float:
    """Share of the 5 nearest neighbours of a point that are of its class."""
    return float((y[neighbors.knn(coords, 5).indices.numpy()] == y[:, None]).mean())


def test_quality_regresses_onto_a_layout(device: torch.device) -> None:
    X, y = digits()
    routine = routines.ParametricUMAP(n_neighbors=15, quality="fast", seed=0, device=device)
    routine.train(X)
    (phase,) = routine.training_phases
    assert (phase.name, phase.epochs) == ("layout_regression", 250)  # 500 steps, two an epoch
    layout = routine.dataset.data["layout"].cpu()
    coords = routine.apply(X)
    # The network follows the layout to a small part of its extent.
    assert float((coords - layout).square().mean().sqrt() / layout.std()) < 0.1
    plain = routines.ParametricUMAP(n_neighbors=15, epochs=5, seed=0)
    plain.train(X)
    # Over three seeds 0.964 to 0.970, and 0.12 to 0.30 by five of paraDime's epochs.
    assert accuracy(coords, y) > 0.93 > accuracy(plain.apply(X), y) + 0.1


def test_quality_is_seeded_and_saved(tmp_path: Path, device: torch.device) -> None:
    X, _ = digits(300)
    first, again = (
        routines.ParametricUMAP(
            n_neighbors=10, quality="fast", hidden_dims=[20], seed=3, device=device
        )
        for _ in range(2)
    )
    for routine in (first, again):
        routine.train(X)
    assert first.hidden_dims == [20]
    assert torch.equal(first.apply(X), again.apply(X))
    first.save(tmp_path / "model.safetensors")
    loaded = routines.ParametricUMAP.load(tmp_path / "model.safetensors", device=device)
    assert torch.equal(loaded.apply(X), first.apply(X))


def test_quality_trains_a_model_of_the_users() -> None:
    X, _ = digits(200)
    model = torch.nn.Sequential(torch.nn.Linear(64, 30), torch.nn.Tanh(), torch.nn.Linear(30, 3))
    model.embed = model.forward
    routine = routines.ParametricUMAP(n_neighbors=8, quality="fast", model=model, out_dim=3, seed=1)
    routine.train(X)
    assert routine.model is model
    assert routine.apply(X).shape == (200, 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 3), ("initialization", "pca"), ("batch_size", 50), ("learning_rate", 0.1)],
)
def test_quality_settles_the_schedule(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"quality settles {name}, .* but is {value!r}"):
        routines.ParametricUMAP(quality="best", **{name: value})


def test_unknown_quality() -> None:
    with pytest.raises(ValueError, match=r"quality must be .*'fast'.* not 'good'"):
        routines.ParametricUMAP(quality="good")


def test_phases_can_be_replaced_and_training_goes_on() -> None:
    X, _ = digits(200)
    routine = routines.ParametricUMAP(n_neighbors=8, quality="fast", hidden_dims=[10], seed=1)
    routine.train(X)
    scale = routine.model.input_scale.clone()
    (regression,) = routine.training_phases
    routine.training_phases.clear()
    routine.add_training_phase(
        loss_keys=["embedding"], sampling="negative_edge", epochs=1, batch_size=50
    )
    routine.train(3 * X)
    assert torch.equal(routine.model.input_scale, scale)
    assert [run["name"] for run in routine.history] == [regression.name, None]


def test_copies_train_on_their_own() -> None:
    X, _ = digits(200)
    routine = routines.ParametricUMAP(n_neighbors=8, quality="fast", hidden_dims=[10], seed=1)
    copied = copy.deepcopy(routine)
    copied.train(X)
    assert not routine.trained
    routine.train(X)
    assert torch.equal(copied.apply(X), routine.apply(X))


def test_noise_goes_by_the_distance_between_neighbours() -> None:
    rng = np.random.default_rng(0)
    near = torch.from_numpy(rng.standard_normal((300, 20)).astype(np.float32))
    far = near + 1000 * (torch.arange(300) % 2)[:, None]
    for X in (near, far):
        found = neighbors.knn(X, 8)
        graph = ops.symmetrize(found.indices, torch.ones(300, 8), "union")
        length = (
            quality.noise_share(X, SparseRelationArray(graph), 0.5)
            * float(sampling.spread_of(X))
            * 20**0.5
        )
        nearest = (X[graph.heads.long()] - X[graph.tails.long()]).norm(dim=1).median()
        assert length == pytest.approx(0.5 * float(nearest), rel=0.1)
    assert quality.noise_share(torch.zeros(300, 20), SparseRelationArray(graph), 0.5) == 0


def test_points_far_off_are_given_up() -> None:
    """Geman and McClure's loss and a fifth of the error, from 0: by hand, with a spread of 2."""
    positions = torch.zeros(1, 2, dtype=torch.float64)

    def loss_of(error: float) -> float:
        embedded = torch.tensor([[error, 0.0]], dtype=torch.float64)
        return float(quality.redescending(embedded, positions, spread=2.0))

    for error in (0.0, 0.1, 1.4, 30.0):
        near = 1.4 * error**2 / (error**2 + 1.4**2)
        assert loss_of(error) == pytest.approx(near + 0.2 * ((error**2 + 0.16) ** 0.5 - 0.4))
    slopes = [(loss_of(error + 1e-4) - loss_of(error)) / 1e-4 for error in (0.8, 30.0)]
    assert slopes[0] > 0.7
    assert slopes[1] == pytest.approx(0.2, abs=0.01)
    assert loss_of(1e200) == np.inf
    half = torch.tensor([[300.0, 0.0]], dtype=torch.float16)
    assert quality.redescending(half, torch.zeros_like(half)) == pytest.approx(60.66, abs=0.01)
    wide = torch.full((1, 8), 0.3)
    plane = torch.full((1, 2), 0.3)
    zeros = torch.zeros_like
    assert float(quality.redescending(wide, zeros(wide))) == pytest.approx(
        float(quality.redescending(plane, zeros(plane)))
    )
