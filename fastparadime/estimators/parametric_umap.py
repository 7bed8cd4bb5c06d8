"""Parametric UMAP as an estimator of scikit-learn's kind, with umap-learn's parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from fastparadime import dr
from fastparadime.estimators import _rows
from fastparadime.estimators._courses import begun
from fastparadime.estimators._explained import ExplainedNetworks
from fastparadime.estimators._inputs import check_weights
from fastparadime.estimators._kinds import Kind, as_known, place_of
from fastparadime.estimators._landmarks import add_rows
from fastparadime.estimators._new_networks import new_decoder, new_encoder
from fastparadime.estimators._parameters import seed_of
from fastparadime.estimators._parametric_constructor import OF_THE_LAYOUT
from fastparadime.estimators._parametric_fit import (
    NetworkSettings,
    Regression,
    check_held,
    check_network,
    laid_out,
)
from fastparadime.estimators._resumable import transform_into
from fastparadime.estimators._sample import fit_on_sample
from fastparadime.estimators._shared_networks import fit_shared_networks
from fastparadime.estimators._tags import FloatTags
from fastparadime.estimators.umap import UMAP
from fastparadime.layout.landmarks import MAX_DRIFT
from fastparadime.training import History
from fastparadime.utils.callbacks import check_callback
from fastparadime.utils.checkpoints import CheckpointLike
from fastparadime.utils.labels import known_labels
from fastparadime.utils.progress import memory_for
from fastparadime.utils.validate import check_data

if TYPE_CHECKING:
    from typing_extensions import Self


def _takes_more_rows(estimator: ParametricUMAP) -> bool:
    if getattr(estimator, "_supervised", False):
        raise AttributeError("partial_fit is not available for a fit with labels: fit all rows")
    return True


class ParametricUMAP(
    FloatTags,
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    ExplainedNetworks,
):
    """Parametric UMAP (Sainburg et al. 2021, arXiv 2009.12981) with umap-learn's parameters.

    Rows are laid out as `fastparadime.UMAP` does, by their graph and without a network, and a
    network is regressed onto their positions, so that new rows are embedded by a function of
    theirs. A fit always starts anew; `update` goes on with more rows.

    Parameters
    ----------
    n_neighbors, n_components, metric, metric_kwds, n_epochs, learning_rate, init, min_dist, spread
        Of the layout, as for `fastparadime.UMAP`, but for ``metric="precomputed"``: a network takes
        rows.
    set_op_mix_ratio, local_connectivity, repulsion_strength, negative_sample_rate, a, b
    target_n_neighbors, target_metric, target_metric_kwds, target_weight
    disconnection_distance, precomputed_knn
        Likewise.
    random_state : int, RandomState, Generator or None
        Of the layout and the networks. None draws a seed, which `seed_` reports.
    verbose : bool
        Whether a line is logged for each stage.
    quality : {"fast", "balanced", "best"}
        The network and its budget; see ``fastparadime.routines.quality``.
    batch_size : int, optional
        Rows of a step; the quality's, 500, if None.
    dims : sequence of int, optional
        What a row is made for `encoder`, channels first as torch has them: (1, 28, 28).
    encoder : torch.nn.Module, optional
        Takes rows, or items of `dims`, and gives `n_components` numbers for each; copied, and left
        as it is. A network of the package that scales data and coordinates itself if None.
    decoder : torch.nn.Module, optional
        Takes `n_components` numbers and gives a row, or an item of `dims`; copied likewise.
    hidden_dims : sequence of int, optional
        Widths of the default networks; the quality's if None. Not beside `prototypes`.
    prototypes : int, optional
        Makes the default encoder one layer of so many prototypes, at most as many as rows, which
        start as rows with their positions (`fastparadime.models.place_prototypes`). It keeps
        somewhat more of the neighbours of new rows than anchors do, and fewer labels, with a fifth of
        the quality's steps, two fifths of those of "best". A file of it holds what started as rows of
        `X`. 2,000 suit 10,000 rows.
    anchors : int, optional
        How many places of the map the default encoder of hidden layers scores, at most as many as
        rows: a row is placed where its scores have a peak (`fastparadime.models.place_anchors`). If
        None the quality's number, at most half as many as rows, for maps of one or two components and
        1,000 rows or more; with 0 the network gives coordinates itself, as it does for other maps.
    placement : {"network", "median", "mutual"}
        How `transform` places a row: by the network, or at the geometric median of where the
        network has a third of the row's neighbours, as `UMAP` chooses them: the nearest keep more
        neighbours, those that are mutual more labels. A file then holds the rows of the fit.
    n_training_epochs : int
        How many times the quality's budget is spent.
    parametric_reconstruction : bool
        Whether a decoder is trained where none is given, for `inverse_transform`.
    parametric_reconstruction_loss_fcn : callable (rows, wanted) -> tensor (), optional
        Mean squared error if None.
    parametric_reconstruction_loss_weight : float
        With `autoencoder_loss`: weight of the reconstruction, whose mean squared error is then
        taken over the variance of the data.
    autoencoder_loss : bool
        Whether the encoder learns from the reconstruction too.
    landmark_loss_weight : float
        How much the rows of the fit stay where they were in `update`: the weight of a row's squared
        distance from where the network had it, beside that from where the layout has it.
    recall : float
        In (0, 1]: the share of true neighbours that the search must find; 1 searches exactly.
    device : torch.device or str, optional
        Where all work is done; where the data is if None.
    callback : callable (epoch, loss, positions), optional
        Told of every epoch of the encoder, as for `fastparadime.dr.ParametricDR`; True ends them.
    sample : int or float, optional
        How many rows, or which share of them, the fit takes: some of each cluster
        (`fastparadime.neighbors.stratified_sample`). The network places all.
    max_memory : float, optional
        Most bytes that the search of neighbours may take beside `X`, and a table of it, as for
        `fastparadime.UMAP`. Networks read rows a batch at a time.

    Attributes
    ----------
    embedding_ : array (n_samples, n_components)
        What the network gives for the rows of the fit: ``transform(X)`` by either placement.
    sample_indices_ : int64 array
        With `sample`: the rows of the fit, ascending. `embedding_` is of all rows.
    umap_ : UMAP
        The fitted layout, with its graph, neighbours and rows; None after `load`.
    model_, encoder_, decoder_ : torch.nn.Module
        The trained networks; `decoder_` is None without one.
    drift_ : Drift
        After `update`: how far the rows moved that were there before.
    history_ : History
        Losses of the epochs of each network.
    seed_ : int
        Give it as `random_state` for the same fit again.
    n_features_in_ : int
    feature_names_in_ : array of str
        Where the data has column names that are all strings.
    """

    @memory_for("ParametricUMAP.fit")
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        checkpoint: CheckpointLike = None,
        process_group: Any = None,
    ) -> Self:
        """Lays out the rows of `X` and trains the networks.

        Parameters
        ----------
        X : (n_samples, n_features) array of any library, tensor or data frame
            Finite numbers, at least two rows.
        y : (n_samples,) array, optional
            Labels, as for `fastparadime.UMAP.fit`.
        sample_weight : (n_samples,) array, optional
            How many equal rows each row stands for: in the layout, as for `fastparadime.UMAP.fit`,
            and in the training of the networks, whose batches are drawn by it. On the CPU.
        process_group : torch.distributed.ProcessGroup, optional
            Of processes that each give their own rows as `X`; `embedding_` has those of the own
            rows, and the network is the same on all. See docs/several-machines.md.
        checkpoint : str, Path or fastparadime.utils.checkpoints.Checkpoint, optional
            A folder that keeps each stage, positions within the layout and weights within training:
            a fit that was ended goes on from there if it is started again, with the same bits.

        Raises
        ------
        CUDANotAvailableError
            For a device that is not there, before any work.
        CheckpointError
            For a checkpoint of other data, parameters or versions, or a damaged one.
        TypeError, ValueError
            For data or parameters that are not as described.
        """
        if process_group is not None:
            fit_shared_networks(
                self, X, process_group, y=y, checkpoint=checkpoint, sample_weight=sample_weight
            )
            return self
        if self.sample is not None:
            return cast("Self", fit_on_sample(self, X, y, sample_weight, checkpoint=checkpoint))
        X = self._known(X)
        check_callback(self.callback)
        if _rows.is_precomputed(self.metric):
            raise ValueError(
                "metric must be one between rows, since the network takes rows: give the "
                "neighbours that precomputed distances have as precomputed_knn, not 'precomputed'"
            )
        table = self._validated(X, ensure_min_samples=2)
        settings = check_network(self, table.shape[1])
        check_held(self, table, decodes=settings.decodes)
        labels = None if y is None else known_labels(as_known(y))
        given = {"X": table, "y": labels, "knn": self.precomputed_knn}
        if sample_weight is not None:
            sample_weight = given["sample_weight"] = check_weights(sample_weight, len(table))
        course, seed = begun(checkpoint, self, given, seed_of(self.random_state))
        shared = {name: getattr(self, name) for name in OF_THE_LAYOUT}
        layout = UMAP(random_state=seed, **shared)
        layout.fit(table, y, sample_weight=sample_weight, checkpoint=course.part("layout"))
        rows, positions, graph = laid_out(layout, table, place_of(X, self.device))
        regression = replace(self._regression(settings, seed, History()), course=course)
        regression = regression.weighted(sample_weight, layout)
        encoder = new_encoder(self.encoder, rows, positions, graph, settings, seed)
        decoder = None
        if settings.decodes:
            decoder = new_decoder(self.decoder, rows, positions, settings, seed)
        regression.encoder(encoder, rows, positions, graph, self.callback)
        self._keep(regression.joined(encoder, decoder, rows, positions), regression.history, seed)
        self._keep_parameters(settings.hidden_dims)
        self.umap_, self._supervised = layout, y is not None
        self.embedding_ = self._embedded(table, X)
        return self

    def _known(self, X: Any) -> Any:
        return as_known(_rows.named(X, self._table_metric()))

    def _table_metric(self) -> Any:
        """What decides which values a table may hold: those that a network takes."""
        return "euclidean" if callable(self.metric) else self.metric

    def _validated(self, X: Any, **options: Any) -> Any:
        metric = self._table_metric()
        if not isinstance(X, torch.Tensor):  # which scikit-learn does not check
            options["accept_sparse"] = False
        table = _rows.validated(self, X, metric, **options)
        if isinstance(table, np.ndarray) and table.dtype.kind == "f" and np.isnan(table.sum()):
            raise ValueError("X must hold no NaN: a network takes every value of a row")
        return table

    def _regression(self, settings: NetworkSettings, seed: int, history: History) -> Regression:
        routine = {"seed": seed, "device": self.device}
        return Regression(settings, routine, bool(self.verbose), history)

    def _embedded(self, table: Any, X: Any) -> Any:
        """What the network gives for a checked table, in the kind and dtype of the data."""
        found = dr.apply_in_chunks(self.model_, table, "embed")
        return Kind.of(X).array(found, _rows.dtype_of_results(X))

    def fit_transform(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        checkpoint: CheckpointLike = None,
        process_group: Any = None,
    ) -> Any:
        """`embedding_` of a fit; see `fit`."""
        self.fit(
            X, y, sample_weight=sample_weight, checkpoint=checkpoint, process_group=process_group
        )
        return self.embedding_

    @memory_for("ParametricUMAP.transform")
    def transform(self, X: Any, *, out: Any = None) -> Any:
        """Positions of rows in the map, by the network or as `placement` says.

        Parameters
        ----------
        X : (n_samples, n_features) array, tensor or data frame
        out : str, Path or array (n_samples, n_components), optional
            Where results go block by block, and an ended run goes on, as for
            `fastparadime.dr.ParametricDR.apply`; `X` is then an array or a source of rows.

        Returns
        -------
        array (n_samples, n_components)
            float32, or float64 for float64 data; a tensor where the data is for a tensor. NaN by a
            median for a row without any neighbour. With `out` that array, or a read-only memory map
            of the file.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        TypeError, ValueError
            For data that is not as described, an `out` that does not fit, and by a median after
            `load` of a file that has no rows.
        """
        check_is_fitted(self, "model_")
        if out is not None:
            return transform_into(self, X, out)
        X = self._known(X)
        found = self._placed(self._validated(X, reset=False))
        return Kind.of(X).array(found, _rows.dtype_of_results(X))

    def inverse_transform(self, X: Any) -> Any:
        """Rows that the decoder gives for positions.

        Parameters
        ----------
        X : (n_samples, n_components) array or tensor

        Returns
        -------
        array (n_samples, n_features)
            float32, or float64 for float64 positions.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        ValueError
            Without a decoder, and for positions that are not as described.
        """
        check_is_fitted(self, "model_")
        if self.decoder_ is None:
            raise ValueError(
                "inverse_transform needs a decoder: fit with parametric_reconstruction=True, or "
                "give one as decoder"
            )
        X = as_known(X)
        table = check_data(X, min_rows=1)
        if table.shape[1] != self._n_features_out:
            raise ValueError(
                f"X must have {self._n_features_out} columns, those of the embedding, not "
                f"{table.shape[1]}"
            )
        found = dr.apply_in_chunks(self.model_, table, "decode")
        return Kind.of(X).array(found, _rows.dtype_of_results(X))

    def update(self, X: Any, landmarks: Any = None, *, max_drift: float | None = MAX_DRIFT) -> Self:
        """Goes on with more rows: all are laid out from where they are, and the network follows.

        `drift_` says how far the rows moved that were there before.

        Parameters
        ----------
        X : (n_samples, n_features) array, tensor or data frame
            Rows beside those of the fit, which `landmark_loss_weight` holds in their places.
        landmarks : (m, n_features) array, tensor or data frame, optional
            After `load`: rows, two or more, that stay where the network has them, as those of the
            fit do; by default those that `save` was told to keep.
        max_drift : float, optional
            Of the layout, as for `fastparadime.UMAP.update`.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        TypeError, ValueError
            For data that is not as described, for a fit with labels, and after `load` without
            landmarks.
        """
        if self.sample is not None or hasattr(self, "sample_indices_"):
            raise ValueError("update is not available for a fit with sample: fit all rows")
        add_rows(self, X, landmarks, max_drift)
        return self

    @available_if(_takes_more_rows)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """`fit` the first time, and `update` from then on.

        Parameters
        ----------
        X : (n_samples, n_features) array, tensor or data frame
        y : ignored
            Labels of some rows say nothing of others; `fit` takes those of all.
        """
        return self.update(X) if hasattr(self, "model_") else self.fit(X)
