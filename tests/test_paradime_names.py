"""Every public name of paraDime 0.3.3 and 1.1.0 is here, with its arguments and defaults.

`parity/paradime_names.json` lists them, made from paraDime's sources by
`parity/list_paradime_names.py`; `docs/paradime-names.md` is the table for readers.
"""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

import fastparadime
from fastparadime import dr, loss, models, relationdata, relations, routines, transforms

STORED = Path(__file__).parent / "parity" / "paradime_names.json"
ROWS = [tuple(row) for row in json.loads(STORED.read_text(encoding="utf-8"))]

# Names that are left out, and why.
LEFT_OUT = {
    "utils.make_palette": "a script that made paraDime's palette file from a drawing",
    "utils.logging.formatter": "the format is LOGGING_FORMAT",
    "transforms.RelationTransform.verbose": "only where a subclass has it",
    "relations.Relations.verbose": "only where a subclass has it",
    "loss.RelationLoss.data_key": "set by paraDime under negative-edge sampling alone",
    "utils.logging.ch": "set_logfile(disable_stdout=True) removes the handler",
}
# Arguments whose default differs, and why.
BETTER_DEFAULTS = {
    ("hidden_dims", "[100, 50]"): "None stands for [100, 50]: a list would be shared",
    ("loss_keys", "['loss']"): "None stands for ['loss']: a list would be shared",
    ("type_key_tuples", "[('data', 'main')]"): "None stands for it: a list would be shared",
    ("training_defaults", "TrainingPhase()"): "None stands for it: a phase would be shared",
    ("loss", "pdloss.Loss()"): "None: the base class has no forward, so it cannot be trained",
    ("loss_function", "torch.nn.CrossEntropyLoss()"): "None stands for it: it would be shared",
    ("loss_function", "torch.nn.MSELoss()"): "None stands for it: it would be shared",
    ("data_key", "'data'"): "'main' as in 1.1: the main entry answers to both names",
}
# Arguments that cannot be given by position, and why.
KEYWORD_ALONE = {
    ("dr.ParametricDR", "dataset"): "1.1 has no such argument; positions follow 1.1",
    ("dr.TrainingPhase", "loss"): "1.1 has no such argument; positions follow 1.1",
}
# 0.3 and 1.1 have other arguments in between: in this version's order, not at its positions.
MOVED = {
    ("0.3.3", "dr.ParametricDR"), ("0.3.3", "dr.TrainingPhase"),
    ("1.1.0", "routines.ParametricTSNE"),  # 'dataset' as in 0.3 and in ParametricUMAP
}  # fmt: skip
# Methods that take the settings of phases by keyword, whatever their order in a version.
TAKES_SETTINGS = {"ParametricDR.set_training_defaults", "ParametricDR.add_training_phase"}


def listed(module: str, name: str) -> bool:
    return module not in LEFT_OUT and f"{module}.{name}" not in LEFT_OUT


NAMES = [row for row in ROWS if listed(row[1], row[2])]
IDS = [".".join(row[:3]) for row in NAMES]


def test_the_listing_is_whole() -> None:
    assert {row[0] for row in ROWS} == {"0.3.3", "1.1.0"}
    assert len(ROWS) > 150
    for left_out in LEFT_OUT:
        assert any(left_out.startswith(row[1]) for row in ROWS)


def check_arguments(owner: str, function: Any, arguments: list[list[Any]], version: str) -> None:
    found = inspect.signature(function).parameters
    if owner in TAKES_SETTINGS:
        first, *settings = (name for name, _ in arguments)
        assert list(found)[:2] == ["self", first]
        assert set(settings) <= set(dr.TrainingPhase.settings())
        return
    positional = [
        name for name, p in found.items()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and name != "self"
    ]  # fmt: skip
    expected = [name for name, _ in arguments if (owner, name) not in KEYWORD_ALONE]
    if (version, owner) in MOVED:
        assert [name for name in positional if name in expected] == expected
    else:
        assert positional[: len(expected)] == expected
    for name, default in arguments:
        check_default(name, found[name].default, default)


