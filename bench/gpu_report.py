"""The last word of bench/gpu.sh: all figures in one JSON file, a short table on the screen.

python bench/gpu_report.py STAGES.tsv FIGURES.jsonl OUT.json
"""

import json
import pathlib
import statistics
import subprocess
import sys


def output_of(*command):
    """What a program prints, or why it did not run."""
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        return str(error)


def environment():
    import torch

    import fastparadime
    from fastparadime import ops

    query = "--query-gpu=name,driver_version,memory.total,clocks.sm,clocks.mem"
    return {
        "gpu": output_of("nvidia-smi", query, "--format=csv,noheader"),
        "nvcc": output_of("nvcc", "--version").splitlines()[-1],
        "torch": torch.__version__,
        "fastparadime": fastparadime.__version__,
        "build": ops.build_info(),
    }


# Milliseconds wanted on an H200, by the start of a case.
TARGETS = {
    "smooth_knn + symmetrize 1,000,000 x 15": 5,
    "knn 70,000 x 784, k 15, exact": 40,
    "knn 982,490 x 50, k 15, exact": 800,
    "knn 1,000,000 x 128, k 15, exact": 1200,
    "layout 1,000,000 x 200 epochs": 300,
    "train 1,000,000 x 128, 10,000 steps": 3000,
    "MNIST: main phase": 60,
    "mixture: main phase": 60,
    "MNIST 5,000: all stages": 400,
    "mixture 5,000: all stages": 400,
}
# The share of the floor's speed that is wanted instead.
SHARES = {"apply 10,000,000 x 128": 0.7}


def wanted_ms(figures):
    """The target of a timed case, or None."""
    case = figures["case"]
    for start, target in TARGETS.items():
        if case.startswith(start):
            return target
    share = next((share for start, share in SHARES.items() if case.startswith(start)), None)
    return None if share is None else figures["floor_ms"] / share


def line_of(figures):
    """A figure's line: median, floor and target of timed cases, or the values of a run."""
    if "ms" not in figures:
        values = (f"{key} {value:.4g}" for key, value in figures.items() if key != "case")
        return f"{figures['case']:<52}  {', '.join(values)}"
    median, target = statistics.median(figures["ms"]), wanted_ms(figures)
    floor = f"{median / figures['floor_ms']:8.1f} x floor" if "floor_ms" in figures else " " * 16
    wanted = "" if target is None else f"  target {target:9.2f} ms {_judged(median, target)}"
    return f"{figures['case']:<52}{median:11.4f} ms{floor}{wanted}"


def _judged(median, target):
    return "met" if median <= target else f"missed, {median / target:.2f} x"


def main():
    stages, lines, out = map(pathlib.Path, sys.argv[1:])
    found = {
        "environment": environment(),
        "stages": [
            dict(zip(("name", "status", "seconds"), row.split("\t"), strict=True))
            for row in stages.read_text(encoding="utf-8").splitlines()
        ],
        "figures": [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()],
    }
    for figures in found["figures"]:
        if "ms" in figures and (target := wanted_ms(figures)) is not None:
            figures["target_ms"] = target
    out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(found["environment"]["gpu"], "| torch", found["environment"]["torch"])
    for figures in found["figures"]:
        print(line_of(figures))
    print("\nTargets, of an H200:")
    for figures in found["figures"]:
        if "ms" in figures and wanted_ms(figures) is not None:
            print(line_of(figures))
    broken = [s for s in found["stages"] if s["status"] != "0"]
    print("failed:", ", ".join(f"{s['name']} ({s['status']})" for s in broken) or "nothing")


if __name__ == "__main__":
    main()
