"""A map that grows by instalments: how far its rows move, and how close it comes to one of all rows.

    python bench/run.py streams --sentences sentences.npz [--words words.npz] [--mnist mnist.npz]
        [--ways layout network routine umap-learn] [--instalments 10] [--each 300] [--seeds 3]
        [--max-drift 0.015] [--quality fast] [--landmark-weight 0.1]

New classes come with the fifth instalment: the last four digits, or as large a share of the
clusters that k-means finds among words and sentences. A seed draws rows of its own.

drift, upper  the median and the 95th percentile of the movements of rows that were there, as shares
              of the map's span, largest of all instalments
kept          share of rows that kept 10 of their 15 nearest rows in the map, least of all
trust15       trustworthiness of the map after the last instalment, of 5,000 rows at most
at once       that of a fit of all rows
seconds       of the processor, of all updates and of the fit at once

`layout` is UMAP, `network` and `routine` are both kinds of ParametricUMAP with a quality.
"""

import argparse
import time
import warnings
from functools import partial

import numpy as np
import torch
from data import load
from sklearn.cluster import KMeans
from sklearn.manifold import trustworthiness

import fastparadime
from fastparadime import routines
from fastparadime.layout import Drift
from fastparadime.layout.landmarks import LANDMARK_WEIGHT, MAX_DRIFT

_KINDS = ("mnist", "words", "sentences")
_CLASSES, _LATE = 10, 4  # of which these come late
_MOST = 5000  # rows whose neighbours are compared
_FIRST_OF_ALL = 5  # the instalment, counted from 1, that brings the late ones


def instalments(labels, count, each, seed=0):
    """Rows of each instalment: those of the late classes are among them from the fifth on."""
    rng = np.random.default_rng(seed)
    late = labels >= _CLASSES - _LATE
    early, others = (rng.permutation(np.flatnonzero(part)) for part in (~late, late))
    before = each * (_FIRST_OF_ALL - 1)
    parts = list(np.split(early[:before], _FIRST_OF_ALL - 1))
    rest = rng.permutation(np.concatenate([early[before:], others]))
    return parts + list(np.split(rest[: each * (count - len(parts))], count - len(parts)))


def trust(X, positions, metric):
    some = np.random.default_rng(0).permutation(len(X))[:_MOST]
    return trustworthiness(X[some], positions[some], n_neighbors=15, metric=metric)


class Layout:
    """A map that takes more rows, and where its rows are."""

    def __init__(self, metric, seed, arguments):
        self.mapper = self.made(metric, seed, arguments)
        self.options = {"max_drift": arguments.max_drift}

    def made(self, metric, seed, arguments):
        return fastparadime.UMAP(metric=metric, random_state=seed)

    def fit(self, X):
        self.mapper.fit(X)

    def update(self, X):
        self.mapper.update(X, **self.options)

    @property
    def positions(self):
        return np.array(self.mapper.embedding_)


class Network(Layout):
    def made(self, metric, seed, arguments):
        return fastparadime.ParametricUMAP(
            metric=metric,
            random_state=seed,
            quality=arguments.quality,
            landmark_loss_weight=arguments.landmark_weight,
        )


class Routine(Layout):
    def __init__(self, metric, seed, arguments):
        super().__init__(metric, seed, arguments)
        self.options["landmark_weight"] = arguments.landmark_weight

    def made(self, metric, seed, arguments):
        return routines.ParametricUMAP(
            n_neighbors=15, min_dist=0.1, metric=metric, seed=seed, quality=arguments.quality
        )

    def fit(self, X):
        self.mapper.train(X)

    @property
    def positions(self):
        return self.mapper.apply(self.mapper.dataset.data["main"], "embed").numpy()


class UmapLearn(Layout):
    def made(self, metric, seed, arguments):
        import umap

        return umap.UMAP(metric=metric, random_state=seed, n_jobs=1)

    def update(self, X):
        self.mapper.update(X)


WAYS = {"layout": Layout, "network": Network, "routine": Routine, "umap-learn": UmapLearn}


def grown(make, X, parts, metric):
    """Fits the first instalment and updates with the others; the last map beside a whole fit."""
    growing, drifts = make(), []
    growing.fit(X[parts[0]])
    seconds = 0.0
    for count in range(2, len(parts) + 1):
        before, clock = growing.positions, time.process_time()
        growing.update(X[parts[count - 1]])
        seconds += time.process_time() - clock
        after, rows = growing.positions, np.concatenate(parts[:count])
        drift = Drift.between(*map(torch.from_numpy, (before, after[: len(before)])))
        drifts.append(drift)
        print(f"{count:3}: {drift}, trust15 {trust(X[rows], after, metric):.4f}", flush=True)
    whole, clock = make(), time.process_time()
    whole.fit(X[rows])
    once = time.process_time() - clock
    return {
        "drift": max(drift.median for drift in drifts),
        "upper": max(drift.upper for drift in drifts),
        "kept": min(drift.kept for drift in drifts),
        "trust15": trust(X[rows], growing.positions, metric),
        "at once": trust(X[rows], whole.positions, metric),
        "seconds": (seconds, once),
    }


def shown(found):
    """A value of each seed."""
    figures = []
    for name in found[0]:
        values = [run[name] for run in found]
        if name == "seconds":
            values = [f"{updates:.1f} and {once:.1f}" for updates, once in values]
        else:
            values = [f"{value:.4f}" for value in values]
        figures.append(f"{name} {', '.join(values)}")
    return "; ".join(figures)


def table(arguments, kind, seed):
    """Rows of a seed, with labels of clusters where the data has none, and the metric."""
    for name in (*_KINDS, "clouds", "cells", "columns", "mixture", "rows"):  # which `load` knows
        setattr(arguments, name, arguments.files[kind] if name == kind else None)
    X, labels, metric = load(arguments)
    some = 4 * arguments.instalments * arguments.each
    few = np.random.default_rng(1 + seed).permutation(len(X))[:some]
    X, labels = X[few], None if labels is None else labels[few]
    if labels is None:
        labels = KMeans(_CLASSES, n_init=1, random_state=0).fit_predict(X)
    return X, labels, metric


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for kind in _KINDS:
        parser.add_argument(f"--{kind}", help="an .npz")
    parser.add_argument("--ways", nargs="+", choices=tuple(WAYS), default=["layout", "network"])
    parser.add_argument("--instalments", type=int, default=10)
    parser.add_argument("--each", type=int, default=300, help="rows of an instalment")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--max-drift", type=float, default=MAX_DRIFT)
    parser.add_argument("--quality", default="fast", help="of networks")
    parser.add_argument(
        "--landmark-weight", type=float, default=LANDMARK_WEIGHT, help="of networks"
    )
    arguments = parser.parse_args()
    arguments.files = {kind: getattr(arguments, kind) for kind in _KINDS}
    for kind, path in arguments.files.items():
        if path is None:
            continue
        found = {way: [] for way in arguments.ways}
        for seed in range(arguments.seeds):
            X, labels, metric = table(arguments, kind, seed)
            parts = instalments(labels, arguments.instalments, arguments.each, seed)
            for way in arguments.ways:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # umap-learn's, of its seed
                    make = partial(WAYS[way], metric, seed, arguments)
                    found[way].append(grown(make, X, parts, metric))
                print(f"{kind}, seed {seed}, {way}: {shown(found[way][-1:])}", flush=True)
        for way, runs in found.items():
            print(f"{kind}, {len(runs)} seeds, {way}: {shown(runs)}", flush=True)


if __name__ == "__main__":
    main()
