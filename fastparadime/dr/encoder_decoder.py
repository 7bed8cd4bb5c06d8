"""A model of two networks: from rows to coordinates, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from fastparadime import models
from fastparadime.utils.validate import check_integer, check_list, check_type


@models.register
class EncoderDecoderModel(models.Model):
    """An encoder of rows and, where there is one, a decoder back to them, as one model.

    Parameters
    ----------
    encoder : torch.nn.Module, or mapping as `arguments` describes it
        Called with rows.
    decoder : torch.nn.Module or mapping, optional
        Called with what the encoder gives.
    in_dim, out_dim : int
        Columns of the rows and of what the encoder gives.
    row_shape : sequence of int, optional
        What a row is made before it is encoded, such as (1, 28, 28) for a convolution.
    """

    def __init__(
        self,
        encoder: torch.nn.Module | Mapping[str, Any],
        decoder: torch.nn.Module | Mapping[str, Any] | None = None,
        *,
        in_dim: int,
        out_dim: int,
        row_shape: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.in_dim = check_integer(in_dim, "in_dim", minimum=1)
        self.out_dim = check_integer(out_dim, "out_dim", minimum=1)
        self.row_shape = (
            None
            if row_shape is None
            else [
                check_integer(n, "row_shape", minimum=1) for n in check_list(row_shape, "row_shape")
            ]
        )
        self.encoder = _part(encoder, "encoder")
        self.decoder = None if decoder is None else _part(decoder, "decoder")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Coordinates (n, out_dim) of the rows of `x` (n, in_dim)."""
        rows = x if self.row_shape is None else x.reshape(-1, *self.row_shape)
        embedded: torch.Tensor = self.encoder(rows).flatten(1)
        return embedded

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward(x)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward(x)

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (n, anchors) of the encoder's anchors."""
        scores: torch.Tensor = self.encoder.scores(x)  # type: ignore[operator]
        return scores

    def decode(self, x: torch.Tensor) -> torch.Tensor:
        """Rows (n, in_dim) for coordinates (n, out_dim)."""
        if self.decoder is None:
            raise AttributeError("the model has no decoder")
        rows: torch.Tensor = self.decoder(x).flatten(1)
        return rows

    def arguments(self) -> dict[str, Any] | None:
        """What the constructor takes for such a model; None if a part is of an unknown class."""
        parts = [_description(part) for part in (self.encoder, self.decoder) if part is not None]
        if None in parts:
            return None
        described = dict(zip(("encoder", "decoder"), parts, strict=False))
        shape = {"in_dim": self.in_dim, "out_dim": self.out_dim, "row_shape": self.row_shape}
        return {**described, **shape}


def _part(part: torch.nn.Module | Mapping[str, Any], name: str) -> torch.nn.Module:
    if not isinstance(part, Mapping):
        return check_type(part, torch.nn.Module, name)
    model_class = models.registered(part["class"])
    if model_class is None or model_class is EncoderDecoderModel:  # a file's are not to nest
        raise ValueError(f"{name} names no registered model class {part['class']!r}")
    return model_class(**part["arguments"])


def _description(part: torch.nn.Module) -> dict[str, Any] | None:
    name = type(part).__qualname__
    if models.registered(name) is not type(part):
        return None
    return {"class": name, "arguments": part.arguments()}  # type: ignore[operator]


def apply_in_chunks(
    model: torch.nn.Module, X: Any, method: str | None = None, **options: Any
) -> Any:
    """As `fastparadime.models.embed_in_chunks`, of the one network of two that is asked.

    A default network's result for a row does not depend on the rows beside it, not even by
    rounding, and so neither does that of a model of two.
    """
    if isinstance(model, EncoderDecoderModel) and method in (None, "embed", "encode", "decode"):
        part = model.decoder if method == "decode" else model.encoder
        if isinstance(part, models.ScaledEmbeddingModel):
            return models.embed_in_chunks(part, X, **options)
    return models.embed_in_chunks(model, X, method, **options)
