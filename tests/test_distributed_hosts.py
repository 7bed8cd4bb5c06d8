"""Fits by two hosts, each with a network, a name, a clock and a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastparadime import UMAP
from tests.hosts import NAMES, two_hosts
from tests.test_distributed import all_end_well, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="makes namespaces of Linux")
_MEETING = f"{NAMES[0]}:29400"  # a port of the first host, not of this machine
_BY_ROW = ("indices", "embedding", "mapped")


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[list[str]]]:
    """What a command begins with on either; ``tmp_path / "own"`` is a folder of each."""
    (tmp_path / "own").mkdir()
    with ExitStack() as until_the_end:
        try:
            made = until_the_end.enter_context(two_hosts(tmp_path / "own"))
        except OSError as error:
            pytest.skip(f"no hosts can be made here: {error}")
        yield made


def told(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"{rank}.json").read_text("utf-8")) for rank in range(2)]


def test_two_hosts_have_the_bits_of_one_process(hosts: list[list[str]], tmp_path: Path) -> None:
    """Neighbours, map and network; and a checkpoint in a folder that is not one for both."""
    run(2, tmp_path, job="distributed_hosts_job", store=f"tcp://{_MEETING}", hosts=hosts)
    first, second = told(tmp_path)
    assert (first["name"], second["name"]) == ("host-0", "host-1")
    assert second["clock"] - first["clock"] > 90_000
    alone = tmp_path / "alone"
    (alone / "own").mkdir(parents=True)
    run(1, alone, job="distributed_hosts_job")
    parts = [np.load(tmp_path / f"{rank}.npz") for rank in range(2)]
    one = np.load(alone / "0.npz")
    for name in _BY_ROW:
        assert np.array_equal(np.concatenate([part[name] for part in parts]), one[name]), name
    assert first["raised"] == second["raised"]
    assert first["raised"][0] == "CheckpointError"
    assert "must be one folder that all processes see" in first["raised"][1]


def test_a_pulled_cable_is_an_error_of_both(hosts: list[list[str]], tmp_path: Path) -> None:
    """In the middle of a layout, within the group's timeout: nothing else tells of it."""
    run(2, tmp_path, "cut", job="distributed_hosts_job", store=f"tcp://{_MEETING}", hosts=hosts)
    for found in told(tmp_path):
        assert found["raised"][0] == "RuntimeError"
        assert "Timed out waiting 5000ms" in found["raised"][1]


def test_command_under_torchrun_on_two_hosts(hosts: list[list[str]], tmp_path: Path) -> None:
    """Each host starts its own; files and checkpoint are in a folder that both see."""
    X = np.random.default_rng(0).normal(size=(80, 5)).astype(np.float32)
    np.save(tmp_path / "rows-0.npy", X[:30])
    np.save(tmp_path / "rows-1.npy", X[30:])
    asked = ["embed", str(tmp_path / "rows-*.npy"), "-o", str(tmp_path / "map.npy")]
    asked += ["--checkpoint", str(tmp_path / "kept"), "--method", "umap", "--seed", "1"]
    asked += ["--n-neighbors", "5"]
    meeting = ["--rdzv-backend=c10d", "--rdzv-id=hosts", f"--rdzv-endpoint={_MEETING}"]
    launch = ["-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", *meeting]
    started = [
        subprocess.Popen(
            [*host, sys.executable, *launch, "-m", "fastparadime", *asked],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for host in hosts
    ]
    all_end_well(started)
    alone = UMAP(n_neighbors=6, random_state=1).fit(X)
    assert np.array_equal(np.load(tmp_path / "map.npy"), alone.embedding_)
