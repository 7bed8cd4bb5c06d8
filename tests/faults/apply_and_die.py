"""Applies a routine to the rows of a file in children that end in the middle of it.

    python tests/faults/apply_and_die.py FOLDER TIMES SEED

A child is killed at a line of the code that writes, drawn by SEED, another one goes on and is
killed too, and the parent finishes. The last line says what was seen.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

from fastparadime import dr
from fastparadime.utils import files, resumable

_TRACED = (resumable.__file__, files.__file__)


class Lines:
    """Counts lines of the files that write, or kills the process at one of them."""

    def __init__(self, last: int | None = None) -> None:
        self.count, self.last = 0, last

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code.co_filename not in _TRACED:
            return None
        if event == "line":
            self.count += 1
            if self.count == self.last:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def apply_in_child(routine: dr.ParametricDR, X: np.ndarray, out: Path, line: int) -> bool:
    """Whether a child that applied was killed."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    sys.settrace(Lines(line))
    routine.apply(X, out=out)
    os._exit(0)


def main() -> None:
    folder, draw = Path(sys.argv[1]), random.Random(int(sys.argv[3]))
    torch.set_num_threads(1)
    resumable._MOST_ROWS, resumable._SECONDS = 50, -1.0
    routine = dr.ParametricDR(in_dim=20, out_dim=2, hidden_dims=[40], seed=0)
    routine.trained = True
    np.save(folder / "X.npy", np.random.default_rng(0).normal(size=(1000, 20)).astype("f4"))
    X, out = np.load(folder / "X.npy", mmap_mode="r"), folder / "Y.npy"
    counter = Lines()
    sys.settrace(counter)
    routine.apply(X, out=out)
    sys.settrace(None)
    whole = out.read_bytes()
    seen = {"killed": 0, "gone on": 0, "torn": 0, "left over": 0}
    for _ in range(int(sys.argv[2])):
        out.unlink()
        for line in (draw.randrange(1, counter.count), draw.randrange(1, counter.count // 2)):
            seen["killed"] += apply_in_child(routine, X, out, line)
            seen["torn"] += out.exists() and out.read_bytes() != whole
        seen["gone on"] += (folder / "Y.npy.progress").exists()
        routine.apply(X, out=out)
        seen["torn"] += out.read_bytes() != whole
        seen["left over"] += {entry.name for entry in folder.iterdir()} != {"X.npy", "Y.npy"}
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main()
