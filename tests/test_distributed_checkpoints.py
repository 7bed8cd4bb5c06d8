"""Checkpoints of fits by several processes: who goes on from them, and what all refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastparadime import UMAP
from tests.distributed_job import table
from tests.test_distributed import LIMIT, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits and kills processes")
_RESTARTED = Path(__file__).with_name("distributed_restart_job.py")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two processes found, with the folder of their checkpoints."""
    folder = run(2, tmp_path_factory.mktemp("checkpoints"), job="distributed_checkpoints_job")
    assert not list(folder.glob("*/.seen.*"))  # by which processes see whose folder it is
    assert not list(folder.glob("own*/.lock"))  # which one of several folders is refused with
    return [json.loads((folder / f"{rank}.json").read_text("utf-8")) for rank in range(2)]


@pytest.mark.parametrize("case", ["begun", "over", "moved", "drawn", "given", "placed", "full"])
def test_fits_that_go_on_have_the_bits_of_others(case: str, told: list[dict[str, Any]]) -> None:
    """Wherever shards end, with drawn seeds, given neighbours and starts, after a full disk."""
    assert [found["same"][case] for found in told] == [True, True]


@pytest.mark.parametrize(
    ("case", "kind", "message"),
    [
        ("parameter", "CheckpointError", "of another run: parameters 'n_neighbors' is 15 there and 8 here"),
        ("seed", "CheckpointError", "of another run: parameters 'seed' is 3 there and 4 here"),
        ("data", "CheckpointError", "of another run: data 'X' 'sha256' is"),
        ("start", "CheckpointError", "data 'init' 'sha256' is"),
        ("knn", "CheckpointError", "data 'knn' 1 'sha256' is"),
        ("alone", "CheckpointError", "parameters 'process_group' is null there and true here"),
        ("elsewhere", "CheckpointError", "must be one folder that all processes see, on one machine or a shared file system: what rank 1 wrote in it is not there"),
        ("nowhere", "CheckpointError", "must be one folder that all processes see, on one machine or a shared file system: that of rank 0 is not there"),
        ("file", "CheckpointError", "is a file: it must be a folder"),
        ("one", "ValueError", "checkpoint must be the same on all ranks, but is None on rank 0 and 'given' on rank 1"),
        ("kind", "TypeError", "checkpoint must be the path of a folder, or a Checkpoint, not int"),
        ("full", "OSError", "the checkpoint is as it was before, and the run goes on from there"),
        ("damaged", "CheckpointError", "is damaged: it does not have its digest"),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_by_all(
    case: str, kind: str, message: str, told: list[dict[str, Any]]
) -> None:
    first, second = (found["refused"][case] for found in told)
    assert first == second
    assert first[0] == kind
    assert message in first[1]
    whose = {"nowhere": "rank 1: ", "full": "rank 1: ", "one": "checkpoint must"}
    assert first[1].startswith(whose.get(case, "rank "))


def test_a_killed_process_is_started_again_and_goes_on(tmp_path: Path) -> None:
    """By torchrun, which starts all anew; the layout goes on from the epoch that was kept."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [sys.executable, *launch, "--max-restarts=1", str(_RESTARTED), str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"},
    )
    assert done.returncode == 0, done.stderr
    began = json.loads((tmp_path / "began.json").read_text("utf-8"))
    assert began == [0, 5]  # epochs that were done when each attempt began
    parts = [np.load(tmp_path / f"{rank}.npy") for rank in range(2)]
    alone = UMAP(n_epochs=20, random_state=0).fit(table())
    assert np.array_equal(np.concatenate(parts), alone.embedding_)
