"""Training phases: their settings, and what they need of a routine."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch

from fastparadime import exceptions
from fastparadime import loss as losses
from fastparadime.relations import DistsFromTo, Relations
from fastparadime.utils import ReprMixin
from fastparadime.utils.validate import (
    check_integer,
    check_key,
    check_list,
    check_option,
    check_positive,
)

_SAMPLING = ("standard", "negative_edge")
_TF32 = ("hidden", True, False)
# The share of the learning rate that is left after a share of all steps.
_SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda _: 1.0,
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: 0.5 * (1.0 + math.cos(math.pi * done)),
}


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
    schedule : {"constant", "linear", "cosine"} or callable (done) -> share
        How the learning rate falls over the steps of the phase, to zero after the last one. A
        function gives the share of `learning_rate` that a step takes, after a share `done` of all
        steps, in [0, 1).
    cuda_graph : bool
        Whether steps on a CUDA device are recorded once and replayed, where the phase allows it;
        see docs/gpu.md. Not for a model whose `forward` depends on numbers that change on the host.
    tf32 : {"hidden", True, False}
        Which matrix products of the steps on a CUDA device round their factors to 10 bits of
        mantissa, which is faster: those between hidden layers of the package's own models, all,
        or none, so that torch's setting holds.
    noise : float
        Standard sampling only: the standard deviation of Gaussian noise on the rows that a batch
        embeds, over that of the data about its columns' means.
    shared_negatives : bool
        Negative-edge sampling only: whether negative edges end at ends of the batch's own positive
        edges instead of any point, which leaves about half as many points to embed.
    edges : int, optional
        Negative-edge sampling only: positive edges to see at least, instead of a number of epochs.
    patience : int, optional
        Negative-edge sampling only: epochs after which the phase stops where the loss of edges held
        out has not fallen by 0.1 %. One in 50 edges is held out, 200 to 1,000; the graph must have
        1,000 or more.
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
        schedule: str | Callable[[float], float] = "constant",
        cuda_graph: bool = True,
        tf32: bool | str = "hidden",
        noise: float = 0.0,
        shared_negatives: bool = False,
        edges: int | None = None,
        patience: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.name = name
        self.epochs = epochs
        self.batch_size = batch_size
        self.batches_per_epoch = batches_per_epoch
        self.sampling = sampling
        self.edge_rel_key = edge_rel_key
        self.neg_sampling_rate = neg_sampling_rate
        self.loss_keys = ["loss"] if loss_keys is None else loss_keys
        self.loss_weights = loss_weights
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.report_interval = report_interval
        self.schedule = schedule
        self.cuda_graph = cuda_graph
        self.tf32 = tf32
        self.noise = noise
        self.shared_negatives = shared_negatives
        self.edges = edges
        self.patience = patience
        self.kwargs = kwargs
        self._loss = loss
        self.check()

    def _displayed(self) -> dict[str, Any]:
        defaults = inspect.signature(TrainingPhase).parameters
        settings = {name: getattr(self, name) for name in self.settings() if name != "loss"}
        settings["loss_keys"] = None if self.loss_keys == ["loss"] else self.loss_keys
        if self._loss is not None:
            settings["loss"] = self._loss
        return {
            **{k: v for k, v in settings.items() if v != defaults[k].default},
            **self.kwargs,
        }

    @classmethod
    def settings(cls) -> tuple[str, ...]:
        """Names of the settings that can be set one by one."""
        return (
            "name", "epochs", "batch_size", "batches_per_epoch", "sampling", "edge_rel_key",
            "neg_sampling_rate", "loss_keys", "loss_weights", "optimizer", "learning_rate",
            "report_interval", "loss", "schedule", "cuda_graph", "tf32", "noise",
            "shared_negatives", "edges", "patience",
        )  # fmt: skip

    def check(self) -> None:
        """Raises for a setting that cannot be used."""
        if self.name is not None:
            check_key(self.name, "name")
        check_key(self.edge_rel_key, "edge_rel_key")
        check_integer(self.epochs, "epochs", minimum=0)
        check_integer(self.batch_size, "batch_size", minimum=1)
        check_integer(self.neg_sampling_rate, "neg_sampling_rate", minimum=0)
        check_integer(self.report_interval, "report_interval", minimum=1)
        check_positive(self.learning_rate, "learning_rate", zero_ok=True)
        check_option(self.sampling, _SAMPLING, "sampling")
        self._check_schedule()
        check_option(self.cuda_graph, (True, False), "cuda_graph")
        check_option(self.tf32, _TF32, "tf32")
        self._check_budget()
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
        # Lists of the phase's own: neither the caller nor a copy shares them.
        self.loss_keys = check_list(self.loss_keys, "loss_keys")
        for key in self.loss_keys:
            check_key(key, "loss_keys")
        if not self.loss_keys:
            raise ValueError("loss_keys must name at least one loss")
        if self.loss_weights is not None:
            self.loss_weights = losses.check_weights(self.loss_weights, "loss_weights")
        if self.loss_weights is not None and len(self.loss_weights) != len(self.loss_keys):
            raise ValueError(
                f"loss_weights must have one weight for each of {len(self.loss_keys)} losses, not "
                f"{len(self.loss_weights)}"
            )
        if self._loss is not None and not isinstance(self._loss, losses.Loss):
            raise TypeError(f"loss must be a Loss, not {type(self._loss).__name__}")

    def _check_schedule(self) -> None:
        if not callable(self.schedule):
            check_option(self.schedule, tuple(_SCHEDULES), "schedule")
        check_positive(self.schedule_at(0.0), "the share that schedule gives", zero_ok=True)

    def schedule_at(self, done: float) -> float:
        """The share of the learning rate after a share of all steps."""
        schedule = self.schedule if callable(self.schedule) else _SCHEDULES[self.schedule]
        return schedule(done)

    def _check_budget(self) -> None:
        if self.batches_per_epoch != -1:
            check_integer(self.batches_per_epoch, "batches_per_epoch", minimum=1)
        for name in ("edges", "patience"):
            if getattr(self, name) is not None:
                check_integer(getattr(self, name), name, minimum=1)
        check_option(self.shared_negatives, (False, True), "shared_negatives")
        if check_positive(self.noise, "noise", zero_ok=True) and self.sampling != "standard":
            raise ValueError(f"noise is for 'standard' sampling, but sampling is {self.sampling!r}")
        for name in ("edges", "patience", "shared_negatives"):
            if getattr(self, name) not in (None, False) and self.sampling != "negative_edge":
                raise ValueError(
                    f"{name} is for 'negative_edge' sampling, but sampling is {self.sampling!r}"
                )

    def epochs_of(self, batches: int) -> int:
        """Epochs of so many batches each: those given, or those that see as many edges."""
        return self.epochs if self.edges is None else -(-self.edges // (batches * self.batch_size))

    def learning_rate_at(self, step: int, steps: int) -> float:
        """The learning rate of a step, counted from 0, of so many."""
        share = self.schedule_at(step / steps)
        if not isinstance(self.schedule, str):
            share = check_positive(share, "the share that schedule gives", zero_ok=True)
        return self.learning_rate * share

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

    _determine_loss = determine_loss  # paraDime's name, which a notebook of its paper calls


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
            relation = batch_relations[loss.batch_relation_key]
            keys["data_key"] = relation.data_key
            if not isinstance(relation, DistsFromTo):
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
