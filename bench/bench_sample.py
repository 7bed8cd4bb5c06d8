"""Maps of all rows by fits on a sample of them, beside fits on all.

    python bench/run.py sample --mnist mnist.npz
    python bench/run.py sample --words words.npz
    python bench/run.py sample --mixture 3e5 [--shares 1 0.1 0.01] [--methods umap network]

recall@15   share of a row's 15 nearest neighbours that are among its 15 nearest in the map, all rows
trust15     trustworthiness of 5,000 rows
seconds     of the fit and the placing of all rows

`uniform` draws the sample from all rows alike, as a comparison; `groups` is the share of the known
groups of which it has 16 rows or more.
"""

import time

import numpy as np
from data import data_parser, load
from sklearn.manifold import trustworthiness

from fastparadime import UMAP, ParametricUMAP, neighbors

K, ROWS, LEAST = 15, 5_000, 16
BLOCK = 100_000  # rows whose lists are compared at a time


def made(method, metric, sample=None):
    if method == "umap":
        return UMAP(metric=metric, sample=sample, random_state=0)
    return ParametricUMAP(metric=metric, sample=sample, random_state=0)


def embedded(X, metric, method, share, draw):
    """The map, and which rows were fitted."""
    n = len(X)
    if share == 1:
        return made(method, metric).fit(X).embedding_, np.arange(n)
    if draw == "stratified":
        model = made(method, metric, share).fit(X)
        return model.embedding_, model.sample_indices_
    rng = np.random.default_rng(1)  # another one than draws the rows whose trust is measured
    rows = np.sort(rng.choice(n, round(share * n), replace=False))
    return made(method, metric).fit(X[rows]).transform(X), rows


def recall_of(true, found):
    """The share of lists of K that others have, row by row."""
    hits = 0
    for first in range(0, len(true), BLOCK):
        some = slice(first, first + BLOCK)
        hits += np.count_nonzero(true[some, :, None] == found[some, None, :])
    return hits / true.size


def groups_kept(labels, rows):
    if labels is None:
        return "-"
    there = np.bincount(labels[rows], minlength=labels.max() + 1)[np.unique(labels)]
    return f"{(there >= LEAST).mean():.2f}"


def main():
    parser = data_parser(__doc__)
    parser.add_argument("--shares", type=float, nargs="+", default=(1, 0.1, 0.01))
    parser.add_argument("--methods", nargs="+", default=("umap", "network"))
    arguments = parser.parse_args()
    X, labels, metric = load(arguments)
    true = neighbors.knn(X, K, metric, recall=1.0 if len(X) < 10**5 else 0.99).indices.numpy()
    some = np.sort(np.random.default_rng(0).choice(len(X), min(ROWS, len(X)), replace=False))
    print(f"{len(X):,} x {X.shape[1]}, {metric}")
    print(
        f"{'method':<9}{'share':>7} {'draw':<11}{'recall@15':>10}{'trust15':>9}{'groups':>8}{'s':>7}"
    )
    for method in arguments.methods:
        for share in arguments.shares:
            for draw in ("all",) if share == 1 else ("stratified", "uniform"):
                start = time.perf_counter()
                Y, rows = embedded(X, metric, method, share, draw)
                seconds = time.perf_counter() - start
                found = neighbors.knn(Y, K, recall=1.0).indices.numpy()
                recall = recall_of(true, found)
                trust = trustworthiness(X[some], Y[some], n_neighbors=K, metric=metric)
                print(
                    f"{method:<9}{share:7.2f} {draw:<11}{recall:10.3f}{trust:9.3f}"
                    f"{groups_kept(labels, rows):>8}{seconds:7.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
