"""Weights of rows in training: a row of weight 2 is drawn as two rows are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import ParametricUMAP, dr, loss, models, relations, routines
from fastparadime.ops import EdgeSampler
from fastparadime.relationdata import SparseRelationArray
from fastparadime.training import row_weights, sampling
from fastparadime.training.batches import TrainingData, edge_batches
from fastparadime.training.phases import TrainingPhase

WEIGHTS = torch.tensor([2.0, 1.0, 3.0, 0.0, 1.0])


def doubled(weights: torch.Tensor) -> torch.Tensor:
    """Which row each of the copies is."""
    return torch.arange(len(weights)).repeat_interleave(weights.long())


def test_items_are_drawn_as_often_as_they_weigh() -> None:
    entries = sampling.DataEntries({"main": torch.arange(5)})
    counts = torch.zeros(5)
    for seed in range(700):
        batches = sampling.item_batches(entries, 2, seed, weights=WEIGHTS.double())
        drawn = torch.cat([batch["indices"] for batch in batches])
        assert len(drawn) == 5
        found = drawn.bincount(minlength=5)
        share = 5 * WEIGHTS / WEIGHTS.sum()
        assert ((found >= share.floor()) & (found <= share.ceil())).all()
        counts += found
    expected = 700 * 5 * WEIGHTS / WEIGHTS.sum()
    np.testing.assert_allclose(counts, expected, rtol=0.05)


def test_equal_weights_are_every_item_once() -> None:
    entries = sampling.DataEntries({"main": torch.arange(50)})
    weights = torch.full((50,), 0.3, dtype=torch.float64)
    batches = sampling.item_batches(entries, 7, seed=4, weights=weights)
    assert sorted(torch.cat([batch["indices"] for batch in batches]).tolist()) == list(range(50))


class Edges:
    """A graph of five points, and the same with each point as often as it weighs."""

    def __init__(self) -> None:
        heads = torch.tensor([0, 0, 1, 1, 2, 4], dtype=torch.int32)
        tails = torch.tensor([1, 2, 0, 4, 0, 1], dtype=torch.int32)
        weights = torch.tensor([0.5, 1.0, 0.5, 0.2, 1.0, 0.2])
        self.plain = (heads, tails, weights)
        origin = doubled(WEIGHTS).int()
        pairs = [
            (i, j, weight)
            for i, head in enumerate(origin.tolist())
            for j, tail in enumerate(origin.tolist())
            for a, b, weight in zip(*(part.tolist() for part in self.plain), strict=True)
            if (head, tail) == (a, b)
        ]
        self.origin = origin
        self.copied = tuple(torch.tensor(part) for part in zip(*pairs, strict=True))


def rates(sampler: EdgeSampler, rows: torch.Tensor, copies: torch.Tensor | None) -> Any:
    """How often each edge and each negative end is drawn, by the rows that the points are."""
    batches = sampling.NegativeEdgeBatches(
        {"main": torch.zeros(5, 1)}, sampler, 20_000, 5, copies=copies
    )
    heads, ends = batches.draw(0).long().tensor_split((20_000,))
    tails = rows[ends.view(20_000, 6)]
    positive = torch.zeros(5, 5)
    positive.index_put_((rows[heads], tails[:, 0]), torch.ones(20_000), accumulate=True)
    return positive / 20_000, tails[:, 1:].flatten().bincount(minlength=5) / 100_000


def test_edges_and_negatives_are_those_of_copied_rows() -> None:
    graph = Edges()
    heads, tails, weights = graph.plain
    weighted = row_weights.edge_weights(weights, heads, tails, WEIGHTS.double())
    # Exactly: the summed weights of the edges between the copies of two rows.
    sums = torch.zeros(5, 5)
    places = graph.origin[graph.copied[0]].long(), graph.origin[graph.copied[1]].long()
    sums.index_put_(places, graph.copied[2].float(), accumulate=True)
    found = torch.zeros(5, 5)
    found[heads.long(), tails.long()] = weighted
    np.testing.assert_allclose(found / found.sum(), sums / sums.sum(), rtol=1e-6)
    copies = row_weights.copies_of(WEIGHTS.double())
    assert copies.tolist() == graph.origin.tolist()
    sampler = EdgeSampler(heads, tails, weighted, len(copies), seed=0)
    reference = EdgeSampler(*graph.copied, len(graph.origin), seed=1)
    plain = rates(sampler, torch.arange(5), copies)
    expected = rates(reference, graph.origin.long(), None)
    for own, other in zip(plain, expected, strict=True):
        np.testing.assert_allclose(own, other, atol=0.015)
    assert plain[1][3] == 0


def test_copies_of_any_weights() -> None:
    weights = torch.tensor([0.5, 0.25, 0.0, 3.0], dtype=torch.float64)
    counts = row_weights.copies_of(weights).bincount(minlength=4)
    np.testing.assert_allclose(counts / counts.sum(), weights / weights.sum(), atol=1 / 64)
    few = row_weights.copies_of(torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64))
    assert few.tolist() == [1, 1, 1]  # no fewer than the sampler draws from


def test_a_phase_draws_by_weights() -> None:
    graph = Edges()
    indptr = torch.tensor([0, 2, 4, 5, 5, 6])
    from fastparadime.ops import Edges as Graph

    reldata = SparseRelationArray(Graph(indptr, *graph.plain))
    phase = TrainingPhase(sampling="negative_edge", batch_size=500, loss=loss.RelationLoss(
        loss.cross_entropy_loss))  # fmt: skip
    data = TrainingData(
        {"main": torch.zeros(5, 2)}, {"rel": reldata}, {"rel": relations.DistsFromTo()},
        torch.device("cpu"), 0, row_weights=WEIGHTS.double(),
    )  # fmt: skip
    ends = edge_batches(phase, data, 0).draw(0)
    assert 3 not in ends.tolist()
    shared = phase.with_settings(shared_negatives=True)
    assert 3 not in edge_batches(shared, data, 0).draw(0).tolist()


def regression(X: torch.Tensor, Y: torch.Tensor, weights: Any = None) -> torch.Tensor:
    """What a linear network gives after it was regressed onto positions."""
    model = models.FullyConnectedEmbeddingModel(
        X.shape[1], 1, [], generator=torch.Generator().manual_seed(0)
    )
    phase = dr.TrainingPhase(epochs=300, batch_size=len(X), learning_rate=0.05,
                             schedule="cosine", loss=loss.PositionLoss())  # fmt: skip
    routine = dr.ParametricDR(model, out_dim=1, training_phases=[phase], seed=0)
    routine.train({"main": X, "pos": Y}, sample_weight=weights)
    return routine.apply(torch.eye(X.shape[1]))


def test_training_with_weights_is_that_of_copied_rows() -> None:
    # One column, whose positions disagree: the best value is their weighted mean.
    X, Y = torch.ones(6, 1), torch.tensor([[0.0], [1], [4], [9], [2], [3]])
    weights = torch.tensor([2.0, 1, 3, 0, 1, 1])
    mean = float((weights @ Y[:, 0]) / weights.sum())
    copied = doubled(weights)
    assert float(regression(X, Y, weights)) == pytest.approx(mean, abs=0.15)
    assert float(regression(X[copied], Y[copied])) == pytest.approx(mean, abs=0.05)
    assert float(regression(X, Y)) == pytest.approx(float(Y.mean()), abs=0.05)


@pytest.mark.parametrize("quality", [None, "fast"])
def test_routines_take_weights(quality: str | None, digits: Any) -> None:
    X, labels = digits[0][:300], digits[1][:300]
    weights = np.where(labels == 3, 0.0, 1.0)
    options = {} if quality else {"epochs": 2, "batch_size": 50}
    routine = routines.ParametricUMAP(10, quality=quality, hidden_dims=[16], seed=0, **options)
    routine.train(X, sample_weight=weights)
    assert torch.isfinite(routine.apply(X)).all()
    plain = routines.ParametricUMAP(10, quality=quality, hidden_dims=[16], seed=0, **options)
    plain.train(X)
    assert not torch.equal(plain.apply(X), routine.apply(X))
    assert routine._row_weights is None
    with pytest.raises(ValueError, match="update is not available after train with sample_weight"):
        routine.update(X[:9])
    again = routines.ParametricUMAP(10, quality=quality, hidden_dims=[16], seed=0, **options)
    again.train(X, sample_weight=torch.from_numpy(weights))
    torch.testing.assert_close(again.apply(X), routine.apply(X), rtol=0, atol=0)


def test_an_estimator_takes_weights(digits: Any) -> None:
    X, labels = digits[0][:400], digits[1][:400]
    options: dict[str, Any] = {"quality": "fast", "hidden_dims": [16], "random_state": 0}
    heavy = np.where(labels == 1, 50.0, 1.0)
    plain = ParametricUMAP(**options).fit(X)
    weighted = ParametricUMAP(**options).fit(X, sample_weight=heavy)
    # The network is spent on what weighs most.
    errors = [
        np.linalg.norm(fit.embedding_ - fit.umap_.embedding_, axis=1)[labels == 1].mean()
        / np.ptp(fit.umap_.embedding_)
        for fit in (plain, weighted)
    ]
    assert errors[1] < errors[0]
    with pytest.raises(ValueError, match="update is not available for a fit with sample_weight"):
        weighted.update(X[:10])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(9), "one weight for each of 20 rows"),
        (-np.ones(20), "must not be negative, but has -1"),
        (np.full(20, np.nan), "must be finite"),
        (np.zeros(20), "must not be zero for all rows"),
    ],
)
def test_bad_weights(weights: np.ndarray, message: str) -> None:
    routine = routines.ParametricUMAP(4, in_dim=3, seed=0)
    with pytest.raises(ValueError, match=message):
        routine.train(np.random.default_rng(0).normal(size=(20, 3)), sample_weight=weights)
    assert not routine.trained
    with pytest.raises(TypeError, match="sample_weight must be an array of numbers"):
        routine.train(np.zeros((20, 3)), sample_weight="many")


def test_training_that_fails_leaves_no_weights_for_the_next(digits: Any) -> None:
    X, maps = digits[0][:200], []
    for weights in (np.arange(200.0), None):
        routine = routines.ParametricUMAP(10, epochs=1, hidden_dims=[8], seed=0, max_memory=9e9)
        if weights is not None:
            relation: Any = routine.global_relations["rel"]
            kept, relation.max_memory = relation.max_memory, 1e3
            with pytest.raises(ValueError, match="is too little"):
                routine.train(X, sample_weight=weights)
            relation.max_memory = kept
        routine.train(X)
        assert not hasattr(routine, "drift_")
        maps.append(routine.apply(X))
    torch.testing.assert_close(maps[0], maps[1], rtol=0, atol=0)
