"""ParametricTSNE of 5,000 MNIST images beside paraDime's, end to end and by stage.

    python bench/run.py tsne --mnist mnist.npz [--peer /path/to/python paradime] [--runs 3]

Perplexity 100, 40 epochs, else the defaults. Every run is a fresh process; a peer runs in turn with
fastparadime, so that both see the same machine.
"""

import argparse
import importlib
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import time

from bench_end_to_end import load_images

OPTIONS = {"perplexity": 100, "epochs": 40}


def child(module, path):
    routines = importlib.import_module(f"{module}.routines")
    images = load_images(path)
    clock = time.perf_counter()
    routine = routines.ParametricTSNE(**OPTIONS, in_dim=images.shape[1])
    if hasattr(routine, "register_dataset"):  # paraDime 0.3's name
        routine.register_dataset(images)
    else:
        routine.add_data({"main": images})
    routine.compute_global_relations()
    relations = time.perf_counter() - clock
    routine.train()
    routine.apply(images)
    total = time.perf_counter() - clock
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    final = routine.training_phases[-1].loss.history[-1]
    print(json.dumps({"relations s": relations, "training s": total - relations,
                      "all but import and load s": total, "peak MB": peak,
                      "final loss": final}))  # fmt: skip


def measure(python, module, path):
    command = [python, __file__, "--child", "--module", module, "--mnist", str(path)]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return json.loads(printed.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mnist", type=pathlib.Path, required=True)
    parser.add_argument("--peer", nargs=2, metavar=("PYTHON", "MODULE"))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--module", default="fastparadime")
    parser.add_argument("--child", action="store_true")
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.module, arguments.mnist)
        return
    contestants = [(sys.executable, arguments.module)]
    if arguments.peer:
        contestants.append(tuple(arguments.peer))
    found = {module: [] for _, module in contestants}
    for _ in range(arguments.runs):
        for python, module in contestants:
            found[module].append(measure(python, module, arguments.mnist))
    for module, runs in found.items():
        print(f"\n{module}, median (min to max) of {len(runs)} fresh processes")
        for name in runs[0]:
            values = [run[name] for run in runs]
            spread = f"({min(values):.3f} to {max(values):.3f})"
            print(f"  {name:<28}{statistics.median(values):10.3f} {spread}")


if __name__ == "__main__":
    main()
