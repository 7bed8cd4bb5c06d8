"""A fit under torchrun, whose first attempt ends when the first process is killed in the layout.

TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 torchrun --standalone --nproc-per-node=2 --max-restarts=1 \
    tests/distributed_restart_job.py FOLDER

Without the variable attempts share a store, and a later one may look for addresses of one before.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch.distributed as dist

from fastparadime import UMAP
from fastparadime.utils.checkpoints import Checkpoint

# Behind the installed package, which the sources beside the tests must not stand for.
sys.path.append(str(Path(__file__).resolve().parent.parent))
from tests.distributed_job import cuts, table
from tests.processes import end_group

KEPT = 5  # epochs after which the process is killed


def kept_epochs(folder: Path) -> int:
    """How many epochs of the layout a checkpoint has."""
    if not (folder / "manifest.json").exists():
        return 0
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    epochs: int = manifest["stages"]["layout"]["about"]["epoch"]
    return epochs


def killed_in_the_layout(frame: FrameType, event: str, _arg: Any) -> None:
    """Ends the process before it keeps one more epoch than `KEPT`."""
    code = frame.f_code
    if event == "call" and code.co_name == "write_if_due" and frame.f_locals["epoch"] > KEPT:
        os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path) -> None:
    dist.init_process_group("gloo")
    rank, attempt = dist.get_rank(), int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    began = folder / "began.json"
    if rank == 0:
        before = json.loads(began.read_text("utf-8")) if began.exists() else []
        told = json.dumps([*before, kept_epochs(folder / "kept")])
        began.write_text(told, encoding="utf-8")
        if attempt == 0:
            sys.setprofile(killed_in_the_layout)
    start, stop = cuts(dist.get_world_size())[rank : rank + 2]
    umap = UMAP(n_epochs=20, random_state=0)
    checkpoint = Checkpoint(folder / "kept", seconds=0)
    umap.fit(table()[start:stop], process_group=dist.group.WORLD, checkpoint=checkpoint)
    np.save(folder / f"{rank}.npy", umap.embedding_)
    end_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
