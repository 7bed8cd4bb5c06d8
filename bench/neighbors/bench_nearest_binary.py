"""Neighbours by binary metrics beside SciPy's distances and their floor.

    python bench/run.py nearest_binary [--rows 20000] [--columns 784]

The floor is one count of bits a cycle at 3 GHz for each pair of words, on as many cores as threads.
"""  # fmt: skip

import argparse
import time

import numpy as np
import scipy.sparse
import torch
from scipy.spatial.distance import cdist

from fastparadime import neighbors, ops

K = 15
SCIPY_ROWS = 100
CYCLES = 3e9


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--columns", type=int, default=784)
    options = parser.parse_args()
    n, d, threads = options.rows, options.columns, torch.get_num_threads()
    X = np.random.default_rng(0).random((n, d)) < 0.2
    print(f"{n:,} x {d}, {threads} threads")
    neighbors.knn(X[:1000], K, "jaccard")

    table = ops.BinaryTable.packed([X], n, d)
    floor = table.pairs() / (CYCLES * threads)
    for metric in ("jaccard", "yule"):
        took = seconds(lambda metric=metric: table.nearest(K, metric))
        other = seconds(lambda metric=metric: cdist(X[:SCIPY_ROWS], X, metric)) * n / SCIPY_ROWS
        print(f"{metric}: {took:.2f} s, {took / floor:.1f} floors; SciPy's distances {other:.0f} s")
    print(f"knn, jaccard: {seconds(lambda: neighbors.knn(X, K, 'jaccard')):.2f} s")

    sparse = scipy.sparse.random(n, 10 * d, 0.01, "csr", random_state=0)
    took = seconds(lambda: neighbors.knn(sparse, K, "jaccard"))
    print(f"knn, jaccard, {sparse.nnz / n:.0f} values a row of {10 * d:,} columns: {took:.2f} s")


if __name__ == "__main__":
    main()
