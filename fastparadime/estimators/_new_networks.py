"""The networks of ParametricUMAP before they are trained: default ones, or copies of those given."""

from __future__ import annotations

import copy
from typing import Any

import torch

from fastparadime import dr, models
from fastparadime.estimators._parametric_fit import NetworkSettings
from fastparadime.relationdata import SparseRelationArray
from fastparadime.routines.quality import neighbor_distance
from fastparadime.utils.seed import derive


def new_encoder(
    given: torch.nn.Module | None,
    rows: torch.Tensor,
    positions: torch.Tensor,
    graph: Any,
    settings: NetworkSettings,
    seed: int,
) -> torch.nn.Module:
    """A network to be trained: a default one, or a copy of the one given."""
    if given is None and settings.prototypes is not None:
        return _of_prototypes(rows, positions, graph, settings, derive(seed, "model"))
    count = settings.anchors_of(*positions.shape)
    if given is None and count:
        return _of_anchors(rows, positions, count, settings.hidden_dims, derive(seed, "model"))
    if given is None:
        return _scaled(rows, positions, settings.hidden_dims, derive(seed, "model"))
    (_, in_dim), (_, out_dim) = rows.shape, positions.shape
    encoder = dr.EncoderDecoderModel(
        copy.deepcopy(given), in_dim=in_dim, out_dim=out_dim, row_shape=settings.row_shape
    )
    _check_output(encoder, rows, "encoder", "n_components")
    if isinstance(encoder.encoder, models.AnchorEmbeddingModel) and not encoder.encoder.is_placed:
        generator = torch.Generator().manual_seed(derive(seed, "model"))
        models.place_anchors(encoder.encoder, positions, generator)
    return encoder


def is_outgrown(
    network: torch.nn.Module, settings: NetworkSettings, n: int, n_components: int
) -> bool:
    """Whether a network gives coordinates where a fit of so many rows would have anchors."""
    coordinates = type(network) is models.ScaledEmbeddingModel
    return coordinates and settings.anchors_of(n, n_components) > 0


def grown(
    network: torch.nn.Module,
    rows: torch.Tensor,
    positions: torch.Tensor,
    settings: NetworkSettings,
    seed: int,
    *,
    outgrown: bool,
) -> torch.nn.Module:
    """A trained network with as many anchors as a fit of all rows would have, or a new one."""
    part, count = models.network_in(network), settings.anchors_of(*positions.shape)
    if outgrown:
        return _of_anchors(rows, positions, count, settings.hidden_dims, derive(seed, "model"))
    if isinstance(part, models.AnchorEmbeddingModel):
        generator = torch.Generator().manual_seed(derive(seed, "model"))
        models.place_anchors(part, positions, generator, count=max(count, len(part.anchors)))
    return network


def new_decoder(
    given: torch.nn.Module | None,
    rows: torch.Tensor,
    positions: torch.Tensor,
    settings: NetworkSettings,
    seed: int,
) -> torch.nn.Module:
    """The same of the way back."""
    if given is None:
        return _scaled(positions, rows, settings.hidden_dims[::-1], derive(seed, "decoder"))
    (_, in_dim), (_, out_dim) = positions.shape, rows.shape
    decoder = dr.EncoderDecoderModel(copy.deepcopy(given), in_dim=in_dim, out_dim=out_dim)
    _check_output(decoder, positions, "decoder", "the columns of X")
    return decoder


def _scaled(
    rows: torch.Tensor, targets: torch.Tensor, hidden_dims: list[int], seed: int
) -> models.ScaledEmbeddingModel:
    generator = torch.Generator().manual_seed(seed)
    widths = rows.shape[1], targets.shape[1]
    model = models.ScaledEmbeddingModel(*widths, hidden_dims, generator=generator)
    model.fit_scales(rows, targets)
    return model


def _of_anchors(
    rows: torch.Tensor, positions: torch.Tensor, count: int, hidden_dims: list[int], seed: int
) -> models.AnchorEmbeddingModel:
    generator = torch.Generator().manual_seed(seed)
    widths = rows.shape[1], positions.shape[1]
    model = models.AnchorEmbeddingModel(*widths, hidden_dims, count, generator=generator)
    model.fit_scales(rows, positions)
    models.place_anchors(model, positions, generator)
    return model


def _of_prototypes(
    rows: torch.Tensor, positions: torch.Tensor, graph: Any, settings: NetworkSettings, seed: int
) -> models.PrototypeEmbeddingModel:
    generator = torch.Generator().manual_seed(seed)
    assert settings.prototypes is not None
    count = min(settings.prototypes, len(rows))
    widths = rows.shape[1], positions.shape[1]
    model = models.PrototypeEmbeddingModel(*widths, (count,), generator=generator)
    distance = neighbor_distance(rows, SparseRelationArray(graph))
    models.place_prototypes(
        model, rows, positions, distance, by_angle=settings.by_angle, generator=generator
    )
    return model


@torch.no_grad()
def _check_output(model: dr.EncoderDecoderModel, rows: torch.Tensor, name: str, what: str) -> None:
    """Raises for a network that does not take the rows, or gives others than are wanted."""
    try:
        with models.evaluating(model):
            found = tuple(model(models.as_input(model, rows[:2])).shape)
    except (RuntimeError, IndexError) as error:
        wanted = (len(rows[:2]), *(model.row_shape or rows.shape[1:]))
        raise ValueError(f"{name} does not take rows of shape {wanted}: {error}") from error
    if found != (len(rows[:2]), model.out_dim):
        raise ValueError(
            f"{name} must give {what}, {model.out_dim} for a row, but gives {found} for "
            f"{len(rows[:2])} rows"
        )
