"""Saves a routine over an older file in children that end in the middle of it.

    python tests/faults/save_and_die.py FOLDER LINES BYTES SEED

A child is killed at a line of the code that saves, LINES times, or at a byte of what it writes,
BYTES times, all drawn by SEED. After each, the parent looks at the file and saves once more. The
last line says what was seen.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from fastparadime import dr


def routine(seed: int) -> dr.ParametricDR:
    made = dr.ParametricDR(in_dim=20, out_dim=2, hidden_dims=[40], seed=seed)
    made.trained = True
    return made


class Lines:
    """Counts lines, or kills the process at one of them."""

    def __init__(self, last: int | None = None) -> None:
        self.count, self.last = 0, last

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            self.count += 1
            if self.count == self.last:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def save_in_child(path: Path, line: int | None, byte: int | None) -> int:
    """The signal that ended a child which saved."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if byte is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (byte, byte))
    if line is not None:
        sys.settrace(Lines(line))
    routine(2).save(path)
    os._exit(0)


def main() -> None:
    folder, draw = Path(sys.argv[1]), random.Random(int(sys.argv[4]))
    torch.set_num_threads(1)
    path = folder / "model"
    routine(2).save(path)
    new = path.read_bytes()
    counter = Lines()
    sys.settrace(counter)
    routine(1).save(path)
    sys.settrace(None)
    old = path.read_bytes()
    cases: list[tuple[int | None, int | None]] = []
    cases += [(draw.randrange(1, counter.count), None) for _ in range(int(sys.argv[2]))]
    cases += [(None, draw.randrange(len(new))) for _ in range(int(sys.argv[3]))]
    seen = {"killed": 0, "old": 0, "new": 0, "torn": 0, "left over": 0}
    for line, byte in cases:
        path.write_bytes(old)
        seen["killed"] += save_in_child(path, line, byte) != 0
        found = path.read_bytes()
        seen["old" if found == old else "new" if found == new else "torn"] += 1
        routine(1).save(path)
        assert path.read_bytes() == old
        seen["left over"] += [entry.name for entry in folder.iterdir()] != ["model"]
        for entry in folder.iterdir():
            if entry != path:
                entry.unlink()
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main()
