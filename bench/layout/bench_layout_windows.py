"""What a layout of many points saves: processor time of a sampled edge with negatives of all points
and weights, and with negatives of windows and narrow shares, in turn.

    python bench/run.py layout_windows [--sizes 1e6 1e7] [--rounds 2]

The graph has 20 tails anywhere for each point, as rows in no order have. The least of the rounds.
"""

import argparse
import math
import time

import torch

from fastparadime import ops
from fastparadime.ops.layout import _many_points

A, B = 1.577, 0.8951
TAILS, EPOCHS = 20, 3


def graph_and_start(n):
    drawn = torch.Generator().manual_seed(0)
    tails = torch.randint(0, n, (n * TAILS,), generator=drawn, dtype=torch.int32)
    weights = torch.rand(n * TAILS, generator=drawn).square_()
    edges = ops.Edges(torch.arange(n + 1) * TAILS, None, tails, weights)
    return edges, 5 * torch.randn(n, 2, generator=drawn)


def seconds_of(epochs, edges, start):
    clock = time.process_time()
    ops.sgd_layout(start, edges, A, B, epochs, largest_weight=1.0)
    return time.process_time() - clock


def nanoseconds(edges, start):
    """Of a sampled edge, without what a call takes once."""
    sampled = EPOCHS * float(edges.weights.sum(dtype=torch.float64))
    more = seconds_of(1 + EPOCHS, edges, start) - seconds_of(1, edges, start)
    return 1e9 * more / sampled


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=float, nargs="+", default=(5e5, 1e6, 2e6, 5e6, 1e7))
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    many = {"uniform": math.inf, "windows": 0}
    print(f"{'points':>12}{'uniform, ns':>13}{'windows, ns':>13}")
    for n in map(int, arguments.sizes):
        edges, start = graph_and_start(n)
        found = {name: [] for name in many}
        for _ in range(arguments.rounds):
            for name, times in found.items():
                _many_points._MANY_POINTS = many[name]
                times.append(nanoseconds(edges, start))
        print(f"{n:12,}" + "".join(f"{min(times):13.1f}" for times in found.values()), flush=True)


if __name__ == "__main__":
    main()
