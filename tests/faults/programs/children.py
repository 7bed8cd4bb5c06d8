"""A program: fits here, then does each task again in a child, and prints its name if it is equal.

``python children.py fork|spawn|loky FOLDER``; the children have three minutes.
"""

from __future__ import annotations

import multiprocessing
import pickle
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np

import fastparadime
from fastparadime import dr, neighbors, routines

LIMIT = 180  # seconds


def rows() -> Any:
    return np.random.default_rng(0).normal(size=(800, 20)).astype(np.float32)


def trained(seed: int) -> routines.ParametricUMAP:
    routine = routines.ParametricUMAP(epochs=1, init_epochs=1, batch_size=50, seed=seed)
    routine.train(rows())
    return routine


def fit(_: Path) -> Any:
    return fastparadime.UMAP(random_state=0, n_epochs=10).fit_transform(rows())


def transform(folder: Path) -> Any:
    umap = pickle.loads((folder / "umap.pickle").read_bytes())
    return umap.transform(rows()[:100] + 0.1)


def train(_: Path) -> Any:
    weights = trained(1).model.state_dict().values()
    return np.concatenate([value.flatten().numpy() for value in weights])


def train_by_torch(_: Path) -> Any:
    """Its bits depend on the number of threads, so only what they are like is told."""
    routine = routines.ParametricTSNE(epochs=1, init_epochs=1, seed=0)
    routine.train(rows())
    return np.isfinite(routine.apply(rows()).numpy())


def apply(folder: Path) -> Any:
    """As above, but for the last digits."""
    return dr.ParametricDR.load(folder / "model.safetensors").apply(rows()).numpy()


def knn(_: Path) -> Any:
    metrics = ("euclidean", "cosine", "manhattan", "inner_product", "canberra")
    return np.stack([neighbors.knn(rows(), 5, metric=name).indices for name in metrics])


TASKS = (fit, transform, train, train_by_torch, apply, knn)


def do(task: Callable[[Path], Any], folder: Path) -> Any:
    return task(folder)


def results(method: str, folder: Path) -> list[Any]:
    """What the tasks give in a child."""
    if method == "loky":
        jobs = [joblib.delayed(do)(task, folder) for task in TASKS]
        return joblib.Parallel(2, backend="loky", timeout=LIMIT)(jobs)
    with multiprocessing.get_context(method).Pool(1) as pool:
        return pool.starmap_async(do, [(task, folder) for task in TASKS]).get(LIMIT)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    method, place = sys.argv[1], Path(sys.argv[2])
    fitted = fastparadime.UMAP(random_state=0, n_epochs=10).fit(rows())
    (place / "umap.pickle").write_bytes(pickle.dumps(fitted))
    trained(0).save(place / "model.safetensors")
    here = [task(place) for task in TASKS]
    for task, found, expected in zip(TASKS, results(method, place), here, strict=True):
        equal = np.allclose if task is apply else np.array_equal
        if equal(found, expected):
            sys.stdout.write(f"{task.__name__}\n")
