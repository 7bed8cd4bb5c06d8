"""Neighbours by one process and by several: seconds of their CPUs, and what each takes beside its rows.

    python bench/bench_process_neighbors.py --clouds 200_000
    python bench/bench_process_neighbors.py --clouds 200_000 --processes 0 2 4 --recall 1

Of 0 processes without a group. Each has one thread, even shares, and the time is that of its CPU,
which a busy machine changes little; the clock's is told beside it. Lists are compared with those of
the first run, bit by bit. Peaks are those of the resident memory less what was there before, and
stand beside the formula. What is sent are rows, lists and blocks, of the process that sends most.
"""

import datetime
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from data import data_parser, load

LIMIT = datetime.timedelta(minutes=30)


def parsed():
    parser = data_parser(__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--neighbors", type=int, default=14)
    parser.add_argument("--recall", type=float, default=0.95)
    parser.add_argument("--job", nargs=3, metavar=("STORE", "RANK", "PROCESSES"))
    return parser.parse_args()


def peak():
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def counted(dist):
    """Bytes that this process gives others as rows and lists; small tables for all are left out."""
    given = [0]
    exchange, send = dist.all_to_all_single, dist.isend

    def exchanges(out, rows, taken=None, parts=None, group=None):
        others = len(rows) - parts[dist.get_rank(group)]
        given[0] += others * rows[:1].nbytes
        return exchange(out, rows, taken, parts, group=group)

    def sends(rows, *where):
        given[0] += rows.nbytes
        return send(rows, *where)

    dist.all_to_all_single, dist.isend = exchanges, sends
    return given


def job(asked):
    """What one process finds and takes, as a line of JSON; its lists in a file beside the store."""
    import torch
    import torch.distributed as dist

    from fastparadime.neighbors import knn

    torch.set_num_threads(1)
    given = counted(dist)
    store, rank, processes = asked.job[0], int(asked.job[1]), int(asked.job[2])
    X = np.load(f"{store}.npy", mmap_mode="r")
    n, group = len(X), {}
    if processes:
        dist.init_process_group("gloo", f"file://{store}", LIMIT, rank=rank, world_size=processes)
        X = X[n * rank // processes : n * (rank + 1) // processes]
        group = {"process_group": dist.group.WORLD}
    X = np.array(X)
    metric = Path(f"{store}.metric").read_text()
    knn(X[:300], 5, metric, **group)
    given[0] = 0
    before, clock, cpu = peak(), time.perf_counter(), time.process_time()
    graph = knn(X, asked.neighbors, metric, recall=asked.recall, **group)
    told = {
        "cpu": time.process_time() - cpu,
        "clock": time.perf_counter() - clock,
        "peak": peak() - before,
        "given": given[0],
        "engine": graph.engine,
    }
    np.savez(f"{store}-{rank}.npz", indices=graph.indices, distances=graph.distances)
    print(json.dumps(told))
    if processes:
        dist.destroy_process_group()


def run(folder, processes):
    """What each process says, and a hash of all lists in order."""
    store = folder / "store"
    store.unlink(missing_ok=True)
    ranks = range(max(1, processes))
    commands = [
        [sys.executable, *sys.argv, "--job", str(store), str(rank), str(processes)]
        for rank in ranks
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    jobs = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        for command in commands
    ]
    told = [json.loads(each.communicate()[0].splitlines()[-1]) for each in jobs]
    bits = hashlib.sha256()
    for name in ("indices", "distances"):
        for rank in ranks:
            bits.update(np.load(f"{store}-{rank}.npz")[name].tobytes())
    return told, bits.hexdigest()


def main():
    asked = parsed()
    if asked.job:
        return job(asked)
    from fastparadime.neighbors import estimate_memory
    from fastparadime.neighbors.shared_memory import search_bytes

    X, _, metric = load(asked)
    (n, d), k, first = X.shape, asked.neighbors, None
    print(f"{n:,} x {d}, {k} neighbors by {metric}, recall {asked.recall:g}")
    print("processes  CPU s  of one  clock s  peak MB  formula MB  sent MB  bits")
    with tempfile.TemporaryDirectory() as name:
        np.save(Path(name) / "store.npy", X)
        (Path(name) / "store.metric").write_text(metric)
        del X
        for processes in asked.processes:
            told, bits = run(Path(name), processes)
            first = first or bits
            needed = (
                search_bytes(n, d, k, metric, asked.recall, processes)
                if processes
                else estimate_memory(n, d, k, metric, recall=asked.recall, ready=True)
            )
            cpu = [each["cpu"] for each in told]
            print(
                f"{processes:>9}{sum(cpu):>7.1f}{max(cpu):>8.1f}"
                f"{max(each['clock'] for each in told):>9.1f}"
                f"{max(each['peak'] for each in told) / 1e6:>9.0f}{needed / 1e6:>12.0f}"
                f"{max(each['given'] for each in told) / 1e6:>9.0f}  "
                f"{'the same' if bits == first else 'others'}: {told[0]['engine']}",
                flush=True,
            )
    return None


if __name__ == "__main__":
    main()
