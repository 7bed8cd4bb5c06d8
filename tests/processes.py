"""Jobs of several processes: how one of them joins the others, does its part and leaves.

python tests/processes.py JOB STORE RANK PROCESSES FOLDER [HOW]

STORE is a URL by which torch.distributed's processes meet, such as file:///tmp/store. Where HOW is
nccl, so is the group, and each process has a GPU.
"""

from __future__ import annotations

import datetime
import importlib
import sys
from pathlib import Path

import torch
import torch.distributed as dist

LIMIT = datetime.timedelta(seconds=120)  # of a process for the others


def take_part(job: str, store: str, rank: str, ranks: str, folder: str, *how: str) -> None:
    """Calls ``take_part(rank, ranks, folder, group, *how)`` of a module of the tests."""
    torch.set_num_threads(1)
    number, size = int(rank), int(ranks)
    work = importlib.import_module(f"tests.{job}").take_part
    backend = "nccl" if how == ("nccl",) else "gloo"
    if backend == "nccl":
        torch.cuda.set_device(number)
    dist.init_process_group(backend, init_method=store, rank=number, world_size=size, timeout=LIMIT)
    work(number, size, Path(folder), dist.group.WORLD, *how)
    end_group()


def end_group() -> None:
    """Ends the group after all have come so far, and gloo's threads have let go of tensors.

    Before torch 2.8 such a thread may wait for Python's lock, which the end of the group holds.
    """
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    # Behind the installed package, which the sources beside the tests must not stand for.
    sys.path.append(str(Path(__file__).resolve().parent.parent))
    take_part(*sys.argv[1:])
