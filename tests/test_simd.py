"""FASTPARADIME_SIMD: the instruction set that is asked for is used, and every set is right."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastparadime import ops

LEVELS = ("sse2", "avx2", "avx512")
HERE = ops.build_info()["simd_level"]
OTHERS = LEVELS[: LEVELS.index(HERE)] if HERE in LEVELS else ()

# Neighbours, a graph, a layout and a trained network, each as a digest of its bits.
DIGESTS = """
import hashlib
import numpy as np
import fastparadime as fpd
from fastparadime import neighbors

X = np.random.default_rng(0).standard_normal((700, 40)).astype(np.float32)
reducer = fpd.UMAP(n_epochs=50, random_state=1).fit(X)
found = neighbors.knn(X, 15)
for values in (found.indices, found.distances, reducer.embedding_, reducer.transform(X[:9] + 1)):
    print(hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest())
"""


def run(*command: str, level: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FASTPARADIME_SIMD": level, **settings}
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, check=False
    )


def level_of(level: str) -> str:
    return run(
        "-c", "from fastparadime import ops; print(ops.build_info()['simd_level'])", level=level
    ).stdout.strip()


@pytest.mark.parametrize("level", [*OTHERS, HERE])
def test_the_level_asked_for_is_used_and_shown(level: str) -> None:
    assert level_of(level) == level
    shown = run("-m", "fastparadime", "info", level=level).stdout
    assert [line.split() for line in shown.splitlines() if line.startswith("SIMD")] == [
        ["SIMD", level]
    ]


def test_without_a_wish_the_best_is_used() -> None:
    best = level_of("")
    assert best in LEVELS or best in ("neon", "baseline")
    if best in LEVELS:
        for better in LEVELS[LEVELS.index(best) + 1 :]:
            failed = run("-c", "from fastparadime import ops", level=better)
            assert failed.returncode == 1
            assert f"FASTPARADIME_SIMD is '{better}', which this machine" in failed.stderr


@pytest.mark.parametrize("level", ["mmx", "AVX2", "avx2 "])
def test_other_levels_are_refused_by_name(level: str) -> None:
    failed = run("-c", "from fastparadime import ops", level=level)
    assert failed.returncode == 1
    assert f"FASTPARADIME_SIMD is '{level}'; known are" in failed.stderr


@pytest.mark.slow
@pytest.mark.parametrize("level", OTHERS)
def test_operations_equal_the_reference_at_every_level(level: str) -> None:
    root = Path(__file__).parent
    options = ("-q", "-p", "no:cacheprovider", "-m", "not slow", "-k", "equals_reference")
    tested = run("-m", "pytest", str(root / "ops"), *options, level=level)
    assert tested.returncode == 0, tested.stdout[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("level", OTHERS)
def test_one_level_gives_the_same_bits_for_any_number_of_threads(level: str) -> None:
    one, three = (run("-c", DIGESTS, level=level, OMP_NUM_THREADS=n).stdout for n in ("1", "3"))
    assert len(one.split()) == 4
    assert one == three
