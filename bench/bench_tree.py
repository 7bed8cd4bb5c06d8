"""Exact neighbours in data of few dimensions, the other engines and scikit-learn's tree beside.

    python bench/run.py tree [--rows 1e4 1e5] [--columns 2 3 5 8 10 12 16] [--kinds uniform normal]

Seconds of the processor, all threads together over their number: on a shared machine they move less
than those of the clock. `pairs` is how many rows the tree compares with a row, `engine` what `knn`
takes.
"""

import argparse
import time

import numpy as np
import torch
from sklearn.datasets import make_moons, make_swiss_roll
from sklearn.neighbors import KDTree

from fastparadime import neighbors
from fastparadime.neighbors import approximate, exact, tree

K = 15


def data(kind, n, d):
    rng = np.random.default_rng(0)
    if kind == "moons":
        return make_moons(n, noise=0)[0].astype(np.float32)
    if kind == "roll":  # two dimensions in d columns
        directions = np.linalg.qr(rng.normal(size=(d, d)))[0][:3]
        return (make_swiss_roll(n, random_state=0)[0] @ directions).astype(np.float32)
    if kind == "uniform":
        return rng.random((n, d), dtype=np.float32)
    X = rng.normal(size=(n, d)).astype(np.float32)
    if kind == "clusters":
        X += 10 * rng.normal(size=(50, d)).astype(np.float32)[rng.integers(0, 50, n)]
    return X


def seconds_of(call, threads):
    clock = time.process_time()
    found = call()
    return found, (time.process_time() - clock) / threads


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=lambda text: int(float(text)), nargs="+", default=[10**5])
    parser.add_argument("--columns", type=int, nargs="+", default=[2, 3, 5, 8, 10, 12, 16])
    parser.add_argument("--kinds", nargs="+", default=["uniform", "normal", "clusters", "roll"])
    parser.add_argument("--others", action="store_true", help="products, descent, scikit-learn too")
    arguments = parser.parse_args()
    threads = torch.get_num_threads()
    columns = ("data", "rows", "columns", "pairs", "tree", "knn", "products", "descent", "sklearn")
    print(*(f"{column:>10}" for column in columns), " engine")
    for kind in arguments.kinds:
        for n in arguments.rows:
            for d in arguments.columns:
                if kind == "roll" and d < 3:
                    continue
                X = data(kind, n, d)
                table = torch.from_numpy(X)
                search = tree.TreeSearch(table, K)
                pairs = search.pairs(n)
                many = pairs * n > 1e11
                del search
                calls = [
                    None if many else lambda t=table, p=pairs: tree.TreeSearch(t, K).of_all(p),
                    lambda t=table: neighbors.knn(t, K),
                ]
                if arguments.others:
                    calls += [
                        None if n > 5e4 else lambda t=table: exact.product_knn(t, K, "euclidean"),
                        lambda t=table: approximate.descent_knn(t, K, "euclidean", 0.95, 0),
                    ]
                found = [(None, np.nan) if c is None else seconds_of(c, threads) for c in calls]
                if arguments.others:  # on one thread
                    found.append(
                        (None, np.nan)
                        if d > 8
                        else seconds_of(lambda X=X: KDTree(X).query(X, K + 1), 1)
                    )
                times = [f"{seconds:10.2f}" for _, seconds in found]
                print(
                    f"{kind:>10} {n:>10} {d:>10} {pairs:>10.0f}",
                    *times,
                    "",
                    found[1][0].engine,
                    flush=True,
                )


if __name__ == "__main__":
    main()