def check_default(name: str, ours: Any, theirs: str | None) -> None:
    if theirs is None:
        assert ours is inspect.Parameter.empty
    elif (name, theirs) in BETTER_DEFAULTS:
        assert ours == ("main" if name == "data_key" else None)
    else:
        assert ours == eval(theirs, {"torch": torch})


@pytest.mark.parametrize(("version", "module", "name", "entry"), NAMES, ids=IDS)
def test_name_arguments_and_defaults(
    version: str, module: str, name: str, entry: dict[str, Any]
) -> None:
    value = getattr(importlib.import_module(f"fastparadime.{module}"), name)
    owner = f"{module}.{name}"
    if "methods" not in entry:
        if "arguments" in entry:
            check_arguments(owner, value, entry["arguments"], version)
        return
    assert isinstance(value, type)
    if entry["arguments"] is not None:
        check_arguments(owner, value.__init__, entry["arguments"], version)
    for method, arguments in entry["methods"].items():
        if method != "__call__" or "__call__" in vars(value):
            check_arguments(f"{name}.{method}", getattr(value, method), arguments, version)
        assert callable(getattr(value, method))


def instances() -> dict[str, Any]:
    """An object of each public class that has attributes."""
    square = np.ones((3, 3), np.float32)
    edges = scipy.sparse.csr_matrix(square)
    dataset = dr.Dataset(square)
    sparse = relationdata.SparseRelationArray(edges)
    made = [
        dr.Dataset(square), dr.NegSampledEdgeDataset(dataset, sparse), dr.DerivedData(np.asarray),
        dr.TrainingPhase(loss=loss.PositionLoss()), dr.ParametricDR(dataset=square),
        loss.Loss(), loss.RelationLoss(loss.cross_entropy_loss), loss.ClassificationLoss(),
        loss.PositionLoss(), loss.ReconstructionLoss(), loss.CompoundLoss([loss.Loss()]),
        models.Model(), models.FullyConnectedEmbeddingModel(3, 2, []),
        relationdata.FlatRelationArray(square[0]), relationdata.SquareRelationArray(square),
        relationdata.FlatRelationTensor(torch.ones(3)), sparse, relationdata.RelationData(),
        relationdata.SquareRelationTensor(torch.ones(3, 3)),
        relationdata.TriangularRelationArray(square[0]),
        relationdata.TriangularRelationTensor(torch.ones(3)), sparse.to_neighbor_tuple(),
        relations.Relations(), relations.Precomputed(square), relations.PDist(),
        relations.NeighborBasedPDist(), relations.DifferentiablePDist(), relations.DistsFromTo(),
        routines.ParametricTSNE(), routines.ParametricUMAP(),
        transforms.AdaptiveNeighborhoodRescale(np.multiply, np.sum),
        transforms.PerplexityBasedRescale(), transforms.ConnectivityBasedRescale(),
        transforms.Symmetrize(), transforms.StudentTTransform(1.0),
        transforms.ModifiedCauchyTransform(), transforms.Functional(abs),
    ]  # fmt: skip
    return {type(instance).__name__: instance for instance in made}


def test_attributes() -> None:
    made = instances()
    absent = []
    for version, module, name, entry in NAMES:
        for attribute in entry.get("attributes", []):
            if f"{module}.{name}.{attribute}" in LEFT_OUT:
                continue
            # Some properties have no value before a computation.
            there = hasattr(type(made[name]), attribute) or hasattr(made[name], attribute)
            if not there:
                absent.append(f"{version} {name}.{attribute}")
    assert absent == []


def test_every_module_is_reached_from_the_package() -> None:
    for _, module, _, _ in NAMES:
        part = fastparadime
        for step in module.split("."):
            part = getattr(part, step)
        assert part.__name__ == f"fastparadime.{module}"


def test_the_table_for_readers_has_every_name() -> None:
    table = Path(__file__).resolve().parent.parent / "docs" / "paradime-names.md"
    sections = table.read_text(encoding="utf-8").split("\n## ")
    text = {section.split("\n", 1)[0]: section for section in sections}
    absent = [
        f"{module}.{name}" for _, module, name, _ in ROWS
        if module not in LEFT_OUT and f"| `{name}` |" not in text[module]
    ]  # fmt: skip
    assert absent == []
