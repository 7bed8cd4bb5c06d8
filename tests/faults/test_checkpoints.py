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
