"""UMAP without a network, with umap-learn's parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from fastparadime.estimators import _rows
from fastparadime.estimators._confidence import ConfidentUmap
from fastparadime.estimators._courses import of_inputs
from fastparadime.estimators._cuml import check_data_options
from fastparadime.estimators._fit import fit_inputs, fit_positions
from fastparadime.estimators._inputs import Inputs
from fastparadime.estimators._inverse_transform import SMOOTH_METRICS, inverse_rows
from fastparadime.estimators._kinds import Kind, as_known
from fastparadime.estimators._operators import FuzzySetOperators
from fastparadime.estimators._reporting import Report
from fastparadime.estimators._resumable import transform_into
from fastparadime.estimators._sample import fit_on_sample
from fastparadime.estimators._shared_fit import fit_shared
from fastparadime.estimators._tags import MetricTags
from fastparadime.estimators._update import add_rows
from fastparadime.layout.landmarks import MAX_DRIFT
from fastparadime.utils.checkpoints import CheckpointLike
from fastparadime.utils.progress import memory_for


class UMAP(
    MetricTags,
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    ConfidentUmap,
    FuzzySetOperators,
):
    """Uniform manifold approximation and projection (McInnes et al., arXiv 1802.03426).

    A drop-in for umap-learn's class: its parameters, their meanings and defaults. The result is a
    function of the data, the parameters and `random_state`, whatever the number of threads.
    Fits of the same points are combined by ``*``, ``+`` and ``-``.

    Parameters
    ----------
    n_neighbors : int
        Neighbours of a point, itself counted; lowered with a warning where there are fewer points.
    n_components : int
        Dimensions of the embedding.
    metric : str or callable
        A metric of `fastparadime.neighbors.knn`, ``"precomputed"`` for a square table of
        distances, or a function of two rows, which are in the data's dtype. It gives a number, or
        a pair (distance, gradient).
    metric_kwds : dict, optional
        ``"p"`` and ``"w"`` of ``"minkowski"``, ``"V"`` of ``"seuclidean"``, ``"V"`` or ``"VI"`` of
        ``"mahalanobis"``, keywords of a function. Variances are those of the fit by default.
    output_metric : str or callable
        Of distances in the embedding, umap-learn's: ``"euclidean"``; ``"haversine"``, a layout on
        the sphere, whose positions are colatitude and longitude in radians; ``"hyperboloid"``;
        ``"spherical_gaussian_energy"``, ``"diagonal_gaussian_energy"`` and ``"gaussian_energy"``,
        of 3, 4 and 5 components; ``"minkowski"`` and its kin, ``"cosine"``, ``"correlation"``,
        ``"canberra"``, ``"braycurtis"``, ``"seuclidean"``, ``"mahalanobis"``. Or a function of two
        positions that gives (distance, gradient in the first); on one thread, unless numba compiled
        it. All but the first on the CPU and without densMAP.
    output_metric_kwds : dict, optional
        ``"p"`` of ``"minkowski"``, and ``"w"`` of ``"wminkowski"``; ``"V"`` of ``"seuclidean"``,
        ``"V"`` or ``"VI"`` of ``"mahalanobis"``; keywords of a function.
    n_epochs : int or list of int, optional
        500 up to 10,000 points and 200 beyond, by default, and 200 more for densMAP. The positions
        after each number of a list are kept in `embedding_list_`. Beyond a million points the first
        half moves groups of neighbours.
    learning_rate : float
        Step size of the layout at its start.
    init : {"spectral", "tswspectral", "pca", "random"} or array (n_samples, n_components)
        Where the layout starts; every column is scaled to [0, 10]. ``"tswspectral"`` is
        ``"spectral"``, whose solver starts from a coarser graph anyway.
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
    target_n_neighbors : int
        Neighbours among the rows of y, itself counted; -1 takes `n_neighbors`.
    target_metric : str or callable
        ``"categorical"``, a metric between rows of numbers in y, or one between single labels:
        ``"ordinal"``, ``"count"``, ``"string"`` (also ``"myers"``) or
        ``"hierarchical_categorical"``.
    target_metric_kwds : dict, optional
        Of that metric; ``{"cat_hierarchy": [...]}`` of ``"hierarchical_categorical"``, for each
        level a dictionary from categories to their groups, the finest level first.
    target_weight : float
        How much labels count, from 0 to 1.
    transform_seed : int
        Of the layout of new rows.
    transform_mode : {"embedding", "graph"}
        With ``"graph"``, `fit` stops at the graph, and `transform` gives the strengths that tie new
        rows to those of the fit.
    verbose : bool
        Whether stages are logged and the layout shows a bar.
    tqdm_kwds : dict, optional
        Of that bar.
    unique : bool
        Whether equal rows are embedded as one.
    densmap : bool
        Whether local radii in the embedding are to go with those in the data (densMAP).
    dens_lambda, dens_frac, dens_var_shift : float
        Weight of densMAP's term, the last share of the epochs that it takes part in, and what is
        added to the variance of the radii.
    output_dens : bool
        Whether `rad_orig_` and `rad_emb_` are found, and `fit_transform` returns them as well.
    disconnection_distance : float, optional
        Neighbours at this distance or beyond are none; by default 2 for cosine and correlation,
        1 for jaccard, dice and hellinger.
    precomputed_knn : tuple, NeighborGraph, or array or sparse matrix (n_samples, n_samples)
        (indices, distances) of the neighbours, with the point itself or without; further items and
        entries of index -1 or infinite distance are ignored. Or what `fastparadime.neighbors.knn`
        gave, the distances of all pairs, or those that a sparse matrix stores.
    min_shared_neighbors : int
        At least so many of a point's neighbours are among those of each of them too; others give
        way to the next nearest. 0 leaves all, as umap-learn does; 1 makes maps more trustworthy.
    recall : float
        Beside umap-learn's parameters, by keyword: in (0, 1], the share of true neighbours that the
        search of a fit promises for large data (`fastparadime.neighbors.knn`). 1 searches exactly.
        New rows are always compared exactly.
    device : torch.device or str, optional
        By keyword: where all work is done, by default where the data is. On a GPU by the metrics of
        ``neighbors.metric_space.DEVICE_METRICS``, which `target_metric` is then one of
        as well, and for dense rows.
    output_type : {"input", "numpy", "cupy"}
        By keyword, as in cuML: the kind of all arrays that come out. ``"input"``, or None, is that
        of `X`: tensors on its device for tensors, and arrays of its library for what has
        ``__dlpack__``; tensors for what only has ``__cuda_array_interface__``.
    placement : {"layout", "median", "mutual"}
        By keyword: how `transform` places a row: by the layout, as umap-learn does, or at the
        geometric median of a third of its neighbours: ``"median"`` takes the nearest, and keeps more
        neighbours on most data, ``"mutual"`` those to which the row is near as well, by their own
        distances, and keeps more labels.
    callback : callable, optional
        By keyword: ``callback(epoch, loss, positions)`` after each epoch of `fit` and `update`, with
        its number from 0, None, since the layout does without its loss, and a copy of the positions.
        The layout ends where it returns True.
    sample : int or float, optional
        By keyword: how many rows, or which share of them, `fit` lays out: some of each cluster
        (`fastparadime.neighbors.stratified_sample`). `transform` places all. Attributes but for
        `embedding_` are of these rows.
    max_memory : float, optional
        By keyword: most bytes that the search of neighbours may take beside `X`, and a table of it.
        Rows of uint8, int8 and float16 that float32 would make larger than that stay as they are,
        memory-mapped ones on the disk, and are read block by block; sources beyond it are copied to
        a temporary file. Such a fit has `embedding_` and `graph_`, but no `transform`. See
        docs/larger-than-memory.md.
    low_memory, n_jobs, transform_queue_size, angular_rp_forest, force_approximation_algorithm
        Accepted and checked, without effect here: the threads are torch's.
    hash_input, force_serial_epochs, build_algo, build_kwds, device_ids, handle
        cuML's, which are no parameters here: accepted at values that ask for nothing else than is
        done; at others a TypeError says what to use.

    Attributes
    ----------
    embedding_ : array (n_samples, n_components)
        float32, or float64 for float64 data. NaN for a point without any neighbour.
    graph_ : scipy.sparse.csr_matrix (n, n), float32
        The fuzzy simplicial set; of the distinct rows if `unique`. On the host, when first asked for.
    embedding_list_ : list of arrays (n_samples, n_components)
        After the epochs of a list `n_epochs`, ascending.
    rad_orig_, rad_emb_ : arrays (n_samples,), float32
        With `output_dens`: the log of each point's mean squared distance to its neighbours in the
        data, and of its mean distance to those in the embedding, as in umap-learn.
    drift_ : Drift
        After `update`: how far the rows moved that were there before.
    engine_ : str
        What found the neighbours, as `fastparadime.neighbors.knn` names it.
    recall_estimate_ : float
        The share of true neighbours found: 1 of an exact search and of distances given.
    sample_indices_ : int64 array
        With `sample`: the rows that were laid out, ascending.
    seed_ : int
        Give it as `random_state` for the same embedding again.
    n_features_in_ : int
    feature_names_in_ : array of str
        Where the data has column names that are all strings.
    """

    @memory_for("UMAP.fit")
    def fit(
        self,
        X: Any,
        y: Any = None,
        ensure_all_finite: bool | str = True,
        *,
        knn_graph: Any = None,
        convert_dtype: bool = True,
        sample_weight: Any = None,
        process_group: Any = None,
        checkpoint: CheckpointLike = None,
    ) -> UMAP:
        """Embeds the rows of `X`.

        Parameters
        ----------
        X : (n_samples, n_features) array of any library, tensor, data frame or sparse matrix
            Finite numbers, NaN for what is missing with nan_euclidean, at least two rows. Sparse by
            all metrics but haversine, nan_euclidean, mahalanobis and functions. Distances
            (n_samples, n_samples) for ``metric="precomputed"``, infinite between points that are no
            neighbours; a sparse matrix stores those of neighbours.
        y : (n_samples,) array, optional
            Categories, -1 where unknown: points of one category are drawn together. For another
            `target_metric`, labels of its kind, or numbers (n_samples,) or (n_samples, n_targets).
            None, NaN, NaT, pandas' NA and masked entries are unknown, -1 among strings too.
        ensure_all_finite : bool or "allow-nan"
            What functions get: finite numbers alone, NaN as well, or infinite ones too. Neighbours
            by other metrics are not defined for such rows, which are refused in any case.
        knn_graph : optional
            As `precomputed_knn`, for this fit alone.
        convert_dtype : bool
            Without effect: the dtype of the data is kept.
        sample_weight : (n_samples,) array, optional
            How many equal rows each row stands for in the layout: its pull and push on others are
            multiplied by it, on average as if it were there so many times. Only ratios count. The
            graph is that of rows without weights. On the CPU; weights of equal rows are added if
            `unique`.
        process_group : torch.distributed.ProcessGroup, optional
            Of processes that each give their own rows as `X`; `embedding_` and `graph_` are those
            of the own rows, and `transform` is not available. See docs/several-machines.md for what
            it does without.
        checkpoint : str, Path or fastparadime.utils.checkpoints.Checkpoint, optional
            A folder that keeps each stage, and positions within the layout: a fit that was ended
            goes on from there if it is started again, and ends with the same bits.

        Raises
        ------
        CUDANotAvailableError
            For a device that is not there, before any work.
        CheckpointError
            For a checkpoint of other data, parameters or versions, or a damaged one.
        NotImplementedError
            For metrics that are not supported.
        TypeError, ValueError
            For data or parameters that are not as described, or that the device does not take.
        """
        if process_group is not None:
            others = {"y": y, "knn_graph": knn_graph, "sample_weight": sample_weight}
            fit_shared(self, X, process_group, checkpoint=checkpoint, **others)
            return self
        options = {
            "ensure_all_finite": ensure_all_finite,
            "knn_graph": knn_graph,
            "convert_dtype": convert_dtype,
            "sample_weight": sample_weight,
        }
        if self.sample is not None:
            return cast(UMAP, fit_on_sample(self, X, y, checkpoint=checkpoint, **options))
        course, inputs = of_inputs(checkpoint, self, Inputs.checked(self, X, y, **options))
        report, callback = Report(self.verbose, self.tqdm_kwds), self.callback
        fitted, fitted_rows = fit_inputs(inputs, report, course)
        found = fit_positions(inputs, fitted, report, callback, course)
        if found is not None:
            fitted_rows = replace(fitted_rows, positions=found.final)
        self._keep_graph(fitted, inputs.settings)
        supervised, weighted = inputs.target is not None, inputs.weights is not None
        self._keep_rows(fitted_rows, supervised=supervised, weighted=weighted)
        if found is not None:
            self._keep_positions(found, inputs.results)
        return self

    def fit_transform(
        self, X: Any, y: Any = None, ensure_all_finite: bool | str = True, **options: Any
    ) -> Any:
        """Embeds the rows of `X`; see `fit`.

        Returns
        -------
        `embedding_`; with `output_dens` (`embedding_`, `rad_orig_`, `rad_emb_`); with
        ``transform_mode="graph"`` `graph_`.
        """
        self.fit(X, y, ensure_all_finite, **options)
        if self._settings.graph_alone:
            return self.graph_
        if self._settings.output_dens:
            return self.embedding_, self.rad_orig_, self.rad_emb_
        return self.embedding_

    @memory_for("UMAP.transform")
    def transform(
        self,
        X: Any,
        ensure_all_finite: bool | str = True,
        *,
        convert_dtype: bool = True,
        out: Any = None,
    ) -> Any:
        """Positions of new rows among those of the fit, which stay.

        A row's position depends on that row alone, not on the others. A row of the fit gets its
        own position (the first one's, if several are equal). densMAP's term takes no part.

        Parameters
        ----------
        X : (n_samples, n_features) array, data frame or sparse matrix
            Distances to the rows of the fit for ``metric="precomputed"``, infinite to those that
            are no neighbours.
        ensure_all_finite, convert_dtype
            As for `fit`.
        out : str, Path or array (n_samples, n_components), optional
            Where positions go block by block, and an ended run goes on, as for
            `fastparadime.dr.ParametricDR.apply`; `X` is then an array or a source of rows.

        Returns
        -------
        array (n_samples, n_components)
            float32, or float64 for float64 data. NaN for a row without any neighbour. `out`, or a
            read-only memory map of its file. With
            ``transform_mode="graph"`` the membership strengths of the rows and those of the fit,
            a scipy.sparse.csr_matrix (n_samples, n_fitted), float32.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        TypeError, ValueError
            For data that is not as described.
        """
        if out is not None:
            return transform_into(self, X, out, ensure_all_finite=ensure_all_finite)
        fitted_rows = self._of_rows("transform")
        check_data_options(ensure_all_finite=ensure_all_finite, convert_dtype=convert_dtype)
        X = _rows.named(X, fitted_rows.row_format.metric)
        kind, X = Kind.of(X, self.output_type), as_known(X)
        table = _rows.validated(
            self, X, fitted_rows.row_format.metric, all_finite=ensure_all_finite, reset=False
        )
        rows = fitted_rows.row_format.rows(table)
        if self._settings.graph_alone:
            return fitted_rows.memberships(rows)
        positions = self._settings.output.coordinates(fitted_rows.embed(rows))
        return kind.array(positions, _rows.dtype_of_results(X))

    def inverse_transform(self, X: Any) -> Any:
        """Rows of data for positions in the embedding.

        A row's result depends on that row alone.

        Parameters
        ----------
        X : (n_samples, n_components) array

        Returns
        -------
        array (n_samples, n_features)
            float32, or float64 for float64 positions and for fits of data far from zero.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        ValueError
            For fits of sparse rows, distances, or metrics that have no gradient, of densMAP or of
            the graph alone, and for positions that are not as described.
        """
        fitted_rows = self._of_rows("inverse_transform")
        kind = Kind.of(X, self.output_type)
        return kind.array(*inverse_rows(as_known(X), fitted_rows))

    def update(
        self, X: Any, ensure_all_finite: bool | str = True, *, max_drift: float | None = MAX_DRIFT
    ) -> UMAP:
        """Adds rows to the fit: the graph is made anew, and the rows there are held in their places.

        New rows start where `transform` places them. The layout has three fifths of the epochs of a
        fit, and a quarter of the learning rate. `drift_` says how far the others moved.

        Parameters
        ----------
        X : (n_samples, n_features) array, data frame or sparse matrix
        ensure_all_finite
            As for `fit`.
        max_drift : float, optional
            What the median of `drift_` stays below, a share of the map's span; None leaves rows free.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        TypeError, ValueError
            For data that is not as described, and for fits with labels or weights, of distances, of
            unique rows or of the graph alone.
        """
        add_rows(self, X, ensure_all_finite, max_drift)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # The tag promises all methods; tensors are taken whatever it says.
        tags.array_api_support = self.metric in SMOOTH_METRICS and not self.densmap
        return tags
