"""Tables that are made when they are first needed serve threads that need them at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
import numpy as np, scipy.sparse, torch
from fastparadime import ops
torch.set_num_threads(1)
sys.setswitchinterval(1e-6)
rng = np.random.default_rng(0)
X = scipy.sparse.random(400, 3000, 0.05, "csr", np.float32, rng)
dense, points = X.toarray()[:, :40].copy(), np.arange(400)

def sparse():
    table = ops.SparseTable(X.indptr, X.indices, X.data, X.shape[1])
    return lambda: (table.nearest(points, 5),)

def binary():
    table = ops.BinaryTable.listed(X.indptr, X.indices, X.shape[1])
    return lambda: table.nearest(5, "jaccard")

def products():
    table = ops.ProductTable(dense)
    return lambda: (*table.nearest(5), table.norms)

def held(make):
    alone = make()()
    for _ in range(int(sys.argv[2])):
        found, start = [], threading.Barrier(4)
        call = make()
        def run():
            start.wait()
            found.append(call())
        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 4
        for parts in found:
            assert all(torch.equal(a, b) for a, b in zip(parts, alone, strict=True))

held({"sparse": sparse, "binary": binary, "products": products}[sys.argv[1]])
"""


@pytest.mark.slow
@pytest.mark.parametrize("table", ["sparse", "binary", "products"])
def test_first_use_from_four_threads(table: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, table, "25"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
