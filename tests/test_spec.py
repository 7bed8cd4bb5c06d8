"""Specifications: documents to parts and back, errors with their places, parts of one's own."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import dr, loss, relations
from fastparadime.exceptions import SpecificationError

DOCUMENT: dict[str, Any] = {
    "relations": [
        {
            "name": "graph",
            "level": "global",
            "type": "neighbor",
            "options": {"n_neighbors": 10},
            "transforms": [{"type": "connect", "options": {"n_neighbors": 5}}],
        },
        {"name": "pairs", "level": "batch", "type": "fromto"},
    ],
    "derived data": [{"name": "pos", "data func": "pca", "keys": [["data", "main"]]}],
    "losses": [
        {"name": "init", "type": "position", "func": "mse", "keys": {"data": ["main", "pos"]}},
        {
            "name": "edges",
            "type": "relation",
            "func": "umap cross entropy",
            "keys": {"rels": ["rel", "pairs"]},
        },
    ],
    "training phases": [
        {"epochs": 2, "loss": {"components": ["init"]}},
        {
            "sampling": {"type": "edge", "options": {"edge_rel_key": "graph"}},
            "optimizer": {"type": "sgd", "options": {"learning_rate": 0.1}},
            "loss": {"components": ["edges", "init"], "weights": [1, 0.5]},
        },
    ],
}
MISSING = object()


def changed(*place: Any, to: Any) -> dict[str, Any]:
    """The document with one value replaced, or left out."""
    document = copy.deepcopy(DOCUMENT)
    holder: Any = document
    for step in place[:-1]:
        holder = holder[step]
    if to is MISSING:
        del holder[place[-1]]
    elif isinstance(holder, list) and place[-1] == len(holder):
        holder.append(to)
    else:
        holder[place[-1]] = to
    return document


def problems_of(document: Any) -> list[str]:
    with pytest.raises(SpecificationError) as caught:
        dr.validate_spec(document)
    first, *lines = str(caught.value).splitlines()
    assert first == "the specification cannot be used:"
    return lines


def test_a_document_becomes_parts() -> None:
    before = copy.deepcopy(DOCUMENT)
    assert dr.validate_spec(DOCUMENT) == DOCUMENT
    routine = dr.ParametricDR.from_spec(
        DOCUMENT, in_dim=7, out_dim=3, hidden_dims=[4], seed=5, device="cpu"
    )
    assert before == DOCUMENT
    assert (routine.seed, routine.out_dim, routine.model.in_dim) == (5, 3, 7)
    graph = routine.global_relations["graph"]
    assert isinstance(graph, relations.NeighborBasedPDist)
    assert (graph.n_neighbors, graph.data_key) == (10, "main")
    assert [tf.n_neighbors for tf in graph.transform] == [5]
    assert isinstance(routine.batch_relations["pairs"], relations.DistsFromTo)
    assert routine.derived_data["pos"].kwargs == {"n_components": 3}
    init, edges = routine.losses["init"], routine.losses["edges"]
    assert (init.data_key, init.position_key, init.name) == ("main", "pos", "init")
    assert edges.loss_function is loss.cross_entropy_loss
    assert (edges.global_relation_key, edges.batch_relation_key) == ("rel", "pairs")
    first, second = routine.training_phases
    assert (first.epochs, first.sampling, first.optimizer) == (2, "standard", torch.optim.Adam)
    assert (second.epochs, second.sampling, second.edge_rel_key) == (5, "negative_edge", "graph")
    assert (second.optimizer, second.learning_rate) == (torch.optim.SGD, 0.1)
    assert second.loss.weights.tolist() == [1.0, 0.5]


def test_model_and_repeated_use() -> None:
    model = torch.nn.Linear(3, 2)
    one = dr.ParametricDR.from_spec(DOCUMENT, model)
    two = dr.ParametricDR.from_spec(DOCUMENT, model=model)
    assert one.model is two.model is model
    assert one.losses["init"] is not two.losses["init"]
    assert (
        one.global_relations["graph"].transform[0]
        is not (two.global_relations["graph"].transform[0])
    )
    with pytest.raises(TypeError, match="losses"):
        dr.ParametricDR.from_spec(DOCUMENT, losses={})
    with pytest.raises(ValueError, match="out_dim must be an integer >= 1, not 0"):
        dr.ParametricDR.from_spec(DOCUMENT, out_dim=0)


def test_what_may_be_left_out() -> None:
    routine = dr.ParametricDR.from_spec({}, in_dim=2)
    assert (routine.losses, routine.training_phases) == ({}, [])
    document = {
        "relations": [{"name": "a", "level": "global", "type": "pdist", "field": "other"}],
        "losses": [{"name": "c", "type": "classification"}],
        "training phases": [{"loss": {"components": ["c"]}, "sampling": {}, "report interval": 2}],
    }
    routine = dr.ParametricDR.from_spec(document, in_dim=2)
    assert routine.global_relations["a"].transform == []
    assert routine.global_relations["a"].data_key == "other"
    assert isinstance(routine.losses["c"].loss_function, torch.nn.CrossEntropyLoss)
    assert routine.losses["c"].label_key == "labels"
    phase = routine.training_phases[0]
    assert (phase.epochs, phase.batch_size, phase.report_interval) == (5, 50, 2)


def test_tuples_arrays_and_paradimes_out_dim_in_a_mapping() -> None:
    matrix = np.eye(4)
    document = {
        "relations": (
            {"name": "a", "level": "global", "type": "precomp", "options": {"X": matrix}},
            {
                "name": "a",
                "level": "batch",
                "type": "pdistdiff",
                "transforms": [{"type": "functional", "options": {"f": torch.sqrt}}],
            },
        ),
        "derived data": [
            {
                "name": "s", "data func": "spectral", "keys": (("rels", "a"),),
                "options": {"out_dim": 5},
            },
        ],
    }  # fmt: skip
    routine = dr.ParametricDR.from_spec(document, in_dim=2)
    computed = routine.global_relations["a"].compute_relations().to_square_array().data
    np.testing.assert_array_equal(computed, matrix)
    assert routine.batch_relations["a"].transform[0].f is torch.sqrt
    assert routine.derived_data["s"].kwargs == {"n_components": 5}
    assert routine.derived_data["s"].requires_relations


def test_keys_that_a_loss_does_not_use_are_reported() -> None:
    document = changed("losses", 0, "keys", "data", 2, to="more")
    with pytest.warns(UserWarning, match=r"keys\.data\[2:\] of loss 'init' is not used by Posit"):
        routine = dr.ParametricDR.from_spec(document, in_dim=2)
    assert routine.losses["init"].position_key == "pos"


GRAPH = ("relations", 0)
PHASE = ("training phases", 1)
ERRORS = [
    (("relation",), [], "relation: is no field here; there are 'derived data', 'relations', 'loss"),
    (("relations",), None, "relations: must be a list, not None"),
    (("relations", 2), 5, "relations[2]: must be a mapping, not 5"),
    ((*GRAPH, "name"), MISSING, "relations[0].name: is missing"),
    ((*GRAPH, "name"), 3, "relations[0].name: must be a valid string, not 3"),
    ((*GRAPH, "level"), "all", "relations[0].level: must be 'global' or 'batch', not 'all'"),
    (
        (*GRAPH, "type"),
        "knn",
        "relations[0].type: must be one of 'precomp', 'pdist', 'neighbor', 'pdistdiff', 'fromto'",
    ),
    (
        (*GRAPH, "options", "n_neighbor"),
        3,
        "relations[0].options.n_neighbor: NeighborBasedPDist has no option 'n_neighbor' here; ther",
    ),
    ((*GRAPH, "options", "data_key"), "x", "relations[0].options.data_key: NeighborBasedPDist has"),
    (
        (*GRAPH, "options", "n_neighbors"),
        0,
        "relations[0].options: n_neighbors must be an integer >= 1, not 0",
    ),
    ((*GRAPH, "options", "metric"), "near", "relations[0].options: metric"),
    ((*GRAPH, "options"), [], "relations[0].options: must be a mapping, not list"),
    ((*GRAPH, "transforms"), "connect", "relations[0].transforms: must be a list, not 'connect'"),
    (
        (*GRAPH, "transforms", 0, "type"),
        "conect",
        "relations[0].transforms[0].type: must be one of 'identity', 'symmetrize', ",
    ),
    (
        (*GRAPH, "transforms", 0, "kind"),
        "x",
        "relations[0].transforms[0].kind: is no field here; there are 'type', 'options'",
    ),
    (
        (*GRAPH, "transforms", 1),
        {"type": "t-dist"},
        "relations[0].transforms[1].options: StudentTTransform.__init__() missing 1 required",
    ),
    (("relations", 1, "level"), MISSING, "relations[1].level: is missing"),
    (("derived data", 0, "data func"), "pcs", "derived data[0].data func: must be one of 'pca', "),
    (("derived data", 0, "keys"), MISSING, "derived data[0].keys: is missing"),
    (("derived data", 0, "keys"), [], "derived data[0].options: missing a required argument: 'X'"),
    (
        ("derived data", 0, "keys", 0, 0),
        "dat",
        "derived data[0].keys[0][0]: must be 'data' or 'rels', not 'dat'",
    ),
    (
        ("derived data", 0, "keys", 0),
        ["rels", "rel"],
        "derived data[0].keys[0][1]: no global relations have the name 'rel'; there are 'graph'",
    ),
    (
        ("derived data", 0, "keys", 0),
        ["data", "main", "more"],
        "derived data[0].keys[0]: must be a pair, not list",
    ),
    (
        ("derived data", 0, "options"),
        {"out_dim": 0},
        "derived data[0].options: out_dim must be an integer >= 1, not 0",
    ),
    (
        ("derived data", 0, "options"),
        {"dims": 2},
        "derived data[0].options: got an unexpected keyword argument 'dims'",
    ),
    (("losses", 0, "type"), "distance", "losses[0].type: must be one of 'relation', 'classificati"),
    (("losses", 0, "func"), "mae", "losses[0].func: must be one of 'mse', 'kl div', 'cross entr"),
    (("losses", 0, "func"), None, "losses[0].func: must be a valid string, not None"),
    (("losses", 1, "func"), MISSING, "losses[1].func: is missing, but relation losses need it"),
    (("losses", 0, "keys", "labels"), [], "losses[0].keys.labels: is no field here; there are 'd"),
    (("losses", 0, "keys", "data", 1), 7, "losses[0].keys.data[1]: must be a valid string, not 7"),
    (("losses", 1, "keys"), {}, "training phases[1]: edges needs batch relations 'rel'; there are"),
    (
        ("losses", 1, "name"),
        "init",
        "training phases[1].loss.components[0]: no losses have the name 'edges'; there are 'init'",
    ),
    (
        ("losses", 2),
        DOCUMENT["losses"][0],
        "losses[2].name: another entry has the name 'init' already",
    ),
    ((*PHASE, "epochs"), 2.5, "training phases[1].epochs: must be a valid integer, not 2.5"),
    ((*PHASE, "epochs"), True, "training phases[1].epochs: must be a valid integer, not True"),
    ((*PHASE, "epochs"), -1, "training phases[1]: epochs must be an integer >= 0, not -1"),
    ((*PHASE, "loss"), MISSING, "training phases[1].loss: is missing"),
    ((*PHASE, "loss", "weights"), [1], "training phases[1]: loss_weights must have one weight for"),
    ((*PHASE, "loss", "weights", 0), "1", "training phases[1].loss.weights[0]: must be a valid nu"),
    ((*PHASE, "loss", "components"), [], "training phases[1]: loss_keys must name at least one"),
    ((*PHASE, "sampling"), "edge", "training phases[1].sampling: must be a mapping, not 'edge'"),
    (
        (*PHASE, "sampling", "type"),
        "neg",
        "training phases[1].sampling.type: must be 'item', 'edge', 'standard' or 'negative_edge', n",
    ),
    (
        (*PHASE, "sampling", "options", "epochs"),
        3,
        "training phases[1].sampling.options.epochs: is set by another field of the phase",
    ),
    (
        (*PHASE, "sampling", "options", "learning_rate"),
        0.5,
        "training phases[1].optimizer.options.learning_rate: is set by another field of the phase",
    ),
    (
        (*PHASE, "sampling", "options", "edge_rel_key"),
        "rel",
        "training phases[1].sampling.options.edge_rel_key: no global relations have the name 'rel';",
    ),
    (
        (*PHASE, "sampling", "options", "edge_rel_key"),
        np.eye(2),
        "training phases[1]: edge_rel_key must be a string, not array([[1., 0.],",
    ),
    ((*PHASE, "sampling", "options", "batchsize"), 3, "training phases[1]: 'batchsize' is neither"),
    (
        (*PHASE, "sampling"),
        {"type": "item"},
        "training phases[1]: RelationLoss does not support DistsFromTo with 'standard' sampling.",
    ),
    ((*PHASE, "optimizer", "type"), "adams", "training phases[1].optimizer.type: must be one of "),
]


@pytest.mark.parametrize(("place", "value", "line"), ERRORS)
def test_an_error_names_its_place(place: tuple[Any, ...], value: Any, line: str) -> None:
    lines = problems_of(changed(*place, to=value))
    assert lines[0].startswith(line)
    # Others may refer to what has no usable name.
    assert all("have the name" in other for other in lines[1:])
    with pytest.raises(SpecificationError):
        dr.ParametricDR.from_spec(changed(*place, to=value), in_dim=2)


def test_all_errors_of_a_document_come_at_once() -> None:
    document = changed("relations", 0, "transforms", 0, "type", to="x")
    document["derived data"][0]["options"] = {"out_dim": "two"}
    document["losses"][0]["func"] = "x"
    document["training phases"][0]["loss"]["components"] = ["nothing", "init"]
    document["training phases"][1]["optimizer"] = {"type": "x", "rate": 1}
    document["extra"] = 1
    assert {line.split(": ")[0] for line in problems_of(document)} == {
        "relations[0].transforms[0].type",
        "derived data[0].options",
        "losses[0].func",
        "training phases[0].loss.components[0]",
        "training phases[1].optimizer.type",
        "training phases[1].optimizer.rate",
        "extra",
    }


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "", "a.yaml is empty"),
        ("a.json", " \n", "a.json is empty"),
        ("a.yaml", "# nothing\n", "a.yaml is empty"),
        ("a.yaml", "losses: [", "a.yaml is not a YAML or JSON file: while parsing"),
        ("a.json", "{'losses': []}", "a.json is not a JSON file: Expecting property name"),
        ("a.yaml", "\x00\x01", "a.yaml is not a YAML or JSON file: unacceptable character"),
        ("a.yaml", "a: !!python/object:os.system x", "could not determine a constructor for the"),
        ("a.yaml", "losses: []\nlosses: []", "found the key 'losses' more than once"),
        ("a.json", '{"losses": [], "losses": []}', "found the key 'losses' more than once"),
        ("a.yaml", "[" * 1500, "a.yaml is not a YAML or JSON file: maximum recursion depth"),
        ("a.yaml", "a: !!int x", "a.yaml is not a YAML or JSON file: invalid literal"),
        ("a.txt", "some words", "a.txt must hold a mapping of sections, not str"),
        ("a.json", "[1]", "a.json must hold a mapping of sections, not list"),
    ],
)
def test_files_that_hold_no_document(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecificationError) as caught:
        dr.ParametricDR.from_spec(path, in_dim=2)
    assert message in str(caught.value)


def test_paths_and_kinds_that_are_no_document(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such file: .*none\.yaml"):
        dr.validate_spec(str(tmp_path / "none.yaml"))
    with pytest.raises(FileNotFoundError, match="a folder, not a file"):
        dr.validate_spec(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecificationError, match=r"binary\.yaml is not a YAML or JSON file: 'utf"):
        dr.validate_spec(tmp_path / "binary.yaml")
    for kind in (None, 3, [DOCUMENT]):
        with pytest.raises(TypeError, match="file_or_spec must be a mapping or the path"):
            dr.validate_spec(kind)


def test_scalars_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "relations:\n"
        "- &base {name: on, level: global, type: neighbor, options: {n_neighbors: 010}}\n"
        "- {<<: *base, name: 12:30, options: {n_neighbors: 0o17}}\n"
        "losses:\n- {name: no, type: position}\n"
        "training phases:\n"
        "- {epochs: 1_000, loss: {components: [no]}, optimizer: {options: {learning_rate: 1e-3}}}\n"
    )
    routine = dr.ParametricDR.from_spec(str(path), in_dim=2)
    found = {name: rel.n_neighbors for name, rel in routine.global_relations.items()}
    assert found == {"on": 10, "12:30": 15}
    assert list(routine.losses) == ["no"]
    assert routine.training_phases[0].epochs == 1000
    assert routine.training_phases[0].learning_rate == 0.001
