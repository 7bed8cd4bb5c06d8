"""Bad data, phases and options of routines: the error names the argument, nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import dr, exceptions, loss, neighbors, ops, relations, routines, transforms

N, DIM = 40, 5
Error = type[BaseException] | tuple[type[BaseException], ...]


def table() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((N, DIM)).astype(np.float32)


def with_value(value: float, row: int) -> np.ndarray:
    X = table()
    X[row, 2] = value
    return X


def parts() -> dict[str, Any]:
    return {
        "dataset": {"main": table(), "start": table()[:, :2].copy(), "labels": np.arange(N)},
        "hidden_dims": [8],
        "global_relations": relations.NeighborBasedPDist(
            transform=[
                transforms.ConnectivityBasedRescale(n_neighbors=5),
                transforms.Symmetrize(subtract_product=True),
            ]
        ),
        "batch_relations": {
            "rel": relations.DistsFromTo(transform=transforms.ModifiedCauchyTransform()),
            "all": relations.DifferentiablePDist(transform=transforms.StudentTTransform(1.0)),
        },
        "losses": {
            "loss": loss.RelationLoss(loss.cross_entropy_loss),
            "start": loss.PositionLoss(position_key="start"),
            "all": loss.RelationLoss(loss.kullback_leibler_div, batch_relation_key="all"),
            "lost": loss.RelationLoss(loss.cross_entropy_loss, batch_relation_key="none"),
            "missing": loss.PositionLoss(position_key="nowhere"),
            "elsewhere": loss.RelationLoss(
                loss.kullback_leibler_div, global_relation_key="none", batch_relation_key="all"
            ),
        },
        "seed": 0,
    }  # fmt: skip


def trained() -> dr.ParametricDR:
    routine = dr.ParametricDR(**parts())
    routine.add_training_phase(loss_keys=["start"], epochs=1)
    routine.train()
    return routine


def snapshot(routine: dr.ParametricDR) -> dict[str, Any]:
    """What an error must leave as it was."""
    return {
        "entries": {key: value.tolist() for key, value in routine.dataset.data.items()},
        "derived": list(routine.derived_data),
        "phases": [id(phase) for phase in routine.training_phases],
        "defaults": dict(vars(routine.training_defaults)),
        "weights": [value.tolist() for value in routine.model.state_dict().values()],
        "trained": routine.trained,
        "losses": {key: list(value.history) for key, value in routine.losses.items()},
    }


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: with_value(np.nan, 7), ValueError, "row 7"),
        (lambda: table()[:, 0], ValueError, r"two dimensions.*\(40,\)"),
        (lambda: table().astype(complex), TypeError, "complex"),
        (lambda: torch.from_numpy(table()).to_sparse(), TypeError, "sparse"),
    ],
    ids=["NaN", "1-D", "complex", "sparse"],
)
def test_replacing_data_by_a_bad_table_changes_nothing(
    make: Callable[[], Any], error: Error, match: str
) -> None:
    routine = trained()
    before, computed = snapshot(routine), routine.global_relation_data["rel"]
    for add in (routine.register_dataset, routine.train, lambda X: routine.add_data({"main": X})):
        with pytest.raises(error, match=match):
            add(make())
    assert snapshot(routine) == before
    routine.compute_global_relations()
    assert routine.global_relation_data["rel"] is computed


EDGE = {"sampling": "negative_edge", "epochs": 1}


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"loss_keys": ["none"]}, KeyError, "'none'.*'elsewhere'.*'start'"),
        ({"loss_keys": ["start", "none"]}, KeyError, "'none'.*'start'"),
        ({"loss_keys": ["lost"], **EDGE}, KeyError, "'none'.*'all', 'rel'"),
        ({"edge_rel_key": "none", **EDGE}, KeyError, "'none'.*'rel'"),
        ({"loss_keys": ["elsewhere"]}, KeyError, "'none'.*'rel'"),
        ({"loss_keys": ["loss"]}, exceptions.UnsupportedConfigurationError, "negative_edge"),
        ({"epochs": -1}, ValueError, "epochs"),
        ({"epochs": 1.5}, ValueError, "epochs"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"batches_per_epoch": 0}, ValueError, "batches_per_epoch"),
        ({"neg_sampling_rate": -1}, ValueError, "neg_sampling_rate"),
        ({"report_interval": 0}, ValueError, "report_interval"),
        ({"learning_rate": -0.1}, ValueError, "learning_rate"),
        ({"learning_rate": float("nan")}, ValueError, "learning_rate"),
        ({"sampling": "edges"}, ValueError, "sampling.*'standard', 'negative_edge'.*'edges'"),
        ({"optimizer": "adam"}, ValueError, "optimizer.*'adam'.*Adam"),
        ({"optimizer": torch.nn.Linear}, ValueError, "optimizer"),
        ({"loss_keys": []}, ValueError, "loss_keys"),
        ({"loss_weights": [1.0, 2.0]}, ValueError, "loss_weights"),
        ({"loss": "kl"}, TypeError, "loss must be a Loss"),
    ],
    ids=str,
)  # fmt: skip
def test_phases(settings: dict[str, Any], error: Error, match: str) -> None:
    routine = trained()
    before = snapshot(routine)
    with pytest.raises(error, match=match):
        routine.add_training_phase(**settings)
    assert snapshot(routine) == before
    if error is ValueError or error is TypeError:
        with pytest.raises(error, match=match):
            dr.TrainingPhase(**settings)
        with pytest.raises(error, match=match):
            routine.set_training_defaults(**settings)
        assert snapshot(routine) == before


def test_options_that_the_optimizer_lacks() -> None:
    routine = trained()
    with pytest.raises((TypeError, ValueError), match="momentun"):
        routine.add_training_phase(loss_keys=["start"], optimizer=torch.optim.SGD, momentun=0.9)
    assert len(routine.training_phases) == 1


@pytest.mark.parametrize(("key", "match"), [("missing", "'nowhere'.*'labels'.*'main'.*'start'")])
def test_a_data_key_that_does_not_exist(key: str, match: str) -> None:
    routine = trained()
    routine.add_training_phase(loss_keys=[key], epochs=1)
    before = snapshot(routine)
    with pytest.raises(KeyError, match=match):
        routine.run_training_phase(routine.training_phases[-1])
    assert snapshot(routine) == before
    routine.training_phases.pop()
    absent = dr.ParametricDR(
        dataset=table(), global_relations=relations.NeighborBasedPDist(3, data_key="absent")
    )
    with pytest.raises(KeyError, match=r"'absent'.*'main'"):
        absent.compute_global_relations()
    assert absent.global_relation_data == {}


def test_a_phase_given_directly_is_checked_before_work() -> None:
    phase = dr.TrainingPhase(**EDGE, loss=loss.RelationLoss(loss.cross_entropy_loss))
    routine = dr.ParametricDR(dataset=table(), seed=0)
    with pytest.raises(KeyError, match="'rel'"):
        routine.add_training_phase(phase)
    assert routine.training_phases == []
    with pytest.raises(KeyError, match="'rel'"):
        dr.ParametricDR(dataset=table(), training_phases=[phase])


def test_before_training() -> None:
    routine = dr.ParametricDR(**parts())
    for call in (routine.apply, routine.embed, routine.classify, routine):
        with pytest.raises(exceptions.NotTrainedError, match="train"):
            call(table())
    with pytest.raises(exceptions.NotTrainedError, match="train"):
        routine.save("model")
    phase = dr.TrainingPhase(loss=loss.PositionLoss(position_key="start"))
    with pytest.raises(exceptions.RelationsNotComputedError, match="global relations"):
        routine.run_training_phase(phase)
    with pytest.raises(exceptions.NoDatasetRegisteredError, match="no data"):
        dr.ParametricDR(in_dim=DIM).train()
    with pytest.raises(exceptions.NoDatasetRegisteredError):
        dr.ParametricDR(in_dim=DIM).add_to_dataset({"start": table()})
    assert not routine.trained


@pytest.mark.parametrize(
    ("entries", "error", "match"),
    [
        ({"labels": np.arange(N + 1)}, ValueError, r"'labels'.*\(41,\).*40 rows"),
        ({"fine": np.zeros(N), "labels": np.arange(3)}, ValueError, "'labels'"),
        ({"fine": np.zeros(N), "labels": torch.tensor(3)}, ValueError, "'labels'"),
        ({"fine": np.zeros(N), "labels": set(range(N))}, TypeError, "'labels'.*set"),
        ({"fine": np.zeros(N), "names": np.array(["a"] * N)}, TypeError, "names|dtype"),
        ({"main": table()[:10]}, ValueError, "'main'"),
        ({"main": with_value(np.nan, 9)}, ValueError, "row 9"),
        ({"x": dr.DerivedData(np.asarray), "labels": np.arange(3)}, ValueError, "'labels'"),
    ],
    ids=["longer", "shorter", "scalar", "set", "text", "short main", "NaN", "derived"],
)
def test_added_data(entries: dict[str, Any], error: Error, match: str) -> None:
    routine = trained()
    before = snapshot(routine)
    calls = [routine.add_data, routine.add_to_dataset, routine.train]
    if "main" in entries and len(entries["main"]) != N:
        calls.remove(routine.train)  # which takes other rows
    for add in calls:
        with pytest.raises(error, match=match):
            add(entries)
        assert snapshot(routine) == before


def test_other_rows_without_what_the_phases_need() -> None:
    routine = trained()
    before = snapshot(routine)
    with pytest.raises(KeyError, match=r"needs data entry 'start' .*'main'"):
        routine.train({"main": table()[:10]})
    assert snapshot(routine) == before


def test_width_of_the_model() -> None:
    routine = trained()
    for width in (DIM - 1, DIM + 1):
        with pytest.raises(ValueError, match=rf"X has {width} columns.* takes {DIM}"):
            routine.apply(np.zeros((3, width), np.float32))
        with pytest.raises(ValueError, match=rf"X has {width} columns.* takes {DIM}"):
            routine.embed(np.zeros((3, width), np.float32))
    with pytest.raises(ValueError, match=rf"{DIM} columns.* takes {DIM + 2}"):
        dr.ParametricDR(**{**parts(), "in_dim": DIM + 2})


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: neighbors.knn(table(), 3, "euclid"), ValueError, "metric.*'euclidean'.*'euclid'"),
        (lambda: relations.NeighborBasedPDist(metric="l3"), ValueError, "metric.*'cosine'.*'l3'"),
        (lambda: routines.ParametricUMAP(metric="l3"), ValueError, "metric"),
        (lambda: routines.ParametricUMAP(initialization="random"), ValueError,
         "initialization.*'spectral', 'pca', None"),
        (lambda: routines.ParametricUMAP(min_dist=-1), ValueError, "min_dist"),
        (lambda: routines.ParametricUMAP(out_dim=0), ValueError, "out_dim"),
        (lambda: routines.ParametricUMAP(learning_rates=1), TypeError, "learning_rates"),
        (lambda: dr.ParametricDR(in_dim=0), ValueError, "in_dim"),
        (lambda: dr.ParametricDR(in_dim=3, hidden_dims=[4, 0]), ValueError, "hidden_dims"),
        (lambda: dr.ParametricDR(seed=-1), ValueError, "seed"),
        (lambda: dr.ParametricDR(seed="1"), TypeError, "seed"),
        (lambda: dr.ParametricDR(losses="kl"), TypeError, "losses must be Loss"),
        (lambda: dr.ParametricDR(global_relations=3), TypeError, "global_relations"),
        (lambda: dr.ParametricDR(batch_relations={"rel": 1}), TypeError, "batch_relations.*'rel'"),
        (lambda: dr.ParametricDR(device="gpu"), (ValueError, RuntimeError), "gpu"),
        (lambda: transforms.ConnectivityBasedRescale(rule="tsne"), ValueError, "rule.*'umap'"),
        (lambda: dr.DerivedData(np.asarray, [("relations", "rel")]), ValueError, "'data', 'rels'"),
        (lambda: dr.DerivedData(3), TypeError, "func"),
        (lambda: relations.PDist(metric="l3").compute_relations(table()), ValueError, "l3"),
        (lambda: relations.PDist(transform=[abs]), TypeError, "transform"),
    ],
)  # fmt: skip
def test_options(make: Callable[[], Any], error: Error, match: str) -> None:
    with pytest.raises(error, match=match):
        make()


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is there")
@pytest.mark.parametrize(
    "make",
    [
        lambda: dr.ParametricDR(use_cuda=True),
        lambda: dr.ParametricDR(device="cuda"),
        lambda: dr.ParametricDR(device=torch.device("cuda", 1)),
        lambda: routines.ParametricUMAP(use_cuda=True),
        lambda: ops.resolve_device("cuda"),
    ],
)
def test_cuda_asked_for_and_absent(make: Callable[[], Any]) -> None:
    with pytest.raises(exceptions.CUDANotAvailableError, match=r"'cuda(:1)?' .*device='cpu'"):
        make()
