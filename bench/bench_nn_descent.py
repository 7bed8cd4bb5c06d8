"""Neighbour descent beside pynndescent (where it is installed) and the recall of each.

Seconds of the processor, all threads together over their number, stand beside those of the clock:
on a shared machine they move less.
"""

import argparse
import resource
import time
import warnings

import numpy as np
import torch

import fastparadime
from fastparadime import neighbors, ops

K = 15
SAMPLE = 1_000


def mixture(n, columns=50, parts=200, rank=10):
    """Gaussians of low rank with a little noise."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, parts, n)  # those of mixture_labels
    X = np.empty((n, columns), np.float32)
    for part in range(parts):
        rows = np.flatnonzero(labels == part)
        directions = rng.standard_normal((rank, columns), dtype=np.float32)
        inside = rng.standard_normal((len(rows), rank), dtype=np.float32) @ directions
        noise = 0.1 * rng.standard_normal((len(rows), columns), dtype=np.float32)
        X[rows] = inside + noise + 4 * rng.standard_normal(columns, dtype=np.float32)
    return X


def mixture_labels(n, parts=200):
    """Which Gaussian each row of a mixture is of."""
    return np.random.default_rng(0).integers(0, parts, n)


def load(arguments):
    if arguments.mnist is None:
        return mixture(arguments.rows)
    with np.load(arguments.mnist) as stored:
        images = stored["images"]
    return images.reshape(len(images), -1).astype(np.float32) / 255


def pynndescent(X):
    warnings.simplefilter("ignore")
    try:
        from pynndescent import NNDescent
    except ImportError:
        return None
    threads = torch.get_num_threads()

    def call():
        index = NNDescent(X, n_neighbors=K + 1, n_jobs=threads, random_state=0)
        return torch.from_numpy(index.neighbor_graph[1][:, 1:])

    NNDescent(X[:5000], n_neighbors=K + 1, n_jobs=threads)  # compiles
    return call


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mnist", help="an .npz with images; a mixture of Gaussians without it")
    parser.add_argument("--rows", type=lambda text: int(float(text)), default=1_000_000)
    parser.add_argument("--recall", type=float, nargs="+", default=[0.95, 0.98])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    X = load(arguments)
    table = torch.from_numpy(X)
    rows = torch.randperm(len(X), generator=torch.Generator().manual_seed(1))[:SAMPLE]
    radius = neighbors.exact.exact_rows(table, rows, K)[:, -1:] * (1 + 1e-5)
    calls = {"ops.nn_descent": lambda: ops.nn_descent(table, K)[1]}
    for recall in arguments.recall:
        calls[f"knn, recall={recall}"] = lambda r=recall: (
            neighbors.knn(table, K, recall=r).distances
        )
    calls["pynndescent, compiled"] = pynndescent(X)
    print(f"fastparadime {fastparadime.__version__}, {X.shape}, {torch.get_num_threads()} threads")
    print(f"{'':<28}{'seconds':>10}{'processor':>11}{'recall':>9}{'peak MB':>9}")
    for _ in range(arguments.repeats):
        for name, call in calls.items():
            if call is None:
                continue
            clock, processor = time.perf_counter(), time.process_time()
            distances = call()
            seconds = time.perf_counter() - clock
            processor = (time.process_time() - processor) / torch.get_num_threads()
            recall = float((distances[rows] <= radius).float().mean())
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
            print(f"{name:<28}{seconds:>10.2f}{processor:>11.2f}{recall:>9.4f}{peak:>9.0f}")


if __name__ == "__main__":
    main()
