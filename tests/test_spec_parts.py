"""Specifications of whole routines: the documented examples, and the way back to documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import dr, loss, relations, routines, transforms
from fastparadime.dr import spec
from fastparadime.dr.dataset import pca_positions, spectral_positions
from fastparadime.exceptions import SpecificationError

EXAMPLES = Path(__file__).resolve().parent.parent / "docs" / "specifications"


@pytest.fixture
def images(digits: Any) -> np.ndarray:
    return digits[0][:400]


def umap_by_hand(**arguments: Any) -> dr.ParametricDR:
    return dr.ParametricDR(
        global_relations=relations.NeighborBasedPDist(
            transform=[
                transforms.ConnectivityBasedRescale(n_neighbors=15),
                transforms.Symmetrize(subtract_product=True),
            ]
        ),
        batch_relations=relations.DistsFromTo(
            transform=[transforms.ModifiedCauchyTransform(min_dist=0.1, spread=1.0)]
        ),
        derived_data={
            "spectral": dr.DerivedData(spectral_positions, [("rels", "rel")], n_components=2)
        },
        losses={
            "init": loss.PositionLoss(torch.nn.MSELoss(), position_key="spectral"),
            "embedding": loss.RelationLoss(loss.cross_entropy_loss),
        },
        training_phases=[
            dr.TrainingPhase(
                epochs=10, batch_size=100, learning_rate=0.01, loss_keys=["init"]
            ),
            dr.TrainingPhase(
                epochs=20, batch_size=100, batches_per_epoch=10, sampling="negative_edge",
                neg_sampling_rate=5, learning_rate=0.005, loss_keys=["embedding"],
            ),
        ],
        **arguments,
    )  # fmt: skip


def tsne_by_hand(**arguments: Any) -> dr.ParametricDR:
    return dr.ParametricDR(
        global_relations={
            "similarities": relations.NeighborBasedPDist(
                transform=[
                    transforms.PerplexityBasedRescale(perplexity=30),
                    transforms.Symmetrize(),
                    transforms.Normalize(),
                ]
            )
        },
        batch_relations={
            "student": relations.DifferentiablePDist(
                transform=[
                    transforms.StudentTTransform(alpha=1.0),
                    transforms.Normalize(),
                    transforms.ToSquareTensor(),
                ]
            )
        },
        derived_data={"pca": dr.DerivedData(pca_positions, n_components=2)},
        losses={
            "init": loss.PositionLoss(torch.nn.MSELoss(), position_key="pca"),
            "divergence": loss.RelationLoss(loss.kullback_leibler_div, "similarities", "student"),
        },
        training_phases=[
            dr.TrainingPhase(epochs=10, batch_size=100, learning_rate=0.01, loss_keys=["init"]),
            dr.TrainingPhase(
                epochs=20, batch_size=250, learning_rate=0.02, loss_keys=["divergence"]
            ),
        ],
        **arguments,
    )


def trained(routine: dr.ParametricDR, X: np.ndarray) -> list[bytes]:
    """The embedding and the losses of each phase, as bytes."""
    routine.train(X)
    histories = [torch.tensor(phase.loss.history) for phase in routine.training_phases]
    return [part.numpy().tobytes() for part in (routine.apply(X), *histories)]


@pytest.mark.parametrize(
    ("example", "by_hand"), [("umap.yaml", umap_by_hand), ("tsne.json", tsne_by_hand)]
)
def test_examples_equal_the_routine_by_hand(example: str, by_hand: Any, images: np.ndarray) -> None:
    document = dr.validate_spec(EXAMPLES / example)
    routine = dr.ParametricDR.from_spec(str(EXAMPLES / example), seed=11)
    expected = trained(by_hand(seed=11), images)
    assert trained(routine, images) == expected
    for phase in routine.training_phases:
        assert phase.loss.history[-1] < phase.loss.history[0]
    # A description survives JSON, and describes the same routine.
    described = json.loads(json.dumps(spec.describe(routine)))
    again = dr.ParametricDR.from_spec(described, seed=11)
    assert trained(again, images) == expected
    assert spec.describe(again) == described
    assert spec.describe(by_hand())["losses"] == described["losses"]
    assert set(described) == set(document)


def test_a_routine_of_the_package_is_described(images: np.ndarray) -> None:
    umap = routines.ParametricUMAP(
        n_neighbors=10, min_dist=0.3, out_dim=3, epochs=2, init_epochs=2, seed=4, verbose=True
    )
    described = spec.describe(umap)
    assert described["relations"][1]["transforms"] == [
        {"type": "modified cauchy", "options": {"min_dist": 0.3}}
    ]
    again = dr.ParametricDR.from_spec(described, seed=4, out_dim=3)
    assert trained(again, images) == trained(umap, images)


def test_losses_that_belong_to_phases_are_described() -> None:
    shared = loss.PositionLoss(position_key="a")
    routine = dr.ParametricDR(
        in_dim=2,
        losses={"shared": shared},
        training_phases=[
            dr.TrainingPhase("one", loss=loss.PositionLoss(position_key="a")),
            dr.TrainingPhase(
                "shared",
                loss=loss.CompoundLoss(
                    [loss.PositionLoss(position_key="a"), loss.ReconstructionLoss()], [1, 0.1]
                ),
            ),
            dr.TrainingPhase(loss=loss.ClassificationLoss(classification_method="logits")),
        ],
    )
    described = spec.describe(routine)
    assert described["losses"] == [
        {"name": "shared", "type": "position", "keys": {"data": ["main", "a"]}},
        {"name": "shared 2", "type": "reconstruction"},
        {"name": "loss", "type": "classification", "keys": {"methods": ["logits"]}},
    ]
    assert [phase["loss"] for phase in described["training phases"]] == [
        {"components": ["shared"]},
        {"components": ["shared", "shared 2"], "weights": [1.0, 0.1]},
        {"components": ["loss"]},
    ]
    assert len(routine.losses) == 1
    assert spec.describe(dr.ParametricDR.from_spec(described, in_dim=2)) == described


def test_every_setting_survives_a_description() -> None:
    routine = dr.ParametricDR(
        in_dim=2,
        global_relations={
            "a": relations.PDist("cosine", transforms.ZeroDiagonal(), keep_result=False, data_key="other"),
            "b": relations.NeighborBasedPDist(
                7,
                "manhattan",
                [transforms.ConnectivityBasedRescale(5, rule="umap", local_connectivity=1.5)],
            ),
        },
        batch_relations={
            "a": relations.DifferentiablePDist(
                3, transform=transforms.ModifiedCauchyTransform(a=1.5, b=0.75)
            )
        },
        losses=loss.RelationLoss(torch.nn.MSELoss(), "a", "a", "encode", normalize_sub=False),
        training_phases=[
            dr.TrainingPhase(
                "main", 3, 20, optimizer=torch.optim.AdamW, learning_rate=0.5,
                weight_decay=np.float64(0.25), betas=(0.5, 0.75), report_interval=2,
            )
        ],
    )  # fmt: skip
    described = spec.describe(routine)
    assert described == {
        "relations": [
            {
                "name": "a", "level": "global", "type": "pdist", "field": "other",
                "options": {"metric": "cosine", "keep_result": False},
                "transforms": [{"type": "zero diagonal"}],
            },
            {
                "name": "b", "level": "global", "type": "neighbor",
                "options": {"n_neighbors": 7, "metric": "manhattan"},
                "transforms": [
                    {
                        "type": "connect",
                        "options": {"n_neighbors": 5.0, "rule": "umap", "local_connectivity": 1.5},
                    }
                ],
            },
            {
                "name": "a", "level": "batch", "type": "pdistdiff", "options": {"p": 3},
                "transforms": [{"type": "modified cauchy", "options": {"a": 1.5, "b": 0.75}}],
            },
        ],
        "losses": [
            {
                "name": "loss", "type": "relation", "func": "mse",
                "keys": {"rels": ["a", "a"], "methods": ["encode"]},
                "options": {"normalize_sub": False},
            }
        ],
        "training phases": [
            {
                "name": "main", "epochs": 3,
                "sampling": {"type": "item", "options": {"batch_size": 20}},
                "optimizer": {
                    "type": "adamw",
                    "options": {"learning_rate": 0.5, "weight_decay": 0.25, "betas": [0.5, 0.75]},
                },
                "loss": {"components": ["loss"]},
                "report interval": 2,
            }
        ],
    }  # fmt: skip
    assert spec.describe(dr.ParametricDR.from_spec(described, in_dim=2)) == described


def test_numbers_of_numpy_become_plain() -> None:
    phase = dr.TrainingPhase(
        epochs=np.int64(3), report_interval=np.int64(2), batch_size=np.int32(7),
        loss=loss.PositionLoss(),
    )  # fmt: skip
    described = spec.describe(dr.ParametricDR(in_dim=2, training_phases=[phase]))
    assert json.loads(json.dumps(described)) == described
    with pytest.raises(TypeError, match="routine must be a ParametricDR, not TrainingPhase"):
        spec.describe(phase)


class Unnamed(transforms.RelationTransform):
    pass


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"global_relations": relations.PDist(transform=Unnamed())},
            "global relations 'rel' cannot be described: Unnamed has no name in specifications; th",
        ),
        (
            {"global_relations": relations.PDist(metric=np.dot)},
            "option 'metric' of global relations 'rel' cannot be described",
        ),
        (
            {"batch_relations": relations.Precomputed(np.eye(3))},
            "batch relations 'rel' cannot be described: Precomputed has no attribute 'X'",
        ),
        (
            {
                "batch_relations": relations.DistsFromTo(
                    transform=transforms.StudentTTransform(torch.nn.Parameter(torch.ones(())))
                )
            },
            "option 'alpha' of 't-dist' of batch relations 'rel' cannot be described: it is Param",
        ),
        (
            {"losses": loss.RelationLoss(torch.nn.functional.l1_loss)},
            "loss 'loss' cannot be described: l1_loss has no name in specifications; there are 'ms",
        ),
        (
            {"losses": loss.ClassificationLoss(torch.nn.CrossEntropyLoss(label_smoothing=0.1))},
            "loss 'loss' cannot be described: CrossEntropyLoss has no name",
        ),
        (
            {"losses": loss.CompoundLoss([loss.PositionLoss()])},
            "loss 'loss' cannot be described: CompoundLoss has no name",
        ),
        (
            {"derived_data": {"d": dr.DerivedData(np.sqrt)}},
            "derived data 'd' cannot be described: sqrt has no name",
        ),
        (
            {
                "training_phases": [
                    dr.TrainingPhase("p", schedule="cosine", tf32=True, loss=loss.PositionLoss())
                ]
            },
            "training phase 'p' cannot be described: specifications have no schedule, tf32",
        ),
        (
            {
                "training_phases": [
                    dr.TrainingPhase("p", loss=loss.CompoundLoss([loss.PositionLoss()], [0.5]))
                ]
            },
            "training phase 'p' cannot be described: its only loss has a weight",
        ),
    ],
)
def test_parts_without_a_name_are_named_by_their_place(parts: Any, message: str) -> None:
    with pytest.raises(SpecificationError) as caught:
        spec.describe(dr.ParametricDR(in_dim=2, **parts))
    assert message in str(caught.value)
