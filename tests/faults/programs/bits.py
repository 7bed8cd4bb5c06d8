"""A program: prints a digest of what each routine gives, so that processes can be compared.

``python bits.py THREADS exact|by_torch``: those whose bits are promised for any number of threads,
and those whose bits are promised for the same number.
"""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import numpy as np
import torch

import fastparadime
from fastparadime import routines


def tell(name: str, result: Any) -> None:
    digest = hashlib.sha256(np.ascontiguousarray(result).tobytes()).hexdigest()
    sys.stdout.write(f"{name} {digest}\n")


def tell_umap(name: str, X: Any, y: Any = None, **options: Any) -> None:
    umap = fastparadime.UMAP(random_state=0, n_epochs=10, **options)
    tell(name, umap.fit_transform(X, y))
    tell(f"{name}, new rows", umap.transform(X[:300] + 0.1))


def tell_routine(name: str, routine: Any, X: Any) -> None:
    routine.train(X)
    weights = [value.flatten().numpy() for value in routine.model.state_dict().values()]
    tell(name, np.concatenate(weights))


def exact(X: Any) -> None:
    tell_umap("UMAP", X)
    tell_umap("densMAP", X, densmap=True)
    tell_umap("UMAP of labels", X, np.arange(len(X)) % 5)
    tell_umap("UMAP by manhattan", X, metric="manhattan", init="random")
    graph = fastparadime.KNNTransformer(n_neighbors=5).fit_transform(X)
    tell("KNNTransformer", graph.data)
    short = {"epochs": 1, "init_epochs": 1, "batch_size": 50, "seed": 0}
    tell_routine("ParametricUMAP", routines.ParametricUMAP(**short), X[:800])
    tell_routine("ParametricUMAP, fast", routines.ParametricUMAP(quality="fast", seed=0), X[:500])


def by_torch(X: Any) -> None:
    tell_umap("UMAP from PCA", X, init="pca")
    tell_routine("ParametricTSNE", routines.ParametricTSNE(epochs=1, init_epochs=1, seed=0), X)


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    rows = np.random.default_rng(0).normal(size=(1500, 30)).astype(np.float32)
    {"exact": exact, "by_torch": by_torch}[sys.argv[2]](rows)
