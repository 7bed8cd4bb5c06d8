"""A fit by 1, 2, 4 ... processes of one machine: seconds of each stage, and how much sooner it ends.

    python bench/run.py processes --rows 20000 --columns 32 --processes 1 2 4
    python bench/run.py processes --method network --rows 20000
    torchrun --nnodes=4 --nproc-per-node=1 ... bench/bench_processes.py --rows 1000000

Under torchrun the processes are those that it started, of as many machines as it was given. Each
has `--threads` threads, by default one. Stages are those of rank 0, which waits for the others at
the end of each; the speed-up is beside the first number of processes.
"""

import argparse
import contextlib
import datetime
import os
import pathlib
import tempfile
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from fastparadime import UMAP, ParametricUMAP
from fastparadime.utils.progress import watched

LIMIT = datetime.timedelta(hours=12)


def share(arguments, rank, ranks):
    """Rows of a mixture that a rank has, drawn by the rows' numbers: all ranks together have one."""
    n, d = arguments.rows, arguments.columns
    centres = np.random.default_rng(0).normal(size=(50, d)) * 3
    first, last = n * rank // ranks, n * (rank + 1) // ranks
    blocks = range(first // 1000, -(-last // 1000))
    drawn = []
    for block in blocks:
        rng = np.random.default_rng([1, block])
        drawn.append(centres[rng.integers(0, 50, 1000)] + rng.normal(size=(1000, d)))
    rows = np.concatenate([np.empty((0, d)), *drawn])[first - 1000 * blocks.start :]
    return rows[: last - first].astype(np.float32)


def timed_fit(arguments, rank, ranks):
    """Seconds of each stage of a fit, and of the whole, as this rank sees them."""
    X, seconds = share(arguments, rank, ranks), {}

    @contextlib.contextmanager
    def watch(name, _steps):
        begun = time.perf_counter()
        yield None
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - begun

    kind = UMAP if arguments.method == "umap" else ParametricUMAP
    dist.barrier()
    begun = time.perf_counter()
    with watched(watch):
        kind(random_state=0).fit(X, process_group=dist.group.WORLD)
    dist.barrier()
    return {**seconds, "all": time.perf_counter() - begun}


def run(rank, arguments, ranks, store, results):
    torch.set_num_threads(arguments.threads)
    dist.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=ranks, timeout=LIMIT
    )
    seconds = timed_fit(arguments, rank, ranks)
    if rank == 0:
        results.put(seconds)
    dist.destroy_process_group()


def show(ranks, seconds, first):
    stages = ", ".join(f"{name} {value:.2f}" for name, value in seconds.items() if name != "all")
    print(
        f"{ranks} processes: {seconds['all']:.2f} s, {first / seconds['all']:.2f} times as fast; "
        f"{stages}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=lambda text: int(float(text)), default=20_000)
    parser.add_argument("--columns", type=int, default=32)
    parser.add_argument("--processes", type=int, nargs="+", default=(1, 2, 4))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--method", choices=("umap", "network"), default="umap")
    arguments = parser.parse_args()
    if "TORCHELASTIC_RUN_ID" in os.environ:
        torch.set_num_threads(arguments.threads)
        dist.init_process_group("gloo", timeout=LIMIT)
        rank, ranks = dist.get_rank(), dist.get_world_size()
        seconds = timed_fit(arguments, rank, ranks)
        if rank == 0:
            show(ranks, seconds, seconds["all"])
        dist.destroy_process_group()
        return
    print(f"{arguments.rows:,} x {arguments.columns}, {arguments.threads} threads each", flush=True)
    first = None
    for ranks in arguments.processes:
        with tempfile.TemporaryDirectory() as folder:
            results = mp.get_context("spawn").SimpleQueue()
            store = pathlib.Path(folder) / "store"
            mp.spawn(run, (arguments, ranks, store, results), nprocs=ranks)
            seconds = results.get()
        first = first or seconds["all"]
        show(ranks, seconds, first)


if __name__ == "__main__":
    main()
