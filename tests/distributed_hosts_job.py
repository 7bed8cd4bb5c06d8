"""One of two processes on two hosts: fits its rows, and writes what it found and was refused.

python tests/processes.py distributed_hosts_job STORE RANK PROCESSES FOLDER [cut]
"""

from __future__ import annotations

import datetime
import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch.distributed as dist

from fastparadime import UMAP, ParametricUMAP, ops
from fastparadime.neighbors import knn
from tests.distributed_job import OF_NETWORK, OF_UMAP, cuts, in_steps, raised, table
from tests.hosts import CABLE

_HASTE = datetime.timedelta(seconds=5)  # of a process for the others


def cut_off(X: Any, rank: int) -> tuple[str, str]:
    """What a process raises where the cable of rank 1 is pulled in the middle of a layout."""
    hasty = dist.new_group(timeout=_HASTE)
    step = ops.LayoutShard.step

    def pull(*arguments: Any) -> Any:
        if rank == 1:
            subprocess.run(["ip", "link", "set", CABLE, "down"], check=True)
        ops.LayoutShard.step = step  # type: ignore[method-assign]
        return step(*arguments)

    ops.LayoutShard.step = pull  # type: ignore[method-assign]
    with in_steps():
        return raised(lambda: UMAP(**OF_UMAP).fit(X, process_group=hasty))


def take_part(rank: int, ranks: int, folder: Path, group: Any, how: str = "") -> None:
    X = table()[slice(*cuts(ranks)[rank : rank + 2])]
    told: dict[str, Any] = {"name": socket.gethostname(), "clock": time.monotonic()}
    if how == "cut":
        told["raised"] = cut_off(X, rank)
        (folder / f"{rank}.json").write_text(json.dumps(told), encoding="utf-8")
        os._exit(0)  # the group cannot be left in order
    network = ParametricUMAP(**OF_NETWORK).fit(X, process_group=group)
    np.savez(
        folder / f"{rank}.npz",
        indices=knn(X, 9, process_group=group).indices,
        embedding=UMAP(**OF_UMAP).fit(X, process_group=group).embedding_,
        mapped=network.embedding_,
    )
    own = folder / "own" / "map.run"
    told["raised"] = raised(lambda: UMAP(**OF_UMAP).fit(X, process_group=group, checkpoint=own))
    (folder / f"{rank}.json").write_text(json.dumps(told), encoding="utf-8")
