"""The networks of ParametricUMAP: checked, and regressed onto the positions of a layout."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from fastparadime import dr, loss, models
from fastparadime.estimators._inputs import check_weights
from fastparadime.estimators._parametric_constructor import PLACEMENTS, ParametricParameters
from fastparadime.estimators.umap import UMAP
from fastparadime.relationdata import SparseRelationArray
from fastparadime.routines.quality import (
    QUALITIES,
    Quality,
    noise_share,
    position_loss,
)
from fastparadime.training import History, TrainingPhase
from fastparadime.utils.callbacks import Callback
from fastparadime.utils.checkpoints import NOTHING, Course
from fastparadime.utils.convert import to_numpy, to_torch
from fastparadime.utils.logging import log
from fastparadime.utils.progress import shows_bars
from fastparadime.utils.shards import stays
from fastparadime.utils.validate import (
    check_callable,
    check_integer,
    check_list,
    check_option,
    check_positive,
)

_KERAS = ("keras", "tensorflow", "tf_keras", "jax", "flax")


@dataclass(frozen=True)
class NetworkSettings:
    """The parameters that the networks take, checked."""

    quality: Quality
    batch_size: int
    hidden_dims: list[int]
    prototypes: int | None
    anchors: int | None  # as given
    by_angle: bool  # how prototypes are compared with rows
    row_shape: list[int] | None
    times: int  # that the quality's budget is spent
    decodes: bool
    joint: bool  # whether the encoder learns from the reconstruction too
    reconstruction_loss: Any
    reconstruction_weight: float
    landmark_weight: float
    spread: float

    def anchors_of(self, n: int, n_components: int) -> int:
        """How many anchors the default encoder of n rows has; 0 where it gives coordinates."""
        if self.anchors is None:
            return self.quality.anchors_of(n, n_components)
        return min(self.anchors, n)


def check_network(estimator: ParametricParameters, in_dim: int) -> NetworkSettings:
    """The parameters of the networks, for rows of some width.

    Raises
    ------
    TypeError, ValueError
        For what cannot be used, naming the parameter.
    """
    quality = QUALITIES[check_option(estimator.quality, tuple(QUALITIES), "quality")]
    check_option(estimator.placement, PLACEMENTS, "placement")
    for name in ("encoder", "decoder"):
        _check_module(getattr(estimator, name), name)
    for name in ("parametric_reconstruction", "autoencoder_loss"):
        check_option(getattr(estimator, name), (True, False), name)
    decodes = estimator.parametric_reconstruction or estimator.decoder is not None
    if estimator.autoencoder_loss and not decodes:
        raise ValueError(
            "autoencoder_loss=True needs a decoder: set parametric_reconstruction=True, or give one"
        )
    hidden = quality.hidden_dims if estimator.hidden_dims is None else estimator.hidden_dims
    prototypes = estimator.prototypes
    if estimator.hidden_dims is not None and estimator.encoder is not None:
        raise ValueError("hidden_dims is for the default encoder: leave it out beside encoder")
    if prototypes is not None and estimator.encoder is not None:
        raise ValueError("prototypes are of the default encoder: leave them out beside encoder")
    if prototypes is not None and estimator.hidden_dims is not None and not decodes:
        raise ValueError(
            "hidden_dims has no network beside prototypes, which are one layer: give one"
        )
    anchors = estimator.anchors
    if anchors and (estimator.encoder is not None or prototypes is not None):
        raise ValueError(
            "anchors are of the default encoder of hidden layers: leave them out beside encoder "
            "and prototypes"
        )
    given = estimator.batch_size
    function = estimator.parametric_reconstruction_loss_fcn
    return NetworkSettings(
        quality=quality,
        batch_size=quality.batch_size
        if given is None
        else check_integer(given, "batch_size", minimum=1),
        hidden_dims=models.check_widths(hidden),
        prototypes=None
        if prototypes is None
        else check_integer(prototypes, "prototypes", minimum=1),
        anchors=None if anchors is None else check_integer(anchors, "anchors", minimum=0),
        by_angle=estimator.metric == "cosine",
        row_shape=_row_shape(estimator.dims, in_dim),
        times=check_integer(estimator.n_training_epochs, "n_training_epochs", minimum=1),
        decodes=decodes,
        joint=estimator.autoencoder_loss,
        reconstruction_loss=None
        if function is None
        else check_callable(function, "parametric_reconstruction_loss_fcn"),
        reconstruction_weight=check_positive(
            estimator.parametric_reconstruction_loss_weight,
            "parametric_reconstruction_loss_weight",
            zero_ok=True,
        ),
        landmark_weight=check_positive(
            estimator.landmark_loss_weight, "landmark_loss_weight", zero_ok=True
        ),
        spread=float(estimator.spread),
    )


def check_held(estimator: ParametricParameters, table: Any, *, decodes: bool) -> None:
    """Raises for what needs rows in float32 beside some that `max_memory` leaves as they are."""
    among = estimator.placement != "network"
    if (decodes or among) and stays(table, estimator.max_memory):
        what = f"placement={estimator.placement!r}" if among else "a decoder"
        raise ValueError(
            f"max_memory={estimator.max_memory:.4g} bytes is less than a table of X in float32, "
            f"which {what} needs: give more, or leave {'it' if among else 'the decoder'} out"
        )


def _check_module(module: Any, name: str) -> None:
    if module is None or isinstance(module, torch.nn.Module):
        return
    kind = type(module)
    advice = "torch.nn.Sequential and its layers make one"
    if kind.__module__.partition(".")[0] in _KERAS:
        advice = (
            "networks of Keras, TensorFlow and JAX are not trained here; write the same layers as a "
            "torch.nn.Sequential (Dense is torch.nn.Linear, Conv2D is torch.nn.Conv2d)"
        )
    raise TypeError(
        f"{name} must be a torch.nn.Module, not {kind.__module__}.{kind.__qualname__}: {advice}"
    )


def _row_shape(dims: Any, in_dim: int) -> list[int] | None:
    if dims is None:
        return None
    shape = [check_integer(size, "dims", minimum=1) for size in check_list(dims, "dims")]
    if math.prod(shape) != in_dim:
        raise ValueError(
            f"dims must be the shape of a row of {in_dim} columns, but {tuple(shape)} holds "
            f"{math.prod(shape)}"
        )
    # A dense network takes rows as they are.
    return shape if len(shape) > 1 else None


def _bare(network: torch.nn.Module) -> torch.nn.Module:
    """A network without what it was trained in."""
    return network.encoder if isinstance(network, dr.EncoderDecoderModel) else network


def trainable_parts(
    model: torch.nn.Module, in_dim: int, out_dim: int
) -> tuple[torch.nn.Module, torch.nn.Module | None]:
    """The encoder and the decoder of a trained model, as `Regression` takes them."""
    if not isinstance(model, dr.EncoderDecoderModel):
        return model, None
    encoder, decoder = model.encoder, model.decoder
    if not isinstance(encoder, models.ScaledEmbeddingModel):
        shape = model.row_shape
        encoder = dr.EncoderDecoderModel(encoder, in_dim=in_dim, out_dim=out_dim, row_shape=shape)
    if decoder is not None and not isinstance(decoder, models.ScaledEmbeddingModel):
        decoder = dr.EncoderDecoderModel(decoder, in_dim=out_dim, out_dim=in_dim)
    return encoder, decoder


@dataclass(frozen=True)
class Regression:
    """Trains networks with one budget, seed and device; keeps what it cost."""

    settings: NetworkSettings
    routine: dict[str, Any]  # arguments of the routines
    verbose: bool
    history: History
    course: Course = NOTHING
    row_weights: Any = None  # one of each row that is trained on

    def weighted(self, sample_weight: Any, layout: UMAP) -> Regression:
        """The same with weights of all rows of a layout, of which those with a position are trained on."""
        if sample_weight is None:
            return self
        known = to_torch(to_numpy(layout.embedding_)).isfinite().all(dim=1)
        weights = torch.from_numpy(check_weights(sample_weight, len(known)))
        return replace(self, row_weights=weights[known])

    def encoder(
        self,
        model: torch.nn.Module,
        rows: torch.Tensor,
        positions: torch.Tensor,
        graph: Any,
        callback: Callback | None,
    ) -> None:
        """Regresses a network onto the positions of rows, the points of a graph."""
        phase, quality = self.layout_phase(model), self.settings.quality.of(model)
        phase.noise = noise_share(rows, SparseRelationArray(graph), quality.noise)
        entries = {"main": rows, "layout": positions}
        self._train(model, phase, entries, quality, callback)

    def layout_phase(self, model: torch.nn.Module) -> TrainingPhase:
        """The phase of `encoder`, still without epochs and noise."""
        part = position_loss(model, self.settings.spread)
        return self._phase("layout", part, self.settings.quality.of(model))

    def decoder(self, model: torch.nn.Module, rows: torch.Tensor, positions: torch.Tensor) -> None:
        """Regresses a network from positions to their rows."""
        function = self.settings.reconstruction_loss
        part = loss.PositionLoss(function, position_key="rows")
        phase = self._phase("decoder", part, self.settings.quality)
        self._train(model, phase, {"main": positions, "rows": rows}, self.settings.quality)

    def both(
        self, model: dr.EncoderDecoderModel, rows: torch.Tensor, positions: torch.Tensor
    ) -> None:
        """Trains an encoder and a decoder together, onto positions and from rows to rows."""
        given, variance = self.settings.reconstruction_loss, rows.var(dim=0).mean()
        scale = float(variance) or 1.0

        def share_of_variance(wanted: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.mse_loss(found, wanted) / scale

        rebuilt = loss.ReconstructionLoss(given or share_of_variance)
        weights = [1.0, self.settings.reconstruction_weight]
        part = loss.CompoundLoss([position_loss(model, self.settings.spread), rebuilt], weights)
        phase = self._phase("autoencoder", part, self.settings.quality)
        self._train(model, phase, {"main": rows, "layout": positions}, self.settings.quality)

    def joined(
        self,
        encoder: torch.nn.Module,
        decoder: torch.nn.Module | None,
        rows: torch.Tensor,
        positions: torch.Tensor,
    ) -> torch.nn.Module:
        """The trained encoder alone, or with a decoder that is trained after it."""
        if decoder is None:
            return encoder
        self.decoder(decoder, rows, dr.apply_in_chunks(encoder, rows).to(rows.device))
        (_, in_dim), (_, out_dim) = rows.shape, positions.shape
        both = (_bare(encoder), _bare(decoder))
        shape = self.settings.row_shape
        model = dr.EncoderDecoderModel(*both, in_dim=in_dim, out_dim=out_dim, row_shape=shape)
        model.eval()
        if self.settings.joint:
            self.both(model, rows, positions)
        return model

    def _phase(self, name: str, part: loss.Loss, quality: Quality) -> TrainingPhase:
        return TrainingPhase(
            name=f"{name}_regression",
            batch_size=self.settings.batch_size,
            learning_rate=quality.learning_rate,
            schedule="cosine",
            loss=part,
        )

    def epochs(self, n: int, quality: Quality) -> int:
        """Epochs of a phase of n rows, of some budget."""
        return self.settings.times * quality.epochs(n)

    def _train(
        self,
        model: torch.nn.Module,
        phase: TrainingPhase,
        entries: dict[str, torch.Tensor],
        quality: Quality,
        callback: Callback | None = None,
    ) -> None:
        phase.epochs = self.epochs(len(entries["main"]), quality)
        if self.verbose:
            log(f"ParametricUMAP: {phase.name}, {phase.epochs} epochs")
        bars = shows_bars(None, verbose=self.verbose)
        routine = dr.ParametricDR(
            model, training_phases=[phase], callback=callback, progress=bars, **self.routine
        )
        course = self.course.part(str(phase.name))
        routine.train(entries, checkpoint=course, sample_weight=self.row_weights)
        self.history.extend(routine.history)


def laid_out(
    layout: UMAP, table: Any, device: torch.device, positions: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """Rows that have positions, float32 on a device, with these and their graph."""
    rows = to_torch(table) if isinstance(table, np.ndarray) else table
    rows = rows if stays(table, layout.max_memory) else rows.to(device, torch.float32)
    if positions is None:
        positions = to_torch(to_numpy(layout.embedding_))
    known, graph = positions.isfinite().all(dim=1), layout.graph_
    if not bool(known.all()):
        rows, positions = rows[known.to(device)], positions[known]
        graph = graph[known.numpy()][:, known.numpy()]
    return rows, positions.to(device, torch.float32), graph
