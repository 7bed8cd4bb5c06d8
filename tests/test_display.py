"""Objects show themselves in few lines, whatever they hold."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

import fastparadime
from fastparadime import (
    dr,
    estimators,
    layout,
    loss,
    models,
    neighbors,
    ops,
    relationdata,
    relations,
    routines,
    training,
    transforms,
)
from fastparadime.utils import ReprMixin

ROWS = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
SQUARE = np.ones((300, 300), np.float32)
_LINES, _CHARACTERS = 100, 4000

# How to make one of each public class that does not do without arguments.
MADE: dict[str, Any] = {
    "AnchorEmbeddingModel": lambda: models.AnchorEmbeddingModel(4, 2, [8], 16),
    "AnchorLoss": lambda: loss.AnchorLoss(models.AnchorEmbeddingModel(4, 2, [8], 16)),
    "CompoundLoss": lambda: loss.CompoundLoss([loss.PositionLoss()] * 30),
    "Dataset": lambda: dr.Dataset(ROWS),
    "DerivedData": lambda: dr.DerivedData(np.asarray, rows=ROWS),
    "EncoderDecoderModel": lambda: dr.EncoderDecoderModel(
        torch.nn.Linear(4, 2), in_dim=4, out_dim=2
    ),
    "FullyConnectedEmbeddingModel": lambda: models.FullyConnectedEmbeddingModel(4, 2, [8]),
    "PrototypeEmbeddingModel": lambda: models.PrototypeEmbeddingModel(4, 2, [8]),
    "ScaledEmbeddingModel": lambda: models.ScaledEmbeddingModel(4, 2, [8]),
    "NegSampledEdgeDataset": lambda: dr.NegSampledEdgeDataset(
        dr.Dataset(ROWS), relationdata.SquareRelationArray(SQUARE)
    ),
    "FlatRelationArray": lambda: relationdata.FlatRelationArray(ROWS.ravel()),
    "FlatRelationTensor": lambda: relationdata.FlatRelationTensor(torch.ones(1000)),
    "SquareRelationArray": lambda: relationdata.SquareRelationArray(SQUARE),
    "SquareRelationTensor": lambda: relationdata.SquareRelationTensor(torch.ones(300, 300)),
    "TriangularRelationArray": lambda: relationdata.TriangularRelationArray(np.ones(44850)),
    "TriangularRelationTensor": lambda: relationdata.TriangularRelationTensor(torch.ones(44850)),
    "SparseRelationArray": lambda: relationdata.SparseRelationArray(
        scipy.sparse.csr_matrix(SQUARE)
    ),
    "NeighborRelationTuple": lambda: relationdata.NeighborRelationTuple(
        (np.arange(300)[:, None][::-1].copy(), np.ones((300, 1)))
    ),
    "StudentTTransform": lambda: transforms.StudentTTransform(1.0),
    "Precomputed": lambda: relations.Precomputed(SQUARE),
    "RelationLoss": lambda: loss.RelationLoss(loss.cross_entropy_loss),
    "Functional": lambda: transforms.Functional(lambda data: data),
    "TrainingData": lambda: training.TrainingData(
        {"main": torch.from_numpy(ROWS)}, {}, {}, torch.device("cpu"), 0
    ),
    "LayoutParameters": lambda: layout.LayoutParameters(a=1.5, b=0.9, seed=0),
    "Drift": lambda: layout.Drift(0.001, 0.01, 0.99, 300),
    "Landmarks": lambda: layout.Landmarks(torch.from_numpy(ROWS), 1.0),
    "Confidence": lambda: estimators.Confidence(*ROWS.T[:3]),
    "RegionAttribution": lambda: dr.RegionAttribution(
        np.arange(40), np.ones((40, 2, 784), np.float32), np.full(40, 10)
    ),
    "NeighborGraph": lambda: neighbors.knn(ROWS, 5),
    "AdaptiveNeighborhoodRescale": lambda: transforms.AdaptiveNeighborhoodRescale(
        np.maximum, np.mean
    ),
}
MODULES = (
    dr, estimators, layout, loss, models, neighbors, relationdata, relations, routines, training,
    transforms,
)  # fmt: skip


def public_classes() -> list[type]:
    found = {}
    for module in MODULES:
        names = getattr(module, "__all__", None) or [n for n in vars(module) if n[0] != "_"]
        for name in names:
            value = getattr(module, name)
            own = isinstance(value, type) and value.__module__.startswith("fastparadime")
            if own and not isinstance(value, types.GenericAlias):
                found[f"{value.__module__}.{name}"] = value
    return list(found.values())


@pytest.mark.parametrize("kind", public_classes(), ids=lambda kind: kind.__qualname__)
def test_every_public_object_is_shown_in_few_lines(kind: type) -> None:
    made = MADE.get(kind.__name__, kind)()
    text = repr(made)
    assert kind.__name__ in text
    assert len(text) <= _CHARACTERS
    assert text.count("\n") < _LINES


def test_the_walk_finds_the_classes() -> None:
    names = {kind.__name__ for kind in public_classes()}
    assert {"UMAP", "ParametricUMAP", "ParametricDR", "Symmetrize", "History"} <= names
    assert len(names) > 50


@pytest.mark.parametrize("quality", [None, "fast"])
def test_a_trained_routine_is_shown_whole(quality: str | None) -> None:
    schedule = {} if quality else {"epochs": 1, "init_epochs": 1}
    routine = routines.ParametricUMAP(n_neighbors=5, quality=quality, seed=0, **schedule)
    routine.train(ROWS[:100])
    text = repr(routine)
    assert len(text) <= _CHARACTERS
    assert text.count("\n") < _LINES
    assert "'main': Tensor(shape=(100, 4), dtype=torch.float32)" in text
    assert "EmbeddingModel(" in text
    table = routine._repr_html_()
    assert table.startswith("<table>")
    assert table.endswith("</table>")
    assert len(table) <= _CHARACTERS


def test_what_holds_itself_is_shown_once() -> None:
    class Whole(ReprMixin):
        def __init__(self) -> None:
            self.itself = self
            self.method = self.run
            self.parts = [[self]]

        def run(self) -> None: ...

    text = repr(Whole())
    assert len(text) < 1000
    assert "run" in text


def test_texts_are_escaped_in_notebooks() -> None:
    routine = dr.ParametricDR(losses={"<b>": loss.PositionLoss(name="<i>")}, seed=0)
    assert "<b>'" not in routine._repr_html_()
    assert "&lt;b&gt;" in routine._repr_html_()


def test_graphs_and_the_package_are_shown() -> None:
    graph = ops.symmetrize(neighbors.knn(ROWS, 5).indices, torch.ones(300, 5), "union")
    assert len(repr(graph)) <= _CHARACTERS
    assert "ParametricUMAP" in dir(fastparadime)
