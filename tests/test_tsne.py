"""ParametricTSNE: its parts, its phases, and what it makes of ordinary and odd data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import loss, models, relations, routines, transforms


def neighbour_accuracy(embedding: torch.Tensor, labels: np.ndarray) -> float:
    """Share of points whose nearest other has their label."""
    distances = torch.cdist(embedding, embedding).fill_diagonal_(torch.inf)
    return float((labels[distances.argmin(1).numpy()] == labels).mean())


def cloud(n: int, dim: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("initialization", ["pca", "spectral", None])
@pytest.mark.parametrize("out_dim", [1, 2, 3, 20])
def test_digits(
    digits: Any, initialization: str | None, out_dim: int, device: torch.device
) -> None:
    X, labels = digits[0][:500], digits[1][:500]
    routine = routines.ParametricTSNE(
        perplexity=15, out_dim=out_dim, initialization=initialization, batch_size=100,
        seed=0, device=device,
    )  # fmt: skip
    routine.train(X)
    names = ["embedding"] if initialization is None else [f"{initialization}_init", "embedding"]
    assert [phase.name for phase in routine.training_phases] == names
    history = routine.training_phases[-1].loss.history
    assert len(history) == 30
    # From random weights the divergence falls further than from principal components.
    assert history[-1] < (0.85 if initialization else 0.7) * history[0]
    reduced = routine.apply(X)
    assert reduced.shape == (500, out_dim)
    # Chance is 0.1, and PCA reaches 0.31, 0.54, 0.67 and 0.96.
    assert neighbour_accuracy(reduced, labels) > {1: 0.3, 2: 0.6, 3: 0.7, 20: 0.85}[out_dim]


def test_parts_are_those_of_paradime() -> None:
    routine = routines.ParametricTSNE(perplexity=12, alpha=2.5, in_dim=4, data_key="features")
    neighbours, distances = routine.global_relations["rel"], routine.batch_relations["rel"]
    assert type(neighbours) is relations.NeighborBasedPDist
    assert [type(tf) for tf in neighbours.transform] == [
        transforms.PerplexityBasedRescale, transforms.Symmetrize, transforms.Normalize
    ]  # fmt: skip
    assert neighbours.transform[0].perplexity == 12
    assert not neighbours.transform[1].subtract_product
    assert type(distances) is relations.DifferentiablePDist
    assert [type(tf) for tf in distances.transform] == [
        transforms.StudentTTransform, transforms.Normalize, transforms.ToSquareTensor
    ]  # fmt: skip
    assert distances.transform[0].alpha == 2.5
    assert {neighbours.data_key, distances.data_key, routine.data_key} == {"features"}
    assert routine.losses["embedding"].loss_function is loss.kullback_leibler_div
    assert routine.losses["init"].position_key == "pca"


def test_settings_of_the_first_phase_follow_the_main_one() -> None:
    first, main = routines.ParametricTSNE(batch_size=70, learning_rate=0.02).training_phases
    assert (first.epochs, first.batch_size, first.learning_rate) == (10, 70, 0.02)
    assert (main.epochs, main.batch_size, main.learning_rate) == (30, 70, 0.02)
    own = routines.ParametricTSNE(init_batch_size=30, init_learning_rate=0.5, init_epochs=2)
    assert (own.init_epochs, own.init_batch_size, own.init_learning_rate) == (2, 30, 0.5)
    assert (own.epochs, own.batch_size, own.learning_rate) == (30, 500, 0.01)
    first = own.training_phases[0]
    assert (first.epochs, first.batch_size, first.learning_rate) == (2, 30, 0.5)


def test_batch_relations_are_the_definition() -> None:
    points = torch.from_numpy(cloud(40, 2)).requires_grad_()
    (q,) = (routines.ParametricTSNE(alpha=1.5).batch_relations["rel"].compute_relations(points),)
    x = points.detach().double()
    kernel = (1 + (x[:, None] - x[None]).square().sum(2) / 1.5) ** (-2.5 / 2)
    kernel.fill_diagonal_(0)
    torch.testing.assert_close(
        q.data.detach().double(), kernel / kernel.sum(), rtol=1e-5, atol=1e-9
    )


def test_alpha_of_the_model_is_trained() -> None:
    model = models.FullyConnectedEmbeddingModel(5, 2, [10], generator=torch.Generator())
    assert model.alpha.item() == 1.0
    routine = routines.ParametricTSNE(
        perplexity=10, alpha=model.alpha, model=model, epochs=3, batch_size=50, seed=0
    )
    routine.train(cloud(150))
    assert model.alpha.item() != 1.0
    fixed = models.FullyConnectedEmbeddingModel(5, 2, [10], generator=torch.Generator())
    routines.ParametricTSNE(perplexity=10, model=fixed, epochs=3, seed=0).train(cloud(150))
    assert fixed.alpha.item() == 1.0


@pytest.mark.parametrize("initialization", ["pca", None])
@pytest.mark.parametrize("name", ["duplicates", "identical", "three points"])
def test_odd_data_gives_finite_embeddings(name: str, initialization: str | None) -> None:
    X = cloud(120)
    X = {
        "duplicates": np.concatenate([np.repeat(X[:1], 50, axis=0), X[:50], X[:50]]),
        "identical": np.repeat(X[:1], 120, axis=0),
        "three points": X[:3],
    }[name]
    routine = routines.ParametricTSNE(
        perplexity=8 if len(X) > 3 else 1, initialization=initialization, epochs=3,
        batch_size=50, hidden_dims=[16], seed=0,
    )  # fmt: skip
    routine.train(X)
    assert torch.isfinite(routine.apply(X)).all()
    assert np.isfinite(routine.training_phases[-1].loss.history).all()


def test_a_run_is_a_function_of_its_seed_alone(device: torch.device) -> None:
    def embedding(seed: int) -> torch.Tensor:
        routine = routines.ParametricTSNE(
            perplexity=10, epochs=2, batch_size=50, seed=seed, device=device
        )
        routine.train(cloud(200))
        return routine.apply(cloud(200))

    state = torch.get_rng_state()
    assert torch.equal(embedding(4), embedding(4))
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(embedding(4), embedding(5))


@pytest.mark.parametrize("rest", [1, 2, 3])
def test_batches_without_relations_do_not_spoil_the_model(rest: int) -> None:
    X = 100 * cloud(100 + rest)
    routine = routines.ParametricTSNE(
        perplexity=1.5, initialization=None, epochs=8, batch_size=50, hidden_dims=[8], seed=0
    )
    routine.train(X)
    assert np.isfinite(routine.training_phases[0].loss.history).all()
    assert torch.isfinite(routine.apply(X)).all()
