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


def line_of(figures):
    """A figure's line in the table: median and floor of timed cases, or the values of a run."""
    if "ms" in figures:
        median = statistics.median(figures["ms"])
        return f"{figures['case']:<52}{median:11.4f} ms{median / figures['floor_ms']:8.1f} x floor"
    values = (f"{key} {value:.4g}" for key, value in figures.items() if key != "case")
    return f"{figures['case']:<52}  {', '.join(values)}"


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
    out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(found["environment"]["gpu"], "| torch", found["environment"]["torch"])
    for figures in found["figures"]:
        print(line_of(figures))
    broken = [s for s in found["stages"] if s["status"] != "0"]
    print("failed:", ", ".join(f"{s['name']} ({s['status']})" for s in broken) or "nothing")


if __name__ == "__main__":
    main()
