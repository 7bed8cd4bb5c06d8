"""What neighbours in common are worth to a map: `UMAP(min_shared_neighbors=...)`, umap-learn beside.

    python bench/ablate_shared.py --mnist mnist.npz --words words.npz --sentences sentences.npz

Each seed draws rows of its own. trust15, preserve15 and acc5 as `bench_fidelity.py` has them, and
their differences from the map without a least number, with standard errors, paired by seeds.
"""

import argparse
import warnings

import numpy as np
from bench_fidelity import Judge, load

from fastparadime import UMAP

LEAST = (0, 1, 2, 3)
MEASURES = ("trust15", "preserve15", "acc5")


def umap_learn(X, metric, seed):
    import umap

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "n_jobs value", UserWarning)
        return umap.UMAP(metric=metric, random_state=seed).fit_transform(X)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for kind in ("mnist", "words", "sentences"):
        parser.add_argument(f"--{kind}")
    parser.add_argument("--rows", type=int, default=12_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--no-peer", action="store_true")
    arguments = parser.parse_args()
    files = {kind: getattr(arguments, kind) for kind in ("mnist", "words", "sentences")}
    for name in [f"{kind}{arguments.rows}" for kind, path in files.items() if path]:
        found = {}
        for seed in range(arguments.seeds):
            X, labels, metric = load(name, files, seed)
            judge = Judge(X, labels, None, None)
            for least in LEAST:
                options = {"metric": metric, "min_shared_neighbors": least, "random_state": seed}
                measured = judge(UMAP(**options).fit_transform(X))
                found.setdefault(f"{least}", []).append(measured)
            if not arguments.no_peer:
                found.setdefault("umap-learn", []).append(judge(umap_learn(X, metric, seed)))
        for label, runs in found.items():
            shown = []
            for measure in [m for m in MEASURES if m in runs[0]]:
                values = np.array([run[measure] for run in runs])
                change = values - np.array([run[measure] for run in found["0"]])
                error = change.std(ddof=1) / len(change) ** 0.5 if len(change) > 1 else 0.0
                shown.append(f"{measure} {values.mean():.4f} ({change.mean():+.4f} +- {error:.4f})")
            print(f"{name}, {label:<10} {'; '.join(shown)}", flush=True)


if __name__ == "__main__":
    main()
