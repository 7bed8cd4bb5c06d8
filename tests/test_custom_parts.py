"""Parts of a user's own on the fast sampler: losses, relations, transforms, models, optimizers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import dr, loss, models, relationdata, relations, training, transforms

N, DIM, NEGATIVES, EDGES = 90, 5, 3, 12


def table(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((N, DIM)).astype(np.float32)


def graph() -> relations.NeighborBasedPDist:
    return relations.NeighborBasedPDist(
        transform=[transforms.ConnectivityBasedRescale(6), transforms.Symmetrize()]
    )


def edge_phase(chosen: loss.Loss, **settings: Any) -> dr.TrainingPhase:
    return dr.TrainingPhase(
        **{
            "loss": chosen, "sampling": "negative_edge", "neg_sampling_rate": NEGATIVES,
            "batch_size": EDGES, "batches_per_epoch": 4, "epochs": 3, **settings,
        }
    )  # fmt: skip


def run(phase: dr.TrainingPhase, **parts: Any) -> dr.ParametricDR:
    routine = dr.ParametricDR(
        **{
            "dataset": table(), "hidden_dims": [8], "global_relations": graph(), "seed": 1,
            "batch_relations": relations.DistsFromTo(
                transform=transforms.ModifiedCauchyTransform()
            ),
            **parts,
        }
    )  # fmt: skip
    routine.add_training_phase(phase)
    routine.train()
    assert np.isfinite(phase.loss.history).all()
    assert len(phase.loss.history) == phase.epochs
    return routine


class Keeping(loss.Loss):
    """Keeps a copy of every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[dict[str, torch.Tensor]] = []

    def forward(self, model, global_relations, batch_relations, batch, device):
        self.batches.append({**batch})
        return model.embed(batch["main"].to(device)).square().mean()


def collated(batch: dict[str, torch.Tensor], data: dict[str, torch.Tensor]) -> dict[str, Any]:
    """What paraDime's collation makes of the same edges: `_collate_edge_batch` of its dr module."""
    items = []
    for row, col in zip(
        batch["row"].split(1 + NEGATIVES), batch["col"].split(1 + NEGATIVES), strict=True
    ):
        rel = torch.zeros(1 + NEGATIVES)
        rel[0] = 1
        indices = torch.from_numpy(np.unique(torch.cat((row, col)).numpy()))
        ends = torch.stack((data["main"][row], data["main"][col]))
        item = {"row": row, "col": col, "rel": rel, "from_to_data": ends}
        items.append({**{key: value[indices] for key, value in data.items()}, **item})
    distinct, places = np.unique(
        torch.cat([item["indices"] for item in items]).numpy(), return_index=True
    )
    expected = {"indices": torch.from_numpy(distinct)}
    for key in items[0]:
        dim = 1 if key == "from_to_data" else 0
        joined = torch.cat([item[key] for item in items], dim=dim)
        edges = key in ("row", "col", "rel", "from_to_data")
        expected[key] = joined if edges else joined[torch.from_numpy(places)]
    return expected


def test_edge_batches_are_those_of_paradime() -> None:
    data = {
        "main": table(), "labels": np.arange(N) % 7, "images": np.ones((N, 2, 3), np.float32),
        "flags": np.arange(N) % 2 == 0,
    }  # fmt: skip
    kept = Keeping()
    routine = run(edge_phase(kept), dataset=data)
    kept = routine.training_phases[0].loss
    assert len(kept.batches) == 12
    entries = dict(routine.dataset.data)
    matrix = routine.global_relation_data["rel"].to_square_tensor().data
    for batch in kept.batches:
        expected = collated(batch, entries)
        assert set(batch) == set(expected)
        for key, value in expected.items():
            assert batch[key].dtype == value.dtype, key
            assert torch.equal(batch[key], value), key
        positive = batch["rel"] == 1
        heads, tails = batch["row"][positive], batch["col"][positive]
        assert len(heads) == EDGES
        assert (matrix[heads, tails] > 0).all()


def test_items_of_an_edge_dataset_are_batches_of_one_edge() -> None:
    routine = dr.ParametricDR(dataset=table(), global_relations=graph())
    routine.compute_global_relations()
    relation = routine.global_relation_data["rel"]
    generator = torch.Generator().manual_seed(0)
    edges = dr.NegSampledEdgeDataset(routine.dataset, relation, NEGATIVES, generator=generator)
    for index in (0, 17, len(edges) - 1):
        item = edges[index]
        expected = collated(item, dict(routine.dataset.data))
        assert set(item) == set(expected)
        assert all(torch.equal(item[key], value) for key, value in expected.items())
        assert (item["row"][0], item["col"][0]) == (edges.p_ij.row[index], edges.p_ij.col[index])


