"""The nearest-neighbour graph as a step of scikit-learn's and scanpy's pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fastparadime import neighbors
from fastparadime.estimators import _rows
from fastparadime.estimators._kinds import as_known, place_of
from fastparadime.estimators._parameters import check_n_jobs, seed_of
from fastparadime.estimators._row_format import RowFormat
from fastparadime.estimators._tags import MetricTags
from fastparadime.neighbors import check_recall
from fastparadime.neighbors.metric_space import check_row_metric
from fastparadime.neighbors.query_index import QueryIndex
from fastparadime.types import Array, Device
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.validate import check_integer, check_option

if TYPE_CHECKING:
    import scipy.sparse


class KNNTransformer(
    MetricTags,
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """The graph of k nearest neighbours, in the form that others take as precomputed.

    It stands where scikit-learn's ``KNeighborsTransformer`` does, with `fastparadime.neighbors.knn`
    behind it: before estimators with ``metric="precomputed"``, and as ``transformer=`` of scanpy's
    ``pp.neighbors``.

    Parameters
    ----------
    mode : {"distance", "connectivity"}
        Whether entries are distances, or ones.
    n_neighbors : int
        Neighbours of a point. As in scikit-learn, the point itself is counted for
        ``"connectivity"`` and comes on top for ``"distance"``. scanpy counts it, and keeps the
        first `n_neighbors` entries of each row.
    metric : str or callable
        As of `fastparadime.neighbors.knn`, without ``"inner_product"``. ``"precomputed"`` takes
        distances between all points, infinite between those that are no neighbours, or a sparse
        matrix of those of neighbours; a row of fewer neighbours is shorter.
    metric_params : dict, optional
        ``p`` and ``w`` of ``"minkowski"``, ``V`` of ``"seuclidean"``, ``V`` or ``VI`` of
        ``"mahalanobis"`` (by default those of the fit), and what a function of two rows takes.
    n_jobs : int, optional
        Accepted and checked, without effect: the threads are torch's.
    recall : float
        In (0, 1]: the share of true neighbours that `fit_transform` promises for large data.
    random_state : int, RandomState, Generator or None
        Of an approximate search; None draws a seed, which `seed_` reports.
    device : torch.device or str, optional
        Where neighbours are searched, by default where the data is; on a GPU among dense rows by the
        metrics of ``neighbors.metric_space.DEVICE_METRICS``. Graphs are SciPy's, on the
        host.

    Attributes
    ----------
    n_samples_fit_ : int
    engine_ : str
        After `fit_transform` with other points than the point itself: what found them, as
        `fastparadime.neighbors.knn` names it.
    recall_estimate_ : float
        With it: the share of true neighbours found, 1 of an exact search.
    seed_ : int
    n_features_in_ : int
    feature_names_in_ : array of str
        Where the data has column names that are all strings.
    """

    def __init__(
        self,
        *,
        mode: str = "distance",
        n_neighbors: int = 5,
        metric: Any = "euclidean",
        metric_params: dict[str, Any] | None = None,
        n_jobs: int | None = None,
        recall: float = neighbors.DEFAULT_RECALL,
        random_state: Any = None,
        device: Device | None = None,
    ) -> None:
        self.mode = mode
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.metric_params = metric_params
        self.n_jobs = n_jobs
        self.recall = recall
        self.random_state = random_state
        self.device = device

    def fit(self, X: Any, y: Any = None) -> KNNTransformer:
        """Keeps the rows of `X`, among which neighbours are searched.

        Parameters
        ----------
        X : (n_samples, n_features) array of any library, tensor, sparse matrix or data frame
            Finite numbers, at least two rows. Sparse ones are taken by all metrics but
            ``"haversine"``, ``"nan_euclidean"``, ``"mahalanobis"`` and functions. NaN stands for a
            missing value with ``"nan_euclidean"``.
        y : ignored

        Raises
        ------
        CUDANotAvailableError
            For a device that is not there.
        NotImplementedError
            For metrics and their options that are not supported.
        TypeError, ValueError
            For data or parameters that are not as described, or that the device does not take.
        """
        self._fit(as_known(_rows.named(X, self.metric)))
        return self

    def fit_transform(self, X: Any, y: Any = None) -> scipy.sparse.csr_matrix:
        """The graph among the rows of `X`; see `fit`.

        Returns
        -------
        csr_matrix (n_samples, n_samples)
            As of `transform`. Each point comes first among its own neighbours, at distance 0.
            Exact or with the promised recall, as `fastparadime.neighbors.knn` says.
        """
        X = as_known(_rows.named(X, self.metric))
        table = self._fit(X)
        n, others = self.n_samples_fit_, self._width - 1
        indices = np.arange(n, dtype=np.int32)[:, None]
        distances = np.zeros((n, 1), np.float32)
        if others:
            space = self._index.space
            found = neighbors.knn(
                space.rows(self._index.rows), others, space.metric, p=space.p, recall=self.recall,
                seed=self.seed_,
            )  # fmt: skip
            self.engine_, self.recall_estimate_ = found.engine, found.recall_estimate
            self._row_format.warn_of_rounding(table, self._index.rows, found.indices)
            indices = np.hstack([indices, to_numpy(found.indices)])
            distances = np.hstack([distances, to_numpy(found.distances)])
        return self._graph(indices, distances, _rows.dtype_of_results(X))

    def transform(self, X: Any) -> scipy.sparse.csr_matrix:
        """The nearest rows of the fit to each row of `X`, exactly, whatever the number of rows.

        Parameters
        ----------
        X : (n_samples, n_features) array, sparse matrix or data frame

        Returns
        -------
        csr_matrix (n_samples, rows of the fit)
            Rows of one length where there are as many neighbours, nearest first: float32, or
            float64 for float64 data, computed in float32. Distances of 0 are stored.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        TypeError, ValueError
            For data that is not as described.
        """
        check_is_fitted(self, "n_samples_fit_")  # a fit that failed leaves n_features_in_
        X = as_known(_rows.named(X, self._row_format.metric))
        table = _rows.validated(self, X, self._row_format.metric, reset=False)
        queries = self._row_format.rows(table)
        # What a sparse matrix does not store is no distance.
        if not _rows.is_precomputed(self._row_format.metric):
            queries = _rows.like(queries, self._index.rows)
        found = self._index.nearest(queries, self._width)
        indices, distances = (to_numpy(part) for part in found)
        return self._graph(indices, distances, _rows.dtype_of_results(X))

    def _fit(self, X: Any) -> Any:
        """Keeps the rows; the checked table."""
        metric = check_row_metric(
            self.metric, self.metric_params, argument="metric_params", owner="KNNTransformer"
        )
        device = place_of(X, self.device)
        _rows.check_device(device, X, metric.name)
        table = _rows.validated(self, X, self.metric, ensure_min_samples=2)
        mode = check_option(self.mode, ("distance", "connectivity"), "mode")
        itself = int(mode == "distance")
        most = table.shape[0] - itself
        n_neighbors = check_integer(self.n_neighbors, "n_neighbors", minimum=1, maximum=most)
        _rows.check_sparse_metric(table, metric.name, "precomputed")
        _rows.check_not_negative(table, metric.name)
        check_recall(self.recall)
        check_n_jobs(self.n_jobs)
        seed = seed_of(self.random_state)
        row_format = RowFormat.of(table, metric.name, device)
        rows = row_format.rows(table)
        if _rows.may_share_memory(rows, table):
            # What the caller changes later must not change what was fitted.
            rows = rows.clone() if isinstance(rows, torch.Tensor) else rows.copy()
        self._index, self._row_format = QueryIndex(rows, metric.space(rows)), row_format
        self.seed_, self._mode, self._width = seed, mode, n_neighbors + itself
        self.n_samples_fit_ = self._n_features_out = table.shape[0]
        return table

    def _graph(
        self, indices: Array, distances: Array, dtype: np.dtype[Any]
    ) -> scipy.sparse.csr_matrix:
        import scipy.sparse

        n, width = indices.shape
        values = distances if self._mode == "distance" else np.ones_like(distances)
        starts = np.arange(0, n * width + 1, width)
        there = np.isfinite(distances)
        if there.all():
            indices, values = indices.ravel(), values.ravel()
        else:
            starts[1:] = there.sum(axis=1).cumsum()
            indices, values = indices[there], values[there]
        entries = (values.astype(dtype, copy=False), indices, starts)
        return scipy.sparse.csr_matrix(entries, shape=(n, self.n_samples_fit_))
