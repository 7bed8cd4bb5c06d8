"""Training by ops.EdgeStep: the same as by torch, and which phases go this way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import dr, loss, models, ops, relations, transforms
from fastparadime.training import cuda_graphs, kernel_steps

N, DIM = 150, 6


class OwnNetwork(models.FullyConnectedEmbeddingModel):
    """Not one of the package's classes, so that its steps are torch's."""


def network(
    *hidden_dims: int, kind: type[models.FullyConnectedEmbeddingModel] | None = None, **options: Any
) -> models.FullyConnectedEmbeddingModel:
    kind = models.FullyConnectedEmbeddingModel if kind is None else kind
    generator = torch.Generator().manual_seed(7)
    return kind(DIM, 2, hidden_dims, generator=generator, **options)


def edge_phase(**settings: Any) -> dr.TrainingPhase:
    return dr.TrainingPhase(
        **{
            "name": "edges", "epochs": 4, "batch_size": 20, "batches_per_epoch": 6,
            "sampling": "negative_edge", "neg_sampling_rate": 3, "learning_rate": 2.0**-7,
            "loss": loss.RelationLoss(loss.cross_entropy_loss), **settings,
        }
    )  # fmt: skip


def trained(
    phase: dr.TrainingPhase, model: torch.nn.Module, device: torch.device | str = "cpu"
) -> tuple[list[float], list[torch.Tensor]]:
    """The phase's history and the weights after it."""
    rng = np.random.default_rng(3)
    centres = 4 * rng.standard_normal((3, DIM))
    X = (centres[np.arange(N) % 3] + rng.standard_normal((N, DIM))).astype(np.float32)
    routine = dr.ParametricDR(
        model=model,
        dataset=X,
        global_relations=relations.NeighborBasedPDist(
            transform=[
                transforms.ConnectivityBasedRescale(n_neighbors=8),
                transforms.Symmetrize(subtract_product=True),
            ]
        ),
        batch_relations=relations.DistsFromTo(
            transform=transforms.ModifiedCauchyTransform(min_dist=0.1)
        ),
        training_phases=[phase],
        device=device,
        seed=7,
    )
    routine.train()
    return phase.loss.history, [p.detach().cpu() for p in routine.model.parameters()]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Steps are made so and recorded on the CPU too, a replay repeats them; how many at a time."""
    counts: list[int] = []
    record = cuda_graphs.record

    class Counting(ops.EdgeStep):
        def __call__(self) -> None:
            counts.append(1)
            super().__call__()

    def recording(step: Any, times: int, device: torch.device) -> Any:
        counts.append(-times)
        return record(step, times, device)

    monkeypatch.setattr(kernel_steps, "DEVICES", {"cpu", "cuda"})
    monkeypatch.setattr(ops, "EdgeStep", Counting)
    monkeypatch.setattr(cuda_graphs, "record", recording)
    return counts


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("activation", ["softplus", "silu", "relu"])
def test_trains_as_torch_does(activation: str, schedule: str, made: list[int]) -> None:
    # With one hidden layer no product rounds.
    models_of = (network(16, activation=activation, kind=kind) for kind in (OwnNetwork, None))
    torchs, cores = (trained(edge_phase(schedule=schedule), model) for model in models_of)
    np.testing.assert_allclose(cores[0], torchs[0], rtol=1e-2 if activation == "relu" else 1e-4)
    if activation != "relu":  # where a sum near 0 is on one side of the edge or on the other
        # The loss is blind to translation, so Adam moves the last bias by rounding alone.
        for one, other in zip(cores[1][:-1], torchs[1][:-1], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-4)
    assert made == [1, 1, 1, -1] + 21 * [1]


def test_hidden_products_round(made: list[int]) -> None:
    torchs, cores = (trained(edge_phase(), network(16, 12, kind=k)) for k in (OwnNetwork, None))
    np.testing.assert_allclose(cores[0], torchs[0], rtol=1e-2)
    assert len(made) == 25


def test_recorded_steps_are_the_same(made: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "_STEPS_PER_RECORDED", 4)  # several in a graph
    plain, recorded = (
        trained(edge_phase(cuda_graph=graph), network(16, 12)) for graph in (False, True)
    )
    assert plain[0] == recorded[0]
    assert all(map(torch.equal, plain[1], recorded[1]))
    assert made == 24 * [1] + 6 * [1] + [-6] + 18 * [1]


def test_a_plateau_ends_it(made: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    from fastparadime.training import early_stopping

    monkeypatch.setattr(early_stopping, "_FEWEST", 100)
    phase = edge_phase(epochs=200, patience=1, learning_rate=2.0**-20)
    assert len(trained(phase, network(16))[0]) < 200
    assert made


def hooked() -> models.FullyConnectedEmbeddingModel:
    model = network(16)
    model.layers[0].register_forward_hook(lambda *_: None)
    return model


def frozen() -> models.FullyConnectedEmbeddingModel:
    model = network(16)
    model.layers[0].weight.requires_grad_(False)  # noqa: FBT003
    return model


@pytest.mark.parametrize(
    ("settings", "model"),
    [
        ({}, network(16, kind=OwnNetwork)),
        ({}, network(16, kind=models.ScaledEmbeddingModel)),
        ({}, network()),
        ({}, network(16, 129)),
        ({}, hooked()),
        ({}, frozen()),
        ({}, network(16).double()),
        ({"tf32": False}, network(16)),
        ({"tf32": True}, network(16)),
        ({"neg_sampling_rate": 31}, network(16)),
        ({"shared_negatives": True}, network(16)),
        ({"optimizer": torch.optim.AdamW}, network(16)),
        ({"weight_decay": 0.1}, network(16)),
        ({"loss": loss.RelationLoss(lambda p, q: (p - q).square().mean())}, network(16)),
    ],
)
def test_what_goes_another_way(
    settings: dict[str, Any], model: torch.nn.Module, made: list[int]
) -> None:
    trained(edge_phase(epochs=1, **settings), model)
    assert made == []


@pytest.mark.cuda
def test_a_graph_gives_the_bits_of_its_steps(cuda: torch.device) -> None:
    runs = [
        trained(edge_phase(cuda_graph=graph), network(16, 12), cuda)
        for graph in (True, True, False)
    ]
    for run in runs[1:]:
        assert run[0] == runs[0][0]
        assert all(map(torch.equal, run[1], runs[0][1]))
    expected = trained(edge_phase(cuda_graph=False), network(16, 12))[0]
    np.testing.assert_allclose(runs[0][0], expected, rtol=1e-2)
