"""What a fit of UMAP keeps, under umap-learn's names where others read it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastparadime.estimators import _saving
from fastparadime.estimators._constructor import UmapParameters
from fastparadime.estimators._fit import Embedding, FittedGraph
from fastparadime.estimators._kinds import Results
from fastparadime.estimators._parameters import Settings
from fastparadime.estimators._transform import FittedRows
from fastparadime.layout import Drift
from fastparadime.types import Array, Device
from fastparadime.utils.convert import is_sparse, to_numpy
from fastparadime.utils.lazy import lazy_property

if TYPE_CHECKING:
    from typing_extensions import Self

_SMALL_DATA = 4096  # points below which umap.plot makes a table of all distances

_MADE_WHEN_ASKED = ("graph_", "_knn_indices", "_knn_dists", "_rhos", "_sigmas")
_OF_POSITIONS = ("embedding_", "embedding_list_", "rad_orig_", "rad_emb_", "drift_")
# What a fit leaves that the next one does not always make.
OF_A_FIT_BEFORE = (*_MADE_WHEN_ASKED, *_OF_POSITIONS, "sample_indices_")


class FittedUmap(UmapParameters):
    """The parameters of UMAP with the graph, rows and positions of a fit."""

    drift_: Drift

    def _kept_rows(self, method: str) -> FittedRows:
        """The rows of the fit, narrow ones too, which place no others."""
        check_is_fitted(self, "seed_")  # `graph_` would be made
        if self._rows is None:
            if self._fitted_graph.points is not None:
                raise ValueError(
                    f"{method} is not available after a fit with process_group: no process has all "
                    "rows. ParametricUMAP's transform and save need none"
                )
            raise ValueError(f"{method} is not available for combined fits: they have no rows")
        return self._rows

    def _of_rows(self, method: str) -> FittedRows:
        rows = self._kept_rows(method)
        if rows.row_format.narrow:
            advice = ", or use ParametricUMAP, whose network places new rows"
            raise ValueError(
                f"{method} is not available for a fit whose rows stayed as they are, since "
                f"max_memory={self._settings.max_memory:.4g} bytes is less than a table of them in "
                f"float32: give more{advice if method == 'transform' else ''}"
            )
        return rows

    def _keep_graph(self, fitted: FittedGraph, settings: Settings) -> None:
        """Keeps the graph, and under umap-learn's names what others read."""
        for name in OF_A_FIT_BEFORE:
            self.__dict__.pop(name, None)
        self._fitted_graph = fitted
        self.seed_ = settings.seed
        self._settings = settings
        self._rows: FittedRows | None = None
        self._supervised = self._weighted = False
        self._a, self._b = settings.a, settings.b
        n = len(fitted.rho)
        self._small_data = n < _SMALL_DATA
        self._n_neighbors = fitted.n_neighbors
        self._disconnection_distance = settings.disconnection_distance
        self._initial_alpha = settings.learning_rate
        self.engine_, self.recall_estimate_ = fitted.nearest.engine, fitted.nearest.recall_estimate
        self._n_features_out = n if settings.graph_alone else settings.n_components

    @lazy_property
    def graph_(self) -> Any:
        """The fuzzy simplicial set as SciPy's CSR matrix, on the host."""
        import scipy.sparse

        indptr, _, tails, weights = (to_numpy(part) for part in self._fitted_graph.edges)
        n = len(indptr) - 1
        return scipy.sparse.csr_matrix(
            (weights, tails, indptr), shape=(n, self._fitted_graph.points or n)
        )

    @lazy_property
    def _knn_indices(self) -> Array:
        indices = to_numpy(self._fitted_graph.nearest.indices)
        own = np.arange(len(indices), dtype=np.int32)[:, None] + self._fitted_graph.first_row
        return np.concatenate([own, indices], axis=1)

    @lazy_property
    def _knn_dists(self) -> Array:
        return np.pad(to_numpy(self._fitted_graph.nearest.distances), ((0, 0), (1, 0)))

    @lazy_property
    def _rhos(self) -> Array:
        return to_numpy(self._fitted_graph.rho)

    @lazy_property
    def _sigmas(self) -> Array:
        return to_numpy(self._fitted_graph.sigma)

    def _keep_rows(
        self, rows: FittedRows, *, supervised: bool = False, weighted: bool = False
    ) -> None:
        self._rows, self._supervised, self._weighted = rows, supervised, weighted
        self._sparse_data = is_sparse(rows.rows)
        self._metric_kwds = dict(self.metric_kwds or {})

    def _keep_positions(self, found: Embedding, results: Results) -> None:
        self.embedding_ = results.positions(found.final)
        if found.kept is not None:
            self.embedding_list_ = [results.positions(positions) for positions in found.kept]
        if found.radii is not None:
            radii = (results.values(part, np.float32) for part in found.radii)
            self.rad_orig_, self.rad_emb_ = radii

    def save(self, path: str | Path) -> None:
        """Writes the fit to a safetensors file that `load` reads: rows, positions, graph, parameters.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        ValueError
            For fits that a file does not hold: of unique rows, with `output_dens`, of the graph
            alone, with a list of epochs, combined ones, and with functions as parameters.
        """
        self._write(path)

    def _write(self, path: str | Path, beside: Mapping[str, Any] | None = None) -> None:
        """`save`, with what others keep beside the description."""
        _saving.write(path, self, beside)

    @classmethod
    def load(cls, path: str | Path, *, device: Device | None = None) -> Self:
        """The fit of a file that `save` wrote; nothing of the file is executed.

        Parameters
        ----------
        path : str or Path
        device : torch.device or str, optional
            Where new rows are embedded; the CPU if None.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        SpecificationError
            If it is none of a fitted UMAP, or damaged.
        """
        fitted: Self = _saving.read(path, cls, device)
        return fitted

    @property
    def _raw_data(self) -> Any:
        """The rows of the fit, which umap.plot reads."""
        return self._kept_rows("the table of rows").data

    @property
    def _knn_search_index(self) -> FittedRows | None:
        """Has `query`, which umap.plot calls."""
        return self._rows
