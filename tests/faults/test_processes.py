"""Children of a process that has fitted before, and fresh processes of several threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAMS = Path(__file__).parent / "programs"
_LIMIT = 240  # seconds, beyond which a program counts as hanging


def run(program: str, *arguments: object, **environment: str) -> str:
    """What a program prints."""
    command = [sys.executable, str(_PROGRAMS / program), *map(str, arguments)]
    everything = {**os.environ, **environment}
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=_LIMIT, env=everything
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "loky"])
def test_children_give_the_parents_results(method: str, tmp_path: Path) -> None:
    tasks = ["fit", "transform", "train", "train_by_torch", "apply", "knn"]
    assert run("children.py", method, tmp_path).split() == tasks


@pytest.mark.slow
def test_bits_of_routines_do_not_depend_on_threads() -> None:
    results = [run("bits.py", n, "exact", OMP_NUM_THREADS=str(n)) for n in (1, 2, 3)]
    assert len(results[0].splitlines()) == 11
    assert results[0] == results[1] == results[2]


@pytest.mark.slow
def test_bits_of_torch_and_blas_are_those_of_their_threads() -> None:
    one, other = (run("bits.py", 2, "by_torch", OMP_NUM_THREADS="2") for _ in range(2))
    assert len(one.splitlines()) == 3
    assert one == other
