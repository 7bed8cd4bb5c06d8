"""A fit of rows on the disk under a hard limit of memory: seconds and memory of each stage.

    python bench/run.py larger_than_memory --rows 1e7 --columns 50 --dtype uint8 --limit 3e9 --max-memory 1e9
    python bench/run.py larger_than_memory --rows 3e6 --columns 256 --dtype float16 --limit 2e9 --max-memory 9e8

Rows are drawn block by block into a file: `mixture`, 200 Gaussians of rank 10 with a little noise, or
`clouds`, normal rows of full rank in 1,000 overlapping clouds; integers are rounded from them. The
fit is in a process of its own in a memory cgroup of `--limit` bytes, where the page cache counts, or
where there is none with so much private memory (RLIMIT_DATA); which is printed. Beyond either the
process is ended. `--compare` fits the float32 table in memory too, without a limit, and says
whether the maps have the same bits.

private     the most bytes of the process that no file holds, sampled 20 times a second
cgroup      the most that the cgroup has counted, page cache included
"""

import argparse
import contextlib
import math
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from data import rows_of

BLOCK = 100_000  # rows drawn at a time
V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


def drawn(kind, columns, rng):
    """A function that draws rows of a kind of data."""
    parts, rank = (200, 10) if kind == "mixture" else (1000, 0)
    spread = 4 if kind == "mixture" else 1
    centers = spread * rng.standard_normal((parts, columns), dtype=np.float32)
    directions = rng.standard_normal((parts, rank, columns), dtype=np.float32)

    def rows(count):
        labels = np.sort(rng.integers(0, parts, count))
        X = rng.standard_normal((count, columns), dtype=np.float32)
        if rank:
            X *= 0.1
            for part in range(parts):
                first, last = np.searchsorted(labels, (part, part + 1))
                X[first:last] += (
                    rng.standard_normal((last - first, rank), dtype=np.float32) @ directions[part]
                )
        X += centers[labels]
        rng.shuffle(X)
        return X

    return rows


def write(path, arguments):
    rng = np.random.default_rng(0)
    dtype, shape = np.dtype(arguments.dtype), (arguments.rows, arguments.columns)
    file = np.lib.format.open_memmap(path, "w+", dtype, shape)
    rows = drawn(arguments.data, arguments.columns, rng)
    scale = 128 / (20 if arguments.data == "mixture" else 6)
    for first in range(0, arguments.rows, BLOCK):
        X = rows(min(BLOCK, arguments.rows - first))
        if dtype.kind in "iu":
            low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
            X = np.clip(np.rint(scale * X + (128 if low == 0 else 0)), low, high)
        file[first : first + len(X)] = X
    file.flush()
    del file
    with path.open("rb") as written:  # what is cached of it is to count in the cgroup of the fit
        os.posix_fadvise(written.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextlib.contextmanager
def limited(limit):
    """What is called in the child to limit it, how that is named, and where its peak is read."""
    version_1 = V1.is_dir() and os.access(V1, os.W_OK)
    group = (V1 if version_1 else V2) / f"fastparadime-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if version_1 else "memory.max")).write_text(
            str(int(limit))
        )
    except OSError:
        yield (
            lambda: resource.setrlimit(resource.RLIMIT_DATA, (int(limit),) * 2),
            "RLIMIT_DATA",
            None,
        )
        return
    peak = group / ("memory.max_usage_in_bytes" if version_1 else "memory.peak")
    try:
        yield (
            lambda: (group / "cgroup.procs").write_text(str(os.getpid())),
            f"a memory cgroup, version {1 if version_1 else 2}",
            peak,
        )
    finally:
        group.rmdir()


def private_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def fit(path, max_memory, whole, out, all_points=False):
    """In the child: fits, tells each stage and saves the map."""
    from fastparadime import UMAP
    from fastparadime.layout import optimize
    from fastparadime.utils.progress import watched

    if all_points:
        optimize.MANY_POINTS = math.inf
    most, ended = [0], threading.Event()

    def look():
        while not ended.wait(0.05):
            most[0] = max(most[0], private_bytes())

    threading.Thread(target=look, daemon=True).start()

    @contextlib.contextmanager
    def watcher(name, _steps):
        start, cpu = time.perf_counter(), time.process_time()
        most[0] = 0
        yield None
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        print(
            f"{name:<20}{seconds:8.1f} s{cpu:8.1f} s CPU{most[0] / 1e9:8.2f} GB private", flush=True
        )

    X = np.load(path, mmap_mode=None if whole else "r")
    X = X.astype(np.float32) if whole else X
    umap = UMAP(random_state=0, max_memory=None if whole else max_memory)
    start = time.perf_counter()
    with watched(watcher):
        umap.fit(X)
    print(f"{'all':<20}{time.perf_counter() - start:8.1f} s")
    print(umap.engine_, flush=True)
    np.save(out, umap.embedding_)
    ended.set()


def run(path, arguments, out, *, whole):
    code = f"import bench_larger_than_memory as b; b.fit({str(path)!r}, {arguments.max_memory}, {whole}, {str(out)!r}, {arguments.all_points})"
    command = [sys.executable, "-c", code]
    folder = Path(__file__).parent
    if whole:
        print("in memory, without a limit", flush=True)
        subprocess.run(command, check=True, cwd=folder)
        return
    with limited(arguments.limit) as (enter, kind, peak):
        print(f"within {arguments.limit:.3g} bytes, by {kind}", flush=True)
        subprocess.run(command, check=True, cwd=folder, preexec_fn=enter)
        if peak is not None:
            print(f"peak of the cgroup    {int(peak.read_text()) / 1e9:.2f} GB")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=rows_of, default=1_000_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--dtype", choices=("uint8", "int8", "float16", "float32"), default="uint8")
    parser.add_argument("--data", choices=("mixture", "clouds"), default="mixture")
    parser.add_argument("--limit", type=float, default=3e9, help="bytes of the process")
    parser.add_argument("--max-memory", type=float, default=1e9, help="of UMAP")
    parser.add_argument("--compare", action="store_true", help="with a fit in memory")
    parser.add_argument(
        "--all-points", action="store_true", help="moved throughout, without groups of them"
    )
    parser.add_argument("--folder", help="of the files; a temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path, out = Path(folder, "rows.npy"), Path(folder, "map.npy")
        write(path, arguments)
        size = f"{arguments.rows:,} x {arguments.columns} {arguments.dtype}"
        print(f"{arguments.data} of {size}, {path.stat().st_size / 1e9:.2f} GB", flush=True)
        run(path, arguments, out, whole=False)
        if arguments.compare:
            limited_map = np.load(out)
            run(path, arguments, out, whole=True)
            print("the same bits:", np.array_equal(limited_map, np.load(out), equal_nan=True))


if __name__ == "__main__":
    main()
