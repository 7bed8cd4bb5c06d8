"""Mixed fits, transforms and applies from threads and processes at once, for so many seconds.

    python tests/faults/load.py SECONDS [--threads N] [--processes N]

Each result is compared with the one that was made alone, before the load. A wrong result, an error
or memory that grows ends it with exit code 1. The last line says what was run.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastparadime import UMAP, neighbors, routines

_GROWTH = 64 * 2**20  # bytes that a process may take more at the end than after its first rounds


class Work:
    """Every kind of call with its result, as it is when nothing else runs."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.X = rng.normal(size=(400, 12)).astype(np.float32)
        self.fitted = UMAP(n_epochs=20, random_state=0).fit(self.X)
        self.routine = routines.ParametricUMAP(quality="fast", n_neighbors=8, seed=0)
        self.routine.train(self.X)
        self.calls: dict[str, Callable[[], Any]] = {
            "fit": lambda: UMAP(n_epochs=20, random_state=0).fit(self.X).embedding_,
            "transform": lambda: self.fitted.transform(self.X[:50] + 0.5),
            "inverse_transform": lambda: self.fitted.inverse_transform(self.fitted.embedding_[:9]),
            "apply": lambda: self.routine.apply(self.X).numpy(),
            "knn": lambda: neighbors.knn(self.X, 9).distances,
            "sparse knn": lambda: neighbors.knn(self.X * (self.X > 1), 5, "cosine").distances,
        }
        self.expected = {name: np.array(call()) for name, call in self.calls.items()}

    def once(self, name: str) -> bool:
        """Whether a call gives what it gave alone."""
        return np.array_equal(self.calls[name](), self.expected[name])


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def run(work: Work, seconds: float, threads: int, seed: int) -> dict[str, Any]:
    """What `threads` threads did, each drawing its calls."""
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    lock, end = threading.Lock(), time.monotonic() + seconds
    sizes: list[int] = []

    def loop(number: int) -> None:
        draw = random.Random(f"{seed} {number}")
        while time.monotonic() < end and not wrong:
            name = draw.choice(list(work.calls))
            try:
                right = work.once(name)
            except Exception as error:  # noqa: BLE001 - any error is a find
                right = False
                name = f"{name}: {type(error).__name__}: {error}"
            with lock:
                counts[name] += 1
                if not right:
                    wrong.append(name)
                if sum(counts.values()) % 50 == 0:
                    sizes.append(resident())

    started = [threading.Thread(target=loop, args=(number,)) for number in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    early = sizes[len(sizes) // 4] if sizes else 0
    return {"counts": counts, "wrong": wrong, "grown": max(0, sizes[-1] - early) if sizes else 0}


def run_in_process(seconds: float, threads: int, seed: int, results: Any) -> None:
    warnings.simplefilter("ignore")
    results.put(run(Work(), seconds, threads, seed))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--processes", type=int, default=4)
    chosen = parser.parse_args()
    torch.set_num_threads(2)
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    each = max(1, chosen.threads // chosen.processes)
    processes = [
        context.Process(target=run_in_process, args=(chosen.seconds, each, seed, results))
        for seed in range(chosen.processes)
    ]
    for process in processes:
        process.start()
    found = [results.get() for _ in processes]
    for process in processes:
        process.join()
    total: Counter[str] = sum((one["counts"] for one in found), Counter())
    wrong = [name for one in found for name in one["wrong"]]
    grown = max(one["grown"] for one in found)
    sys.stdout.write(json.dumps({"calls": total, "wrong": wrong, "grown": grown}) + "\n")
    return 1 if wrong or grown > _GROWTH else 0


if __name__ == "__main__":
    sys.exit(main())
