"""UMAP from the table to the embedding, umap-learn beside it where it is installed.

    python bench/run.py umap --mnist mnist.npz [--rows 5000 --n-neighbors 30] [--seeds 3]
    python bench/run.py umap --sentences sentences.npz --rows 40000; ... --words words.npy
    python bench/run.py umap --mixture 1e6 --no-peer --cold

Each fit has a process of its own. Before it, a fit of a thousand rows compiles umap-learn and
starts the threads, unless `--cold`. Seconds of a fit with a seed and of its stages, of placing
1,000 new rows; the process's peak memory after the fit, its table and libraries included; and
quality, as `bench_fidelity.py` has it, on at most 5,000 rows.
"""

import argparse
import importlib.util
import json
import logging
import resource
import statistics
import subprocess
import sys
import time
import warnings

import numpy as np
from data import data_parser, load

PEERS = {"umap-learn, seed": True, "umap-learn, no seed": False}
STAGES = {
    "UMAP: nearest neighbors": "neighbours",
    "UMAP: fuzzy graph": "graph",
    "UMAP: initial positions": "spectral",
    "UMAP: layout": "layout",
}


class Stages(logging.Handler):
    """Seconds of a fit's stages, by the log that `verbose` writes."""

    def __init__(self):
        super().__init__()
        self.begun = []
        logger = logging.getLogger("fastparadime")
        logger.handlers = [self]  # nothing is printed

    def emit(self, record):
        self.begun.append((record.getMessage(), time.perf_counter()))

    def seconds(self, end):
        ends = [clock for _, clock in self.begun[1:]] + [end]
        return {
            STAGES[message]: after - before
            for (message, before), after in zip(self.begun, ends, strict=True)
        }


def quality(X, embedding, labels, metric):
    from sklearn.manifold import trustworthiness
    from sklearn.model_selection import cross_val_score
    from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

    rows = np.random.default_rng(0).permutation(len(X))[:5000]
    found = {"trust15": trustworthiness(X[rows], embedding[rows], n_neighbors=15, metric=metric)}
    near, kept = (
        NearestNeighbors(n_neighbors=15, metric=name).fit(table[rows]).kneighbors()[1]
        for table, name in ((X, metric), (embedding, "euclidean"))
    )
    found["preserve15"] = float((near[:, :, None] == kept[:, None]).any(axis=2).mean())
    if labels is not None:
        accuracy = cross_val_score(KNeighborsClassifier(5), embedding[rows], labels[rows], cv=10)
        found["acc5"] = accuracy.mean()
    return found


def estimator_of(arguments, metric, verbose=False):
    options = {"n_neighbors": arguments.n_neighbors, "metric": metric}
    options["random_state"] = arguments.seed
    if arguments.one in PEERS:
        import umap

        if not PEERS[arguments.one]:
            options["random_state"] = None
        return umap.UMAP(**options)
    from fastparadime import UMAP

    return UMAP(**options, verbose=verbose, tqdm_kwds={"disable": True})


def measure(arguments):
    """One fit in this process."""
    warnings.simplefilter("ignore")  # umap-learn's, of seeds and threads
    X, labels, metric = load(arguments)
    # Rows between two of the data: none of them is in it.
    new = (X[:1000] + X[1000:2000]) / 2
    if not arguments.cold:
        estimator_of(arguments, metric).fit(X[:1000]).transform(new)
    own = arguments.one not in PEERS
    estimator, stages = estimator_of(arguments, metric, verbose=own), Stages() if own else None
    clock = time.perf_counter()
    estimator.fit(X)
    end = time.perf_counter()
    found = {"fit": end - clock, **(stages.seconds(end) if stages else {})}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    clock = time.perf_counter()
    estimator.transform(new)
    found |= {"transform": time.perf_counter() - clock, "peak MB": peak}
    return found | quality(X, estimator.embedding_, labels, metric)


def report(name, runs):
    print(name)
    for measure in runs[0]:
        found = [run[measure] for run in runs]
        spread = f"({min(found):.4g} to {max(found):.4g})" if len(found) > 1 else ""
        print(f"    {measure:<12}{statistics.mean(found):10.4g}  {spread}")


def main():
    parser = data_parser()
    parser.add_argument("--n-neighbors", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments)))
        return
    peers = [] if arguments.no_peer or not importlib.util.find_spec("umap") else list(PEERS)
    found = {name: [] for name in ["fastparadime", *peers]}
    for seed in range(arguments.seeds):
        for name, runs in found.items():
            command = [sys.executable, *sys.argv, "--one", name, "--seed", str(seed)]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            runs.append(json.loads(output.splitlines()[-1]))
    print(f"mean of {arguments.seeds} seeds (least to most)")
    for name, runs in found.items():
        report(name, runs)


if __name__ == "__main__":
    main()
