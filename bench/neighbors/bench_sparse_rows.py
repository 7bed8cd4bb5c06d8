"""Neighbours among sparse rows beside SciPy's products and differences.

    python bench/run.py sparse_rows [--rows 20000]

Rows are made as counts of words are: half of them of the whole language, by Zipf's law, half of a topic.
"""  # fmt: skip

import argparse
import time

import numpy as np
import scipy.sparse
import torch

from fastparadime import neighbors, ops

K = 15
COLUMNS, WORDS, TOPICS = 20_000, 100, 50
SCIPY_ROWS = 200


def words(rows):
    rng = np.random.default_rng(0)
    law = np.cumsum(1 / np.arange(1, COLUMNS + 1))
    ranks = np.searchsorted(law / law[-1], rng.random((rows, WORDS))).clip(max=COLUMNS - 1)
    own = rng.permuted(np.tile(np.arange(COLUMNS), (TOPICS, 1)), axis=1)
    topic = rng.integers(0, TOPICS, (rows, 1))
    columns = np.where(rng.random(ranks.shape) < 0.5, ranks, own[topic, ranks])
    places = (np.repeat(np.arange(rows), WORDS), columns.ravel())
    X = scipy.sparse.coo_matrix((np.ones(columns.size, np.float32), places), (rows, COLUMNS))
    X = X.tocsr()
    X.data = 1 + np.log(X.data)
    rarity = np.log(rows / np.bincount(X.indices, minlength=COLUMNS).clip(min=1))
    X.data *= rarity.astype(np.float32)[X.indices]
    return X


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    n = parser.parse_args().rows
    X = words(n)
    rows = ops.SparseTable(X.indptr, X.indices, X.data, COLUMNS)
    print(f"{n:,} rows, {X.nnz / n:.0f} values each, {torch.get_num_threads()} threads")
    rows.nearest([0], K)

    took = seconds(lambda: rows.nearest(torch.arange(n), K + 9))
    print(f"nearest of all rows: {took:.2f} s, {1e9 * took / rows.pairs():.2f} ns a product")
    transposed = X.T.tocsr()
    took = seconds(lambda: (X[:SCIPY_ROWS] @ transposed).toarray()) * n / SCIPY_ROWS
    print(f"SciPy's products of all rows, from {SCIPY_ROWS}: {took:.0f} s")

    candidates = np.random.default_rng(1).integers(0, n, (n, 40))
    took = seconds(lambda: rows.rerank(candidates, K))
    print(f"rerank: {1e-6 * candidates.size / took:.2f} million pairs a second")
    heads = np.repeat(np.arange(SCIPY_ROWS), 40)
    tails = candidates[:SCIPY_ROWS].ravel()
    took = seconds(lambda: (X[heads] - X[tails]).power(2).sum(axis=1))
    print(f"SciPy's differences: {1e-6 * len(heads) / took:.3f} million pairs a second")

    start = time.perf_counter()
    graph = neighbors.knn(X, K, "cosine")
    print(f"knn, cosine: {time.perf_counter() - start:.2f} s, {graph.engine}")


if __name__ == "__main__":
    main()
