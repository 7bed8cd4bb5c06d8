"""paraDime's example, a parametric UMAP of 5,000 MNIST images from its parts, on each module.

    python bench/bench_end_to_end.py --mnist mnist.npz [--peer /path/to/python paradime] [--runs 3]

Every run is a fresh process; a peer runs in turn with fastparadime, so that both see the same
machine. The example is that of paraDime 0.3, whose API both modules have. `--routine` times
fastparadime's own ParametricUMAP with native spectral positions on the same images instead.
"""

import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import time


def load_images(path):
    import numpy as np
    import torch

    with np.load(path) as archive:
        images = archive["images"][:5000].reshape(5000, -1)
    return torch.from_numpy(images.copy()) / 255.0


def run_example(module, path, lap):
    import importlib

    from sklearn import manifold

    names = ("dr", "relations", "transforms", "loss")
    dr, relations, transforms, loss = (importlib.import_module(f"{module}.{n}") for n in names)
    X = load_images(path)
    lap("import and load")
    routine = dr.ParametricDR(
        dataset=X,
        hidden_dims=[100, 100, 100],
        global_relations=relations.NeighborBasedPDist(
            transform=[
                transforms.ConnectivityBasedRescale(n_neighbors=30),
                transforms.Symmetrize(subtract_product=True),
            ]
        ),
        batch_relations=relations.DistsFromTo(
            transform=[transforms.ModifiedCauchyTransform(min_dist=0.1, spread=1)]
        ),
    )
    routine.compute_global_relations()
    lap("global relations")
    affinities = routine.global_relation_data["rel"].to_square_array().data
    positions = manifold.SpectralEmbedding(affinity="precomputed").fit_transform(affinities)
    routine.add_to_dataset({"spectral": (positions - positions.mean(0)) / positions.std(0)})
    lap("scikit-learn's spectral")
    phase = {"batch_size": 500, "learning_rate": 0.01}
    first = dr.TrainingPhase(epochs=10, loss=loss.PositionLoss(position_key="spectral"), **phase)
    main = dr.TrainingPhase(
        epochs=60,
        batches_per_epoch=10,
        sampling="negative_edge",
        neg_sampling_rate=3,
        loss=loss.RelationLoss(loss_function=loss.cross_entropy_loss),
        **phase,
    )
    for name, each in (("first phase", first), ("main phase", main)):
        routine.add_training_phase(each)
        routine.run_training_phase(each)
        lap(name)
    routine.apply(X)
    lap("apply")
    return main.loss.history[-1]


def run_routine(_module, path, lap):
    from fastparadime import routines

    X = load_images(path)
    lap("import and load")
    options = {"batches_per_epoch": 10, "init_batch_size": 500, "init_epochs": 10}
    routine = routines.ParametricUMAP(
        min_dist=0.1,
        hidden_dims=[100, 100, 100],
        epochs=60,
        batch_size=500,
        negative_sampling_rate=3,
        learning_rate=0.01,
        init_learning_rate=0.01,
        **options,
    )
    routine.train(X)
    lap("train")
    routine.apply(X)
    lap("apply")
    return routine.training_phases[1].loss.history[-1]


def child(kind, module, path):
    stages, clock = {}, time.perf_counter()

    def lap(name):
        nonlocal clock
        now = time.perf_counter()
        stages[name], clock = now - clock, now

    final = (run_routine if kind == "routine" else run_example)(module, path, lap)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"stages": stages, "peak MB": peak, "final loss": final}))


def measure(python, kind, module, path):
    command = [python, __file__, "--child", kind, "--module", module, "--mnist", str(path)]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return json.loads(printed.splitlines()[-1])


def report(name, runs):
    print(f"\n{name}, median of {len(runs)} fresh processes")
    total = [sum(s for n, s in run["stages"].items() if not n.startswith("import")) for run in runs]
    for stage in runs[0]["stages"]:
        print(f"  {stage:<26}{statistics.median(run['stages'][stage] for run in runs):9.3f} s")
    print(f"  {'all but import and load':<26}{statistics.median(total):9.3f} s")
    print(f"  {'peak memory':<26}{statistics.median(run['peak MB'] for run in runs):9.0f} MB")
    print(f"  {'final loss':<26}{statistics.median(run['final loss'] for run in runs):9.3f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mnist", type=pathlib.Path, required=True)
    parser.add_argument("--peer", nargs=2, metavar=("PYTHON", "MODULE"))
    parser.add_argument("--routine", action="store_true")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--module", default="fastparadime")
    parser.add_argument("--child")
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.module, arguments.mnist)
        return
    kind = "routine" if arguments.routine else "example"
    contestants = [(sys.executable, arguments.module)]
    if arguments.peer:
        contestants.append(tuple(arguments.peer))
    found = {module: [] for _, module in contestants}
    for _ in range(arguments.runs):
        for python, module in contestants:
            found[module].append(measure(python, kind, module, arguments.mnist))
    for module, runs in found.items():
        report(f"{module} ({kind})", runs)


if __name__ == "__main__":
    main()
