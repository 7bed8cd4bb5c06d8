"""Training phases and their steps."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch

from fastparadime import exceptions, models, ops
from fastparadime import loss as losses
from fastparadime.optim import make_optimizer
from fastparadime.relationdata import RelationData
from fastparadime.relations import DistsFromTo, Relations, euclidean_rows
from fastparadime.sampling import Batch, Entries, NegativeEdgeBatches, item_batches
from fastparadime.transforms import ModifiedCauchyTransform
from fastparadime.utils import ReprMixin
from fastparadime.utils.logging import log
from fastparadime.utils.seed import derive
from fastparadime.utils.validate import check_integer, check_option, check_positive

_SAMPLING = ("standard", "negative_edge")


class TrainingPhase(ReprMixin):
    """The settings of one phase of training.

    Parameters
    ----------
    name : str, optional
    epochs : int
        Under standard sampling every item is seen once in an epoch.
    batch_size : int
        Items, or positive edges under negative-edge sampling, of a batch.
    batches_per_epoch : int
        Negative-edge sampling only; -1 for about as many items as the dataset has.
    sampling : {"standard", "negative_edge"}
    edge_rel_key : str
        The global relations that positive edges are drawn from.
    neg_sampling_rate : int
        Negative edges to each positive one.
    loss_keys, loss_weights : sequences, optional
        Losses of the routine to minimise (paraDime 1.1); ["loss"] if neither they nor `loss` are
        given.
    optimizer : type
        A torch optimizer class.
    learning_rate : float
    report_interval : int
        Epochs between reports.
    loss : Loss, optional
        The loss to minimise (paraDime 0.3).
    **kwargs
        Passed on to the optimizer.

    Raises
    ------
    TypeError, ValueError
        For a setting that cannot be used.
    """

    def __init__(
        self,
        name: str | None = None,
        epochs: int = 5,
        batch_size: int = 50,
        batches_per_epoch: int = -1,
        sampling: str = "standard",
        edge_rel_key: str = "rel",
        neg_sampling_rate: int = 5,
        loss_keys: Sequence[str] | None = None,
        loss_weights: Sequence[float] | None = None,
        optimizer: type[torch.optim.Optimizer] = torch.optim.Adam,
        learning_rate: float = 0.01,
        report_interval: int = 5,
        *,
        loss: losses.Loss | None = None,
        **kwargs: Any,
    ) -> None:
        self.name = name
        self.epochs = epochs
        self.batch_size = batch_size
        self.batches_per_epoch = batches_per_epoch
        self.sampling = sampling
        self.edge_rel_key = edge_rel_key
        self.neg_sampling_rate = neg_sampling_rate
        self.loss_keys = ["loss"] if loss_keys is None else list(loss_keys)
        self.loss_weights = None if loss_weights is None else list(loss_weights)
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.report_interval = report_interval
        self.kwargs = kwargs
        self._loss = loss
        self.check()

    @classmethod
    def settings(cls) -> tuple[str, ...]:
        """Names of the settings that can be set one by one."""
        return (
            "name", "epochs", "batch_size", "batches_per_epoch", "sampling", "edge_rel_key",
            "neg_sampling_rate", "loss_keys", "loss_weights", "optimizer", "learning_rate",
            "report_interval", "loss",
        )  # fmt: skip

    def check(self) -> None:
        """Raises for a setting that cannot be used."""
        check_integer(self.epochs, "epochs", minimum=0)
        check_integer(self.batch_size, "batch_size", minimum=1)
        check_integer(self.neg_sampling_rate, "neg_sampling_rate", minimum=0)
        check_integer(self.report_interval, "report_interval", minimum=1)
        check_positive(self.learning_rate, "learning_rate", zero_ok=True)
        check_option(self.sampling, _SAMPLING, "sampling")
        if self.batches_per_epoch != -1:
            check_integer(self.batches_per_epoch, "batches_per_epoch", minimum=1)
        if not (
            isinstance(self.optimizer, type) and issubclass(self.optimizer, torch.optim.Optimizer)
        ):
            raise ValueError(
                f"optimizer must be a torch optimizer class, not {self.optimizer!r}; there are "
                "Adam, AdamW, SGD, RMSprop and others in torch.optim"
            )
        accepted = inspect.signature(self.optimizer).parameters
        unknown = [key for key in self.kwargs if key not in accepted]
        if unknown and not any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
            raise TypeError(
                f"{unknown[0]!r} is neither a setting of a phase {self.settings()} nor an option "
                f"of {self.optimizer.__name__} {tuple(accepted)}"
            )
        if not self.loss_keys:
            raise ValueError("loss_keys must name at least one loss")
        if self.loss_weights is not None and len(self.loss_weights) != len(self.loss_keys):
            raise ValueError(
                f"loss_weights must have one weight for each of {len(self.loss_keys)} losses, not "
                f"{len(self.loss_weights)}"
            )
        if self._loss is not None and not isinstance(self._loss, losses.Loss):
            raise TypeError(f"loss must be a Loss, not {type(self._loss).__name__}")

    @property
    def loss(self) -> losses.Loss:
        """The loss that is minimised."""
        if self._loss is None:
            raise exceptions.LossNotDeterminedError(
                "Attempted to access loss before it was determined: add the phase to a routine "
                f"with losses {self.loss_keys}, or give it a loss."
            )
        return self._loss

    @loss.setter
    def loss(self, loss: losses.Loss) -> None:
        self._loss = loss

    def with_settings(self, **settings: Any) -> TrainingPhase:
        """A copy with some settings changed; None leaves a setting as it is."""
        changed = copy.copy(self)
        changed.kwargs = dict(self.kwargs)
        changed.loss_keys = list(self.loss_keys)
        changed.loss_weights = None if self.loss_weights is None else list(self.loss_weights)
        changed._loss = copy.deepcopy(self._loss)
        for key, value in settings.items():
            if key not in self.settings():
                changed.kwargs[key] = value
            elif value is not None:
                setattr(changed, key, value)
        changed.check()
        return changed

    def determine_loss(self, available: Mapping[str, losses.Loss]) -> None:
        """Takes the loss from a routine's losses, unless the phase has one of its own."""
        if self._loss is not None:
            return
        for key in self.loss_keys:
            if key not in available:
                raise KeyError(
                    f"training phase {self.name!r} needs loss {key!r}; there are "
                    f"{sorted(available)}"
                )
        chosen = [copy.deepcopy(available[key]) for key in self.loss_keys]
        if len(chosen) == 1:
            self.loss = chosen[0]
        else:
            self.loss = losses.CompoundLoss(chosen, self.loss_weights, name=self.name)


