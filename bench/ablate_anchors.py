"""What anchors, steps and noise are worth in a network that scores anchors, for new rows.

    python bench/ablate_anchors.py --mnist mnist.npz --words words.npz --sentences sentences.npz
        [--seeds 3] [--only 2000-0.25-1]

"balanced" with one choice of each: how many anchors, which share of the steps of a network of
coordinates, and the length of the noise beside the distance between neighbours. 0 anchors give
coordinates, with all steps and a noise of 0.5. Rows and measures are those of bench_new_rows.py: of
MNIST 10,000 and 2,000 new ones, of the others 5,000 and 1,000.
"""

import argparse
import time
from dataclasses import replace

import numpy as np
from bench_new_rows import KINDS, Judge, load

from fastparadime import ParametricUMAP
from fastparadime.routines import quality

BALANCED = quality.QUALITIES["balanced"]
CHOICES = {
    "0-1-0.5": (0, 1.0, 0.5),
    "1000-0.5-0.5": (1000, 0.5, 0.5),
    "1000-1-0.5": (1000, 1.0, 0.5),
    "1000-0.25-0.5": (1000, 0.25, 0.5),
    "1000-0.25-1": (1000, 0.25, 1.0),
    "2000-0.5-0.5": (2000, 0.5, 0.5),
    "2000-0.5-1": (2000, 0.5, 1.0),
    "2000-0.25-1": (2000, 0.25, 1.0),
    "2000-0.25-1.3": (2000, 0.25, 1.3),
    "2000-0.15-1": (2000, 0.15, 1.0),
}
ROWS = {"mnist": (10_000, 2_000)}
OTHERS = (5_000, 1_000)


def measured(choice, X, new, judge, metric, seed):
    anchors, share, noise = choice
    if anchors:  # a network of anchors takes a quarter of the steps, and twice the noise
        steps = {"passes": round(4 * share * BALANCED.passes)}
        steps["steps"] = round(4 * share * BALANCED.steps)
        quality.QUALITIES["balanced"] = replace(BALANCED, noise=noise / 2, **steps)
    clock = time.process_time()
    mapper = ParametricUMAP(metric=metric, random_state=seed, anchors=anchors).fit(X)
    seconds = time.process_time() - clock
    quality.QUALITIES["balanced"] = BALANCED
    return judge(mapper.embedding_, mapper.transform(new)) | {"cpu": seconds}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for kind in KINDS[:3]:
        parser.add_argument(f"--{kind}", help="an .npz file")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=tuple(CHOICES), default=tuple(CHOICES))
    arguments = parser.parse_args()
    files = {kind: getattr(arguments, kind) for kind in KINDS[:3]} | {"cells": "scanpy"}
    for kind in [kind for kind in KINDS if files[kind]]:
        found = {name: [] for name in arguments.only}
        for seed in range(arguments.seeds):
            X, new, y, new_y, metric = load(kind, files, seed, *ROWS.get(kind, OTHERS))
            judge = Judge(X, new, y, new_y, metric)
            for name in arguments.only:
                found[name].append(measured(CHOICES[name], X, new, judge, metric, seed))
        for name, runs in found.items():
            means = {measure: np.mean([run[measure] for run in runs]) for measure in runs[0]}
            shown = " ".join(f"{measure} {value:.4f}" for measure, value in means.items())
            print(f"{kind}, {len(runs)} seeds, {name:<14} {shown}", flush=True)


if __name__ == "__main__":
    main()
