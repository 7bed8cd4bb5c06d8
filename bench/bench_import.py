"""Seconds that `import fastparadime` and its routines add to `import torch`, in fresh processes."""

import statistics
import subprocess
import sys

_PROGRAM = """
import time
import torch
start = time.perf_counter()
import fastparadime
from fastparadime import dr, loss, relations, routines, transforms
print(time.perf_counter() - start)
"""


def main(runs=5):
    command = [sys.executable, "-c", _PROGRAM]
    found = [
        float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
        for _ in range(runs)
    ]
    print(f"import beside torch: {statistics.median(found):.3f} s (median of {runs})")


if __name__ == "__main__":
    main()
