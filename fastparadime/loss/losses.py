"""Losses of training phases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch

from fastparadime import exceptions
from fastparadime.models import as_input, method_of
from fastparadime.relationdata import RelationData
from fastparadime.relations import DistsFromTo, Relations
from fastparadime.types import BinaryTensorFun, TensorLike
from fastparadime.utils.convert import alike, to_torch
from fastparadime.utils.validate import check_callable, check_key

Batch = Mapping[str, torch.Tensor]
Sampling = Literal["standard", "negative_edge"]


class Loss(torch.nn.Module):
    """Base class of losses; subclasses define `forward`.

    Parameters
    ----------
    name : str, optional
        Used in reports.
    """

    _prefix = "loss"

    def __init__(self, name: str | None = None) -> None:
        super().__init__()
        self._name = f"{self._prefix}_{id(self)}" if name is None else check_key(name, "name")
        self._accumulated: torch.Tensor | float = 0.0
        self._checkpoints: list[torch.Tensor | float] = []
        self.register_forward_hook(self._add_last)

    @property
    def name(self) -> str:
        """The name used in reports."""
        return self._name

    @property
    def history(self) -> list[float]:
        """The summed batch losses of each epoch so far."""
        # Values stay on their device until they are read, so no step waits for the host.
        self._checkpoints = [float(value) for value in self._checkpoints]
        return self._checkpoints  # type: ignore[return-value]

    @history.setter
    def history(self, values: Sequence[float]) -> None:
        self._checkpoints = list(values)

    def accumulate(self, value: torch.Tensor) -> None:
        """Adds a batch's loss to the epoch's sum."""
        self._accumulated = self._accumulated + value.detach()

    def _add_last(self, _module: torch.nn.Module, _args: Any, output: torch.Tensor) -> None:
        self.accumulate(output)

    def checkpoint(self) -> None:
        """Appends the epoch's sum to `history` and starts the next one."""
        self._checkpoints.append(self._accumulated)
        self._accumulated = 0.0

    def check(self, sampling: Sampling, batch_relations: Mapping[str, Relations]) -> None:
        """Raises if the loss does not work with a phase's sampling and batch relations."""

    def forward(
        self,
        model: torch.nn.Module,
        global_relations: Mapping[str, RelationData],
        batch_relations: Mapping[str, Relations],
        batch: Batch,
        device: torch.device,
    ) -> torch.Tensor:
        """The loss of a batch, a tensor ().

        Parameters
        ----------
        model : torch.nn.Module
        global_relations : mapping of RelationData
            Relations of the whole dataset.
        batch_relations : mapping of Relations
            Relations to be computed for the batch.
        batch : mapping of tensors
            Dataset entries of the batch and 'indices'; under negative-edge sampling also 'row',
            'col', 'rel' and 'from_to_data'. Entries are built when they are read.
        device : torch.device
            Where the model is.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define forward")


def check_weights(weights: TensorLike | Sequence[float], name: str) -> list[float]:
    """Weights of losses as numbers, checked."""
    values = [value.item() if hasattr(value, "item") else value for value in weights]
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{name} must hold numbers, not {value!r}")
    return values


class RelationLoss(Loss):
    """Compares a subset of global relations with relations of the embedded batch.

    Parameters
    ----------
    loss_function : callable (global, batch) -> tensor ()
    global_relation_key, batch_relation_key : str
        Where to find the relations.
    embedding_method : str
        The model's method that embeds the batch.
    normalize_sub : bool
        Whether the subset of global relations is divided by its sum (not with `DistsFromTo`).
    name : str, optional
    """

    _prefix = "rel_loss"

    def __init__(
        self,
        loss_function: BinaryTensorFun,
        global_relation_key: str = "rel",
        batch_relation_key: str = "rel",
        embedding_method: str = "embed",
        normalize_sub: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.loss_function = check_callable(loss_function, "loss_function")
        self.global_relation_key = check_key(global_relation_key, "global_relation_key")
        self.batch_relation_key = check_key(batch_relation_key, "batch_relation_key")
        self.embedding_method = check_key(embedding_method, "embedding_method")
        self.normalize_sub = normalize_sub

    def check(self, sampling: Sampling, batch_relations: Mapping[str, Relations]) -> None:
        if self.batch_relation_key not in batch_relations:
            raise KeyError(
                f"{self.name} needs batch relations {self.batch_relation_key!r}; there are "
                f"{sorted(batch_relations)}"
            )
        from_to = isinstance(batch_relations[self.batch_relation_key], DistsFromTo)
        if from_to and sampling != "negative_edge":
            raise exceptions.UnsupportedConfigurationError(
                "RelationLoss does not support DistsFromTo with 'standard' sampling. Consider "
                "using 'negative_edge' sampling instead."
            )

    def forward(
        self,
        model: torch.nn.Module,
        global_relations: Mapping[str, RelationData],
        batch_relations: Mapping[str, Relations],
        batch: Batch,
        device: torch.device,
    ) -> torch.Tensor:
        relation = batch_relations[self.batch_relation_key]
        embed = method_of(model, self.embedding_method)
        if isinstance(relation, DistsFromTo):
            target = batch[self.global_relation_key].to(device)
            ends = as_input(model, batch["from_to_data"])
            # As rows: a convolution or a batch norm would take the leading 2 for something else.
            embedded = embed(ends.flatten(0, 1)).unflatten(0, ends.shape[:2])
        else:
            target = global_relations[self.global_relation_key].sub(batch["indices"]).to(device)
            if self.normalize_sub:
                total = target.sum()
                target = target / torch.where(total == 0, 1, total)  # no relations in the batch
            embedded = embed(as_input(model, batch[relation.data_key]))
        return self.loss_function(*alike(target, relation.compute_relations(embedded).data))


class ClassificationLoss(Loss):
    """Compares predicted class scores with labels.

    Parameters
    ----------
    loss_function : callable (scores, labels) -> tensor (), optional
        Cross-entropy if None.
    data_key, label_key : str
        Entries of the batch.
    classification_method : str
        The model's method that gives scores.
    name : str, optional
    """

    _prefix = "class_loss"

    def __init__(
        self,
        loss_function: BinaryTensorFun | None = None,
        data_key: str = "main",
        label_key: str = "labels",
        classification_method: str = "classify",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.loss_function = check_callable(
            torch.nn.CrossEntropyLoss() if loss_function is None else loss_function, "loss_function"
        )
        self.data_key = check_key(data_key, "data_key")
        self.label_key = check_key(label_key, "label_key")
        self.classification_method = check_key(classification_method, "classification_method")

    def forward(
        self,
        model: torch.nn.Module,
        global_relations: Mapping[str, RelationData],
        batch_relations: Mapping[str, Relations],
        batch: Batch,
        device: torch.device,
    ) -> torch.Tensor:
        scores = method_of(model, self.classification_method)(as_input(model, batch[self.data_key]))
        labels = batch[self.label_key].to(device)
        loss: torch.Tensor = self.loss_function(*alike(scores, labels))
        return loss


class ReconstructionLoss(Loss):
    """Compares decoded codes with the data they were encoded from.

    Parameters
    ----------
    loss_function : callable (data, reconstruction) -> tensor (), optional
        Mean squared error if None.
    data_key : str
        Entry of the batch.
    encoding_method, decoding_method : str
        The model's methods.
    name : str, optional
    """

    _prefix = "recon_loss"

    def __init__(
        self,
        loss_function: BinaryTensorFun | None = None,
        data_key: str = "main",
        encoding_method: str = "encode",
        decoding_method: str = "decode",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.loss_function = check_callable(
            torch.nn.MSELoss() if loss_function is None else loss_function, "loss_function"
        )
        self.data_key = check_key(data_key, "data_key")
        self.encoding_method = check_key(encoding_method, "encoding_method")
        self.decoding_method = check_key(decoding_method, "decoding_method")

    def forward(
        self,
        model: torch.nn.Module,
        global_relations: Mapping[str, RelationData],
        batch_relations: Mapping[str, Relations],
        batch: Batch,
        device: torch.device,
    ) -> torch.Tensor:
        data = as_input(model, batch[self.data_key])
        encode, decode = (
            method_of(model, self.encoding_method),
            method_of(model, self.decoding_method),
        )
        return self.loss_function(*alike(data, decode(encode(data))))


class CompoundLoss(Loss):
    """A weighted sum of losses.

    Parameters
    ----------
    losses : sequence of Loss
    weights : array (len(losses),), optional
        Ones if None.
    name : str, optional
    """

    _prefix = "comp_loss"

    def __init__(
        self,
        losses: Sequence[Loss],
        weights: TensorLike | Sequence[float] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.losses = list(losses)
        if not self.losses:
            raise ValueError("losses must hold at least one Loss")
        for loss in self.losses:
            if not isinstance(loss, Loss):
                raise TypeError(f"losses must hold Loss instances, not {type(loss).__name__}")
        values = [1.0] * len(self.losses) if weights is None else check_weights(weights, "weights")
        if len(values) != len(self.losses):
            raise ValueError(
                f"Size mismatch between losses ({len(self.losses)}) and weights ({len(values)})."
            )
        self.weights = to_torch(values).float()

    def checkpoint(self) -> None:
        super().checkpoint()
        for loss in self.losses:
            loss.checkpoint()

    def detailed_history(self) -> torch.Tensor:
        """The weighted history of each loss, a tensor (losses, epochs)."""
        return self.weights[:, None] * torch.tensor([loss.history for loss in self.losses])

    def check(self, sampling: Sampling, batch_relations: Mapping[str, Relations]) -> None:
        for loss in self.losses:
            loss.check(sampling, batch_relations)

    def forward(
        self,
        model: torch.nn.Module,
        global_relations: Mapping[str, RelationData],
        batch_relations: Mapping[str, Relations],
        batch: Batch,
        device: torch.device,
    ) -> torch.Tensor:
        arguments = (model, global_relations, batch_relations, batch, device)
        terms = [
            weight * loss(*arguments)
            for loss, weight in zip(self.losses, self.weights.to(device), strict=True)
        ]
        return torch.stack(terms).sum()
