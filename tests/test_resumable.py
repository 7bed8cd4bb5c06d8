"""Rows placed into arrays and files, and runs that are gone on with."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from fastparadime import UMAP, ParametricUMAP, cli, dr
from fastparadime.utils import resumable
from fastparadime.utils.frames import NamedRows
from fastparadime.utils.resumable import results_into

N, D, BLOCK = 500, 6, 64


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable, "_MOST_ROWS", BLOCK)
    monkeypatch.setattr(resumable, "_SECONDS", -1.0)  # all that is done is kept


def table(seed: int = 0, n: int = N) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, D)).astype(np.float32)


def routine(seed: int = 0) -> dr.ParametricDR:
    made = dr.ParametricDR(in_dim=D, out_dim=2, hidden_dims=[9], seed=seed)
    made.trained = True
    return made


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    return {
        "routine": routine(),
        "umap": UMAP(n_epochs=5, random_state=0).fit(table(1, 100)),
        "network": ParametricUMAP(quality="fast", n_epochs=5, random_state=0).fit(table(1, 100)),
    }


def placed(model: Any, X: Any, out: Any = None) -> Any:
    options = {} if out is None else {"out": out}
    found = model.apply(X, **options) if hasattr(model, "apply") else model.transform(X, **options)
    return found.numpy() if isinstance(found, torch.Tensor) else found


def test_what_results_are_written_into() -> None:
    X = table()

    def place(rows: Any) -> np.ndarray:
        return np.asarray(rows)[:, :2] / 3

    for out in (torch.zeros(len(X), 2), np.zeros((len(X), 2), np.float32)):
        assert results_into(out, X, place, str) is out
        np.testing.assert_array_equal(np.asarray(out), place(X).astype(np.float32))
    for bad in (5, True, [[0.0, 0.0]] * len(X)):
        with pytest.raises(TypeError, match=r"out must be the path of a .npy file or an array"):
            results_into(bad, X, place, str)
    for whole in (np.zeros((len(X), 2), int), torch.zeros((len(X), 2), dtype=torch.int64)):
        with pytest.raises(TypeError, match=r"out must hold floating-point numbers, not .*int64"):
            results_into(whole, X, place, str)


@pytest.mark.parametrize("kind", ["routine", "umap", "network"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "u1"])
def test_a_file_holds_what_one_call_gives(
    kind: str, dtype: str, models: Any, tmp_path: Path
) -> None:
    X = (table() * 20 + 100).astype(dtype)
    np.save(tmp_path / "X.npy", X)
    rows = np.load(tmp_path / "X.npy", mmap_mode="r")
    found = placed(models[kind], rows, tmp_path / "Y.npy")
    expected = placed(models[kind], X)
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable
    assert found.dtype == expected.dtype
    assert found.tobytes() == expected.tobytes()
    np.save(tmp_path / "plain.npy", expected)
    assert (tmp_path / "Y.npy").read_bytes() == (tmp_path / "plain.npy").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"X.npy", "Y.npy", "plain.npy"}
    into = np.zeros_like(expected)
    assert placed(models[kind], torch.from_numpy(X), into) is into
    assert into.tobytes() == expected.tobytes()


def test_sources_and_rows_with_names(models: Any, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "X.h5", "w") as file:
        rows = file.create_dataset("X", data=table(), chunks=(50, D))
        found = placed(models["umap"], rows, tmp_path / "Y.npy")
    assert found.tobytes() == placed(models["umap"], table()).tobytes()
    names = tuple("abcdef")
    umap = UMAP(n_epochs=5, random_state=0).fit(NamedRows(table(1, 100), names))
    X = NamedRows(table(), names)
    assert umap.transform(X, out=tmp_path / "Y.npy").tobytes() == umap.transform(X).tobytes()


class EndedError(Exception):
    """Ends a run."""


def ended_run(X: np.ndarray, out: Path, blocks: int, model: str = "a") -> list[int]:
    """Doubles rows, for so many blocks; the numbers of rows of the blocks."""
    seen: list[int] = []

    def double(rows: np.ndarray) -> np.ndarray:
        if len(rows) > 1 or len(X) == 1:
            if len(seen) == blocks:
                raise EndedError
            seen.append(len(rows))
        return 2 * rows[:, :2]

    results_into(out, X, double, lambda: model)
    return seen


def test_an_ended_run_is_gone_on_with(tmp_path: Path) -> None:
    X, out = table(), tmp_path / "Y.npy"
    out.write_bytes(b"an older one")
    for _ in range(2):
        with pytest.raises(EndedError):
            ended_run(X, out, 3)
        assert out.read_bytes() == b"an older one"
    assert json.loads((tmp_path / "Y.npy.progress").read_text())["done"] == 6 * BLOCK
    assert ended_run(X, out, 99) == [BLOCK, N - 7 * BLOCK]
    np.testing.assert_array_equal(np.load(out), 2 * X[:, :2])
    assert [path.name for path in tmp_path.iterdir()] == ["Y.npy"]


def test_what_was_written_after_the_last_progress_is_written_again(tmp_path: Path) -> None:
    X, out = table(), tmp_path / "Y.npy"
    with pytest.raises(EndedError):
        ended_run(X, out, 3)
    with (tmp_path / "Y.npy.part").open("ab") as file:
        file.write(b"half a row")
    assert sum(ended_run(X, out, 99)) == N - 3 * BLOCK
    np.testing.assert_array_equal(np.load(out), 2 * X[:, :2])


def test_a_run_that_has_nothing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(EndedError):
        ended_run(table(), tmp_path / "Y.npy", 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("model", "another model"),
        ("value", "other rows"),
        ("order", "other rows"),
        ("dtype", "rows of another shape or dtype"),
        ("shape", "rows of another shape or dtype"),
        ("damage", "no progress that can be read"),
    ],
)
def test_other_runs_are_refused(change: str, what: str, tmp_path: Path) -> None:
    X, out = table(), tmp_path / "Y.npy"
    with pytest.raises(EndedError):
        ended_run(X, out, 3)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    other, model = X.copy(), "b" if change == "model" else "a"
    if change == "value":
        other[100, 5] += 1e-3
    elif change == "order":
        other[[3, 90]] = other[[90, 3]]
    elif change == "dtype":
        other = X.astype(np.float64)
    elif change == "shape":
        other = X[:-1]
    elif change == "damage":
        (tmp_path / "Y.npy.progress").write_text("{")
        before[tmp_path / "Y.npy.progress"] = b"{"
    message = f"Y.npy was begun with {what}: remove .*Y.npy.progress to begin anew"
    with pytest.raises(ValueError, match=message):
        ended_run(other, out, 99, model)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "Y.npy.progress").unlink()
    assert sum(ended_run(other, out, 99, model)) == len(other)


def test_rows_that_are_not_done_may_change(tmp_path: Path) -> None:
    X, out = table(), tmp_path / "Y.npy"
    with pytest.raises(EndedError):
        ended_run(X, out, 3)
    X[3 * BLOCK :] += 1
    ended_run(X, out, 99)
    np.testing.assert_array_equal(np.load(out), 2 * X[:, :2])


def test_models_are_told_apart(tmp_path: Path) -> None:
    told = [routine(0)._digest(None), routine(0)._digest(None), routine(1)._digest(None)]
    assert told[0] == told[1] != told[2]
    from fastparadime.estimators._resumable import _digest

    first, again = (UMAP(n_epochs=5, random_state=0).fit(table(1, 100)) for _ in range(2))
    moved = UMAP(n_epochs=5, random_state=0, placement="median").fit(table(1, 100))
    first.save(tmp_path / "umap")
    assert _digest(first) == _digest(again) == _digest(UMAP.load(tmp_path / "umap"))
    assert _digest(first) != _digest(moved)


@pytest.mark.skipif(sys.platform == "win32", reason="locks are those of Unix")
def test_two_writers_of_a_file(tmp_path: Path) -> None:
    X, out = table(), tmp_path / "Y.npy"

    def meet(rows: np.ndarray) -> np.ndarray:
        if len(rows) > 1:
            with pytest.raises(OSError, match="another process is writing it"):
                ended_run(X, out, 99)
        return 2 * rows[:, :2]

    results_into(out, X, meet, lambda: "a")
    np.testing.assert_array_equal(np.load(out), 2 * X[:, :2])


@pytest.mark.skipif(sys.platform == "win32", reason="limits are those of Unix")
@pytest.mark.parametrize("most", [300, 1500])
def test_a_full_disk(most: int, tmp_path: Path) -> None:
    import resource

    X, out = table(), tmp_path / "Y.npy"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        with pytest.raises(OSError, match=r"Y\.npy'"):
            ended_run(X, out, 99)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    done = (most - 128) // (8 * BLOCK) * BLOCK  # 128 bytes of the header
    assert len(list(tmp_path.iterdir())) == (2 if done else 0)
    assert sum(ended_run(X, out, 99)) == N - done
    np.testing.assert_array_equal(np.load(out), 2 * X[:, :2])


def test_bad_arguments(models: Any, tmp_path: Path) -> None:
    model, X = models["umap"], table()
    with pytest.raises(ValueError, match=r"out must have shape \(500, 2\), not \(3, 2\)"):
        model.transform(X, out=np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"out must be a .npy file, not .*Y.csv"):
        model.transform(X, out=tmp_path / "Y.csv")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        model.transform(X, out=tmp_path / "none" / "Y.npy")
    with pytest.raises(ValueError, match="X must have at least one row"):
        models["routine"].apply(X[:0], out=tmp_path / "Y.npy")
    with pytest.raises(TypeError, match=r"X must be an array or a source of rows .*, not list"):
        model.transform(X.tolist(), out=tmp_path / "Y.npy")
    with pytest.raises(ValueError, match="X has 5 columns, but the model takes 6"):
        models["routine"].apply(X[:, :5], out=tmp_path / "Y.npy")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["routine", "umap"])
def test_the_command_line_goes_on(kind: str, models: Any, tmp_path: Path) -> None:
    model, X = models[kind], table()
    model.save(tmp_path / "model")
    np.save(tmp_path / "X.npy", X)
    rows = np.load(tmp_path / "X.npy", mmap_mode="r")
    left = [4]

    class Failing:
        shape, ndim, dtype = rows.shape, 2, rows.dtype

        def __getitem__(self, part: slice) -> np.ndarray:
            left[0] -= 1
            if not left[0]:
                raise OSError("the disk is gone")
            return rows[part]

    with pytest.raises(OSError, match="the disk is gone"):
        placed(model, Failing(), tmp_path / "Y.npy")
    done = json.loads((tmp_path / "Y.npy.progress").read_text())["done"]
    assert 0 < done < N
    command = ["apply", str(tmp_path / "model"), str(tmp_path / "X.npy")]
    result = CliRunner().invoke(cli.main, [*command, "-o", str(tmp_path / "Y.npy")])
    assert result.exit_code == 0, result.output
    assert np.load(tmp_path / "Y.npy").tobytes() == placed(model, X).tobytes()
    assert {path.name for path in tmp_path.iterdir()} == {"X.npy", "Y.npy", "model"}
