"""Losses that compare what a model gives for rows with positions that they are given."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from fastparadime.loss.losses import Batch, Loss
from fastparadime.models import AnchorEmbeddingModel, as_input, method_of
from fastparadime.relationdata import RelationData
from fastparadime.relations import Relations
from fastparadime.types import BinaryTensorFun
from fastparadime.utils.convert import alike
from fastparadime.utils.validate import check_callable, check_key, check_type


class PositionLoss(Loss):
    """Compares embedded points with given positions.

    Parameters
    ----------
    loss_function : callable (embedded, positions) -> tensor (), optional
        Mean squared error if None.
    data_key, position_key : str
        Entries of the batch.
    embedding_method : str
        The model's method that embeds the batch.
    name : str, optional
    """

    _prefix = "pos_loss"

    def __init__(
        self,
        loss_function: BinaryTensorFun | None = None,
        data_key: str = "main",
        position_key: str = "pos",
        embedding_method: str = "embed",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.loss_function = check_callable(
            torch.nn.MSELoss() if loss_function is None else loss_function, "loss_function"
        )
        self.data_key = check_key(data_key, "data_key")
        self.position_key = check_key(position_key, "position_key")
        self.embedding_method = check_key(embedding_method, "embedding_method")

    @property
    def trained_method(self) -> str:
        """The model's method whose output is compared."""
        return self.embedding_method

    def gradients(
        self, embedded: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss () of what the method gave, outside of torch's graph, and its gradient there."""
        inputs = embedded.detach().requires_grad_()
        value = self.loss_function(*alike(inputs, positions))
        (gradient,) = torch.autograd.grad(value, inputs)
        return value.detach(), gradient.contiguous()

    def forward(
        self,
        model: torch.nn.Module,
        global_relations: Mapping[str, RelationData],
        batch_relations: Mapping[str, Relations],
        batch: Batch,
        device: torch.device,
    ) -> torch.Tensor:
        embedded = method_of(model, self.trained_method)(as_input(model, batch[self.data_key]))
        positions = batch[self.position_key].to(device)
        loss: torch.Tensor = self.loss_function(*alike(embedded, positions))
        return loss


class AnchorLoss(PositionLoss):
    """Compares the scores that a model has for anchors with given positions.

    Parameters
    ----------
    model : fastparadime.models.AnchorEmbeddingModel
        The network that is trained, or the encoder of it.
    data_key, position_key : str
        Entries of the batch.
    name : str, optional

    Raises
    ------
    TypeError
        For another model.
    """

    _prefix = "anchor_loss"

    def __init__(
        self,
        model: AnchorEmbeddingModel,
        data_key: str = "main",
        position_key: str = "pos",
        name: str | None = None,
    ) -> None:
        check_type(model, AnchorEmbeddingModel, "model")
        super().__init__(model.loss, data_key, position_key, name=name)
        self._gradients = model.gradients

    @property
    def trained_method(self) -> str:
        return "scores"

    def gradients(
        self, embedded: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self._gradients(embedded, positions)
