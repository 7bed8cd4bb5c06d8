"""Fits by several processes that keep a checkpoint, of whom some are killed, again and again.

    python tests/faults/share_and_die.py FOLDER KIND ROUNDS SEED PROCESSES ...

In each round a fit is begun in an empty folder by the first number of processes, of which one, or
all, are killed at a call of a Python function, drawn by SEED; the others are ended, as a launcher
does. The next number of them goes on and is killed as well, and the last one comes to the end. The
last line says how often processes were killed, and in how many rounds the result had the bits of
a fit by one.
"""

from __future__ import annotations

import datetime
import json
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from calls import Calls

from fastparadime import UMAP, ParametricUMAP
from fastparadime.layout import shared_layout
from fastparadime.utils.checkpoints import Checkpoint

ROWS, LIMIT = 120, datetime.timedelta(seconds=120)


def umap(X: Any, **how: Any) -> Any:
    return UMAP(n_epochs=30, random_state=0).fit(X, **how).embedding_


def steps(X: Any, **how: Any) -> Any:
    """With a layout in steps that processes take together, as that of a large table."""
    shared_layout.MOST_ALONE = 0
    return umap(X, **how)


def prototypes(X: Any, **how: Any) -> Any:
    options = {"quality": "fast", "batch_size": 64, "random_state": 0, "metric": "cosine"}
    return ParametricUMAP(n_epochs=20, prototypes=12, **options).fit(X, **how).embedding_


FITS: dict[str, Callable[..., Any]] = {"umap": umap, "steps": steps, "prototypes": prototypes}


def share(rank: int, ranks: int) -> Any:
    """The rows of a process, uneven shards of a table."""
    X = np.random.default_rng(0).normal(size=(ROWS, 6)).astype(np.float32)
    cuts = [0, *sorted(ROWS * (number * 7 % 16 or 1) // 16 for number in range(1, ranks)), ROWS]
    return X[cuts[rank] : cuts[rank + 1]]


def run(rank: int, ranks: int, kind: str, folder: Path, call: int | None) -> int:
    """Fits, is killed at a call, or writes the own part of the result; how many calls it took."""
    store = f"file://{folder / 'store'}"
    dist.init_process_group("gloo", store, world_size=ranks, rank=rank, timeout=LIMIT)
    calls = Calls(call)
    sys.setprofile(calls)
    checkpoint = Checkpoint(folder / "kept", seconds=0)
    found = FITS[kind](share(rank, ranks), process_group=dist.group.WORLD, checkpoint=checkpoint)
    sys.setprofile(None)
    (folder / f"result.{rank}").write_bytes(found.tobytes())
    dist.barrier()
    return calls.count


def together(kind: str, folder: Path, calls: Sequence[int | None]) -> list[int]:
    """The exit statuses of so many processes, all of which end where one is killed."""
    (folder / "store").unlink(missing_ok=True)
    children = []
    for rank, call in enumerate(calls):
        children.append(os.fork())
        if not children[-1]:
            try:
                count = run(rank, len(calls), kind, folder, call)
                (folder / f"calls.{rank}").write_text(str(count))
                os._exit(0)
            except BaseException as error:  # noqa: BLE001  the child ends here in any case
                sys.stderr.write(f"{type(error).__name__}: {error}\n")
                os._exit(1)
    statuses: dict[int, int] = {}
    while len(statuses) < len(children):
        child, status = os.wait()
        statuses[child] = os.waitstatus_to_exitcode(status)
        if statuses[child]:
            for other in set(children) - set(statuses):
                os.kill(other, signal.SIGKILL)
    return [statuses[child] for child in children]


def result(folder: Path, ranks: int) -> bytes:
    return b"".join((folder / f"result.{rank}").read_bytes() for rank in range(ranks))


def drawn(draw: random.Random, counts: Sequence[int]) -> list[int | None]:
    """At which of so many calls each process is killed: one of them, or all."""
    one = draw.choice([*range(len(counts)), None])
    return [
        draw.randrange(1, count) if one in (None, rank) else None
        for rank, count in enumerate(counts)
    ]


def main() -> None:
    folder, kind, draw = Path(sys.argv[1]), sys.argv[2], random.Random(int(sys.argv[4]))
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    begin, *go_on, end = map(int, sys.argv[5:])
    alone, counted = folder / "alone", folder / "counted"
    for own, ranks in ((alone, 1), (counted, begin)):
        own.mkdir()
        assert not any(together(kind, own, [None] * ranks))
    expected = result(alone, 1)
    assert result(counted, begin) == expected
    counts = [int((counted / f"calls.{rank}").read_text()) for rank in range(begin)]
    seen = {"killed": 0, "ended": 0, "same": 0}
    for number in range(int(sys.argv[3])):
        own = folder / str(number)
        own.mkdir()
        for ranks in (begin, *go_on):
            statuses = together(kind, own, drawn(draw, counts[:ranks]))
            seen["killed"] += -signal.SIGKILL in statuses
        seen["ended"] += not any(together(kind, own, [None] * end))
        seen["same"] += result(own, end) == expected
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main()
