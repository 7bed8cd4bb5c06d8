"""What a fit of UMAP keeps, under umap-learn's names where others read it."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastparadime.estimators._constructor import UmapParameters
from fastparadime.estimators._fit import Embedding, FittedGraph
from fastparadime.estimators._parameters import Settings
from fastparadime.estimators._transform import FittedRows
from fastparadime.types import Array
from fastparadime.utils.convert import is_sparse

_SMALL_DATA = 4096  # points below which umap.plot makes a table of all distances


class FittedUmap(UmapParameters):
    """The parameters of UMAP with the graph, rows and positions of a fit."""

    def _of_rows(self, method: str) -> FittedRows:
        check_is_fitted(self, "graph_")
        if self._rows is None:
            raise ValueError(f"{method} is not available for combined fits: they have no rows")
        return self._rows

    def _keep_graph(self, fitted: FittedGraph, settings: Settings) -> None:
        """Keeps the graph, and under umap-learn's names what others read."""
        import scipy.sparse

        for name in ("embedding_", "embedding_list_", "rad_orig_", "rad_emb_"):  # of a fit before
            self.__dict__.pop(name, None)
        indptr, _, tails, weights = (part.numpy() for part in fitted.edges)
        n = len(indptr) - 1
        self.graph_ = scipy.sparse.csr_matrix((weights, tails, indptr), shape=(n, n))
        self.seed_ = settings.seed
        self._settings = settings
        self._rows: FittedRows | None = None
        self._a, self._b = settings.a, settings.b
        self._small_data = n < _SMALL_DATA
        self._n_neighbors = fitted.n_neighbors
        self._disconnection_distance = settings.disconnection_distance
        self._initial_alpha = settings.learning_rate
        own = np.arange(n, dtype=np.int32)[:, None]
        indices, distances = (part.numpy() for part in fitted.nearest)
        self._knn_indices = np.concatenate([own, indices], axis=1)
        self._knn_dists = np.pad(distances, ((0, 0), (1, 0)))
        self.engine_, self.recall_estimate_ = fitted.nearest.engine, fitted.nearest.recall_estimate
        self._rhos, self._sigmas = fitted.rho.numpy(), fitted.sigma.numpy()
        self._n_features_out = n if settings.graph_alone else settings.n_components

    def _keep_rows(self, rows: FittedRows, *, supervised: bool) -> None:
        self._rows, self._supervised = rows, supervised
        self._sparse_data = is_sparse(rows.rows)
        self._metric_kwds = dict(self.metric_kwds or {})

    def _keep_positions(self, found: Embedding, inverse: Array | None, dtype: Any) -> None:
        places = slice(None) if inverse is None else inverse
        self.embedding_ = found.final[places].astype(dtype, copy=False)
        if found.kept is not None:
            self.embedding_list_ = [kept[places].astype(dtype, copy=False) for kept in found.kept]
        if found.radii is not None:
            radii = (part[places].astype(np.float32) for part in found.radii)
            self.rad_orig_, self.rad_emb_ = radii

    @property
    def _raw_data(self) -> Any:
        """The rows of the fit, which umap.plot reads."""
        assert self._rows is not None
        return self._rows.data

    @property
    def _knn_search_index(self) -> FittedRows | None:
        """Has `query`, which umap.plot calls."""
        return self._rows
