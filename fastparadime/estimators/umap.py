"""UMAP without a network, with umap-learn's parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from fastparadime import ops
from fastparadime.estimators import _graph, _positions, _queries
from fastparadime.estimators._parameters import Settings, check_parameters, neighbors_given
from fastparadime.estimators._placing import Placed
from fastparadime.types import Array
from fastparadime.utils.logging import log
from fastparadime.utils.seed import derive

_MANY_POINTS = 10_000  # beyond which fewer epochs are the default
_EPOCHS = (500, 200)


class UMAP(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Uniform manifold approximation and projection (McInnes et al., arXiv 1802.03426).

    A drop-in for umap-learn's class: its parameters, their meanings and defaults. The result is a
    function of the data, the parameters and `random_state`, whatever the number of threads.

    Parameters
    ----------
    n_neighbors : int
        Neighbours of a point, itself counted; lowered with a warning where there are fewer points.
    n_components : int
        Dimensions of the embedding.
    metric : str or callable
        A metric of `fastparadime.neighbors.knn`, ``"precomputed"`` for a square table of
        distances, or a function of two rows.
    metric_kwds : dict, optional
        ``{"p": ...}`` of ``"minkowski"``.
    n_epochs : int, optional
        500 up to 10,000 points and 200 beyond, by default.
    learning_rate : float
        Step size of the layout at its start.
    init : {"spectral", "pca", "random"} or array (n_samples, n_components)
        Where the layout starts; every column is scaled to [0, 10].
    min_dist, spread : float
        Scales of the embedding; `min_dist` is at most `spread`.
    set_op_mix_ratio : float
        Between the intersection, 0, and the union, 1, of the points' own graphs.
    local_connectivity : float
        The rank among a point's distances, possibly fractional, up to which it is fully connected.
    repulsion_strength : float
        Weight of the negatives.
    negative_sample_rate : int
        Negatives to each sampled edge.
    a, b : float, optional
        The curve's parameters; fitted to `min_dist` and `spread` unless both are given.
    random_state : int, RandomState, Generator or None
        None draws a seed, which `seed_` reports.
    target_weight : float
        How much labels count, from 0 to 1.
    transform_seed : int
        Of the layout of new rows.
    verbose : bool
        Whether stages are logged and the layout shows a bar.
    tqdm_kwds : dict, optional
        Of that bar.
    unique : bool
        Whether equal rows are embedded as one.
    disconnection_distance : float, optional
        Neighbours at this distance or beyond are none; by default 2 for cosine and correlation,
        1 for jaccard and dice.
    precomputed_knn : tuple
        (indices, distances) of the neighbours, itself first; further items are ignored.
    low_memory, n_jobs, transform_queue_size, angular_rp_forest, force_approximation_algorithm,
    target_n_neighbors, dens_lambda, dens_frac, dens_var_shift
        Accepted and checked, without effect here: the threads are torch's.
    output_metric, output_metric_kwds, target_metric, target_metric_kwds, transform_mode, densmap,
    output_dens
        Only their defaults are supported; others raise NotImplementedError.

    Attributes
    ----------
    embedding_ : array (n_samples, n_components)
        float32, or float64 for float64 data. NaN for a point without any neighbour.
    graph_ : scipy.sparse.csr_matrix (n, n), float32
        The fuzzy simplicial set; of the distinct rows if `unique`.
    seed_ : int
        Give it as `random_state` for the same embedding again.
    n_features_in_ : int
    feature_names_in_ : array of str
        Where the data has column names that are all strings.
    """

    n_neighbors: int
    n_components: int
    metric: Any
    metric_kwds: dict[str, Any] | None
    output_metric: Any
    output_metric_kwds: dict[str, Any] | None
    n_epochs: int | None
    learning_rate: float
    init: str | Array
    min_dist: float
    spread: float
    low_memory: bool
    n_jobs: int | None
    set_op_mix_ratio: float
    local_connectivity: float
    repulsion_strength: float
    negative_sample_rate: int
    transform_queue_size: float
    a: float | None
    b: float | None
    random_state: Any
    angular_rp_forest: bool
    target_n_neighbors: int
    target_metric: Any
    target_metric_kwds: dict[str, Any] | None
    target_weight: float
    transform_seed: int
    transform_mode: str
    force_approximation_algorithm: bool
    verbose: bool
    tqdm_kwds: dict[str, Any] | None
    unique: bool
    densmap: bool
    dens_lambda: float
    dens_frac: float
    dens_var_shift: float
    output_dens: bool
    disconnection_distance: float | None
    precomputed_knn: tuple[Any, ...] | None

    def __init__(
        self,
        n_neighbors: int = 15,
        n_components: int = 2,
        metric: Any = "euclidean",
        metric_kwds: dict[str, Any] | None = None,
        output_metric: Any = "euclidean",
        output_metric_kwds: dict[str, Any] | None = None,
        n_epochs: int | None = None,
        learning_rate: float = 1.0,
        init: str | Array = "spectral",
        min_dist: float = 0.1,
        spread: float = 1.0,
        low_memory: bool = True,
        n_jobs: int | None = -1,
        set_op_mix_ratio: float = 1.0,
        local_connectivity: float = 1.0,
        repulsion_strength: float = 1.0,
        negative_sample_rate: int = 5,
        transform_queue_size: float = 4.0,
        a: float | None = None,
        b: float | None = None,
        random_state: Any = None,
        angular_rp_forest: bool = False,
        target_n_neighbors: int = -1,
        target_metric: Any = "categorical",
        target_metric_kwds: dict[str, Any] | None = None,
        target_weight: float = 0.5,
        transform_seed: int = 42,
        transform_mode: str = "embedding",
        force_approximation_algorithm: bool = False,
        verbose: bool = False,
        tqdm_kwds: dict[str, Any] | None = None,
        unique: bool = False,
        densmap: bool = False,
        dens_lambda: float = 2.0,
        dens_frac: float = 0.3,
        dens_var_shift: float = 0.1,
        output_dens: bool = False,
        disconnection_distance: float | None = None,
        precomputed_knn: tuple[Any, ...] | None = (None, None, None),
    ) -> None:
        arguments = dict(locals())
        arguments.pop("self")
        self.__dict__.update(arguments)

    def fit(self, X: Any, y: Any = None) -> UMAP:
        """Embeds the rows of `X`.

        Parameters
        ----------
        X : (n_samples, n_features) array or data frame
            Finite numbers, at least two rows; distances (n_samples, n_samples) for
            ``metric="precomputed"``.
        y : (n_samples,) array, optional
            Categories, -1 where unknown: points of one category are drawn together.

        Raises
        ------
        NotImplementedError
            For parts of umap-learn that are not supported.
        TypeError, ValueError
            For data or parameters that are not as described.
        """
        table = _validated(self, X, ensure_min_samples=2)
        settings = check_parameters(self)
        rows = np.ascontiguousarray(table, dtype=np.float32)
        labels = None if y is None else _labels(y, table)
        _positions.check_init_shape(settings.init, table.shape, settings.n_components)
        inverse = None
        if settings.unique:
            rows, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
            labels = None if labels is None else labels[first]
            if not isinstance(settings.init, str):
                settings = replace(settings, init=settings.init[first])
        edges = self._fuzzy_graph(rows, labels, settings)
        positions = self._layout(rows, edges, settings)
        alone = (edges.indptr.diff() == 0).numpy()
        if alone.any():
            positions[alone] = np.nan
            warnings.warn(
                f"{int(alone.sum())} of {len(rows)} points have no neighbour nearer than "
                f"{settings.unrelated_distance} and get NaN as positions",
                stacklevel=2,
            )
        self._keep(rows, positions, edges, settings)
        whole = positions if inverse is None else positions[inverse.ravel()]
        self.embedding_ = whole.astype(table.dtype, copy=False)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Array:
        """Embeds the rows of `X` and returns `embedding_`; see `fit`."""
        return self.fit(X, y).embedding_

    def transform(self, X: Any) -> Array:
        """Positions of new rows among those of the fit, which stay.

        A row's position depends on that row alone, not on the others. A row of the fit gets its
        own position (the first one's, if several are equal).

        Parameters
        ----------
        X : (n_samples, n_features_in_) array or data frame
            Distances to the rows of the fit for ``metric="precomputed"``.

        Returns
        -------
        array (n_samples, n_components)
            float32, or float64 for float64 data. NaN for a row without any neighbour.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        NotImplementedError
            For metrics whose scale is that of the sample.
        TypeError, ValueError
            For data that is not as described.
        """
        check_is_fitted(self)
        table = _validated(self, X, reset=False)
        _queries.check_query_metric(self._placed.settings.metric)
        rows = np.ascontiguousarray(table, dtype=np.float32)
        return self._placed.place(rows).astype(table.dtype, copy=False)

    def _fuzzy_graph(self, rows: Array, labels: Array | None, settings: Settings) -> ops.Edges:
        n, wanted = len(rows), settings.n_neighbors
        if wanted > n:
            warnings.warn(
                f"n_neighbors is lowered from {wanted} to the {n} points there are", stacklevel=3
            )
            wanted = n
        if n < 2:
            raise ValueError("X must have at least 2 distinct rows for unique=True")
        if neighbors_given(self.precomputed_knn):
            found = _graph.given_neighbors(self.precomputed_knn, n, wanted)
        else:
            with self._stage("nearest neighbors"):
                found = _graph.find_neighbors(rows, wanted - 1, settings)
        with self._stage("fuzzy graph"):
            edges, removed = _graph.fuzzy_graph(*found, settings)
            if removed and self.verbose:
                log(f"{removed} neighbors are at the disconnection distance or beyond")
            if labels is not None:
                edges = _graph.with_labels(edges, labels, settings.target_weight)
        return edges

    def _layout(self, rows: Array, edges: ops.Edges, settings: Settings) -> Array:
        with self._stage("initial positions"):
            start = _positions.start_positions(rows, edges, settings)
        n_epochs = settings.n_epochs
        if n_epochs is None:
            n_epochs = _EPOCHS[len(rows) > _MANY_POINTS]
        with self._stage("layout"), self._bar(n_epochs) as progress:
            positions = ops.sgd_layout(
                start,
                edges,
                settings.a,
                settings.b,
                n_epochs,
                learning_rate=settings.learning_rate,
                repulsion_strength=settings.repulsion_strength,
                negative_sample_rate=settings.negative_sample_rate,
                seed=derive(settings.seed, "layout"),
                progress=progress,
            )
        moved: Array = positions.numpy()
        return moved

    def _keep(self, rows: Array, positions: Array, edges: ops.Edges, settings: Settings) -> None:
        import scipy.sparse

        indptr, _, tails, weights = (part.numpy() for part in edges)
        self.graph_ = scipy.sparse.csr_matrix((weights, tails, indptr), shape=(len(rows),) * 2)
        self.seed_ = settings.seed
        self._a, self._b = settings.a, settings.b
        self._raw_data = rows
        self._placed = Placed(rows, positions, settings)
        self._n_features_out = settings.n_components

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        if self.verbose:
            log(f"UMAP: {name}")
        yield

    @contextmanager
    def _bar(self, n_epochs: int) -> Iterator[Callable[[int], object] | None]:
        if not self.verbose:
            yield None
            return
        from tqdm import tqdm

        options = {"desc": "layout", "unit": "epoch", **(self.tqdm_kwds or {})}
        with tqdm(total=n_epochs, **options) as bar:
            yield lambda done: bar.update(done - bar.n)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.pairwise = self.metric == "precomputed"
        return tags


def _labels(y: Any, table: Array) -> Array:
    labels: Array = column_or_1d(y)
    check_consistent_length(table, labels)
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError("y must hold categories, -1 where unknown, but has NaN or infinite values")
    return labels


def _validated(estimator: UMAP, X: Any, **options: Any) -> Array:
    options = {"dtype": (np.float64, np.float32), **options}
    try:
        from sklearn.utils.validation import validate_data
    except ImportError:  # scikit-learn before 1.6
        table: Array = estimator._validate_data(X, **options)
    else:
        table = validate_data(estimator, X, **options)
    return table