def test_indices_of_the_datasets_own_reach_standard_batches() -> None:
    own = torch.arange(N).flip(0)
    kept = Keeping()
    phase = dr.TrainingPhase(loss=kept, batch_size=40, epochs=1)
    run(phase, dataset={"main": table(), "indices": own})
    assert [len(batch["indices"]) for batch in kept.batches] == [40, 40, 10]
    for batch in kept.batches:
        wanted = torch.from_numpy(table())[N - 1 - batch["indices"]]
        assert torch.equal(batch["main"], wanted)


class Manhattan(relations.Relations):
    """Own relations between a batch's pairs."""

    def compute_relations(self, X: Any = None, **kwargs: Any) -> relationdata.RelationData:
        distances = (X[:, None] - X[None]).abs().sum(2)
        self.relations = self._transform(relationdata.SquareRelationTensor(distances))
        return self.relations


class Halved(transforms.RelationTransform):
    """An own transform."""

    def transform(self, reldata: relationdata.RelationData) -> relationdata.RelationData:
        return reldata.with_values(reldata.values / 2)


@pytest.mark.parametrize("sampling", ["standard", "negative_edge"])
def test_own_relations_and_transforms(sampling: str) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def compare(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        seen.append((p, q))
        return (p - q).square().mean()

    settings = {"sampling": sampling, "batch_size": 30, "batches_per_epoch": 2, "epochs": 2}
    routine = run(
        edge_phase(loss.RelationLoss(compare), **settings),
        batch_relations=Manhattan(transform=[Halved(), transforms.Normalize()]),
        global_relations=relations.Precomputed(np.abs(np.subtract.outer(*[np.arange(N)] * 2))),
    )
    assert len(seen) == (6 if sampling == "standard" else 4)
    for p, q in seen:
        assert p.shape == q.shape == (len(p), len(p))
        assert float(p.sum()) == pytest.approx(1, rel=1e-5)
        assert float(q.sum().detach()) == pytest.approx(1, rel=1e-5)
    assert routine.trained


class Assigned(transforms.RelationTransform):
    """An own transform in paraDime's manner: it assigns to `data`."""

    def transform(self, reldata: relationdata.RelationData) -> relationdata.RelationData:
        data = reldata.data
        reldata.data = (data[0], 2 * data[1]) if isinstance(data, tuple) else 2 * data
        return reldata


@pytest.mark.parametrize(
    "form", ["square_array", "square_tensor", "triangular_array", "triangular_tensor",
             "sparse_array", "neighbor_tuple"],
)  # fmt: skip
def test_transforms_that_assign_to_data(form: str) -> None:
    D = np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0))).astype(np.float32)
    given = getattr(relationdata.SquareRelationArray(D.copy()), f"to_{form}")()
    doubled = Assigned()(given)
    assert type(doubled) is type(given)
    np.testing.assert_array_equal(doubled.to_square_array().data, 2 * D)


