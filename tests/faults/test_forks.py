"""Forked children fit, apply and search as their parent does, and end."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="forks processes"),
]

PROGRAM = """
import multiprocessing, pickle, sys, warnings
import numpy as np, torch
from fastparadime import UMAP, neighbors, routines

X = np.random.default_rng(0).normal(size=(400, 20)).astype(np.float32)

def work(_):
    warnings.simplefilter("ignore")
    routine = routines.ParametricUMAP(n_neighbors=5, seed=0, epochs=1, init_epochs=1)
    routine.train(X)
    estimator = UMAP(n_epochs=20, random_state=0).fit(X)
    return (
        estimator.embedding_.tobytes(),
        estimator.transform(X[:30] + 0.1).tobytes(),
        routine.apply(X).numpy().tobytes(),
        neighbors.knn(X, 5, "manhattan").distances.numpy().tobytes(),
    )

if __name__ == "__main__":
    torch.set_num_threads(2)
    wanted = work(0)
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        found = pool.map_async(work, range(2)).get(float(sys.argv[2]))
    assert found == [wanted] * 2
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_give_the_same_bits(method: str, tmp_path) -> None:
    script = tmp_path / "children.py"
    script.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(script), method, "200"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
