"""UMAP from the images to the embedding, umap-learn beside it where it is installed.

    python bench/bench_umap.py --mnist mnist.npz [--rows 5000 --n-neighbors 30] [--runs 3] [--no-peer]

Contestants run in turn in one process; a first fit of a thousand rows compiles umap-learn and
starts the threads. Seconds of a whole fit with a seed, of placing 1,000 rows, and quality:
trustworthiness and the accuracy of 5 nearest neighbours on at most 5,000 rows.
"""

import argparse
import importlib.util
import statistics
import time
import warnings

import numpy as np


def quality(X, embedding, labels):
    from sklearn.manifold import trustworthiness
    from sklearn.model_selection import cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    rows = np.random.default_rng(0).permutation(len(X))[:5000]
    trust = trustworthiness(X[rows], embedding[rows], n_neighbors=15)
    accuracy = cross_val_score(KNeighborsClassifier(5), embedding[rows], labels[rows], cv=10)
    return trust, accuracy.mean()


def seconds_of(call):
    clock = time.perf_counter()
    result = call()
    return result, time.perf_counter() - clock


def measure(make, X, new, labels, seed):
    estimator, fit = seconds_of(lambda: make(seed).fit(X))
    _, transform = seconds_of(lambda: estimator.transform(new))
    return (fit, transform, *quality(X, estimator.embedding_, labels))


def contestants(n_neighbors, peer):
    from fastparadime import UMAP

    found = {"fastparadime": lambda seed: UMAP(n_neighbors=n_neighbors, random_state=seed)}
    if peer and importlib.util.find_spec("umap"):
        import umap

        found["umap-learn, seed"] = lambda seed: umap.UMAP(
            n_neighbors=n_neighbors, random_state=seed
        )
        found["umap-learn, no seed"] = lambda _seed: umap.UMAP(n_neighbors=n_neighbors)
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mnist", required=True)
    parser.add_argument("--rows", type=int, default=70_000)
    parser.add_argument("--n-neighbors", type=int, default=15)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--no-peer", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # umap-learn's, of seeds and threads
    with np.load(arguments.mnist) as archive:
        images, labels = (archive[name][: arguments.rows] for name in ("images", "labels"))
    X = images.reshape(len(images), -1).astype(np.float32) / 255
    # Images between two of the data: none of them is in it.
    new = (X[:1000] + X[1000:2000]) / 2
    found = {name: [] for name in contestants(arguments.n_neighbors, not arguments.no_peer)}
    for run in range(arguments.runs):
        for name, make in contestants(arguments.n_neighbors, not arguments.no_peer).items():
            if run == 0:
                measure(make, X[:1000], new, labels[:1000], run)
            found[name].append(measure(make, X, new, labels, run))
    print(f"{'':<22}{'fit s':>10}{'transform s':>13}{'trust15':>10}{'acc5':>8}")
    for name, runs in found.items():
        fit, transform, trust, accuracy = map(statistics.median, zip(*runs, strict=True))
        print(f"{name:<22}{fit:10.2f}{transform:13.2f}{trust:10.4f}{accuracy:8.4f}")


if __name__ == "__main__":
    main()
