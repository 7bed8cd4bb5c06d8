"""A map that grows by instalments: how far its rows move, and how close it comes to one of all rows.

    python bench/run.py streams --mnist mnist.npz [--instalments 10] [--each 1000] [--quality fast]
    python bench/run.py streams --words words.npz; ... --sentences sentences.npz

New classes come with the fifth instalment: the last four digits, or as large a share of the
clusters that k-means finds among words and sentences. Trustworthiness at 15 neighbours, of 5,000 rows
at most, is that of the map after the last instalment, beside a fit of all rows at once.
"""

import argparse

import numpy as np
from data import load
from sklearn.cluster import KMeans
from sklearn.manifold import trustworthiness

from fastparadime import UMAP, ParametricUMAP

_CLASSES, _LATE = 10, 4  # of which these come late
_MOST = 5000  # rows whose neighbours are compared
_FIRST_OF_ALL = 5  # the instalment, counted from 1, that brings the late ones


def instalments(labels, count, each):
    """Rows of each instalment: those of the late classes are among them from the fifth on."""
    rng = np.random.default_rng(0)
    late = labels >= _CLASSES - _LATE
    early, others = (rng.permutation(np.flatnonzero(part)) for part in (~late, late))
    before = each * (_FIRST_OF_ALL - 1)
    parts = list(np.split(early[:before], _FIRST_OF_ALL - 1))
    rest = rng.permutation(np.concatenate([early[before:], others]))
    return parts + list(np.split(rest[: each * (count - len(parts))], count - len(parts)))


def trust(X, positions, metric):
    some = np.random.default_rng(0).permutation(len(X))[:_MOST]
    return trustworthiness(X[some], positions[some], n_neighbors=15, metric=metric)


def grow(make, X, parts, metric):
    """Fits the first instalment and updates with the others; the last map beside a whole fit."""
    mapper = make().fit(X[parts[0]])
    print(f"{'rows':>8} {'median':>8} {'95 %':>8} {'kept':>8}")
    for part in parts[1:]:
        mapper.update(X[part])
        drift = mapper.drift_
        print(
            f"{drift.rows + len(part):8,} {drift.median:8.2%} {drift.upper:8.2%} {drift.kept:8.1%}",
            flush=True,
        )
    rows = np.concatenate(parts)
    grown, once = mapper.embedding_, make().fit_transform(X[rows])
    shares = (trust(X[rows], found, metric) for found in (grown, once))
    print("trust15 {:.4f}, at once {:.4f}".format(*shares), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    for name in ("mnist", "words", "sentences"):
        source.add_argument(f"--{name}", help="an .npz")
    parser.add_argument("--instalments", type=int, default=10)
    parser.add_argument("--each", type=int, default=1000, help="rows of an instalment")
    parser.add_argument("--quality", help="of ParametricUMAP; UMAP without a network if left out")
    arguments = parser.parse_args()
    for name in ("clouds", "cells", "columns", "mixture", "rows"):  # which `load` also knows
        setattr(arguments, name, None)
    X, labels, metric = load(arguments)
    few = np.random.default_rng(1).permutation(len(X))[: 4 * arguments.instalments * arguments.each]
    X, labels = X[few], None if labels is None else labels[few]
    if labels is None:
        labels = KMeans(_CLASSES, n_init=1, random_state=0).fit_predict(X)
    parts = instalments(labels, arguments.instalments, arguments.each)
    options = {"metric": metric, "random_state": 0}
    if arguments.quality is None:
        grow(lambda: UMAP(**options), X, parts, metric)
    else:
        grow(lambda: ParametricUMAP(quality=arguments.quality, **options), X, parts, metric)


if __name__ == "__main__":
    main()
