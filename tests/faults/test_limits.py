"""Memory that runs out is a MemoryError, and the process goes on; fits and loads leave nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fastparadime import dr

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not sys.platform.startswith("linux"), reason="limits a process and reads /proc"
    ),
]

STEPS = """
import json, resource, sys, warnings
from pathlib import Path
import numpy as np, torch
from click.testing import CliRunner
from fastparadime import UMAP, cli, routines
warnings.simplefilter("ignore")
torch.set_num_threads(1)  # torch's OpenMP ends a process that can have no further thread
rng = np.random.default_rng(0)
few, many = rng.normal(size=(60, 10)), rng.normal(size=(4000, 200))
few, many = few.astype(np.float32), many.astype(np.float32)

def fit(X):
    return UMAP(n_epochs=20, random_state=0).fit(X).embedding_

def train(X):
    routine = routines.ParametricUMAP(n_neighbors=5, seed=0, epochs=1, init_epochs=1)
    routine.train(X)
    return routine.apply(X).numpy()

def embed(X):
    name = f"{len(X)}.npy"
    np.save(name, X)
    words = ["embed", name, "-o", "Y.npy", "--n-neighbors", "5", "--seed", "0", *sys.argv[3:]]
    result = CliRunner().invoke(cli.main, words)
    last = (result.stderr.splitlines() or [""])[-1]
    # The interpreter may have said before it, without an end of line, that a thread did not start.
    if result.exit_code == 2 and "Error: not enough memory" in last:
        raise MemoryError(last)
    assert result.exit_code == 0, result.output
    return np.load("Y.npy")

function = {"fit": fit, "train": train, "embed": embed}[sys.argv[1]]
expected = function(few)
ends = []
for mebibytes in json.loads(sys.argv[2]):
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + mebibytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    try:
        function(many)
        ends.append("done")
    except Exception as error:
        ends.append(f"{type(error).__name__}: {error}")
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    assert np.array_equal(function(few), expected)
print(json.dumps(ends))
"""


@pytest.mark.parametrize("call", ["fit", "train", "embed", "embed --quality fast"])
def test_memory_that_runs_out(call: str, tmp_path: Path) -> None:
    call, *options = call.split()
    steps = [0, 1, 4, 16, 64]
    done = subprocess.run(
        [sys.executable, "-c", STEPS, call, json.dumps(steps), *options],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    ends = json.loads(done.stdout.splitlines()[-1])
    others = [end for end in ends if not end.startswith(("MemoryError", "DeviceMemoryError"))]
    assert set(others) <= {"done"}
    assert len(others) < len(ends)


LEAKS = """
import json, os, sys, threading, warnings
from pathlib import Path
import numpy as np, torch
from fastparadime import UMAP, dr
warnings.simplefilter("ignore")
torch.set_num_threads(2)
X = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)

def once(number):
    UMAP(n_neighbors=5, n_epochs=5, random_state=number).fit(X).transform(X[:5])
    routine = dr.ParametricDR.load(sys.argv[1])
    routine.apply(X)
    routine.save(sys.argv[1])

def state():
    status = Path("/proc/self/status").read_text()
    threads = int(status.split("Threads:")[1].split()[0])
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd")), threads

for number in range(60):
    once(number)
before = state()
for number in range(int(sys.argv[2])):
    once(number)
print(json.dumps([before, state()]))
"""


def test_fits_and_loads_leave_nothing(tmp_path: Path) -> None:
    routine = dr.ParametricDR(in_dim=5, out_dim=2, hidden_dims=[6], seed=0)
    routine.trained = True
    routine.save(tmp_path / "model")
    done = subprocess.run(
        [sys.executable, "-c", LEAKS, str(tmp_path / "model"), "200"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    before, after = json.loads(done.stdout.splitlines()[-1])
    assert after[1:] == before[1:]
    # 4 KiB a round would be a table of it each.
    assert after[0] - before[0] < 200 * 4096


APPLY = """
import resource, sys
from pathlib import Path
import numpy as np
from fastparadime import dr
routine = dr.ParametricDR(in_dim=100, out_dim=2, hidden_dims=[100, 100], seed=0)
routine.trained = True
path, n = Path(sys.argv[1]), 1_500_000
with (path / "X.npy").open("wb") as file:  # of zeros that take no room
    header = {"descr": "<f4", "fortran_order": False, "shape": (n, 100)}
    np.lib.format.write_array_header_1_0(file, header)
    file.truncate(file.tell() + n * 400)
X = np.load(path / "X.npy", mmap_mode="r")
routine.apply(X[:50_000])
status = Path("/proc/self/status").read_text().split("VmData:")[1]
resource.setrlimit(resource.RLIMIT_DATA, ((int(status.split()[0]) + 65_536) * 1024,) * 2)
Y = routine.apply(X, out=path / "Y.npy")
assert Y.shape == (n, 2)
assert np.array_equal(Y[[0, n - 1]], routine.apply(X[:2]).numpy())
"""


def test_rows_go_from_file_to_file_in_little_memory(tmp_path: Path) -> None:
    """64 MiB more than the process has suffice for 572 MiB of rows."""
    done = subprocess.run(
        [sys.executable, "-c", APPLY, str(tmp_path)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
