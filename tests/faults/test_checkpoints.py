"""Fits that are killed at any moment go on from their checkpoints, and end with the same bits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="forks and kills processes"),
]

ROUNDS = 20 if os.environ.get("FASTPARADIME_PROPERTIES") == "nightly" else 1
PROGRAM = Path(__file__).with_name("fit_and_die.py")


@pytest.mark.parametrize("kind", ["umap", "estimator", "edges", "quality", "sgd"])
def test_killed_fits_end_with_the_same_bits(kind: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM, tmp_path, kind, str(ROUNDS), "0"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["killed"] >= ROUNDS  # a drawn call may come after the end of what is left to do
    assert (seen["ended"], seen["same"]) == (ROUNDS, ROUNDS)


@pytest.mark.parametrize("kind", ["umap", "steps", "prototypes"])
def test_fits_begun_by_four_processes_are_ended_by_three(kind: str, tmp_path: Path) -> None:
    """And gone on with by two: one or all of them are killed at any moment, the bits stay."""
    seen = share(tmp_path, kind, ROUNDS, 4, 2, 3)
    assert seen["killed"] >= ROUNDS
    assert (seen["ended"], seen["same"]) == (ROUNDS, ROUNDS)


def test_processes_beyond_the_slices_have_nothing_to_do(tmp_path: Path) -> None:
    """And change no bits: the program compares those of 18 processes with those of one."""
    assert share(tmp_path, "prototypes", 0, 18, 1) == {"killed": 0, "ended": 0, "same": 0}


def share(folder: Path, kind: str, rounds: int, *processes: int) -> dict[str, int]:
    """What the program of fits by several processes saw."""
    program = Path(__file__).with_name("share_and_die.py")
    given = [str(part) for part in (program, folder, kind, rounds, 0, *processes)]
    done = subprocess.run([sys.executable, *given], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seen: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return seen