class Named(torch.nn.Module):
    """A model whose methods have names of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.code = torch.nn.Linear(DIM, 2)
        self.back = torch.nn.Linear(2, DIM)
        self.scores = torch.nn.Linear(DIM, 3)
        self.calls: set[str] = set()

    def place(self, X: torch.Tensor) -> torch.Tensor:
        self.calls.add("place")
        return self.code(X)

    def shrink(self, X: torch.Tensor) -> torch.Tensor:
        self.calls.add("shrink")
        return self.code(X)

    def grow(self, X: torch.Tensor) -> torch.Tensor:
        self.calls.add("grow")
        return self.back(X)

    def guess(self, X: torch.Tensor) -> torch.Tensor:
        self.calls.add("guess")
        return self.scores(X)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.RMSprop])
def test_named_methods_several_losses_and_other_optimizers(optimizer: Any) -> None:
    model = Named()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    parts = [
        loss.RelationLoss(loss.cross_entropy_loss, embedding_method="place"),
        loss.ReconstructionLoss(encoding_method="shrink", decoding_method="grow"),
        loss.ClassificationLoss(classification_method="guess"),
    ]
    compound = loss.CompoundLoss(parts, weights=[1.0, 0.5, 0.1])
    phase = edge_phase(compound, optimizer=optimizer, learning_rate=0.01)
    run(phase, model=model, dataset={"main": table(), "labels": np.arange(N) % 3})
    assert model.calls == {"place", "shrink", "grow", "guess"}
    assert compound.detailed_history().shape == (3, 3)
    np.testing.assert_allclose(compound.detailed_history().sum(0), compound.history, rtol=1e-5)
    for old, new in zip(before, model.parameters(), strict=True):
        assert not torch.equal(old, new)


def test_an_own_optimizer_class() -> None:
    class Frozen(torch.optim.SGD):
        steps = 0

        def step(self, closure: Any = None) -> None:
            type(self).steps += 1

    run(edge_phase(loss.RelationLoss(loss.cross_entropy_loss), optimizer=Frozen))
    assert Frozen.steps == 12


class Curved(models.FullyConnectedEmbeddingModel):
    """Holds the curve's parameters beside the network's."""

    def __init__(self) -> None:
        super().__init__(DIM, 2, [8], generator=torch.Generator().manual_seed(0))
        self.a = torch.nn.Parameter(torch.tensor(1.5))
        self.b = torch.nn.Parameter(torch.tensor(0.875))


@pytest.mark.parametrize("trained", [{"a"}, {"b"}, {"a", "b"}])
def test_the_curve_is_trained_along(trained: set[str]) -> None:
    model = Curved()
    curve = transforms.ModifiedCauchyTransform(
        a=model.a if "a" in trained else 1.5, b=model.b if "b" in trained else 0.875
    )
    phase = edge_phase(loss.RelationLoss(loss.cross_entropy_loss))
    relation = relations.DistsFromTo(transform=curve)
    assert training.fused_curve(phase.loss, {"rel": relation}, phase) is None
    run(phase, model=model, batch_relations=relation)
    assert (model.a.item() != 1.5) == ("a" in trained)
    assert (model.b.item() != 0.875) == ("b" in trained)


def test_degrees_of_freedom_are_trained_along() -> None:
    model = models.FullyConnectedEmbeddingModel(DIM, 2, [8], generator=torch.Generator())
    kernel = transforms.StudentTTransform(alpha=model.alpha)
    run(
        edge_phase(loss.RelationLoss(loss.cross_entropy_loss)),
        model=model, batch_relations=relations.DistsFromTo(transform=kernel),
    )  # fmt: skip
    assert model.alpha.item() != 1.0


class Exponential(transforms.AdaptiveNeighborhoodRescale):
    """An own rescaling: rows that sum to a constant under exp(-d / s), s from SciPy's root."""

    def __init__(self, total: float, **kwargs: Any) -> None:
        super().__init__(self.decay, self.find, **kwargs)
        self.total = total

    @staticmethod
    def decay(row: np.ndarray, scale: float) -> np.ndarray:
        return np.exp(-row / scale)

    @staticmethod
    def find(row: np.ndarray, total: float, **kwargs: Any) -> float:
        from scipy.optimize import root_scalar

        return root_scalar(lambda s: np.exp(-row / s).sum() - total, **kwargs).root

    def _get_comparison_constant(self) -> float:
        return self.total

    def _set_root_scalar_defaults(self) -> None:
        self.kwargs.setdefault("bracket", [1e-3, 1e3])


def test_own_kernel_and_root_function() -> None:
    rescale = Exponential(3.0)
    relation = relations.NeighborBasedPDist(12, transform=rescale)
    weights = relation.compute_relations(table()).data[1]
    np.testing.assert_allclose(weights.sum(1), 3.0, rtol=1e-5)
    assert rescale.kwargs == {"bracket": [1e-3, 1e3]}
    assert rescale.param_values.shape == (N,)
    phase = edge_phase(loss.RelationLoss(loss.cross_entropy_loss))
    run(phase, global_relations=relations.NeighborBasedPDist(12, transform=Exponential(3.0)))


@pytest.mark.parametrize("compound", [False, True])
def test_edges_of_another_entry(compound: bool) -> None:
    entries: list[torch.Tensor] = []

    class Watching(loss.RelationLoss):
        def forward(self, *arguments: Any) -> torch.Tensor:
            entries.append(arguments[3]["from_to_data"])
            return super().forward(*arguments)

    chosen: loss.Loss = Watching(loss.cross_entropy_loss)
    if compound:
        position = loss.PositionLoss(data_key="features", position_key="pos")
        chosen = loss.CompoundLoss([position, chosen])
    run(
        edge_phase(chosen),
        dataset={"main": np.zeros((N, 2)), "features": table(), "pos": np.zeros((N, 2))},
        global_relations=relations.NeighborBasedPDist(6, data_key="features"),
        batch_relations=relations.DistsFromTo(
            transform=transforms.ModifiedCauchyTransform(), data_key="features"
        ),
        in_dim=DIM,
    )
    assert len(entries) == 12
    assert all(ends.shape == (2, EDGES * (1 + NEGATIVES), DIM) for ends in entries)
