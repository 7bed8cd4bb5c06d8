"""Runs `fastparadime embed` over older files in children that are killed in the middle of it.

    python tests/faults/embed_and_die.py FOLDER CALLS SEED network|umap

A child is killed at a call of a Python function, CALLS times, drawn by SEED. After each, the parent
looks at the files, and at the end runs the command to its end. The last line says what was seen.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import sys
from pathlib import Path

import numpy as np
import torch
from calls import Calls

from fastparadime import cli

OUTPUTS = {"-o": "Y.parquet", "--html": "map.html", "--save": "model"}
METHODS = {"network": ["--quality", "fast"], "umap": ["--method", "umap"]}


def embed(folder: Path, seed: int) -> None:
    options = [part for option, name in OUTPUTS.items() for part in (option, str(folder / name))]
    options += [*METHODS[sys.argv[4]], "--n-neighbors", "5", "--seed", str(seed), "--quiet"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        cli.main(["embed", str(folder / "X.npy"), *options])


def embed_in_child(folder: Path, call: int) -> int:
    """The signal that ended a child which embedded."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.setprofile(Calls(call))
    embed(folder, 2)
    os._exit(0)


def outputs(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in OUTPUTS.values()]


def main() -> None:
    folder, draw = Path(sys.argv[1]), random.Random(int(sys.argv[3]))
    torch.set_num_threads(1)
    np.save(folder / "X.npy", np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32))
    counter = Calls()
    for _ in range(2):  # what is made at the first calls is not counted
        embed(folder, 1)
    old = outputs(folder)
    sys.setprofile(counter)
    embed(folder, 2)
    sys.setprofile(None)
    new = outputs(folder)
    seen = {"killed": 0, "old": 0, "new": 0, "torn": 0}
    # Half of the kills fall on the last of the calls, where the files are written.
    calls = [draw.randrange(1, counter.count) for _ in range(int(sys.argv[2]) // 2)]
    calls += [draw.randrange(counter.count * 19 // 20, counter.count) for _ in calls]
    for call in calls:
        for name, content in zip(OUTPUTS.values(), old, strict=True):
            (folder / name).write_bytes(content)
        seen["killed"] += embed_in_child(folder, call) != 0
        for found, before, after in zip(outputs(folder), old, new, strict=True):
            seen["old" if found == before else "new" if found == after else "torn"] += 1
    embed(folder, 1)
    left = sorted({entry.name for entry in folder.iterdir()} - {"X.npy", *OUTPUTS.values()})
    sys.stdout.write(json.dumps({**seen, "left over": left, "as before": outputs(folder) == old}))


if __name__ == "__main__":
    main()
