"""What a model gives for rows, compared with what its losses expect before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from fastparadime import loss as losses
from fastparadime import models
from fastparadime.relations import Relations
from fastparadime.training.sampling import rows_of

_ROWS = 2  # that the model is tried on


def check_outputs(
    model: torch.nn.Module,
    loss: losses.Loss,
    entries: Mapping[str, torch.Tensor],
    relations: Mapping[str, Relations],
    expected: Callable[[str], tuple[int, str] | None],
) -> None:
    """Raises ValueError if a loss of the package cannot use what the model gives for its rows.

    Parameters
    ----------
    model : torch.nn.Module
        Applied to two rows, in evaluation mode; nothing that is drawn moves the state of torch.
    loss : Loss
        Of a phase. `RelationLoss` needs a row of the output for each row, `PositionLoss` positions
        of the same width as those given.
    entries : mapping of tensors (n, ...)
    relations : mapping of Relations
        Of batches.
    expected : callable (position_key) -> (width, reason) or None
        Columns of the positions under a key, and what says so; None where that is not known yet.
    """
    for part in loss.losses if isinstance(loss, losses.CompoundLoss) else [loss]:
        if type(part) is losses.RelationLoss:
            key, wanted = relations[part.batch_relation_key].data_key, None
        elif isinstance(part, losses.PositionLoss):
            key, wanted = part.data_key, expected(part.position_key)
        else:
            continue
        if key not in entries:
            continue
        some = torch.arange(min(_ROWS, len(entries[key])), device=entries[key].device)
        rows = rows_of(entries, key, some)
        output = _applied(model, part.embedding_method, rows)
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else None
        said = f"the model's {part.embedding_method} gives an output of " + (
            f"the type {type(output).__name__}" if shape is None else f"shape {shape}"
        )
        given = f"for rows of shape {tuple(rows.shape)}"
        if shape is None or not shape or shape[0] != len(rows):
            raise ValueError(f"{said} {given}, but must give one row for each")
        if wanted is not None and shape != (len(rows), wanted[0]):
            raise ValueError(
                f"{said} {given}, but {wanted[1]}: it must be {(len(rows), wanted[0])}"
            )


def _applied(model: torch.nn.Module, method: str, rows: torch.Tensor) -> object:
    device = models.device_of(model)
    kept = torch.random.fork_rng([device] if device.type == "cuda" else [])
    with models.evaluating(model), torch.no_grad(), kept:
        output: object = models.method_of(model, method)(models.as_input(model, rows))
    return output
