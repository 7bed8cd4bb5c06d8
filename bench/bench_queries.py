"""Neighbours and positions of few new rows on a large fit, scikit-learn's exact search beside.

    python bench/run.py queries --mnist mnist.npz [--rows 5000] [--place]
    python bench/run.py queries --mixture 1e6; ... --words words.npy --place

`search` is `KNNTransformer.transform`, `place` is `UMAP.transform`, both after a first call with 1,000
rows, which makes the rows of the fit ready. Medians, milliseconds.
"""

import statistics
from functools import partial

import torch
from data import data_parser, load
from sklearn.neighbors import NearestNeighbors
from timing import seconds_of

import fastparadime

COUNTS = (1, 10, 100, 1000)


def times_of(call, count):
    found = seconds_of(call, torch.device("cpu"), repeats=4 if count == 1000 else 12)
    return f"{1e3 * statistics.median(found):12.1f}"


def main():
    parser = data_parser()
    parser.add_argument("--place", action="store_true", help="fits a layout first")
    arguments = parser.parse_args()
    X, _, metric = load(arguments)
    new = (X[:1000] + X[1000:2000]) / 2  # none of them is in the data
    searches = {
        "search": fastparadime.KNNTransformer(n_neighbors=15, metric=metric).fit(X).transform,
        "scikit-learn": NearestNeighbors(n_neighbors=15, algorithm="brute", metric=metric)
        .fit(X)
        .kneighbors,
    }
    if arguments.place:
        options = {"random_state": 0, "metric": metric, "tqdm_kwds": {"disable": True}}
        searches["place"] = fastparadime.UMAP(**options).fit(X).transform
    for call in searches.values():
        call(new)
    print(f"{'queries':>12}", *(f"{name:>12}" for name in searches))
    for count in COUNTS:
        found = (times_of(partial(call, new[:count]), count) for call in searches.values())
        print(f"{count:12,}", *found)


if __name__ == "__main__":
    main()
