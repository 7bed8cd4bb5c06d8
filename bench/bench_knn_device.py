"""Exact search by products on a device, beside its floor: 2 n^2 d operations at the rate of half-precision products.

Where a GPU has the products of warpgroups, those of warps follow, which take tiles for more columns.
Where products and candidates come from one operation, tiles of products follow where there are few rows, as rows of more columns go.
Where the installed faiss has indexes for GPUs, they follow: `knn_gpu`, and what `knn(index=)` makes of others, their building included.
"""

import argparse
import importlib
import pathlib
import statistics
import unittest.mock

import torch
from timing import keep, seconds_of

from fastparadime import neighbors, ops
from fastparadime.neighbors import tiled

K = 15
MOST_BY_TILES = 100_000  # rows


def rate(device, precision):
    """Operations in a second of a product of 8192 x 8192 (2048 on the CPU)."""
    side = 8192 if device.type == "cuda" else 2048
    x = torch.rand((side, side), device=device).to(precision)
    return 2 * side**3 / statistics.median(seconds_of(lambda: x @ x, device))


def rows_of_rank_ten(n, d, device):
    """Distances of independent columns would all be alike."""
    generator = torch.Generator(device=device).manual_seed(0)
    options = {"generator": generator, "device": device}
    X = torch.randn((n, 10), **options) @ torch.randn((10, d), **options)
    return X + 0.1 * torch.randn((n, d), **options)


def by_tiles(X):
    with unittest.mock.patch.object(tiled, "_in_one_pass", return_value=False):
        return tiled.tiled_knn(X, K).engine


def faiss_calls(X):
    """Searches of the installed faiss on the device of `X`, by name; none where it has none."""
    faiss = neighbors.find_faiss()
    if not X.is_cuda or not hasattr(faiss, "StandardGpuResources"):
        return {}
    importlib.import_module("faiss.contrib.torch_utils")  # faiss takes tensors in this process

    resources, (n, d) = faiss.StandardGpuResources(), X.shape
    cells = int(4 * n**0.5)

    def through(make):
        def call():
            index = make()
            index.train(X)
            index.add(X)
            return neighbors.knn(X, K, index=index, recall=0.5).engine

        return call

    def inverted_lists(kind, *options):
        def make():
            index = kind(resources, d, cells, *options, faiss.METRIC_L2)
            index.nprobe = 32
            return index

        return through(make)

    calls = {
        "faiss knn_gpu": lambda: faiss.knn_gpu(resources, X, X, K + 1) and "exact",
        "faiss GpuIndexFlatL2": through(lambda: faiss.GpuIndexFlatL2(resources, d)),
        "faiss GpuIndexIVFFlat": inverted_lists(faiss.GpuIndexIVFFlat),
    }
    if d % 16 == 0:
        calls["faiss GpuIndexIVFPQ"] = inverted_lists(faiss.GpuIndexIVFPQ, 16, 8)
    if hasattr(faiss, "GpuIndexCagra"):
        calls["faiss GpuIndexCagra"] = through(lambda: faiss.GpuIndexCagra(resources, d))
    return calls


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
        X = rows_of_rank_ten(n, d, device)
        calls = {"exact": lambda X=X: tiled.tiled_knn(X, K).engine}
        if device.type == "cuda" and ops.most_unit_columns(device, "wgmma"):
            calls["by mma"] = lambda X=X: tiled.tiled_knn(X, K, engine="mma").engine
        if d <= ops.MOST_UNIT_COLUMNS and n <= MOST_BY_TILES:
            calls["exact, by tiles"] = lambda X=X: by_tiles(X)
        calls |= faiss_calls(X)
        floor = 2.0 * n * n * d / fastest
        print(f"{n:,} x {d}, floor {floor:.3f} s")
        for name, call in calls.items():
            try:
                engine = call()
                found = seconds_of(call, device, arguments.repeats)
            except RuntimeError as error:  # faiss's, of a shape that an index does not take
                print(f"  {name:<24}{str(error).strip().splitlines()[-1]}")
                continue
            median = statistics.median(found)
            print(f"  {name:<24}{median:9.3f} s, {median / floor:5.1f}x  {engine}")
            case = f"knn {n:,} x {d}, k {K}, {name}"
            keep(arguments.json, case=case, ms=[1e3 * s for s in found], floor_ms=1e3 * floor)


if __name__ == "__main__":
    main()
