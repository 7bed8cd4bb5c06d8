"""Phases that stop when the loss of held-out edges is flat, and budgets of edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import dr, loss, models, ops, relations, transforms
from fastparadime.training import early_stopping


def table(n: int = 300) -> np.ndarray:
    rng = np.random.default_rng(3)
    centres = 4 * rng.standard_normal((3, 6))
    return (centres[np.arange(n) % 3] + rng.standard_normal((n, 6))).astype(np.float32)


def routine_of(n: int = 300, model: torch.nn.Module | None = None) -> dr.ParametricDR:
    return dr.ParametricDR(
        model=model,
        dataset=table(n),
        hidden_dims=None if model is not None else [16],
        global_relations=relations.NeighborBasedPDist(
            transform=[
                transforms.ConnectivityBasedRescale(n_neighbors=8),
                transforms.Symmetrize(subtract_product=True),
            ]
        ),
        batch_relations=relations.DistsFromTo(
            transform=transforms.ModifiedCauchyTransform(min_dist=0.1)
        ),
        seed=7,
    )


def phase_of(**settings: Any) -> dr.TrainingPhase:
    return dr.TrainingPhase(
        "edges",
        **{
            "epochs": 6,
            "batch_size": 20,
            "batches_per_epoch": 3,
            "sampling": "negative_edge",
            "loss": loss.RelationLoss(loss.cross_entropy_loss),
            **settings,
        },
    )


def run(phase: dr.TrainingPhase, **options: Any) -> list[float]:
    routine = routine_of(**options)
    routine.add_training_phase(phase)
    routine.train()
    return list(routine.training_phases[-1].loss.history)


def graph(n: int = 300) -> ops.Edges:
    routine = routine_of(n)
    routine.compute_global_relations()
    return routine.global_relation_data["rel"].to_sparse_array().edges


def test_held_out_edges_are_few_and_go_both_ways() -> None:
    edges = graph()
    chosen = early_stopping.held_out(edges, seed=1)
    heads, tails = edges.heads.numpy(), edges.tails.numpy()
    pairs = set(zip(heads[chosen], tails[chosen], strict=True))
    kept = set(zip(heads[~chosen], tails[~chosen], strict=True))
    assert len(pairs) == 400  # 200 edges and their reverses
    assert pairs == {(tail, head) for head, tail in pairs}
    assert kept.isdisjoint(pairs)
    assert torch.equal(chosen, early_stopping.held_out(edges, seed=1))
    assert not torch.equal(chosen, early_stopping.held_out(edges, seed=2))


def test_held_out_edges_are_never_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, draw = [], ops.EdgeSampler.draw_ends

    def recorded(sampler: ops.EdgeSampler, size: int, *arguments: Any) -> torch.Tensor:
        ends = draw(sampler, size, *arguments)
        tails = ends[size:].view(size, -1)
        drawn.append(torch.stack((ends[:size], tails[:, 0]), dim=1))
        return ends

    monkeypatch.setattr(ops.EdgeSampler, "draw_ends", recorded)
    run(phase_of(batch_size=1000, patience=50))
    held, *steps = ({tuple(edge) for edge in batch.tolist()} for batch in drawn)
    assert len(steps) == 18
    assert len(held) > 100
    assert held.isdisjoint(set().union(*steps))


def test_few_edges_are_not_enough() -> None:
    with pytest.raises(ValueError, match="needs 1000 or more, but the graph has"):
        run(phase_of(patience=3), n=60)


def test_a_plateau_takes_patience() -> None:
    plateau = early_stopping.Plateau(3)
    values = [5.0, 4.0, 4.1, 3.999, 3.0, 3.0, 2.999, 3.1, 1.0]
    reached = [plateau.reached(value) for value in values]
    assert reached == [False] * 7 + [True, False]
    assert early_stopping.Plateau(1).reached(float("nan"))


def test_a_flat_phase_stops() -> None:
    assert len(run(phase_of(epochs=50, learning_rate=0.0, patience=4))) == 5
    assert len(run(phase_of(epochs=8, learning_rate=0.01, patience=50))) == 8


def test_stopping_does_not_change_the_steps() -> None:
    long, short = (run(phase_of(epochs=e, patience=50)) for e in (9, 4))
    assert long[:4] == short


def test_evaluation_leaves_no_trace() -> None:
    class Normed(models.FullyConnectedEmbeddingModel):
        def __init__(self) -> None:
            super().__init__(6, 2, [8])
            self.norm, self.frozen = torch.nn.BatchNorm1d(6), torch.nn.Dropout().eval()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(self.norm(x))

    model, chosen = Normed(), loss.RelationLoss(loss.cross_entropy_loss)
    routine = routine_of(model=model)
    routine.compute_global_relations()
    edges = routine.global_relation_data["rel"].to_sparse_array().edges
    entries = routine.dataset.data
    batch = early_stopping.held_out_batch(edges, entries, phase_of(loss=chosen), "main", seed=0)
    arguments = ({}, routine.batch_relations, batch, torch.device("cpu"))
    first = early_stopping.evaluate(model, chosen, *arguments)
    assert first == early_stopping.evaluate(model, chosen, *arguments) > 0
    assert torch.equal(model.norm.running_mean, torch.zeros(6))
    assert model.norm.training
    assert not model.frozen.training
    chosen.checkpoint()
    assert chosen.history == [0.0]


@pytest.mark.parametrize(("edges", "epochs"), [(1, 1), (60, 1), (61, 2), (600, 10)])
def test_a_budget_of_edges(edges: int, epochs: int) -> None:
    assert len(run(phase_of(edges=edges))) == epochs


def test_shared_negatives_train() -> None:
    shared, plain = (run(phase_of(shared_negatives=share)) for share in (True, False))
    assert np.isfinite(shared).all()
    assert shared != plain
    with pytest.raises(ValueError, match="shared_negatives must be"):
        phase_of(shared_negatives="yes")
    with pytest.raises(ValueError, match="shared_negatives is for 'negative_edge' sampling"):
        dr.TrainingPhase(shared_negatives=True)


@pytest.mark.parametrize("name", ["edges", "patience"])
def test_bad_budgets(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        phase_of(**{name: 0})
    with pytest.raises(TypeError, match=name):
        phase_of(**{name: "many"})
    with pytest.raises(ValueError, match=f"{name} is for 'negative_edge' sampling"):
        dr.TrainingPhase(**{name: 5})
