"""Routines: reproducibility, global state, derived data, interruption, and the dataset."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import dr, exceptions, loss, relations, transforms

N, DIM = 200, 8


def table(n: int = N, dim: int = DIM, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (3 * rng.integers(0, 3, (n, 1)) + rng.standard_normal((n, dim))).astype(np.float32)


def routine_of(X: np.ndarray | None = None, **options: Any) -> dr.ParametricDR:
    """A negative-edge routine after a first phase on given positions."""
    X = table() if X is None else X
    phases = [
        dr.TrainingPhase(
            "start", epochs=2, batch_size=50, loss=loss.PositionLoss(position_key="start")
        ),
        dr.TrainingPhase(
            "edges", epochs=2, batch_size=100, batches_per_epoch=4, sampling="negative_edge",
            loss=loss.RelationLoss(loss.cross_entropy_loss),
        ),
    ]  # fmt: skip
    return dr.ParametricDR(
        **{
            "dataset": {"main": X, "start": X[:, :2].copy()},
            "hidden_dims": [32],
            "global_relations": relations.NeighborBasedPDist(
                transform=[
                    transforms.ConnectivityBasedRescale(n_neighbors=10),
                    transforms.Symmetrize(subtract_product=True),
                ]
            ),
            "batch_relations": relations.DistsFromTo(
                transform=transforms.ModifiedCauchyTransform()
            ),
            "training_phases": phases,
            **options,
        }
    )


def trained_map(seed: int | None, X: np.ndarray | None = None, **options: Any) -> torch.Tensor:
    routine = routine_of(X, seed=seed, **options)
    routine.train()
    return routine.apply(routine.dataset.data["main"])


@pytest.mark.parametrize("dim", [8, 784])
def test_same_seed_same_bits_for_any_threads(
    dim: int, set_threads: Callable[[int], None], device: torch.device
) -> None:
    maps = []
    for threads in (1, 2, 2):
        set_threads(threads)
        maps.append(trained_map(11, table(400, dim), device=device))
    assert torch.equal(maps[1], maps[2])
    assert torch.equal(maps[0], maps[1])


def test_other_seed_other_map() -> None:
    assert not torch.allclose(trained_map(1), trained_map(2), atol=1e-3)


def test_unseeded_runs_differ_and_report_a_seed_that_repeats_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = routine_of(verbose=True, progress=False), routine_of()
    assert f"Using seed {first.seed}." in capsys.readouterr().out
    assert first.seed != second.seed
    first.train()
    assert torch.equal(trained_map(first.seed), first.apply(table()))


def global_state() -> tuple[Any, ...]:
    numpy_state = np.random.get_state()  # noqa: NPY002  its being untouched is what is tested
    return (
        torch.get_rng_state().tolist(),
        numpy_state[1].tolist(),
        numpy_state[2:],
        random.getstate(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
    )


@pytest.mark.parametrize("seed", [None, 5])
def test_a_run_leaves_global_state_alone(seed: int | None) -> None:
    before = global_state()
    trained_map(seed)
    assert global_state() == before


def test_global_seeds_do_not_matter() -> None:
    torch.manual_seed(1)
    first = trained_map(3)
    torch.manual_seed(2)
    assert torch.equal(first, trained_map(3))


class Interrupting(loss.Loss):
    """Stops the training as Ctrl-C does, in the middle of the second epoch."""

    calls = 0

    def forward(self, model, global_relations, batch_relations, batch, device):
        self.calls += 1
        if self.calls == 6:
            raise KeyboardInterrupt
        return model.embed(batch["main"]).square().mean()


@pytest.mark.parametrize("place", [0, 1])
def test_model_is_usable_after_an_interruption(place: int, device: torch.device) -> None:
    routine = routine_of(seed=1, device=device)
    start = routine.model.layers[0].weight.detach().clone()
    routine.training_phases.insert(
        place, dr.TrainingPhase("stopped", epochs=3, batch_size=50, loss=Interrupting())
    )
    with pytest.raises(KeyboardInterrupt):
        routine.train()
    assert len(routine.training_phases[place].loss.history) == 1
    assert (routine.history[-1]["name"], len(routine.history[-1]["losses"])) == ("stopped", 1)
    assert not routine.model.training
    assert not torch.equal(start, routine.model.layers[0].weight)
    embedded = routine.apply(table())
    assert embedded.shape == (N, 2)
    assert torch.isfinite(embedded).all()
    # Training goes on from there.
    routine.training_phases.pop(place)
    routine.train()
    assert torch.isfinite(routine.apply(table())).all()


def test_apply_gives_what_embed_gives_without_gradients(device: torch.device) -> None:
    routine = routine_of(seed=1, device=device)
    routine.train()
    applied, embedded = routine.apply(table()), routine.embed(table())
    assert embedded.requires_grad
    assert embedded.device.type == device.type
    assert not applied.requires_grad
    torch.testing.assert_close(applied, embedded.detach().cpu(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(routine(table()).detach().cpu(), applied, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(routine.apply(table(), "embed"), applied, rtol=0, atol=0)
    with pytest.raises(AttributeError, match="no guess method"):
        routine.apply(table(), "guess")
    with pytest.raises(NotImplementedError, match="classify"):
        routine.classify(table())


def test_derived_data_is_computed_in_order() -> None:
    def double(x: torch.Tensor, factor: float) -> torch.Tensor:
        return factor * x[:, :2]

    def degrees(relation: Any) -> np.ndarray:
        return np.asarray(relation.to_square_array().data.sum(1))

    routine = routine_of(
        seed=1,
        derived_data={
            "double": dr.DerivedData(double, [("data", "main")], factor=2.0),
            "degree": dr.DerivedData(degrees, [("rels", "rel")]),
        },
    )
    with pytest.raises(exceptions.RelationsNotComputedError, match="global relations"):
        routine.compute_derived_data()
    routine.train()
    data = routine.dataset.data
    torch.testing.assert_close(data["double"], 2 * torch.from_numpy(table()[:, :2]))
    square = routine.global_relation_data["rel"].to_square_array().data
    np.testing.assert_allclose(data["degree"], square.sum(1))


def test_derived_data_goes_in_with_add_data() -> None:
    routine = routine_of(seed=1)
    routine.add_data({"norm": dr.DerivedData(lambda x: x.norm(dim=1)), "ones": np.ones(N)})
    assert "norm" not in routine.dataset.data
    routine.train()
    torch.testing.assert_close(routine.dataset.data["norm"], torch.from_numpy(table()).norm(dim=1))
    assert routine.dataset.data["ones"].tolist() == [1.0] * N


def test_global_relations_are_computed_once_and_again_for_new_data() -> None:
    routine = routine_of(seed=1)
    routine.compute_global_relations()
    first = routine.global_relation_data["rel"]
    routine.compute_global_relations()
    assert routine.global_relation_data["rel"] is first
    routine.compute_global_relations(force=True)
    assert routine.global_relation_data["rel"] is not first
    forced = routine.global_relation_data["rel"]
    routine.add_to_dataset({"other": np.zeros(N)})
    routine.compute_global_relations()
    assert routine.global_relation_data["rel"] is forced
    for name in ("main", "data"):  # either name of the main entry
        latest = routine.global_relation_data["rel"]
        routine.add_to_dataset({name: table(seed=len(name))})
        routine.compute_global_relations()
        assert routine.global_relation_data["rel"] is not latest


def test_dataset_names_and_items() -> None:
    X = table()
    dataset = dr.Dataset(X)
    assert len(dataset) == N
    assert dataset.data["data"] is dataset.data["main"]
    assert dataset[3]["indices"] == 3
    torch.testing.assert_close(dataset[[1, 5]]["main"], torch.from_numpy(X[[1, 5]]))
    older = dr.Dataset({"data": X, "labels": np.arange(N)})
    assert older.data["main"] is older.data["data"]
    assert older.data["labels"].dtype == torch.int64
    with pytest.raises(KeyError, match="labels"):
        _ = older.data["missing"]


def test_data_is_not_changed() -> None:
    X = table()
    kept = X.copy()
    trained_map(1, X)
    np.testing.assert_array_equal(X, kept)


@pytest.mark.parametrize("given", ["array", "float64", "tensor", "tensor64", "integers"])
def test_forms_of_data(given: str) -> None:
    X: Any = {
        "array": table(),
        "float64": table().astype(float),
        "tensor": torch.from_numpy(table()),
        "tensor64": torch.from_numpy(table()).double(),
        "integers": (10 * table()).astype(int),
    }[given]
    routine = routine_of(seed=1)
    routine.register_dataset({"main": X, "start": table()[:, :2]})
    routine.train()
    assert torch.isfinite(routine.apply(X)).all()


def test_own_model_is_trained_in_place() -> None:
    class Own(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(DIM, 2)

        def embed(self, X: torch.Tensor) -> torch.Tensor:
            return self.linear(X)

        forward = embed

    model = Own()
    before = model.linear.weight.detach().clone()
    routine = routine_of(seed=1, model=model)
    routine.train()
    assert routine.model is model
    assert not torch.equal(before, model.linear.weight)
    torch.testing.assert_close(routine.apply(table()), model(torch.from_numpy(table())).detach())


def test_history_has_one_entry_a_run() -> None:
    routine = routine_of(seed=1)
    assert routine.history == []
    routine.train()
    first, second = routine.history
    assert (first["name"], second["name"]) == ("start", "edges")
    assert first["losses"] == routine.training_phases[0].loss.history
    assert len(first["losses"]) == len(second["losses"]) == 2
    routine.run_training_phase(routine.training_phases[0])
    assert routine.history[:2] == [first, second]
    assert routine.history[2]["losses"] == routine.training_phases[0].loss.history[2:]


def test_stages_are_timed_by_name() -> None:
    routine = routine_of(seed=1)
    assert routine.stages == {}
    routine.train()
    assert list(routine.stages) == ["relations 'rel'", "phase 'start'", "phase 'edges'"]
    assert all(seconds > 0 for seconds in routine.stages.values())


def test_phases_of_one_name_draw_differently() -> None:
    drawn: list[torch.Tensor] = []

    class Watching(loss.Loss):
        def forward(self, model, global_relations, batch_relations, batch, device):
            drawn.append(batch["indices"].clone())
            return model.embed(batch["main"]).mean()

    same = [dr.TrainingPhase("same", epochs=1, batch_size=N, loss=Watching()) for _ in range(3)]
    routine_of(seed=1, training_phases=same).train()
    orders = {tuple(order.tolist()) for order in drawn}
    assert len(orders) == 3


def test_an_entry_named_data_trains_every_phase() -> None:
    X = table()
    routine = dr.ParametricDR(
        dataset={"data": X, "pos": X[:, :2].copy()},
        global_relations=relations.NeighborBasedPDist(
            transform=[
                transforms.ConnectivityBasedRescale(5),
                transforms.Symmetrize(subtract_product=True),
            ]
        ),
        batch_relations=relations.DistsFromTo(transform=transforms.ModifiedCauchyTransform()),
        seed=1,
    )
    routine.add_training_phase(loss=loss.PositionLoss(data_key="data"), epochs=1)
    routine.add_training_phase(
        loss=loss.RelationLoss(loss_function=loss.cross_entropy_loss),
        sampling="negative_edge",
        epochs=2,
    )
    routine.train()
    assert [len(phase.loss.history) for phase in routine.training_phases] == [1, 2]
    assert np.isfinite(routine.apply(X).numpy()).all()


def test_the_model_can_be_replaced() -> None:
    routine = dr.ParametricDR(in_dim=4, seed=0)
    assert routine.use_cuda is False
    own = torch.nn.Linear(4, 2)
    routine.model = own
    assert routine.model is own
    with pytest.raises(TypeError, match="model must be a Module, not str"):
        routine.model = "net"
    assert routine.model is own


def test_data_is_reported_in_paradimes_words(capsys: pytest.CaptureFixture[str]) -> None:
    routine = dr.ParametricDR(seed=0, verbose=True)
    X = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    routine.register_dataset(X)
    for _ in range(2):
        routine.add_data({"labels": np.arange(20), "first": dr.DerivedData(lambda x: x[:, :1])})
    routine.compute_derived_data()
    lines = [line.split(": ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "Registering dataset.",
        "Adding entry 'labels' to dataset.",
        "Adding derived data entry 'first'.",
        "Overwriting entry 'labels' in dataset.",
        "Overwriting entry 'first' in derived data.",
        "Computing derived data entry 'first'.",
        "Adding entry 'first' to dataset.",
    ]
