"""Perplexity- and connectivity-based rescaling of kNN distances, on fastparadime or paraDime.

    python bench/bench_rescaling.py --mnist mnist.npz [--module paradime] [--points 5000]

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
    for name, k, make in (
        ("connectivity, 30 neighbours", 30, transforms.ConnectivityBasedRescale),
        ("perplexity, 300 neighbours", 300, transforms.PerplexityBasedRescale),
    ):
        distances, indices = (part[:, 1 : k + 1] for part in found)
        seconds = []
        for _ in range(4):
            data = relationdata.NeighborRelationTuple((indices.copy(), distances.copy()))
            options = {"n_neighbors": 30} if k == 30 else {"perplexity": 100}
            start = time.perf_counter()
            make(**options).transform(data)
            seconds.append(time.perf_counter() - start)
        print(f"{arguments.module}: {name}, {arguments.points:,} points: "
              f"{1e3 * statistics.median(seconds[1:]):.1f} ms")  # fmt: skip


if __name__ == "__main__":
    main()
