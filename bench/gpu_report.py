"""The last word of bench/gpu.sh: all figures in one JSON file, a short table on the screen.

python bench/gpu_report.py OUT

OUT is the folder of a run, whether it came to its end or not.
"""

import json
import pathlib
import statistics
import sys


def environment():
    import torch

    import fastparadime
    from fastparadime import ops

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device"
    return {
        "gpu": gpu,
        "torch": torch.__version__,
        "fastparadime": fastparadime.__version__,
        "build": ops.build_info(),
    }


def lines_of(path):
    """The objects of a file of JSON lines, the last of which may have been cut off."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            print(f"a line of {path.name} was cut off: {line[:60]}")
    return found


# Milliseconds wanted on an H200, by the start of a case.
TARGETS = {
    "smooth_knn + symmetrize 1,000,000 x 15": 2,
    "knn 70,000 x 784, k 15, exact": 15,
    "knn 982,490 x 50, k 15, exact": 250,
    "knn 1,000,000 x 128, k 15, exact": 450,
    "layout 1,000,000 x 200 epochs": 90,
    "train 1,000,000 x 128, 10,000 steps": 3000,
    "MNIST: main phase": 20,
    "mixture: main phase": 20,
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
    out = pathlib.Path(sys.argv[1])
    found = {
        "stages": lines_of(out / "stages.jsonl"),
        "figures": lines_of(out / "figures.jsonl"),
    }
    try:
        found["environment"] = environment()
    except ImportError as error:  # a run that was killed took what was installed with it
        found["environment"] = {"error": str(error)}
    for figures in found["figures"]:
        if "ms" in figures and (target := wanted_ms(figures)) is not None:
            figures["target_ms"] = target
    (out / "report.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(found["environment"])
    for figures in found["figures"]:
        print(line_of(figures))
    print("\nTargets, of an H200:")
    for figures in found["figures"]:
        if "ms" in figures and wanted_ms(figures) is not None:
            print(line_of(figures))
    broken = [stage for stage in found["stages"] if stage["status"] != 0]
    print("failed:", ", ".join(f"{s['name']} ({s['status']})" for s in broken) or "nothing")


if __name__ == "__main__":
    main()
