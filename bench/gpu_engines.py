"""Whether each engine of products gives the lists of the CPU, before all else is run by the fastest.

python bench/gpu_engines.py [--device cuda]

A kernel whose barriers were wrong would wait without end: bench/gpu_stages.py ends this program then,
and runs what follows by a warp's instructions.
"""

import argparse
import time

import torch

from fastparadime import ops

SHAPES = ((300, 500, 40), (1000, 5000, 64), (256, 3000, 128), (700, 2000, 264), (600, 1500, 784))


def units(rows, columns, seed):
    """Rows whose products are exact in float32, so that lists are equal in all bits, and norms."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(-8, 9, (rows, columns), generator=generator) / 8
    return values.half(), torch.randint(1, 4, (rows,), generator=generator).float()


def lists_on(device, rows, columns, engine):
    lists = ops.Candidates(rows[1].to(device), 28)
    parts = (part.to(device) for part in (rows[0], *columns))
    lists.update_from_units(*parts, 0, slack=0.25, engine=engine)
    return lists.bounds.cpu(), lists.indices.cpu()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    device = ops.resolve_device(parser.parse_args().device)
    engines = ("mma", "wgmma") if device.type == "cuda" else (None,)
    differing = []
    for n, m, d in SHAPES:
        rows, columns = units(n, d, 0), units(m, d, 1)
        wanted = lists_on("cpu", rows, columns, None)
        for engine in engines:
            if d > ops.most_unit_columns(device, engine):
                continue
            begin = time.perf_counter()
            found = lists_on(device, rows, columns, engine)
            same = all(map(torch.equal, found, wanted))
            seconds = time.perf_counter() - begin
            print(
                f"{n} x {m} x {d} by {engine}: {'equal' if same else 'DIFFERENT'}, {seconds:.3f} s"
            )
            differing += [] if same else [engine]
    if differing:
        raise SystemExit(f"lists differ by {', '.join(map(str, differing))}")


if __name__ == "__main__":
    main()