def check_phase(
    phase: TrainingPhase,
    entries: Collection[str],
    global_relations: Collection[str],
    batch_relations: Mapping[str, Relations],
) -> None:
    """Raises if a phase needs data or relations that are not among those there will be.

    Parameters
    ----------
    phase : TrainingPhase
        With its loss determined.
    entries : collection of str
        Dataset entries; empty if they are not known yet.
    global_relations : collection of str
    batch_relations : mapping of Relations

    Raises
    ------
    KeyError
        Naming what is missing and what there is.
    UnsupportedConfigurationError
        If relations do not fit the sampling.
    """
    needed = {"edge_rel_key": phase.edge_rel_key} if phase.sampling == "negative_edge" else {}
    keys: dict[str, str] = {}
    for loss in phase.loss.losses if isinstance(phase.loss, losses.CompoundLoss) else [phase.loss]:
        loss.check(phase.sampling, batch_relations)  # type: ignore[arg-type]
        if isinstance(loss, losses.RelationLoss):
            keys["data_key"] = batch_relations[loss.batch_relation_key].data_key
            if phase.sampling == "standard":
                needed["global_relation_key"] = loss.global_relation_key
        elif isinstance(
            loss, (losses.ClassificationLoss, losses.PositionLoss, losses.ReconstructionLoss)
        ):
            names = ("data_key", "position_key", "label_key")
            keys.update({n: getattr(loss, n) for n in names if hasattr(loss, n)})
    for name, key in needed.items():
        if key not in global_relations:
            raise KeyError(
                f"training phase {phase.name!r} needs global relations {key!r} ({name}); there "
                f"are {sorted(global_relations)}"
            )
    for name, key in keys.items():
        if entries and key not in entries:
            raise KeyError(
                f"training phase {phase.name!r} needs data entry {key!r} ({name}); there are "
                f"{sorted(entries)}"
            )


@dataclass(frozen=True)
class TrainingData:
    """What a phase trains on: dataset entries, relations, and where the model is."""

    entries: Entries
    global_relations: Mapping[str, RelationData]
    batch_relations: Mapping[str, Relations]
    device: torch.device
    seed: int


@dataclass(frozen=True)
class _FusedEdgeStep:
    """The loss of a negative-edge batch through the fused operation."""

    batches: NegativeEdgeBatches
    model: torch.nn.Module
    method: str
    curve: tuple[float, float]

    def _embed(self, rows: torch.Tensor) -> torch.Tensor:
        embedded: torch.Tensor = getattr(self.model, self.method)(models.as_input(self.model, rows))
        return embedded

    def loss(self, step: int) -> torch.Tensor:
        heads, tails = self.batches.draw(step)
        ids = torch.cat((heads, tails.flatten()))
        data = self.batches.entries[self.batches.data_key]
        if data.device.type == "cpu":
            # Shapes may vary here, so a point drawn twice is embedded once.
            nodes, positions = ops.unique_nodes(ids)
            rows = self._embed(data.index_select(0, nodes)).index_select(0, positions)
        else:
            rows = self._embed(data.index_select(0, ids))
        head_rows, tail_rows = rows.split((len(heads), tails.numel()))
        return ops.negative_edge_cross_entropy(
            head_rows, tail_rows.view(*tails.shape, -1), *self.curve
        )


