"""Clusters of many rows by groups of them, beside a comparison with all centroids: processor time.

    python bench/run.py nearest_in_groups [--rows 3e5] [--points 1e6 1e7]

Rows are of bench_larger_than_memory's mixture and clouds, centroids as many as for so many points.
Found is the share of a row's four nearest centroids that are among the four found.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

from fastparadime.neighbors import cluster_plan, nearest_centers
from fastparadime.neighbors.centroids import drawn_numbers, find_centroids
from fastparadime.neighbors.doubtful_rows import near_origin_centre, scale_of

sys.path.append(str(Path(__file__).resolve().parent.parent))
from bench_larger_than_memory import drawn
from data import rows_of

COLUMNS, COUNT = 50, 4


def seconds(call):
    clock = time.process_time()
    result = call()
    return result, time.process_time() - clock


def compare(kind, rows, points):
    X = torch.from_numpy(drawn(kind, COLUMNS, np.random.default_rng(0))(rows))
    mean, spread = near_origin_centre(X)
    origin = mean, scale_of(spread)

    def nearest(some, centers, count):
        return nearest_centers.nearest_centers(some, centers, count, *origin)

    number = cluster_plan.count_clusters(points)
    centers, _ = find_centroids(X, number, cluster_plan.SAMPLED, 1, 0, nearest)
    shown = X[drawn_numbers(rows, nearest_centers.TELLING_ROWS, 1)]
    near = nearest(shown, centers, nearest_centers.TELLING_NEAR)
    centers_by_curve = cluster_plan.along_a_curve(centers)
    place = torch.empty(len(centers), dtype=torch.int64)
    place[centers_by_curve] = torch.arange(len(centers))
    centers, near = centers[centers_by_curve], place[near.long()]
    groups = nearest_centers.groups_of(centers, *origin, shown, near)
    truth, every = seconds(lambda: nearest(X, centers, COUNT))
    line = f"{kind:<9}{len(centers):>10,}{1e6 * every / rows:>14.1f}"
    if groups is None:
        print(f"{line}{'none':>15}", flush=True)
        return
    found, some = seconds(lambda: groups.nearest(X, centers, COUNT, *origin))
    hits = (found[:, :, None] == truth[:, None, :]).any(dim=1).double().mean()
    compared = len(groups.means) + len(groups.near) / len(groups.means)
    print(f"{line}{1e6 * some / rows:>15.1f}{compared:>10.0f}{hits:>9.4f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=rows_of, default=300_000)
    parser.add_argument("--points", type=float, nargs="+", default=(1e6, 1e7))
    arguments = parser.parse_args()
    print(
        f"{'data':<9}{'centroids':>10}{'all, us a row':>14}{'groups, us':>15}{'of':>10}{'found':>9}"
    )
    for kind in ("mixture", "clouds"):
        for points in map(int, arguments.points):
            compare(kind, arguments.rows, points)


if __name__ == "__main__":
    main()
