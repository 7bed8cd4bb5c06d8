"""Which features move a row in the map: the Jacobian of a network, row by row or over regions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fastparadime import models
from fastparadime.training import TrainingPhase
from fastparadime.training.native_steps import network_of
from fastparadime.types import Array, TensorLike
from fastparadime.utils.convert import to_numpy, to_torch, widened
from fastparadime.utils.labels import known_labels

_CHUNK_BYTES = 32 * 2**20  # of derivatives found at a time


@dataclass(frozen=True)
class RegionAttribution:
    """Which features move the rows of each region of a map.

    Attributes
    ----------
    regions : array (r,)
        The labels, ascending.
    values : float32 array (r, out_dim, in_dim)
        The mean absolute derivative of each coordinate in each feature.
    rows : int array (r,)
        How many rows each region has.
    """

    regions: Array
    values: Array
    rows: Array

    def __repr__(self) -> str:
        regions, out_dim, in_dim = self.values.shape
        return f"RegionAttribution({regions} regions, {out_dim} coordinates, {in_dim} features)"


def jacobian(model: torch.nn.Module, X: TensorLike, *, amounts: bool = False) -> torch.Tensor:
    """The derivatives of the coordinates of rows in their features, on the CPU.

    Parameters
    ----------
    model : torch.nn.Module
        Whose `embed`, or call, gives a row's coordinates by that row alone.
    X : (n, ...) array or tensor
    amounts : bool
        As for ``models.embed_in_chunks``.

    Returns
    -------
    float32 tensor (n, out_dim, in_dim)
        Rows of more than one dimension are flat.
    """
    found = [part.clone() for part in _parts(model, X, amounts=amounts)]
    if not found:
        return torch.empty((0, getattr(model, "out_dim", 0), int(np.prod(X.shape[1:]))))
    return torch.cat(found)


def by_region(
    model: torch.nn.Module, X: TensorLike, labels: Any, *, amounts: bool = False
) -> RegionAttribution:
    """The mean absolute Jacobian of the rows of each label that is known; see `jacobian`.

    Raises
    ------
    ValueError
        If there is not one label for each row, or none is known.
    """
    given, known = known_labels(labels)
    if given.shape != (len(X),):
        raise ValueError(f"labels must be one for each of {len(X)} rows, not {given.shape}")
    if not known.any():
        raise ValueError("labels must be known for at least one row of X")
    regions, places = np.unique(given[known], return_inverse=True)
    rows = np.bincount(places, minlength=len(regions))
    X = to_torch(X)[torch.from_numpy(known)]
    sums, start = torch.zeros((len(regions), 1, 1), dtype=torch.float64), 0
    for part in _parts(model, X, amounts=amounts):
        if start == 0:
            sums = sums.repeat(1, *part.shape[1:])
        at = torch.from_numpy(places[start : start + len(part)])
        sums.index_add_(0, at, part.abs().double())
        start += len(part)
    means = sums / torch.from_numpy(rows)[:, None, None]
    return RegionAttribution(regions, to_numpy(means.float()), rows)


def _parts(model: torch.nn.Module, X: TensorLike, *, amounts: bool) -> Iterator[torch.Tensor]:
    """The derivatives of blocks of rows; natively, each block is overwritten by the next."""
    rows = to_torch(X)
    models.check_width(model, rows)
    width = int(np.prod(rows.shape[1:])) * max(1, getattr(model, "out_dim", 2))
    size = max(1, min(len(rows), _CHUNK_BYTES // (4 * max(1, width, models.values_a_row(model)))))
    like = widened(rows[:1], amounts=amounts)
    first = like.float().contiguous() if not models.looks_up(model) else like
    network = network_of(_encoder_of(model), TrainingPhase(), "embed", first, size)
    for block in rows.split(size):
        taken = widened(block, amounts=amounts)
        if network is not None:
            yield network.jacobian(taken.float().contiguous(), torch.arange(len(taken)))
        else:
            yield _by_torch(model, models.as_input(model, taken))


def _encoder_of(model: torch.nn.Module) -> torch.nn.Module:
    """The part of a model that is a network of the package, where one gives the coordinates."""
    encoder = models.network_in(model)
    return encoder if isinstance(encoder, models.FullyConnectedEmbeddingModel) else model


def _by_torch(model: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """The same by torch, one backward pass for each coordinate: no row depends on another one."""
    if not rows.is_floating_point():
        raise TypeError("attribution needs rows of floats: the model looks integers up in a table")
    embed = getattr(model, "embed", model)
    with models.evaluating(model), torch.enable_grad():
        rows = rows.detach().requires_grad_()
        coordinates = embed(rows)
        found = [
            torch.autograd.grad(column.sum(), rows, retain_graph=True)[0]
            for column in coordinates.unbind(dim=1)
        ]
    return torch.stack(found, dim=1).flatten(2).float().cpu()
