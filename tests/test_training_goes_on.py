"""Training of a trained routine with rows given anew: the map stays, and follows the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from fastparadime import dr, loss, routines


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return (load_digits().data[:700] / 16).astype(np.float32)


def trained(rows: np.ndarray, **settings: Any) -> routines.ParametricUMAP:
    routine = routines.ParametricUMAP(n_neighbors=10, hidden_dims=[30], seed=0, **settings)
    routine.train(rows)
    return routine


def moved(routine: dr.ParametricDR, rows: np.ndarray, before: torch.Tensor) -> float:
    """How far rows moved, over the extent of the map."""
    after = routine.apply(rows)
    return float((after - before).square().sum(1).mean().sqrt() / before.std(0).norm())


@pytest.mark.parametrize("more", [350, 200], ids=["as many", "fewer"])
def test_the_map_stays_where_it_is(digits: np.ndarray, more: int) -> None:
    first, others = digits[:350], digits[350 : 350 + more]
    routine = trained(first, quality="fast")
    before = routine.apply(first)
    routine.train(others)
    assert len(routine.dataset) == more
    np.testing.assert_array_equal(routine.dataset.data["main"].numpy(), others)
    assert [run["name"] for run in routine.history] == ["layout_regression"] * 2
    assert moved(routine, first, before) < 0.5
    # A map that starts anew is elsewhere.
    assert moved(trained(others, quality="fast"), first, before) > 0.5


def test_a_loaded_routine_goes_on_too(digits: np.ndarray, tmp_path: Path) -> None:
    routine = trained(digits[:350], quality="fast")
    routine.save(tmp_path / "model")
    loaded = routines.ParametricUMAP.load(tmp_path / "model", n_neighbors=10, quality="fast")
    before = loaded.apply(digits[:350])
    for each in (routine, loaded):
        each.train(digits[350:550])
    assert moved(loaded, digits[:350], before) < 0.5
    assert torch.equal(loaded.apply(digits), routine.apply(digits))


@pytest.mark.parametrize("kind", [routines.ParametricUMAP, routines.ParametricTSNE])
def test_the_first_phase_is_for_a_new_map_alone(digits: np.ndarray, kind: Any) -> None:
    routine = kind(8, epochs=2, init_epochs=2, batch_size=50, hidden_dims=[10], seed=0)
    routine.train(digits[:100])
    first, main = (run["name"] for run in routine.history)
    before = dict(routine.derived_data)
    routine.train(digits[100:180])
    assert [run["name"] for run in routine.history] == [first, main, main]
    assert routine.derived_data == before
    routine.train()  # the rows that are there: all phases again, as in paraDime
    assert [run["name"] for run in routine.history] == [first, main, main, first, main]


def test_other_entries_come_along_and_nothing_is_changed_by_an_error(digits: np.ndarray) -> None:
    phase = dr.TrainingPhase(epochs=1, loss=loss.PositionLoss())
    routine = dr.ParametricDR(training_phases=[phase], hidden_dims=[5], seed=0)
    routine.train({"main": digits[:50], "pos": digits[:50, :2].copy()})
    with pytest.raises(ValueError, match="Value for key 'pos' has shape"):
        routine.train({"main": digits[:40], "pos": digits[:50, :2].copy()})
    assert len(routine.dataset) == 50
    with pytest.raises(ValueError, match=r"'pos' has shape \(40, 2\)"):
        routine.train({"pos": digits[:40, :2].copy()})
    with pytest.raises(ValueError, match="64"):
        routine.train({"main": digits[:40, :3].copy(), "pos": digits[:40, :2].copy()})
    assert len(routine.dataset) == 50
    routine.train({"main": digits[:40], "pos": digits[:40, :2].copy()})
    assert len(routine.dataset) == 40
    assert len(routine.history) == 2


def test_rows_of_an_untrained_routine_must_be_as_many(digits: np.ndarray) -> None:
    routine = dr.ParametricDR(dataset=digits[:50], seed=0)
    with pytest.raises(ValueError, match="must have 50 rows"):
        routine.train(digits[:40])
