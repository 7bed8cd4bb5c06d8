"""Layouts whose first half moves groups of points, beside those that move all points throughout.

    python bench/run.py layout_groups --mnist mnist.npz [--seeds 3]
    python bench/run.py layout_groups --words words.npz --rows 60000
    python bench/run.py layout_groups --sentences sentences.npz --rows 200000
    python bench/run.py layout_groups --cells 1e5 | --mixture 3e5 | --clouds 2e5

recall15   share of a row's 15 nearest that are among its 15 nearest in the map, of 2,000 rows
trust15    trustworthiness of 5,000 rows
acc5       rows whose label most of their five nearest in the map have, of the same 2,000
start      seconds of the processor until the layout starts, its groups among them
layout     those of its epochs

Both are of one graph. A layout has groups beyond a million points; here the table decides.
"""

import contextlib
import math
import time

import numpy as np
from data import data_parser, load
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from fastparadime import UMAP, neighbors
from fastparadime.layout import optimize
from fastparadime.utils.progress import watched

K, ROWS, TRUST_ROWS = 15, 2_000, 5_000


def nearest(X, some, metric):
    lists = NearestNeighbors(n_neighbors=K + 1, metric=metric, algorithm="brute").fit(X)
    found = lists.kneighbors(X[some], return_distance=False)
    return np.stack([row[row != own][:K] for row, own in zip(found, some, strict=True)])


def timer(seconds):
    """Has the seconds of the processor of each stage written into a dict."""

    @contextlib.contextmanager
    def watcher(name, _steps):
        begun = time.process_time()
        yield None
        seconds[name] = time.process_time() - begun

    return watched(watcher)


def measured(X, labels, metric, knn, true, some, seed):
    seconds = {}
    with timer(seconds):
        Y = UMAP(metric=metric, precomputed_knn=knn, random_state=seed).fit(X).embedding_
    found = nearest(Y, some, "euclidean")
    recall = (true[:, :, None] == found[:, None, :]).any(2).mean()
    most = np.random.default_rng(1).choice(len(X), min(TRUST_ROWS, len(X)), replace=False)
    trust = trustworthiness(X[most], Y[most], n_neighbors=K, metric=metric)
    right = math.nan
    if labels is not None:
        of = labels[found[:, :5]]
        right = np.mean([np.bincount(row).argmax() for row in of] == labels[some])
    return recall, trust, right, seconds["initial positions"], seconds["layout"]


def main():
    parser = data_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    X, labels, metric = load(arguments)
    knn = neighbors.knn(X, K - 1, metric)
    some = np.random.default_rng(0).choice(len(X), min(ROWS, len(X)), replace=False)
    true = nearest(X, some, metric)
    print(f"{len(X):,} x {X.shape[1]}, {metric}")
    names = f"{'recall15':>10}{'trust15':>9}{'acc5':>8}{'start':>8}{'layout':>8}"
    print(f"{'moved first':<12}{'seed':>5}{names}")
    for seed in range(arguments.seeds):
        for name, many in (("points", math.inf), ("groups", 0)):
            optimize.MANY_POINTS = many
            recall, trust, right, start, layout = measured(X, labels, metric, knn, true, some, seed)
            print(
                f"{name:<12}{seed:5}{recall:10.4f}{trust:9.4f}{right:8.4f}{start:8.1f}{layout:8.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
