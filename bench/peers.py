"""Networks for new rows of other packages, as the ways of bench_new_rows.py take them.

Each is as its package has it by default, with its seed where it takes one. They know no cosine, or not in all of their
steps: rows are scaled to length 1 for it, among which Euclidean distances have the same order.
"""

import contextlib
import importlib.util
import os
from pathlib import Path

import numpy as np
import torch


def scaled(X, metric):
    return X / np.linalg.norm(X, axis=1, keepdims=True) if metric == "cosine" else X


class Peer:
    """A network that is fitted, and the map that it makes of the rows of the fit."""

    package = ""  # to install
    module = ""

    def __init__(self, metric, seed):
        self.metric, self.seed = metric, seed
        torch.manual_seed(seed)

    @classmethod
    def missing(cls):
        """What to do where the package is not there, or None."""
        if importlib.util.find_spec(cls.module) is None:
            return f"pip install {cls.package}, which is not there"
        return None

    def fit(self, X):
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            self.embedding_ = self.fitted(scaled(X, self.metric))
        return self

    def transform(self, X):
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            return self.placed(scaled(X, self.metric))


class ParametricUmap(Peer):
    """parametric-umap: edges of the graph, a network of three layers of 1,024."""

    package, module = "parametric-umap", "parametric_umap"

    def fitted(self, X):
        from parametric_umap import ParametricUMAP

        self.mapper = ParametricUMAP(device="cpu")
        self.mapper.fit(X, random_state=self.seed, verbose=False)
        return self.mapper.transform(X)

    def placed(self, X):
        return self.mapper.transform(X)


class ParamRepulsor(Peer):
    """ParamRepulsor (Huang et al. 2024, arXiv 2411.15894), of the package parampacmap."""

    package, module = "parampacmap", "parampacmap"

    def fitted(self, X):
        from parampacmap import ParamPaCMAP

        self.mapper = ParamPaCMAP(seed=self.seed)
        return self.mapper.fit_transform(X)

    def placed(self, X):
        return self.mapper.transform(X)


class Numap(Peer):
    """NUMAP: a network on spectral coordinates, which new rows get from their neighbours."""

    package, module = "numap", "numap"

    def fitted(self, X):
        from numap import NUMAP

        self.mapper = NUMAP()
        self.mapper.fit(torch.from_numpy(X))
        return self.mapper.transform(torch.from_numpy(X), is_train=True)

    def placed(self, X):
        return self.mapper.transform(torch.from_numpy(X))


class UmapLearn(Peer):
    """umap-learn's UMAP, compiled by numba as it is first called."""

    package, module = "umap-learn", "umap"

    def __init__(self, metric, seed):
        import umap

        self.mapper = umap.UMAP(metric=metric, random_state=seed, n_jobs=1)

    def fit(self, X):
        self.embedding_ = self.mapper.fit_transform(X)
        return self

    def transform(self, X):
        return self.mapper.transform(X)


PEERS = {
    "umap-learn": UmapLearn,
    "parametric-umap": ParametricUmap,
    "param-repulsor": ParamRepulsor,
    "numap": Numap,
}
