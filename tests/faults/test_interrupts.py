"""Ctrl-C ends fit, transform and train within a second, and what was there before stays usable."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not sys.platform.startswith("linux"), reason="interrupts by a timer of processor time"
    ),
]

PRELUDE = """
import json, signal, sys, time, warnings
import numpy as np, torch
from fastparadime import UMAP, routines
warnings.simplefilter("ignore")
torch.set_num_threads(1)
signal.signal(signal.SIGPROF, signal.default_int_handler)  # as Ctrl-C is answered
late = []

def interrupted(function, delay):
    start = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, delay)
    try:
        function()
    except KeyboardInterrupt:
        late.append(time.process_time() - start - delay)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)

rng = np.random.default_rng(0)
few, many = rng.normal(size=(200, 30)).astype(np.float32), rng.normal(size=(20_000, 30))
many = many.astype(np.float32)
"""
FIT = """
estimator = UMAP(n_epochs=200, random_state=0).fit(few)
before, placed = estimator.embedding_.copy(), estimator.transform(few[:9] + 0.1)
for delay in json.loads(sys.argv[1]):
    interrupted(lambda: estimator.fit(many), delay)
    assert np.array_equal(estimator.embedding_, before)
    assert np.array_equal(estimator.transform(few[:9] + 0.1), placed)
print(json.dumps(late))
"""
TRANSFORM = """
estimator = UMAP(n_epochs=30, random_state=0).fit(many[:3000])
placed, many = estimator.transform(few), np.tile(many, (8, 1))
for delay in json.loads(sys.argv[1]):
    interrupted(lambda: estimator.transform(many), delay)
    assert np.array_equal(estimator.transform(few), placed)
print(json.dumps(late))
"""
TRAIN = """
routine = routines.ParametricUMAP(n_neighbors=5, seed=0, epochs=1, init_epochs=1)
routine.train(few)
for delay in json.loads(sys.argv[1]):
    other = routines.ParametricUMAP(n_neighbors=10, seed=0, epochs=500)
    interrupted(lambda: other.train(many[:4000]), delay)
    if other.trained:
        assert np.isfinite(other.apply(few).numpy()).all()
    other.training_phases = routine.training_phases
    other.train()
    assert np.isfinite(other.apply(few).numpy()).all()
print(json.dumps(late))
"""


@pytest.mark.parametrize(
    ("program", "delays"),
    [
        (FIT, [0.03, 0.2, 0.5, 0.9, 1.2]), (TRANSFORM, [0.03, 0.2, 0.5]),
        (TRAIN, [0.05, 0.4, 1.0, 2.5]),
    ],
    ids=["fit", "transform", "train"],
)  # fmt: skip
def test_an_interrupt_ends_it_within_a_second(program: str, delays: list[float]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + program, json.dumps(delays)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    late = json.loads(done.stdout.splitlines()[-1])
    assert len(late) == len(delays)
    assert max(late) < 1.0, late
