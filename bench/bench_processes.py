"""A fit by 1, 2, 4 ... processes of one machine: seconds of each stage, and how much sooner it ends.

    python bench/run.py processes --rows 20000 --columns 32 --processes 1 2 4
    python bench/run.py processes --method network --rows 20000
    python bench/run.py processes --rows 2000 --processes 2 --alone 0
    python bench/run.py processes --method layout --rows 200000 --epochs 5 --alone 0
    torchrun --nnodes=4 --nproc-per-node=1 ... bench/bench_processes.py --rows 1000000

Under torchrun the processes are those that it started, of as many machines as it was given. Each
has `--threads` threads, by default one. Stages and `cpu`, seconds of computing, are those of rank
0, which waits for the others at the end of each; the speed-up is beside the first number of
processes. `layout` is that of a ring of points alone, and `--alone` the number of points up to
which rank 0 lays out all of them. `--backend nccl` sends what processes tell each other by way of
their GPUs, one for each of them, and `cpu:gloo,cuda:nccl` by gloo, in a group as training on GPUs
has it; neither has been run.
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

from fastparadime import UMAP, ParametricUMAP, ops
from fastparadime.distributed import Ranks, Shards
from fastparadime.layout import default_epochs, shared_layout
from fastparadime.layout.optimize import LayoutParameters
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
    shared_layout.MOST_ALONE = arguments.alone
    X, seconds = share(arguments, rank, ranks), {}

    @contextlib.contextmanager
    def watch(name, _steps):
        begun = time.perf_counter()
        yield None
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - begun

    work = {"umap": fit, "network": fit, "layout": lay_out}[arguments.method]
    dist.barrier()
    begun, cpu = time.perf_counter(), time.process_time()
    with watched(watch):
        work(arguments, X)
    dist.barrier()
    return {**seconds, "cpu": time.process_time() - cpu, "all": time.perf_counter() - begun}


def fit(arguments, X):
    kind = UMAP if arguments.method == "umap" else ParametricUMAP
    kind(random_state=0, n_epochs=arguments.epochs).fit(X, process_group=dist.group.WORLD)


def lay_out(arguments, X):
    """The layout of points of which each has edges to the ten on either side of it."""
    ranks, n = Ranks(dist.group.WORLD), arguments.rows
    shards = Shards.of(ranks.told(len(X)), ranks.rank)
    offsets = np.concatenate([np.arange(-10, 0), np.arange(1, 11)])
    heads = np.arange(shards.first, shards.first + shards.count).repeat(len(offsets))
    tails = (heads + np.tile(offsets, shards.count)) % n
    weights = np.tile(np.exp(-np.abs(offsets) / 3), shards.count)
    indptr = torch.arange(0, len(heads) + 1, len(offsets))
    columns = (heads.astype(np.int32), tails.astype(np.int32), weights.astype(np.float32))
    edges = ops.Edges(indptr, *map(torch.from_numpy, columns))
    start = torch.from_numpy(np.random.default_rng(1).normal(0, 10, (n, 2)).astype(np.float32))
    parameters = LayoutParameters(a=1.58, b=0.9, seed=0)
    epochs = arguments.epochs or default_epochs(n)
    shared_layout.optimize_shared(start, edges, ranks, shards, parameters, epochs)


def run(rank, arguments, ranks, store, results):
    torch.set_num_threads(arguments.threads)
    dist.init_process_group(
        arguments.backend,
        init_method=f"file://{store}",
        rank=rank,
        world_size=ranks,
        timeout=LIMIT,
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
    parser.add_argument("--epochs", type=int, help="of the layout")
    parser.add_argument("--alone", type=int, default=shared_layout.MOST_ALONE)
    parser.add_argument("--backend", default="gloo")
    parser.add_argument("--method", choices=("umap", "network", "layout"), default="umap")
    arguments = parser.parse_args()
    if "TORCHELASTIC_RUN_ID" in os.environ:
        torch.set_num_threads(arguments.threads)
        dist.init_process_group(arguments.backend, timeout=LIMIT)
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
