"""Every method of a routine refuses what it cannot use, and leaves the routine as it was."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import dr, exceptions, loss

DIM = 3
Errors = type[BaseException] | tuple[type[BaseException], ...]
Call = Callable[[dr.ParametricDR], Any]
NAN = np.full((4, DIM), np.nan, np.float32)
TEXT = np.array([["a"] * DIM] * 4)

CASES: list[tuple[str, Call, Errors, str]] = [
    ("add_data", lambda r: r.add_data(3), TypeError, "data must be a mapping.* not int"),
    ("add_data", lambda r: r.add_data({"x": {1}}), TypeError, "'x'.* not set"),
    ("add_data", lambda r: r.add_data({"x": np.ones(9)}), ValueError, r"'x'.*\(9,\).* 4 rows"),
    ("add_to_dataset", lambda r: r.add_to_dataset({"main": NAN}), ValueError, "main.*row 0|NaN"),
    ("register_dataset", lambda r: r.register_dataset(TEXT), TypeError, "dtype <U1"),
    ("register_dataset", lambda r: r.register_dataset(np.ones((4, 9))), ValueError, "9 columns"),
    ("compute_derived_data", lambda r: r.compute_derived_data("x"), ValueError, "only .* not 'x'"),
    (
        "compute_global_relations",
        lambda r: r.compute_global_relations("yes"),
        ValueError,
        "force must be .* not 'yes'",
    ),
    (
        "set_training_defaults",
        lambda r: r.set_training_defaults(epochs=0.5),
        (TypeError, ValueError),
        "epochs .* not 0.5",
    ),
    ("add_training_phase", lambda r: r.add_training_phase(epochz=1), TypeError, "'epochz'"),
    ("add_training_phase", lambda r: r.add_training_phase(loss_keys=["x"]), KeyError, "'x'.*loss"),
    ("run_training_phase", lambda r: r.run_training_phase(3), TypeError, "training_phase .*int"),
    ("train", lambda r: r.train("X.npy"), TypeError, "not str"),
    ("train", lambda r: r.train(NAN), ValueError, "row 0"),
    ("apply", lambda r: r.apply(np.ones((2, 9))), ValueError, "9 columns.* takes 3"),
    ("apply", lambda r: r.apply(np.ones((2, DIM)), "guess"), AttributeError, "no guess method"),
    ("embed", lambda r: r.embed(torch.ones(2, 9)), ValueError, "9 columns.* takes 3"),
    ("attribution", lambda r: r.attribution(torch.ones(2, 9)), ValueError, "9 columns.* takes 3"),
    (
        "attribution_by_region",
        lambda r: r.attribution_by_region(torch.ones(2, DIM), [0]),
        ValueError,
        "labels must be one for each of 2 rows",
    ),
    ("classify", lambda r: r.classify(torch.ones(2, DIM)), NotImplementedError, "classify"),
    ("save", lambda r: r.save("/absent/folder/model"), FileNotFoundError, "absent"),
    ("load", lambda r: r.load("absent.safetensors"), FileNotFoundError, "absent"),
    ("export", lambda r: r.export("model.pb"), ValueError, "onnx"),
    (
        "from_spec",
        lambda r: r.from_spec({"relation": []}),
        exceptions.SpecificationError,
        "relation",
    ),
]


@functools.cache
def trained() -> dr.ParametricDR:
    X = np.arange(4.0 * DIM, dtype=np.float32).reshape(4, DIM)
    routine = dr.ParametricDR(losses=loss.PositionLoss(position_key="main"), out_dim=DIM, seed=0)
    routine.add_training_phase(epochs=1)
    routine.train(X)
    return routine


def test_the_walk_covers_every_method() -> None:
    public = {
        name
        for name, value in inspect.getmembers(dr.ParametricDR)
        if not name.startswith("_") and callable(value)
    }
    assert public == {name for name, *_ in CASES}


@pytest.mark.parametrize(
    ("call", "error", "match"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_refused_without_a_change(call: Call, error: Errors, match: str) -> None:
    routine = copy.deepcopy(trained())
    weights = [p.detach().clone() for p in routine.model.parameters()]
    entries = {key: value.clone() for key, value in routine.dataset.data.items()}
    with pytest.raises(error, match=match):
        call(routine)
    assert all(map(torch.equal, weights, routine.model.parameters()))
    assert entries.keys() == routine.dataset.data.keys()
    assert all(torch.equal(entries[key], routine.dataset.data[key]) for key in entries)
    assert len(routine.training_phases) == 1
    assert routine.history == trained().history
