"""What training tells while it runs and afterwards: callbacks, schedules, the history."""

from __future__ import annotations

import copy
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch

from fastparadime import dr, loss, plot, routines, training
from fastparadime.utils.callbacks import Positions, asks_to_stop, check_callback

ROWS = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)
START = {"main": ROWS, "pos": ROWS[:, :2].copy()}


@pytest.fixture(autouse=True)
def _without_a_display() -> None:
    mpl.use("Agg")


def routine_of(model: torch.nn.Module | None = None, **settings: Any) -> dr.ParametricDR:
    phases = [
        dr.TrainingPhase("first", epochs=3, batch_size=40, loss=loss.PositionLoss()),
        dr.TrainingPhase("second", epochs=4, batch_size=40, loss=loss.PositionLoss()),
    ]
    return dr.ParametricDR(model, hidden_dims=[8], training_phases=phases, seed=0, **settings)


def plain_model() -> torch.nn.Module:
    """Trained by torch's steps."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 2))
    model.embed = model.forward
    return model


@pytest.mark.parametrize("model", [None, plain_model], ids=["native", "torch"])
def test_a_callback_is_told_of_every_epoch(model: Any) -> None:
    seen: list[tuple[int, float]] = []
    routine = routine_of(None if model is None else model())
    routine.callback = lambda epoch, value, _positions: seen.append((epoch, value))
    routine.train(START)
    losses = [value for run in routine.history for value in run["losses"]]
    assert seen == list(enumerate(losses))
    assert len(seen) == 7
    routine.train()  # numbers go on
    assert [epoch for epoch, _ in seen] == list(range(14))


@pytest.mark.parametrize("model", [None, plain_model], ids=["native", "torch"])
def test_looking_on_changes_no_bit(model: Any) -> None:
    shapes = []
    first, second = (routine_of(None if model is None else model()) for _ in range(2))
    second.callback = lambda _epoch, _value, positions: shapes.append(np.asarray(positions).shape)
    for routine in (first, second):
        torch.manual_seed(1)  # of the dropout
        routine.train(START)
    assert shapes == [(120, 2)] * 7
    assert torch.equal(first.apply(ROWS), second.apply(ROWS))


def test_positions_are_those_of_the_epoch() -> None:
    routine = routine_of()
    kept: list[np.ndarray] = []
    routine.callback = lambda _epoch, _value, positions: kept.append(positions[:])
    routine.train(START)
    np.testing.assert_array_equal(kept[-1], routine.apply(ROWS).numpy())
    assert not np.array_equal(kept[0], kept[1])


@pytest.mark.parametrize("answer", [True, np.True_])
def test_true_ends_training(answer: Any) -> None:
    routine = routine_of(callback=lambda epoch, _value, _positions: answer if epoch == 1 else None)
    routine.train(START)
    assert [(run["name"], len(run["losses"])) for run in routine.history] == [("first", 2)]
    assert routine.trained
    assert not routine.model.training


@pytest.mark.parametrize("answer", [1, "stop", [0], None, False])
def test_other_answers_do_not(answer: Any) -> None:
    routine = routine_of(callback=lambda _epoch, _value, _positions: answer)
    routine.train(START)
    assert routine.history.epochs == 7


def test_errors_of_a_callback_reach_the_caller() -> None:
    def fails(_epoch: int, _value: float | None, _positions: Any) -> None:
        raise LookupError("no board")

    routine = routine_of(callback=fails)
    with pytest.raises(LookupError, match="no board"):
        routine.train(START)
    assert not routine.model.training


@pytest.mark.parametrize(
    "make",
    [dr.ParametricDR, routines.ParametricUMAP, routines.ParametricTSNE],
    ids=lambda kind: kind.__name__,
)
def test_what_is_no_callback_is_refused(make: Any) -> None:
    with pytest.raises(TypeError, match="callback must be callable, not 3"):
        make(callback=3)


def test_positions_are_computed_once_and_only_when_asked_for() -> None:
    computed = []

    def compute() -> torch.Tensor:
        computed.append(1)
        return torch.ones(3, 2)

    positions = Positions(compute)
    assert asks_to_stop(lambda _epoch, _value, _positions: True, 0, None, positions)
    assert not asks_to_stop(check_callback(None), 0, 1.0, positions)
    assert computed == []
    assert (len(positions), positions.shape) == (3, (3, 2))
    assert positions[0].tolist() == [1, 1]
    assert np.asarray(positions, dtype=np.float64).dtype == np.float64
    changed = np.array(positions)
    changed[0] = 5
    assert np.asarray(positions)[0].tolist() == [1, 1]
    assert computed == [1]


def test_schedules_of_ones_own() -> None:
    def half(done: float) -> float:
        return 0.5 * (1.0 + np.cos(np.pi * done))

    own, named = (
        dr.TrainingPhase("fit", epochs=5, batch_size=40, loss=loss.PositionLoss(), schedule=chosen)
        for chosen in (half, "cosine")
    )
    assert own.learning_rate_at(3, 10) == pytest.approx(named.learning_rate_at(3, 10))
    routines_of_both = [routine_of() for _ in range(2)]
    for routine, phase in zip(routines_of_both, (own, named), strict=True):
        routine.training_phases[:] = [phase]
        routine.train(START)
    first, second = (routine.apply(ROWS) for routine in routines_of_both)
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-6)
    copied = copy.deepcopy(own)
    assert copied.schedule(0.0) == 1.0


@pytest.mark.parametrize(
    ("schedule", "error", "match"),
    [
        ("square", ValueError, "schedule must be one of 'constant'.* not 'square'"),
        (3, ValueError, "schedule must be one of .* not 3"),
        (lambda _: -1.0, ValueError, "the share that schedule gives must .* not -1.0"),
        (lambda _: None, TypeError, "the share that schedule gives must .* not None"),
        (lambda _: float("nan"), ValueError, "the share that schedule gives .* not nan"),
    ],
)
def test_schedules_that_cannot_be_used(schedule: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        dr.TrainingPhase(schedule=schedule)


def test_a_schedule_that_fails_on_the_way_says_so() -> None:
    routine = routine_of()
    routine.training_phases[:] = [
        dr.TrainingPhase(
            "fit", epochs=3, loss=loss.PositionLoss(), schedule=lambda done: 1.0 - 2.0 * done
        )
    ]
    with pytest.raises(ValueError, match=r"the share that schedule gives must .* not -0\."):
        routine.train(START)


def test_the_history_is_a_frame_and_a_picture() -> None:
    routine = routine_of()
    assert repr(routine.history) == "History(0 phases [], 0 epochs)"
    assert routine.history.to_frame().columns.tolist() == ["epoch", "phase", "name", "loss"]
    with pytest.raises(ValueError, match="no epoch was run"):
        plot.history(routine)
    routine.train(START)
    frame = routine.history.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert frame["epoch"].tolist() == list(range(7))
    assert frame["phase"].tolist() == [0] * 3 + [1] * 4
    assert frame["name"].tolist() == ["first"] * 3 + ["second"] * 4
    assert frame["loss"].tolist() == [v for run in routine.history for v in run["losses"]]
    assert "2 phases [first, second], 7 epochs, last loss" in repr(routine.history)
    for trained in (routine, routine.history):
        ax = plot.history(trained)
        assert [line.get_label() for line in ax.get_lines()] == ["first", "second"]
        assert [len(line.get_xdata()) for line in ax.get_lines()] == [3, 4]
        assert ax.get_lines()[1].get_xdata()[0] == 3
        assert plot.history(trained, ax=ax) is ax
        mpl.pyplot.close(ax.figure)
    with pytest.raises(TypeError, match=r"trained must be .*not dict"):
        plot.history({})


def test_a_loaded_history_is_one(tmp_path: Any) -> None:
    routine = routine_of()
    routine.train(START)
    routine.save(tmp_path / "model")
    loaded = dr.ParametricDR.load(tmp_path / "model")
    assert isinstance(loaded.history, training.History)
    assert loaded.history == routine.history
    pd.testing.assert_frame_equal(loaded.history.to_frame(), routine.history.to_frame())
