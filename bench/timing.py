"""Timing of operations over sizes, each beside the floor that the machine sets.

The floor of an operation is the fewest bytes it must move over the measured copy bandwidth, or its
multiply-adds over the measured rate of a matrix product, whichever takes longer.
"""

from __future__ import annotations

import argparse
import functools
import json
import pathlib
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

import fastparadime


@dataclass(frozen=True)
class Case:
    """One call to time: the fewest bytes it moves and floating-point operations it needs."""

    label: str
    call: Callable[[], object]
    bytes_moved: float
    operations: float = 0.0
    precision: torch.dtype = torch.float32  # of the products


def seconds_of(call: Callable[[], object], device: torch.device, repeats: int = 7) -> list[float]:
    """Seconds of each repeat after a warm-up; device work is timed with events."""
    call()
    found = []
    for _ in range(repeats):
        if device.type == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            call()
            end.record()
            end.synchronize()
            found.append(start.elapsed_time(end) / 1e3)
        else:
            clock = time.perf_counter()
            call()
            found.append(time.perf_counter() - clock)
    return found


@functools.cache
def copy_bandwidth(device: torch.device) -> float:
    """Bytes read plus written in a second by a copy of 512 MB."""
    source = torch.rand(2**27, device=device)
    target = torch.empty_like(source)
    seconds = statistics.median(seconds_of(lambda: target.copy_(source), device))
    return 2 * source.numel() * 4 / seconds


@functools.cache
def product_rate(device: torch.device, precision: torch.dtype) -> float:
    """Floating-point operations in a second of a 3000 x 3000 matrix product."""
    x = torch.rand(3000, 3000, device=device).to(precision)
    return 2 * 3000**3 / statistics.median(seconds_of(lambda: x @ x, device))


def floor_of(case: Case, device: torch.device) -> float:
    """Seconds below which the case cannot go on this machine."""
    moving = case.bytes_moved / copy_bandwidth(device)
    if not case.operations:
        return moving
    return max(moving, case.operations / product_rate(device, case.precision))


def main(make_case: Callable[[int, torch.device], Case], sizes: tuple[int, ...]) -> None:
    """Times a case of each size and prints a table.

    `--sizes` and `--device` choose others, `--json` appends the figures to a file.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=lambda text: int(float(text)), nargs="+", default=sizes)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    print(f"fastparadime {fastparadime.__version__}, {device}, {torch.get_num_threads()} threads")
    print(f"{'case':<44}{'median ms':>12}{'min':>10}{'max':>10}{'floor':>10}{'x floor':>9}")
    for size in arguments.sizes:
        case = make_case(size, device)
        found = [1e3 * s for s in seconds_of(case.call, device)]
        floor = 1e3 * floor_of(case, device)
        median = statistics.median(found)
        figures = f"{median:12.3f}{min(found):10.3f}{max(found):10.3f}{floor:10.3f}"
        print(f"{case.label:<44}{figures}{median / floor:9.1f}")
        keep(arguments.json, case=case.label, device=str(device), ms=found, floor_ms=floor)


def keep(path: pathlib.Path | None, **figures: object) -> None:
    """Appends figures to a file of JSON lines, if there is one."""
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(figures) + "\n")


def knn_graph(n: int, k: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices and sorted distances shaped like a kNN graph: neighbours near in index, some far."""
    generator = torch.Generator(device=device).manual_seed(0)
    options = {"generator": generator, "device": device}
    near = torch.randint(1, 4 * k, (n, k), **options).cumsum(dim=1) - 2 * k * k
    own = torch.arange(n, device=device)[:, None]
    indices = ((own + near) % n).to(torch.int32)
    distances = (torch.rand((n, k), **options) + 0.5).sort(dim=1).values
    return indices, distances
