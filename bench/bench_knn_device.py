"""Exact search by tiles on a device, beside its floor: 2 n^2 d operations at the rate of half-precision products."""

import argparse
import pathlib
import statistics

import torch
from timing import keep, seconds_of

from fastparadime.neighbors import tiled

K = 15


def rate(device, precision):
    """Operations in a second of a product of 8192 x 8192 (2048 on the CPU)."""
    side = 8192 if device.type == "cuda" else 2048
    x = torch.rand((side, side), device=device).to(precision)
    return 2 * side**3 / statistics.median(seconds_of(lambda: x @ x, device))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shapes", nargs="+", default=["70000x784", "982490x50", "1000000x128"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    fastest = rate(device, tiled.default_precision(device))
    print(f"{device}, products at {fastest / 1e12:.2f} TFLOP/s")
    for shape in arguments.shapes:
        n, d = map(int, shape.split("x"))
        generator = torch.Generator(device=device).manual_seed(0)
        # Of rank ten: distances of independent columns are all alike.
        X = torch.randn((n, 10), generator=generator, device=device) @ torch.randn(
            (10, d), generator=generator, device=device
        ) + 0.1 * torch.randn((n, d), generator=generator, device=device)
        case = f"knn {n:,} x {d}, k {K}, exact"
        engine = tiled.tiled_knn(X, K).engine
        found = seconds_of(lambda X=X: tiled.tiled_knn(X, K), device, arguments.repeats)
        median, floor = statistics.median(found), 2.0 * n * n * d / fastest
        print(f"{case:<38}{median:9.3f} s, floor {floor:.3f} s, {median / floor:.1f}x  {engine}")
        keep(arguments.json, case=case, ms=[1e3 * s for s in found], floor_ms=1e3 * floor)


if __name__ == "__main__":
    main()