def fused_curve(
    loss: losses.Loss, relations: Mapping[str, Relations], phase: TrainingPhase
) -> tuple[float, float] | None:
    """The curve (a, b) of a phase that the fused operation computes exactly, else None."""
    if type(loss) is not losses.RelationLoss or phase.sampling != "negative_edge":
        return None
    relation = relations[loss.batch_relation_key]
    if (
        loss.loss_function is not losses.cross_entropy_loss
        or loss.global_relation_key != "rel"
        or type(relation) is not DistsFromTo
        or relation.metric is not euclidean_rows
        or [type(tf) for tf in relation.transform] != [ModifiedCauchyTransform]
    ):
        return None
    curve = cast(ModifiedCauchyTransform, relation.transform[0])
    if isinstance(curve.a, torch.Tensor) or isinstance(curve.b, torch.Tensor):
        return None  # trainable: they need gradients too
    return float(curve.a), float(curve.b)


def _edge_batches(phase: TrainingPhase, data: TrainingData, seed: int) -> NegativeEdgeBatches:
    edges = data.global_relations[phase.edge_rel_key].to_sparse_array().edges
    heads, tails, weights = (part.to(data.device) for part in edges[1:])
    n = len(edges.indptr) - 1
    sampler = ops.EdgeSampler(heads, tails, weights, n, seed=seed)
    key = getattr(phase.loss, "batch_relation_key", None)
    relation = data.batch_relations.get(key) if key is not None else None
    data_key = "main" if relation is None else relation.data_key
    return NegativeEdgeBatches(
        data.entries, sampler, phase.batch_size, phase.neg_sampling_rate, data_key
    )


def _batches_per_epoch(phase: TrainingPhase, n: int) -> int:
    if phase.sampling == "standard":
        return -(-n // phase.batch_size)
    if phase.batches_per_epoch != -1:
        return phase.batches_per_epoch
    edges = max(phase.batch_size, math.ceil(n / (phase.neg_sampling_rate + 1)))
    return -(-edges // phase.batch_size)


def _step_losses(
    model: torch.nn.Module, phase: TrainingPhase, data: TrainingData, seed: int
) -> Iterator[torch.Tensor]:
    """The loss of each step in turn, ready for its backward pass."""
    n = len(next(iter(data.entries.values())))
    per_epoch = _batches_per_epoch(phase, n)
    arguments = (model, data.global_relations, data.batch_relations)
    if phase.sampling == "standard":
        for epoch in range(phase.epochs):
            for batch in item_batches(data.entries, phase.batch_size, derive(seed, epoch)):
                yield phase.loss(*arguments, batch, data.device)
        return
    batches = _edge_batches(phase, data, seed)
    curve = fused_curve(phase.loss, data.batch_relations, phase)
    if curve is None:
        for step in range(phase.epochs * per_epoch):
            yield phase.loss(*arguments, batches.batch(step), data.device)
        return
    method = cast(losses.RelationLoss, phase.loss).embedding_method
    fused = _FusedEdgeStep(batches, model, method, curve)
    for step in range(phase.epochs * per_epoch):
        value = fused.loss(step)
        phase.loss.accumulate(value)
        yield value


def run_phase(
    model: torch.nn.Module,
    phase: TrainingPhase,
    data: TrainingData,
    *,
    verbose: bool = False,
    progress: bool = False,
) -> None:
    """Runs a phase: the model is trained in place, the phase's loss keeps its history.

    Parameters
    ----------
    model : torch.nn.Module
    phase : TrainingPhase
    data : TrainingData
    verbose : bool
        Whether losses are reported as paraDime does.
    progress : bool
        Whether a progress bar is shown on standard error.
    """
    from tqdm import tqdm

    n = len(next(iter(data.entries.values())))
    per_epoch = _batches_per_epoch(phase, n)
    optimizer = make_optimizer(phase.optimizer, model, phase.learning_rate, **phase.kwargs)
    if verbose:
        log(f"Beginning training phase '{phase.name}'.")
    total = phase.epochs * per_epoch
    with tqdm(total=total, desc=phase.name, unit="step", disable=not progress) as bar:
        for step, loss in enumerate(_step_losses(model, phase, data, data.seed), start=1):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            bar.update()
            if step % per_epoch == 0:
                phase.loss.checkpoint()
                epoch = step // per_epoch - 1
                if verbose and epoch % phase.report_interval == 0:
                    log(f"Loss after epoch {epoch}: {phase.loss.history[-1]}")


__all__ = [
    "Batch",
    "TrainingData",
    "TrainingPhase",
    "check_phase",
    "fused_curve",
    "run_phase",
]
