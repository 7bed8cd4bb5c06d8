"""Perplexity- and connectivity-based rescaling of kNN distances, on fastparadime or paraDime.

    python bench/run.py rescaling --mnist mnist.npz [--module paradime] [--points 5000]

Run it in each environment; both see the same distances, scikit-learn's of the first images.
"""

import argparse
import importlib
import statistics
import time

import numpy as np
from sklearn.neighbors import NearestNeighbors


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--module", default="fastparadime")
    parser.add_argument("--mnist", required=True)
    parser.add_argument("--points", type=int, default=5000)
    arguments = parser.parse_args()
    relationdata, transforms = (
        importlib.import_module(f"{arguments.module}.{part}")
        for part in ("relationdata", "transforms")
    )
    with np.load(arguments.mnist) as archive:
        images = archive["images"][: arguments.points].reshape(arguments.points, -1) / 255.0
    found = NearestNeighbors(n_neighbors=301).fit(images).kneighbors(images)
    for name, k, make, options in (
        ("connectivity 30", 30, transforms.ConnectivityBasedRescale, {"n_neighbors": 30}),
        ("perplexity 30, 90 neighbours", 90, transforms.PerplexityBasedRescale, {"perplexity": 30}),
        ("perplexity 100, 300 neighbours", 300, transforms.PerplexityBasedRescale,
         {"perplexity": 100}),
    ):  # fmt: skip
        distances, indices = (part[:, 1 : k + 1] for part in found)
        seconds = []
        for _ in range(8):
            data = relationdata.NeighborRelationTuple((indices.copy(), distances.copy()))
            start = time.perf_counter()
            make(**options).transform(data)
            seconds.append(time.perf_counter() - start)
        print(f"{arguments.module}: {name}, {arguments.points:,} points: "
              f"{1e3 * statistics.median(seconds[1:]):.1f} ms, {1e3 * seconds[0]:.1f} at first")  # fmt: skip


if __name__ == "__main__":
    main()
