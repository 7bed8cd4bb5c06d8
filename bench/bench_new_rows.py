"""Where new rows are placed: by networks, by the layout, by other packages.

    python bench/run.py new_rows --mnist mnist.npz --words words.npz --sentences sentences.npz
        [--data mnist sentences] [--ways layout balanced] [--seeds 3] [--rows 10000] [--new 2000]
        [--cpu-time]

A seed draws reference rows, which are fitted, and new ones, which are placed among them. Of MNIST they come from the first 60,000 and the last 10,000 images, in 50 principal
components of the reference; words and sentences are embeddings for the cosine; cells are drawn
from the normal distributions of scanpy's ten types.

recall15   share of a new row's 15 nearest reference rows that are among its 15 nearest in the map
acc15      new rows whose label most of their 15 nearest reference rows in the map have
trust15    trustworthiness of the reference's map
rim        new rows that lie where the map is sparser than at 95 % of the reference: 0.05 if new rows
           lie as those of the fit do, more if they gather between clusters and at their rims (Islam
           and Fleischer 2026, arXiv 2606.04451)
fit, row   seconds of the fit, microseconds that a new row takes among those of a second call

A network is compared with the map that itself makes of the reference. `coordinates` is "balanced" with
`anchors=0`, `prototypes` with `prototypes=2000`, `-median` and `-mutual` the same network with that `placement`, which looks at the
reference; beside the network they are of the same fit.
Other packages (bench/peers.py) are measured in the same run where they are installed, and left out
where they are not, which is said; of them only umap-learn is among the usual ways.
"""

import argparse
import copy
import time
import warnings
from functools import partial

import numpy as np
from data import cells, read
from peers import PEERS
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import KNeighborsRegressor, NearestNeighbors

import fastparadime

K = 15
KINDS = ("mnist", "words", "sentences", "cells")


def load(kind, files, seed, rows=10_000, count=2_000):
    """Reference rows and new ones, labels of both or None, and the metric."""
    rng = np.random.default_rng(seed)
    if kind == "mnist":
        with np.load(files[kind]) as archive:
            images, labels = archive["images"], archive["labels"].astype(int)
        X = images.reshape(len(images), -1).astype(np.float32) / 255
        reference = rng.choice(60_000, rows, replace=False)
        new = 60_000 + rng.choice(10_000, count, replace=False)
        axes = PCA(50, random_state=seed).fit(X[reference])
        tables = (axes.transform(X[part]).astype(np.float32) for part in (reference, new))
        return *tables, labels[reference], labels[new], "euclidean"
    if kind == "cells":
        X, labels, metric = cells(rows + count, seed)
        return X[:rows], X[rows:], labels[:rows], labels[rows:], metric
    X = read(files[kind], "vectors" if kind == "words" else "embeddings")
    drawn = rng.permutation(len(X))[: rows + count]
    return X[drawn[:rows]], X[drawn[rows:]], None, None, "cosine"


class Interpolated:
    """The layout, and new rows at means of their nearest rows' positions by inverse distance."""

    def __init__(self, metric, seed):
        self.layout = fastparadime.UMAP(metric=metric, random_state=seed)
        self.means = KNeighborsRegressor(K, weights="distance", algorithm="brute", metric=metric)

    def fit(self, X):
        self.embedding_ = self.layout.fit(X).embedding_
        self.means.fit(X, self.embedding_)
        return self

    def transform(self, X):
        return self.means.predict(X)


def layout(metric, seed, **options):
    return fastparadime.UMAP(metric=metric, random_state=seed, **options)


def network(quality, metric, seed, **options):
    return fastparadime.ParametricUMAP(metric=metric, random_state=seed, quality=quality, **options)


WAYS = {
    "layout": layout,
    "median": partial(layout, placement="median"),
    "mutual": partial(layout, placement="mutual"),
    "means": Interpolated,
    "fast": partial(network, "fast"),
    "balanced": partial(network, "balanced"),
    "best": partial(network, "best"),
    "coordinates": partial(network, "balanced", anchors=0),
    "prototypes": partial(network, "balanced", prototypes=2000),
    "best-prototypes": partial(network, "best", prototypes=2000),
}
# The same networks, which place rows otherwise.
NETWORKS = {
    f"{name}-{placement}": (name, placement)
    for name in ("balanced", "prototypes", "best-prototypes")
    for placement in ("median", "mutual")
}
WAYS |= {
    way: partial(WAYS[name], placement=placement) for way, (name, placement) in NETWORKS.items()
} | PEERS
USUAL = (*(way for way in WAYS if way not in PEERS), "umap-learn")


def ranks_of(X, metric):
    """Of each row the others' places (n, n) by their distance from it, its own 0."""
    distances = pairwise_distances(X, metric=metric)
    np.fill_diagonal(distances, -np.inf)
    ranks, numbers = np.empty(distances.shape, np.int32), np.arange(len(X), dtype=np.int32)
    for own, row in zip(ranks, distances, strict=True):
        own[row.argsort()] = numbers
    return ranks


