"""Neighbours of all rows beside exact search and pynndescent, where it is installed.

    python bench/run.py neighbors --words words.npz [--rows 34000] [--recall 0.95]
    python bench/run.py neighbors --sentences sentences.npz [--rows 1e5 --columns 768]
    python bench/run.py neighbors --mnist mnist.npz; ... --mixture 1e6; ... --clouds 1e6

Calls in turn, one process, compiled before. The recall of each is measured on rows that are solved
exactly; pynndescent has its defaults, and with more than one seed the median is told of all.
Seconds of the processor, all threads together over their number, stand beside those of the clock:
on a shared machine they move less.
"""

import statistics
import time
import warnings

import numpy as np
import torch
from data import data_parser, load

import fastparadime
from fastparadime import neighbors
from fastparadime.neighbors.exact import exact_rows
from fastparadime.neighbors.table import unit_rows

SAMPLE = 1_000


def pynndescent(X, k, metric):
    warnings.simplefilter("ignore")
    try:
        from pynndescent import NNDescent
    except ImportError:
        return None
    options = {"metric": metric, "n_neighbors": k + 1, "n_jobs": torch.get_num_threads()}

    def call(seed):
        index = NNDescent(X, **options, random_state=seed)
        return index.neighbor_graph[0][:, 1:]

    NNDescent(X[:5000], **options)  # compiles
    return call


class Recall:
    """The share of neighbours of some rows that are as near as the k-th."""

    def __init__(self, X, k, metric):
        X = torch.from_numpy(X)
        self._X = unit_rows(X, metric)[:, :-1].contiguous() if metric == "cosine" else X
        order = torch.randperm(len(X), generator=torch.Generator().manual_seed(1))
        self._rows = order[:SAMPLE]
        self._radius = exact_rows(self._X, self._rows, k)[1][:, -1:] * (1 + 1e-5)

    def __call__(self, indices):
        found = self._X[torch.as_tensor(np.asarray(indices))[self._rows].long()]
        distances = torch.linalg.vector_norm(found - self._X[self._rows][:, None], dim=2)
        return float((distances <= self._radius).float().mean())


def calls_of(X, k, metric, arguments):
    calls = {}
    for recall in arguments.recall:
        calls[f"knn, recall={recall:g}"] = lambda seed, r=recall: neighbors.knn(
            X, k, metric, recall=r, seed=seed
        )
    if not arguments.no_exact:
        calls["knn, recall=1"] = lambda seed: neighbors.knn(X, k, metric, recall=1.0, seed=seed)
    peer = None if arguments.no_peer else pynndescent(X, k, metric)
    return calls if peer is None else calls | {"pynndescent, compiled": peer}


def main():
    parser = data_parser(__doc__.splitlines()[0])
    parser.add_argument("--k", type=int, default=14, help="neighbours beside the point itself")
    parser.add_argument("--recall", type=float, nargs="+", default=[0.95])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--no-exact", action="store_true")
    parser.add_argument("--no-peer", action="store_true")
    arguments = parser.parse_args()
    X, _, metric = load(arguments)
    measure = Recall(X, arguments.k, metric)
    calls = calls_of(X, arguments.k, metric, arguments)
    neighbors.knn(X[:2000], arguments.k, metric)  # threads start
    level, threads = fastparadime.ops.build_info()["simd_level"], torch.get_num_threads()
    print(
        f"fastparadime {fastparadime.__version__}, {X.shape}, {metric}, {threads} threads, {level}"
    )
    print(f"{'':<24}{'seconds':>9}{'least':>9}{'most':>9}{'processor':>11}{'recall':>9}")
    found = {name: [] for name in calls}
    for seed in range(arguments.seeds):
        for name, call in calls.items():
            clock, processor = time.perf_counter(), time.process_time()
            graph = call(seed)
            seconds = time.perf_counter() - clock
            processor = (time.process_time() - processor) / threads
            indices = getattr(graph, "indices", graph)
            found[name].append((seconds, processor, measure(indices), getattr(graph, "engine", "")))
    for name, runs in found.items():
        seconds, processors, recalls, engines = zip(*runs, strict=True)
        spread = f"{statistics.median(seconds):9.2f}{min(seconds):9.2f}{max(seconds):9.2f}"
        processor, recall = statistics.median(processors), statistics.median(recalls)
        print(f"{name:<24}{spread}{processor:>11.2f}{recall:>9.4f}  {engines[0]}")


if __name__ == "__main__":
    main()
