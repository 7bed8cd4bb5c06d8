"""Every public class refuses what it cannot use, in its constructor and its methods."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

from fastparadime import dr, loss, models, relationdata, relations, routines, transforms

Case = tuple[Callable[[], Any], type[BaseException] | tuple[type[BaseException], ...], str]
SQUARE = np.ones((4, 4), np.float32)
FLAT = np.ones(6, np.float32)


def dataset() -> dr.Dataset:
    return dr.Dataset(np.arange(8.0, dtype=np.float32).reshape(4, 2))


def sparse() -> relationdata.SparseRelationArray:
    return relationdata.SparseRelationArray(scipy.sparse.csr_matrix(SQUARE))


def tuple_of() -> relationdata.NeighborRelationTuple:
    return relationdata.NeighborRelationTuple((np.array([[1], [0]]), np.ones((2, 1))))


def losses_of(name: str, *keys: str) -> list[Case]:
    kind = getattr(loss, name)
    required = {"loss_function": loss.cross_entropy_loss} if name == "RelationLoss" else {}
    cases: list[Case] = [
        (lambda: kind(**{**required, "loss_function": "mse"}), TypeError,
         "loss_function must be callable, not 'mse'"),
        (lambda: kind(**required, name=3), TypeError, "name must be a string, not 3"),
    ]  # fmt: skip
    for key in keys:
        cases += [
            (lambda key=key: kind(**required, **{key: 3}), TypeError, f"{key} must be a str.* 3"),
            (lambda key=key: kind(**required, **{key: ""}), ValueError, f"{key} must not be empty"),
        ]
    return cases


ANCHORED = models.AnchorEmbeddingModel(2, 2, [3], 4)


def network(kind: Any) -> list[Case]:
    return [
        (lambda: kind(0, 2, []), ValueError, "in_dim .* not 0"),
        (lambda: kind(2, 1.5, []), ValueError, "out_dim .* not 1.5"),
        (lambda: kind(2, 2, [0]), ValueError, "hidden_dims .* not 0"),
        (lambda: kind(2, 2, 3), TypeError, "hidden_dims .* not 3"),
        (lambda: kind(2, 2, [], activation="gelu"), ValueError, "activation must .* not 'gelu'"),
    ]


def dense(kind: Any, good: Any, bad: Any) -> list[Case]:
    cases: list[Case] = [
        (lambda: kind(bad), ValueError, rf"{kind.__name__} takes .*{type(bad).__name__} of shape"),
        (lambda: kind([1.0]), ValueError, f"{kind.__name__} takes .*list"),
    ]
    if kind.__name__.startswith("Flat"):
        return [*cases, (lambda: kind(good).sub([0]), TypeError, "Flat.* no square form")]
    return [
        *cases,
        (lambda: kind(good).sub([0, 4]), ValueError, r"indices must lie in \[0, 4\), but hold 4"),
        (lambda: kind(good).sub([-1]), ValueError, r"indices must lie in \[0, 4\), but hold -1"),
        (lambda: kind(good).sub([0.5]), TypeError, "indices must be a list of integers.*float"),
    ]


def transform(make: Callable[[], Any]) -> list[Case]:
    return [
        (lambda: make()(SQUARE), TypeError, "reldata must be RelationData.* not ndarray"),
        (lambda: make()(None), TypeError, "reldata must be RelationData.* not NoneType"),
    ]


def relation(kind: Any) -> list[Case]:
    return [
        (lambda: kind(transform=3), TypeError, "transform must be .* not 3"),
        (lambda: kind(transform=[abs]), TypeError, "transform must hold RelationTransforms"),
        (lambda: kind(data_key=3), TypeError, "data_key must be a string, not 3"),
        (lambda: kind().relations, AttributeError, "compute_relations"),
    ]


def missing(kind: Any) -> list[Case]:
    return [(lambda: kind().compute_relations(), ValueError, "Missing input")]


def needing_forms(make: Callable[[], Any]) -> list[Case]:
    flat = relationdata.FlatRelationArray(FLAT)
    return [*transform(make), (lambda: make()(flat), TypeError, "between points, not Flat")]


def two_networks(**changes: Any) -> dr.EncoderDecoderModel:
    return dr.EncoderDecoderModel(
        **{"encoder": torch.nn.Linear(4, 2), "in_dim": 4, "out_dim": 2, **changes}
    )


CASES: dict[str, list[Case]] = {
    "dr.EncoderDecoderModel": [
        (lambda: two_networks(in_dim=0), ValueError, "in_dim .* not 0"),
        (lambda: two_networks(row_shape=[2, -2]), ValueError, "row_shape .* not -2"),
        (lambda: two_networks(encoder=3), TypeError, "encoder must be a Module, not int"),
        (lambda: two_networks(decoder=abs), TypeError, "decoder must be a Module, not builtin"),
        (lambda: two_networks(encoder={"class": "Unknown", "arguments": {}}), ValueError,
         "encoder names no registered model class 'Unknown'"),
        (lambda: two_networks().decode(torch.zeros(1, 2)), AttributeError, "no decoder"),
    ],
    "dr.RegionAttribution": [],  # a result, which nobody makes
    "dr.Dataset": [
        (lambda: dr.Dataset("data.npy"), TypeError, "data must be a tensor.* not str"),
        (lambda: dr.Dataset({}), ValueError, "data must hold at least one entry"),
        (lambda: dr.Dataset({"x": {1}}), TypeError, "'x'.* not set"),
        (lambda: dataset().add({"x": np.ones(3)}), ValueError, r"'x'.*\(3,\).* 4 rows"),
    ],
    "dr.DerivedData": [
        (lambda: dr.DerivedData("pca"), TypeError, "func must be callable, not 'pca'"),
        (lambda: dr.DerivedData(abs, [("x", "main")]), ValueError, "'data', 'rels', not 'x'"),
        (lambda: dr.DerivedData(abs, ["main"]), ValueError, "type_key_tuples .* not 'main'"),
        (lambda: dr.DerivedData(abs, 3), TypeError, "type_key_tuples .* not 3"),
    ],
    "dr.NegSampledEdgeDataset": [
        (lambda: dr.NegSampledEdgeDataset(dataset(), tuple_of()), ValueError, "the 4 .* not 2"),
        (lambda: dr.NegSampledEdgeDataset(dataset(), sparse(), -1), ValueError, "neg_.* -1"),
        (lambda: dr.NegSampledEdgeDataset(dataset(), sparse(), 1, "x"), KeyError, "no entry 'x'"),
        (lambda: dr.NegSampledEdgeDataset(SQUARE, sparse()), TypeError, "dataset must .*ndarray"),
        (lambda: dr.NegSampledEdgeDataset(dataset(), SQUARE), TypeError, "relations must .*ndarray"),
    ],
    "dr.ParametricDR": [
        (lambda: dr.ParametricDR(model="net"), TypeError, "model must be a Module, not str"),
        (lambda: dr.ParametricDR(model=torch.nn.Linear), TypeError, "model must .* not type"),
        (lambda: dr.ParametricDR(hidden_dims=3), TypeError, "hidden_dims .* not 3"),
        (lambda: dr.ParametricDR(hidden_dims=["a"]), TypeError, "hidden_dims .*'a'"),
        (lambda: dr.ParametricDR(training_defaults=3), TypeError, "training_defaults .* not int"),
        (lambda: dr.ParametricDR(training_phases=[3]), TypeError, "training_phase .* not int"),
        (lambda: dr.ParametricDR().add_training_phase(3), TypeError, "training_phase .* not int"),
        (lambda: dr.ParametricDR().run_training_phase(3), TypeError, "training_phase .* not int"),
        (lambda: dr.ParametricDR().set_training_defaults(3), TypeError, "training_ph.* not int"),
        (lambda: dr.ParametricDR().add_data(3), TypeError, "data must be a mapping.* not int"),
        (lambda: dr.ParametricDR().compute_derived_data("all"), ValueError, "only .* not 'all'"),
        (lambda: setattr(dr.ParametricDR(), "model", 3), TypeError, "model must .* not int"),
    ],
    "dr.TrainingPhase": [
        (lambda: dr.TrainingPhase(epochs=-1), ValueError, "epochs .* not -1"),
        (lambda: dr.TrainingPhase(name=3), TypeError, "name must be a string, not 3"),
        (lambda: dr.TrainingPhase(edge_rel_key=3), TypeError, "edge_rel_key .* not 3"),
        (lambda: dr.TrainingPhase(loss_keys="loss"), TypeError, "loss_keys .* not 'loss'"),
        (lambda: dr.TrainingPhase(loss_keys=[3]), TypeError, "loss_keys .* not 3"),
        (lambda: dr.TrainingPhase(loss_weights=["a"]), TypeError, "loss_weights .* not 'a'"),
    ],
    "loss.Loss": [(lambda: loss.Loss(name=3), TypeError, "name must be a string, not 3")],
    "loss.RelationLoss": losses_of(
        "RelationLoss", "global_relation_key", "batch_relation_key", "embedding_method"
    ),
    "loss.ClassificationLoss": losses_of(
        "ClassificationLoss", "data_key", "label_key", "classification_method"
    ),
    "loss.AnchorLoss": [
        (lambda: loss.AnchorLoss(torch.nn.Linear(2, 2)), TypeError, "model must be .* not Linear"),
        (lambda: loss.AnchorLoss(ANCHORED, data_key=3), TypeError, "data_key must be a str.* 3"),
        (lambda: loss.AnchorLoss(ANCHORED, position_key=""), ValueError, "position_key must not be"),
    ],
    "loss.PositionLoss": losses_of(
        "PositionLoss", "data_key", "position_key", "embedding_method"
    ),
    "loss.ReconstructionLoss": losses_of(
        "ReconstructionLoss", "data_key", "encoding_method", "decoding_method"
    ),
    "loss.CompoundLoss": [
        (lambda: loss.CompoundLoss([]), ValueError, "losses must hold at least one"),
        (lambda: loss.CompoundLoss([abs]), TypeError, "losses must hold Loss.* not builtin"),
        (lambda: loss.CompoundLoss([loss.Loss()], [1, 2]), ValueError, r"\(1\) and weights \(2\)"),
        (lambda: loss.CompoundLoss([loss.Loss()], ["a"]), TypeError, "weights .* not 'a'"),
    ],
    "models.Model": [
        (lambda: models.Model().embed(torch.ones(1)), NotImplementedError, "does not define embed")
    ],
    "models.FullyConnectedEmbeddingModel": network(models.FullyConnectedEmbeddingModel),
    "models.AnchorEmbeddingModel": [
        *network(partial(models.AnchorEmbeddingModel, anchors=3)),
        (
            lambda: models.AnchorEmbeddingModel(2, 2, [3], 0),
            ValueError,
            "anchors must be .* not 0",
        ),
    ],
    "models.PrototypeEmbeddingModel": [
        *network(models.PrototypeEmbeddingModel),
        (
            lambda: models.PrototypeEmbeddingModel(2, 2, [3, 4]),
            ValueError,
            "hidden_dims must be one number, of prototypes, not 2",
        ),
    ],
    "models.ScaledEmbeddingModel": network(models.ScaledEmbeddingModel),
    "relationdata.RelationData": [
        (lambda: relationdata.RelationData().to_square_array(), TypeError, "no square form")
    ],
    "relationdata.FlatRelationArray": dense(relationdata.FlatRelationArray, FLAT, SQUARE),
    "relationdata.FlatRelationTensor": dense(
        relationdata.FlatRelationTensor, torch.from_numpy(FLAT), torch.ones(2, 2)
    ),
    "relationdata.SquareRelationArray": dense(relationdata.SquareRelationArray, SQUARE, FLAT),
    "relationdata.SquareRelationTensor": dense(
        relationdata.SquareRelationTensor, torch.from_numpy(SQUARE), torch.ones(2, 3)
    ),
    "relationdata.TriangularRelationArray": dense(
        relationdata.TriangularRelationArray, FLAT, FLAT[:4]
    ),
    "relationdata.TriangularRelationTensor": dense(
        relationdata.TriangularRelationTensor, torch.from_numpy(FLAT), torch.ones(2, 2)
    ),
    "relationdata.SparseRelationArray": [
        (lambda: relationdata.SparseRelationArray(SQUARE), ValueError, "takes .* not ndarray"),
        (lambda: sparse().sub([4]), ValueError, r"indices must lie in \[0, 4\), but hold 4"),
        (lambda: sparse().sub([0.5]), TypeError, "indices must be a list of integers"),
    ],
    "relationdata.NeighborRelationTuple": [
        (lambda: relationdata.NeighborRelationTuple([1]), ValueError, "tuple .* not list"),
        (lambda: relationdata.NeighborRelationTuple((FLAT, FLAT)), ValueError, r"shape \(n, k\)"),
        (lambda: tuple_of().sub([2]), ValueError, r"indices must lie in \[0, 2\), but hold 2"),
    ],
    "relations.Relations": [
        *relation(relations.Relations),
        (lambda: relations.Relations().compute_relations(), NotImplementedError, "does not define"),
    ],
    "relations.Precomputed": [
        (lambda: relations.Precomputed("x"), TypeError, "relations must be .* not str"),
        (lambda: relations.Precomputed(SQUARE[:3]), TypeError, r"shape \(3, 4\)"),
        (lambda: relations.Precomputed(SQUARE, 3), TypeError, "transform must be .* not 3"),
    ],
    "relations.PDist": [
        *relation(relations.PDist), *missing(relations.PDist),
        (lambda: relations.PDist(metric=3), TypeError, "metric must be .* not 3"),
    ],
    "relations.NeighborBasedPDist": [
        *relation(relations.NeighborBasedPDist), *missing(relations.NeighborBasedPDist),
        (lambda: relations.NeighborBasedPDist(0), ValueError, "n_neighbors .* not 0"),
        (lambda: relations.NeighborBasedPDist(metric="l3"), ValueError, "metric .* 'l3'"),
    ],
    "relations.DifferentiablePDist": [
        *relation(relations.DifferentiablePDist), *missing(relations.DifferentiablePDist),
        (lambda: relations.DifferentiablePDist(p=-1), ValueError, "p must be .* not -1"),
        (lambda: relations.DifferentiablePDist(p="2"), TypeError, "p must be .* not '2'"),
        (lambda: relations.DifferentiablePDist(metric="l1"), TypeError, "metric .* not 'l1'"),
        (lambda: relations.DifferentiablePDist().compute_relations(
            torch.ones(3, requires_grad=True)), ValueError, r"X must have rows.*\(3,\)"),
    ],
    "relations.DistsFromTo": [
        *relation(relations.DistsFromTo), *missing(relations.DistsFromTo),
        (lambda: relations.DistsFromTo(metric="l1"), TypeError, "metric .* not 'l1'"),
        (lambda: relations.DistsFromTo().compute_relations(SQUARE), ValueError, r"\(2, n, dim\)"),
    ],
    "routines.ParametricTSNE": [
        (lambda: routines.ParametricTSNE(0), ValueError, "perplexity .* not 0"),
        (lambda: routines.ParametricTSNE(alpha=0), ValueError, "alpha .* not 0"),
        (lambda: routines.ParametricTSNE(initialization="x"), ValueError, "initialization .*'x'"),
        (lambda: routines.ParametricTSNE(init_batch_size=0), ValueError, "batch_size .* not 0"),
        (lambda: routines.ParametricTSNE(seed=0, in_dim=2).train(SQUARE), ValueError, "2|columns"),
        (lambda: routines.ParametricTSNE(9, seed=0).train(np.eye(4)), ValueError, "perplexity .* 9"),
    ],
    "routines.ParametricUMAP": [
        (lambda: routines.ParametricUMAP(0), ValueError, "n_neighbors .* not 0"),
        (lambda: routines.ParametricUMAP(min_dist=9), ValueError, "min_dist .* not 9"),
        (lambda: routines.ParametricUMAP(a=-1, b=1), ValueError, "a must be .* not -1"),
        (lambda: routines.ParametricUMAP(negative_sampling_rate=-1), ValueError, "rate .* not -1"),
        (lambda: routines.ParametricUMAP(data_key=3), TypeError, "data_key .* not 3"),
    ],
    "transforms.RelationTransform": transform(transforms.RelationTransform),
    **{
        f"transforms.{name}": transform(getattr(transforms, name))
        for name in (
            "Identity", "ToFlatArray", "ToFlatTensor", "ToSquareArray", "ToSquareTensor",
            "ToTriangularArray", "ToTriangularTensor", "ToNeighborTuple", "ToSparseArray",
            "Normalize",
        )
    },
    "transforms.NormalizeRows": needing_forms(transforms.NormalizeRows),
    "transforms.ZeroDiagonal": needing_forms(transforms.ZeroDiagonal),
    "transforms.Symmetrize": [
        *needing_forms(transforms.Symmetrize),
        (lambda: transforms.Symmetrize("no"), ValueError, "subtract_product .* not 'no'"),
    ],
    "transforms.AdaptiveNeighborhoodRescale": [
        *transform(lambda: transforms.AdaptiveNeighborhoodRescale(abs, abs)),
        (lambda: transforms.AdaptiveNeighborhoodRescale(1, abs), TypeError, "kernel .* not 1"),
        (lambda: transforms.AdaptiveNeighborhoodRescale(abs, 1), TypeError, "find_param .* not 1"),
        (lambda: transforms.AdaptiveNeighborhoodRescale(abs, abs).param_values, AttributeError,
         "after calling transform"),
    ],
    "transforms.PerplexityBasedRescale": [
        *transform(transforms.PerplexityBasedRescale),
        (lambda: transforms.PerplexityBasedRescale(0), ValueError, "perplexity .* not 0"),
        (lambda: transforms.PerplexityBasedRescale(5)(tuple_of()), ValueError, "perplexity .* 5"),
    ],
    "transforms.ConnectivityBasedRescale": [
        *transform(transforms.ConnectivityBasedRescale),
        (lambda: transforms.ConnectivityBasedRescale("5"), TypeError, "n_neighbors .* not '5'"),
        (lambda: transforms.ConnectivityBasedRescale(local_connectivity=-1), ValueError,
         "local_connectivity .* not -1"),
    ],
    "transforms.StudentTTransform": [
        *transform(lambda: transforms.StudentTTransform(1.0)),
        (lambda: transforms.StudentTTransform(-1), ValueError, "alpha .* not -1"),
        (lambda: transforms.StudentTTransform(torch.ones(2)), ValueError, r"alpha .*\(2,\)"),
        (lambda: transforms.StudentTTransform("1"), TypeError, "alpha .* not '1'"),
    ],
    "transforms.ModifiedCauchyTransform": [
        *transform(transforms.ModifiedCauchyTransform),
        (lambda: transforms.ModifiedCauchyTransform(spread=0), ValueError, "spread .* not 0"),
        (lambda: transforms.ModifiedCauchyTransform(a=0, b=1), ValueError, "a must .* not 0"),
        (lambda: transforms.ModifiedCauchyTransform(b=torch.ones(2)), ValueError, "b must .*tensor"),
    ],
    "transforms.Functional": [
        *transform(lambda: transforms.Functional(abs)),
        (lambda: transforms.Functional(3), TypeError, "f must be callable, not 3"),
    ],
}  # fmt: skip
MODULES = (dr, loss, models, relationdata, relations, routines, transforms)


def test_the_walk_covers_every_public_class() -> None:
    public = {
        f"{module.__name__.removeprefix('fastparadime.')}.{name}"
        for module in MODULES
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and not name.startswith("_")
        and value.__module__.startswith(module.__name__)
    } | {f"dr.{name}" for name in dr.__all__ if inspect.isclass(getattr(dr, name))}
    assert public == set(CASES)


@pytest.mark.parametrize(
    ("name", "number"), [(name, i) for name, cases in CASES.items() for i in range(len(cases))]
)
def test_what_cannot_be_used_is_refused(name: str, number: int) -> None:
    make, error, match = CASES[name][number]
    with pytest.raises(error, match=match):
        make()


@pytest.mark.parametrize("function", [loss.kullback_leibler_div, loss.cross_entropy_loss])
def test_relations_of_other_shapes_are_not_compared(function: Any) -> None:
    with pytest.raises(ValueError, match=r"p and q .*\(2, 2\) and \(3, 3\)"):
        function(torch.ones(2, 2), torch.ones(3, 3))


def test_flat_relations_have_no_divergence() -> None:
    with pytest.raises(ValueError, match="square, as ToSquareTensor"):
        loss.kullback_leibler_div(torch.ones(3), torch.ones(3))
