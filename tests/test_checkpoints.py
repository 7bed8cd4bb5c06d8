"""Checkpoints: what a folder keeps, what it is refused for, and where a run goes on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from fastparadime import UMAP, ParametricUMAP, cli, ops, routines
from fastparadime.exceptions import CheckpointError
from fastparadime.utils._checkpoint_folder import Folder
from fastparadime.utils.checkpoints import Checkpoint, begun
from fastparadime.utils.fingerprints import described, fingerprint

X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
_OPENS = (
    "import sys; from fastparadime.utils._checkpoint_folder import Folder; "
    "from pathlib import Path; Folder(Path(sys.argv[1]))"
)


def fit(checkpoint: Any, data: Any = X, **options: Any) -> UMAP:
    given = {"n_neighbors": 5, "n_epochs": 10, "random_state": 0, **options}
    return UMAP(**given).fit(data, checkpoint=checkpoint)


def test_an_ended_fit_is_read(tmp_path: Path) -> None:
    plain = fit(None)
    for _ in range(2):
        kept = fit(tmp_path / "kept")
        np.testing.assert_array_equal(kept.embedding_, plain.embedding_)
        assert (kept.graph_ != plain.graph_).nnz == 0
        assert kept.engine_ == plain.engine_
    manifest = json.loads((tmp_path / "kept" / "manifest.json").read_text())
    assert set(manifest["stages"]) == {"neighbors", "graph", "start", "layout"}
    files = {path.name for path in (tmp_path / "kept").iterdir() if path.name[0] != "."}
    named = {file for stage in manifest["stages"].values() for file, _ in stage["files"].values()}
    assert files == {"manifest.json", *named}


def test_goes_on_after_an_interrupt(tmp_path: Path) -> None:
    def interrupts(epoch: int, _loss: Any, _positions: Any) -> None:
        if epoch == 6:
            raise KeyboardInterrupt

    checkpoint, epochs = Checkpoint(tmp_path, seconds=0), []
    with pytest.raises(KeyboardInterrupt):
        fit(checkpoint, callback=interrupts)
    again = fit(checkpoint, callback=lambda epoch, *_: epochs.append(epoch))
    assert epochs == [7, 8, 9]
    np.testing.assert_array_equal(again.embedding_, fit(None).embedding_)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_neighbors": 6}, "parameters 'n_neighbors' is 5 there and 6 here"),
        ({"random_state": 1}, "parameters 'seed' is 0 there and 1 here"),
        ({"data": X + 1}, "data 'X' 'sha256' is"),
        ({"data": X[:50]}, "data 'X' 'shape' 0 is 60 there and 50 here"),
        ({"init": np.zeros((60, 2))}, "parameters 'init' is"),
        ({"metric": lambda x, y: abs(x - y).sum()}, "parameters 'metric' is"),
    ],
)
def test_of_another_run(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    fit(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        fit(tmp_path, **change)


def test_a_refused_folder_is_left_as_it_was(tmp_path: Path) -> None:
    fit(tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "copy", ignore=lambda *_: [".lock"])
    before = {file.name: file.read_bytes() for file in (tmp_path / "copy").iterdir()}
    with pytest.raises(CheckpointError, match="is of another run"):
        fit(tmp_path / "copy", X[:-1])
    assert {file.name: file.read_bytes() for file in (tmp_path / "copy").iterdir()} == before

    class Broken:
        shape, ndim, dtype = (5, 2), 2, np.dtype(np.float32)

        def __getitem__(self, rows: slice) -> Any:
            raise OSError("no such block")

    with pytest.raises(OSError, match="no such block"):
        begun(tmp_path / "new", {}, {"X": Broken()}, 0, drawn=False)
    assert not (tmp_path / "new").exists()


def test_a_run_that_did_nothing_makes_way(tmp_path: Path) -> None:
    """Data that a later check refused, after the checkpoint had begun, may be mended."""
    distances = np.abs(np.subtract.outer(np.arange(40.0), np.arange(40.0)))
    umap = UMAP(n_neighbors=5, n_epochs=20, metric="precomputed", random_state=0)
    with pytest.raises(ValueError, match="square"):
        umap.fit(distances[:, :5], checkpoint=tmp_path / "kept")
    found = umap.fit_transform(distances, checkpoint=tmp_path / "kept")
    np.testing.assert_array_equal(found, umap.fit_transform(distances))
    with pytest.raises(CheckpointError, match="is of another run"):
        umap.fit(distances + 1, checkpoint=tmp_path / "kept")


def test_of_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit(tmp_path)
    monkeypatch.setattr("fastparadime.utils.checkpoints.metadata.version", lambda _: "9.9")
    with pytest.raises(CheckpointError, match=r'version is "[\d.]+" there and "9.9" here'):
        fit(tmp_path)


@pytest.mark.parametrize("stage", ["neighbors.indices", "graph.weights", "layout.positions"])
def test_damaged_files_are_named(stage: str, tmp_path: Path) -> None:
    fit(tmp_path)
    (file,) = tmp_path.glob(f"{stage}.*.npy")
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{file.name} is damaged"):
        fit(tmp_path)
    file.unlink()
    with pytest.raises(CheckpointError, match=f"{file.name} of the checkpoint is not there"):
        fit(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [lambda text: text[:-9], lambda text: text.replace('"seed": 0', '"seed": 1'), lambda _: "[]"],
)
def test_a_damaged_manifest(damage: Callable[[str], str], tmp_path: Path) -> None:
    fit(tmp_path)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(damage(manifest.read_text()))
    with pytest.raises(CheckpointError, match=r"manifest\.json is damaged"):
        fit(tmp_path)


def test_folders_that_are_no_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="is no checkpoint: it has 'file'"):
        fit(tmp_path)
    with pytest.raises(CheckpointError, match="is a file"):
        fit(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    with pytest.raises(TypeError, match="checkpoint must be the path of a folder, or a Checkpoint"):
        fit(3)
    with pytest.raises(TypeError, match="folder must be a path, not int"):
        Checkpoint(3)  # type: ignore[arg-type]


@pytest.mark.skipif(sys.platform == "win32", reason="has no such locks")
def test_another_process_is_refused(tmp_path: Path) -> None:
    def asks(_epoch: int, _loss: Any, _positions: Any) -> bool:
        command = [sys.executable, "-c", _OPENS, str(tmp_path)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert "is written by another process" in done.stderr
        return True

    fit(tmp_path, callback=asks)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such locks")
@pytest.mark.parametrize("removed", ["the lock", "the folder"])
def test_a_lock_is_one_that_others_see(
    removed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is refused removes what it made, maybe while another begins there."""
    import fcntl

    kept, locked = tmp_path / "kept", fcntl.lockf
    opened, times = os.open, []

    def locks(descriptor: int, how: int) -> None:
        if not times:
            (kept / ".lock").unlink()
        times.append(how)
        locked(descriptor, how)

    def opens(path: Any, *options: Any) -> int:
        if path == kept / ".lock":
            times.append(0)
            if len(times) == 1:
                kept.rmdir()
        return opened(path, *options)

    if removed == "the lock":
        monkeypatch.setattr(fcntl, "lockf", locks)
    else:
        monkeypatch.setattr(os, "open", opens)
    folder = Folder(kept)
    monkeypatch.undo()
    assert len(times) == 2
    command = [sys.executable, "-c", _OPENS, str(kept)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "is written by another process" in done.stderr
    with pytest.raises(ValueError, match="refused"), folder.as_found_if_refused():
        raise ValueError("refused")
    assert not kept.exists()


def test_a_drawn_seed_is_that_of_the_run_before(tmp_path: Path) -> None:
    first = fit(tmp_path / "umap", random_state=None)
    again = fit(tmp_path / "umap", random_state=None)
    assert again.seed_ == first.seed_
    np.testing.assert_array_equal(again.embedding_, first.embedding_)
    made = []
    for _ in range(2):
        routine = routines.ParametricUMAP(n_neighbors=5, epochs=1, init_epochs=1)
        routine.train(X, checkpoint=tmp_path / "routine")
        made.append((routine.seed, routine.apply(X).numpy().tobytes(), list(routine.history)))
    assert made[0] == made[1]


@pytest.mark.parametrize("method", ["network", "umap"])
def test_the_command_line(method: str, tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", X)
    given = [str(tmp_path / "X.npy"), "--method", method, "--n-neighbors", "5", "--quiet"]
    given += ["--checkpoint", str(tmp_path / "kept")]
    for number in range(2):
        output = tmp_path / f"{number}.npy"
        done = CliRunner().invoke(cli.main, ["embed", *given, "-o", str(output)])
        assert done.exit_code == 0, done.output
    assert (tmp_path / "0.npy").read_bytes() == output.read_bytes()  # though no seed was given
    done = CliRunner().invoke(cli.main, ["embed", *given, "-o", str(output), "--min-dist", "0.2"])
    assert done.exit_code == 2
    assert "0.1 there and 0.2 here" in done.stderr


def test_parameters_of_a_routine(tmp_path: Path) -> None:
    routines.ParametricUMAP(n_neighbors=5, epochs=1, seed=0).train(X, checkpoint=tmp_path)
    for change, message in (
        ({"epochs": 2}, "'training_phases' 1 'epochs' is 1 there and 2 here"),
        ({"n_neighbors": 6}, "parameters 'global_relations' 'rel' 'transform'"),
        ({"hidden_dims": [7]}, r"parameters 'hidden_dims' is \[100, 50\] there and \[7\] here"),
    ):
        other = routines.ParametricUMAP(**{"n_neighbors": 5, "epochs": 1, "seed": 0, **change})
        with pytest.raises(CheckpointError, match=message):
            other.train(X, checkpoint=tmp_path)


def test_labels_of_an_estimator(tmp_path: Path) -> None:
    def embedded(y: Any) -> Any:
        options = {"quality": "fast", "hidden_dims": [4], "n_epochs": 5}
        found = ParametricUMAP(n_neighbors=5, random_state=0, **options)
        return found.fit(X, y, checkpoint=tmp_path).embedding_

    first = embedded(np.arange(60) % 2)
    np.testing.assert_array_equal(embedded(np.arange(60) % 2), first)
    with pytest.raises(CheckpointError, match="data 'y' 0 'sha256' is"):
        embedded(np.arange(60) % 3)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits what a process writes")
def test_a_full_disk_leaves_the_checkpoint(tmp_path: Path) -> None:
    program = """
import resource, signal, sys
import numpy as np
from fastparadime import UMAP
from fastparadime.utils.checkpoints import Checkpoint
X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def fills(epoch, *_):
    if epoch == 4:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
fit = lambda callback: UMAP(n_neighbors=5, n_epochs=10, random_state=0, callback=callback).fit(
    X, checkpoint=Checkpoint(sys.argv[1], seconds=0))
try:
    fit(fills)
except OSError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
epochs = []
fit(lambda epoch, *_: epochs.append(epoch))
print(epochs)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], check=False, capture_output=True, text=True
    )
    message, epochs = done.stdout.splitlines()
    assert "the checkpoint is as it was before" in message
    assert epochs == "[5, 6, 7, 8, 9]"


def test_fingerprints() -> None:
    assert fingerprint(X) == fingerprint(torch.from_numpy(X)) == fingerprint(X.copy(order="F"))
    assert fingerprint(X) != fingerprint(X.astype(np.float64))
    assert described({"a": (np.float32(0.5), float("inf"), np.abs, UMAP, {1: None})}) == {
        "a": [0.5, "inf", "numpy.absolute", "fastparadime.estimators.umap.UMAP", {"1": None}]
    }


@pytest.mark.parametrize("first", [0, 1, 7, 30])
def test_layouts_begin_after_any_epoch(first: int, device: torch.device) -> None:
    rng = np.random.default_rng(1)
    pairs = torch.from_numpy(rng.random((40, 40)).astype(np.float32) > 0.7)
    pairs = (pairs | pairs.T).fill_diagonal_(fill_value=False)
    heads, tails = pairs.nonzero(as_tuple=True)
    indptr = torch.cat([torch.zeros(1, dtype=torch.int64), pairs.sum(dim=1).cumsum(0)])
    weights = torch.ones(len(heads))
    edges = ops.Edges(*(part.to(device) for part in (indptr, heads.int(), tails.int(), weights)))
    start = torch.from_numpy(rng.normal(size=(40, 2)).astype(np.float32)).to(device)
    seen = {0: start}

    def at_stop(done: int, positions: torch.Tensor) -> None:
        seen[done] = positions.clone()

    whole = ops.sgd_layout(start, edges, 1.5, 0.9, 30, stops=range(1, 31), at_stop=at_stop)
    rest = ops.sgd_layout(seen[first], edges, 1.5, 0.9, 30, first_epoch=first)
    assert torch.equal(rest, whole)
    with pytest.raises(ValueError, match="first_epoch"):
        ops.sgd_layout(start, edges, 1.5, 0.9, 30, first_epoch=31)
