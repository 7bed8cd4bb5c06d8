"""Saves that are killed, run out of room or meet each other leave a whole file, old or new."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from fastparadime import dr

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="limits and forks processes as Linux does"
)
_HERE = Path(__file__).resolve().parent
COUNT = 400 if os.environ.get("FASTPARADIME_PROPERTIES") == "nightly" else 40


def routine(seed: int = 0) -> dr.ParametricDR:
    made = dr.ParametricDR(in_dim=20, out_dim=2, hidden_dims=[40], seed=seed)
    made.trained = True
    return made


@pytest.mark.slow
def test_a_killed_save_leaves_a_whole_file(tmp_path: Path) -> None:
    command = [sys.executable, str(_HERE / "save_and_die.py"), str(tmp_path)]
    done = subprocess.run(
        [*command, str(COUNT), str(COUNT), "1"], check=True, capture_output=True, text=True
    )
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["killed"] >= COUNT
    assert seen["old"] >= COUNT
    assert (seen["torn"], seen["left over"]) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["network", "umap"])
def test_a_killed_embed_leaves_whole_files(tmp_path: Path, method: str) -> None:
    command = [sys.executable, str(_HERE / "embed_and_die.py"), str(tmp_path)]
    done = subprocess.run(
        [*command, str(COUNT // 4), "1", method], check=True, capture_output=True, text=True
    )
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["killed"] >= COUNT // 4
    assert seen["old"] > 0
    assert (seen["torn"], seen["left over"], seen["as before"]) == (0, [], True)


@pytest.mark.slow
def test_a_killed_apply_is_gone_on_with(tmp_path: Path) -> None:
    command = [sys.executable, str(_HERE / "apply_and_die.py"), str(tmp_path)]
    done = subprocess.run([*command, str(COUNT), "1"], check=True, capture_output=True, text=True)
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["killed"] > COUNT
    assert seen["gone on"] > COUNT // 2
    assert (seen["torn"], seen["left over"]) == (0, 0)


FULL = """
import resource, sys
from fastparadime import dr
path, byte, first = sys.argv[1], int(sys.argv[2]), dr.ParametricDR.load(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (byte, resource.RLIM_INFINITY))
try:
    first.save(path)
except OSError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
first.save(path)
"""


@pytest.mark.parametrize("byte", [0, 1, 700, 3000])
def test_a_full_disk_is_an_os_error_that_names_the_file(tmp_path: Path, byte: int) -> None:
    path = tmp_path / "model"
    routine().save(path)
    stored = path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path), str(byte)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert str(path) in done.stdout
    assert path.read_bytes() == stored
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


EMBED = """
import resource, sys
byte = int(sys.argv.pop(1))
from fastparadime import cli
resource.setrlimit(resource.RLIMIT_FSIZE, (byte, byte))
cli.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("byte", "file"), [(64, "Y.npy"), (900, "model")])
def test_the_command_line_tells_of_a_full_disk_in_a_line(
    tmp_path: Path, byte: int, file: str
) -> None:
    X = np.random.default_rng(0).normal(size=(30, 20)).astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    options = ["--quality", "fast", "--n-neighbors", "5", "--seed", "1", "--quiet"]
    outputs = ["-o", str(tmp_path / "Y.npy"), "--save", str(tmp_path / "model")]
    command = [sys.executable, "-c", EMBED, str(byte), "embed", str(tmp_path / "X.npy")]
    done = subprocess.run(
        [*command, *outputs, *options], check=False, capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Error: ")
    assert str(tmp_path / file) in lines[0]
    assert not (tmp_path / file).exists()


def test_threads_that_save_to_one_path(tmp_path: Path) -> None:
    path, routines, failed = tmp_path / "model", [routine(seed) for seed in range(4)], []
    whole = set()
    for one in routines:
        one.save(path)
        whole.add(path.read_bytes())
    start = threading.Barrier(4)

    def save(one: dr.ParametricDR) -> None:
        start.wait()
        for _ in range(30):
            try:
                one.save(path)
            except OSError as error:
                failed.append(error)

    threads = [threading.Thread(target=save, args=(one,)) for one in routines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert path.read_bytes() in whole
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o664])
def test_a_file_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "model"
    routine().save(path)
    path.chmod(mode)
    routine(1).save(path)
    assert path.stat().st_mode & 0o777 == mode


def test_a_new_file_has_the_mode_of_new_files(tmp_path: Path) -> None:
    routine().save(tmp_path / "model")
    (tmp_path / "other").write_bytes(b"")
    modes = [(tmp_path / name).stat().st_mode for name in ("model", "other")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("kind", ["pipe", "folder", "socket", "link to a pipe"])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, kind: str) -> None:
    """Of the test's own folder alone: a device of the machine would be lost if this failed."""
    path = tmp_path / "model"
    bound = socket.socket(socket.AF_UNIX)
    if kind == "folder":
        path.mkdir()
    elif kind == "socket":
        bound.bind(str(path))
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to(tmp_path / "pipe")
    before = {entry.name: entry.lstat().st_mode for entry in tmp_path.iterdir()}
    with pytest.raises(OSError, match="model"):
        routine().save(path)
    assert {entry.name: entry.lstat().st_mode for entry in tmp_path.iterdir()} == before
    bound.close()