class Judge:
    """The measures of maps of one reference and of its new rows."""

    def __init__(self, X, new, y, new_y, metric):
        self.y, self.new_y = y, new_y
        search = NearestNeighbors(n_neighbors=K, algorithm="brute", metric=metric).fit(X)
        self.near = search.kneighbors(new, return_distance=False)
        self.ranks = ranks_of(X, metric)  # once: they take longer than a fit

    def trustworthiness(self, indices):
        """As scikit-learn's, by the nearest rows (n, K) of each row in a map."""
        n = len(indices)
        beyond = np.maximum(np.take_along_axis(self.ranks, indices, axis=1) - K, 0)
        return 1 - 2 * beyond.sum() / (n * K * (2 * n - 3 * K - 1))

    def __call__(self, positions, placed):
        search = NearestNeighbors(n_neighbors=K).fit(positions)
        distances, indices = search.kneighbors(placed)
        shared = [len(set(a) & set(b)) for a, b in zip(self.near, indices, strict=True)]
        own_distances, own_indices = search.kneighbors()
        sparse = np.quantile(own_distances[:, -1], 0.95)
        found = {
            "recall15": np.mean(shared) / K,
            "trust15": self.trustworthiness(own_indices),
            "rim": (distances[:, -1] > sparse).mean(),
        }
        if self.y is not None:
            votes = np.eye(self.y.max() + 1)[self.y[indices]].sum(1)
            found["acc15"] = (votes.argmax(1) == self.new_y).mean()
        return found


def fitted(way, X, metric, seed, fits, now):
    """The estimator of a way and the seconds of its fit, which `fits` keeps for its placements."""
    network, placement = NETWORKS.get(way, (way, None))
    if network not in fits:
        estimator = WAYS[network](metric, seed)
        clock = now()
        estimator.fit(X)
        fits[network] = estimator, now() - clock
    estimator, seconds = fits[network]
    if placement is not None:
        estimator = copy.copy(estimator).set_params(placement=placement)
    return estimator, seconds


def measured(way, X, new, judge, metric, seed, fits, now=time.perf_counter):
    estimator, fit = fitted(way, X, metric, seed, fits, now)
    estimator.transform(new)  # makes ready what is made with the first call
    clock = now()
    placed = estimator.transform(new)
    row = 1e6 * (now() - clock) / len(new)
    return judge(estimator.embedding_, placed) | {"fit": fit, "row": row}


def shown(found):
    """Means, and the standard deviation of the recall over seeds."""
    figures = []
    for name in found[0]:
        values = np.array([run[name] for run in found])
        digits = 1 if name in ("fit", "row") else 4
        figures.append(f"{name} {values.mean():.{digits}f}")
        if name == "recall15" and len(values) > 1:
            figures.append(f"({values.std(ddof=1):.4f})")
    return " ".join(figures)


def present(ways):
    """Those that are of packages which are here; it says which others it leaves out."""
    for way in ways:
        advice = PEERS[way].missing() if way in PEERS else None
        if advice is None:
            yield way
        else:
            print(f"without {way}: {advice}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for kind in KINDS[:3]:
        parser.add_argument(f"--{kind}", help="an .npz file")
    parser.add_argument("--data", nargs="+", choices=KINDS, help="all whose files are given")
    parser.add_argument("--ways", nargs="+", choices=tuple(WAYS), default=USUAL)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--new", type=int, default=2_000)
    parser.add_argument("--cpu-time", action="store_true", help="of all threads, beside other work")
    arguments = parser.parse_args()
    arguments.ways = list(present(arguments.ways))
    now = time.process_time if arguments.cpu_time else time.perf_counter
    files = {kind: getattr(arguments, kind) for kind in KINDS[:3]} | {"cells": "scanpy"}
    kinds = arguments.data or [kind for kind in KINDS if files[kind]]
    for kind in kinds:
        if not files[kind]:
            parser.error(f"--data {kind} needs --{kind}")
        found = {way: [] for way in arguments.ways}
        for seed in range(arguments.seeds):
            X, new, y, new_y, metric = load(kind, files, seed, arguments.rows, arguments.new)
            judge, fits = Judge(X, new, y, new_y, metric), {}
            for way in arguments.ways:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # umap-learn's, of its seed and its caches
                    found[way].append(measured(way, X, new, judge, metric, seed, fits, now))
                print(f"{kind}, seed {seed}, {way:<14} {shown(found[way][-1:])}", flush=True)
        for way, runs in found.items():
            print(f"{kind}, {len(runs)} seeds, {way:<14} {shown(runs)}", flush=True)


if __name__ == "__main__":
    main()
