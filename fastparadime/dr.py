"""Routines: `ParametricDR` holds the parts and calls the stages in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fastparadime import exceptions, models, ops, saving
from fastparadime.dataset import Dataset, DerivedData, NegSampledEdgeDataset, named_parts
from fastparadime.inference import Inference
from fastparadime.loss import CompoundLoss, Loss
from fastparadime.preparation import Preparation
from fastparadime.relations import Relations
from fastparadime.spec import (
    read_parts,
    register_data_func,
    register_loss,
    register_loss_func,
    register_relations,
    register_transform,
    validate_spec,
)
from fastparadime.training import TrainingData, run_phase
from fastparadime.training.phases import TrainingPhase, check_phase
from fastparadime.training.sampling import DataEntries
from fastparadime.types import Data, Device
from fastparadime.utils.logging import log
from fastparadime.utils.seed import derive, draw_seed
from fastparadime.utils.stages import shows_bars, timed
from fastparadime.utils.validate import check_data, check_integer, check_type

RelOrRelDict = Relations | Mapping[str, Relations]
LossOrLossDict = Loss | Mapping[str, Loss]

if TYPE_CHECKING:
    from typing_extensions import Self


class ParametricDR(Preparation, Inference):
    """A parametric dimensionality reduction routine.

    Parameters
    ----------
    model : torch.nn.Module, optional
        Trained in place; a fully connected network if None.
    in_dim : int, optional
        Columns of the data, for the default model; taken from the data if None.
    out_dim : int
        Columns of the embedding.
    hidden_dims : sequence of int
        Widths of the default model's hidden layers, (100, 50) if None.
    derived_data : mapping of DerivedData, optional
    global_relations, batch_relations : Relations or mapping of them, optional
        A single one has the key 'rel'.
    losses : Loss or mapping of them, optional
        A single one has the key 'loss'. Phases may bring their own loss instead.
    training_defaults : TrainingPhase, optional
        Settings of phases that are added by keyword.
    training_phases : sequence of TrainingPhase, optional
    use_cuda : bool
        The same as ``device="cuda"``.
    verbose : bool
        Whether stages and losses are reported.
    dataset : array, tensor, mapping of them or Dataset, optional
    device : device, optional
        Where the model is trained; where it is, and the CPU for a default one, if None.
    seed : int, optional
        Of the default model's weights and all draws; drawn anew, and reported, if None.
    progress : bool, optional
        Whether progress bars are shown; as `verbose` on a terminal if None.

    Attributes
    ----------
    seed : int
    stages : dict of float
        Seconds of each stage so far.
    history : list of dict
        Of each phase run so far: its 'name' and the 'losses' of its epochs.
    """

    def __init__(
        self,
        model: torch.nn.Module | None = None,
        in_dim: int | None = None,
        out_dim: int = 2,
        hidden_dims: Sequence[int] | None = None,
        derived_data: Mapping[str, DerivedData] | None = None,
        global_relations: RelOrRelDict | None = None,
        batch_relations: RelOrRelDict | None = None,
        losses: LossOrLossDict | None = None,
        training_defaults: TrainingPhase | None = None,
        training_phases: Sequence[TrainingPhase] | None = None,
        use_cuda: bool = False,
        verbose: bool = False,
        *,
        dataset: Data | Dataset | None = None,
        device: Device | None = None,
        seed: int | None = None,
        progress: bool | None = None,
    ) -> None:
        if device is None and use_cuda:
            device = "cuda"
        elif device is None and isinstance(model, torch.nn.Module):
            device = models.device_of(model)
        where = ops.resolve_device(device)
        number = draw_seed() if seed is None else check_integer(seed, "seed", minimum=0)
        Preparation.__init__(self, derived_data, global_relations, device=where, verbose=verbose)
        Inference.__init__(self, model, out_dim, hidden_dims, seed=number, device=where)
        self.progress = progress
        self.batch_relations = named_parts(batch_relations, Relations, "rel", "batch_relations")
        self.losses = named_parts(losses, Loss, "loss", "losses")
        for relation in (*self.global_relations.values(), *self.batch_relations.values()):
            relation._set_verbosity(verbose)
        if model is None and in_dim is not None:
            self._build_model(in_dim)
        if dataset is not None:
            self.register_dataset(dataset)
        self.training_defaults = TrainingPhase()
        if training_defaults is not None:
            self.training_defaults = check_type(
                training_defaults, TrainingPhase, "training_defaults"
            )
        self.training_phases: list[TrainingPhase] = []
        for phase in training_phases or ():
            self.add_training_phase(phase)
        if verbose and seed is None:
            log(f"Using seed {self.seed}.")

    @classmethod
    def from_spec(
        cls,
        file_or_spec: str | Path | Mapping[str, Any],
        model: torch.nn.Module | None = None,
        in_dim: int | None = None,
        **kwargs: Any,
    ) -> Self:
        """A routine with the parts that a specification describes; see docs/specifications.md.

        Parameters
        ----------
        file_or_spec : str, Path or mapping
            A YAML or JSON file, or the document itself.
        model, in_dim, **kwargs
            As for the constructor, which gets derived data, relations, losses and phases from the
            specification.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        SpecificationError
            If the file is neither YAML nor JSON, or with a line for each error in the document.
        """
        parts = read_parts(file_or_spec, kwargs.get("out_dim", 2))
        return cls(model=model, in_dim=in_dim, **parts._asdict(), **kwargs)

    @classmethod
    def load(
        cls,
        path: str | Path,
        model: torch.nn.Module | None = None,
        *,
        device: Device | None = None,
        **parts: Any,
    ) -> Self:
        """The trained routine of a file that `save` wrote, ready to be applied.

        To train it further, give the parts again that the file does not hold, and data. The
        optimizer starts anew and the draws go on where they ended.

        Parameters
        ----------
        path : str or Path
        model : torch.nn.Module, optional
            Takes the weights; needed for classes that are not known to `fastparadime.models`.
        device : device, optional
            Where the model goes, wherever it was trained; the CPU if None.
        **parts
            Other arguments of the class, such as relations, losses and training phases.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        SpecificationError
            If it is not the file of a routine, or its model needs or does not fit `model`.
        """
        saved = saving.read(path)
        about = saved.description
        routine = cls(
            model=saved.model(model),
            seed=about.seed,
            out_dim=about.out_dim,
            hidden_dims=about.hidden_dims,
            device=device,
            **parts,
        )
        routine.model.load_state_dict(saved.weights)
        routine.model.eval()
        routine.history = about.history
        routine.trained = True
        return routine

    def _check_against_model(self, dataset: Dataset) -> None:
        embedded = next((rel.data_key for rel in self.batch_relations.values()), "main")
        if embedded not in dataset.data:
            return
        entry = dataset.data[embedded]
        if self._model is None:
            self._build_model(check_data(entry, f"entry {embedded!r}").shape[1])
        else:
            models.check_width(self.model, entry)

    def set_training_defaults(
        self, training_phase: TrainingPhase | None = None, **settings: Any
    ) -> None:
        """Sets what phases added later start from: a phase, settings by keyword, or both."""
        base = self.training_defaults
        if training_phase is not None:
            base = check_type(training_phase, TrainingPhase, "training_phase")
        self.training_defaults = base.with_settings(**settings)

    def add_training_phase(
        self, training_phase: TrainingPhase | None = None, **settings: Any
    ) -> None:
        """Adds a phase: a complete one, or the defaults with settings by keyword.

        Raises
        ------
        KeyError
            If the phase's loss or batch relations do not exist.
        UnsupportedConfigurationError
            If its relations do not fit its sampling.
        """
        if training_phase is None:
            phase = self.training_defaults.with_settings(**settings)
        elif check_type(training_phase, TrainingPhase, "training_phase") and settings:
            phase = training_phase.with_settings(**settings)
            if training_phase._loss is not None and settings.get("loss") is None:
                phase.loss = training_phase._loss  # the caller reads its history there
        else:
            phase = training_phase
        phase.determine_loss(self.losses)
        check_phase(phase, (), self.global_relations, self.batch_relations)
        self.training_phases.append(phase)

    def _prepare_training(self) -> None:
        """Called at the start of training, for subclasses to override."""

    def _prepare_model(self) -> None:
        """Called before the first phase, with all entries there, for subclasses to override."""

    def run_training_phase(self, training_phase: TrainingPhase) -> None:
        """Runs one phase; the dataset and the global relations must be there."""
        check_type(training_phase, TrainingPhase, "training_phase")
        if not self._global_relations_computed:
            raise exceptions.RelationsNotComputedError(
                "Cannot run a training phase before computing global relations."
            )
        training_phase.determine_loss(self.losses)
        relations = self.global_relation_data
        check_phase(training_phase, self.dataset.data, relations, self.batch_relations)
        data = TrainingData(
            DataEntries(
                (key, self._entry_on_device(key).to(self.device)) for key in self.dataset.data
            ),
            relations,
            self.batch_relations,
            self.device,
            derive(self.seed, "phase", len(self.history) + 1),
        )
        bars = shows_bars(self.progress, verbose=self.verbose)
        epochs_before = len(training_phase.loss.history)
        try:
            with timed(self.stages, f"phase '{training_phase.name}'"):
                run_phase(self.model, training_phase, data, verbose=self.verbose, progress=bars)
        except KeyboardInterrupt:
            self._record(training_phase, epochs_before)  # trained by the steps so far
            raise
        self._record(training_phase, epochs_before)

    def _record(self, phase: TrainingPhase, epochs_before: int) -> None:
        losses = phase.loss.history[epochs_before:]
        self.history.append({"name": phase.name, "losses": losses})
        self.trained = True

    def train(self, data: Data | None = None) -> None:
        """Computes relations and derived data, then runs all phases in order.

        Parameters
        ----------
        data : array, tensor or mapping of them, optional
            Added to the dataset first.

        Raises
        ------
        NoDatasetRegisteredError
            If there is no data.
        """
        if data is not None:
            self.add_data(data if isinstance(data, Mapping) else {"main": data})
        elif self._dataset is None:
            raise exceptions.NoDatasetRegisteredError(
                "Attempted to start training, but no data was pre-added or passed to 'train'."
            )
        self._prepare_training()
        self._copies = {}
        try:
            self._train()
        finally:
            self._copies = None

    def _train(self) -> None:
        entries = {*self.dataset.data.names(), *self.derived_data}
        for phase in self.training_phases:
            check_phase(phase, entries, self.global_relations, self.batch_relations)
            if self._model is not None:
                _check_methods(self._model, phase.loss)
        self.compute_derived_data(only="other")
        self.compute_global_relations()
        self.compute_derived_data(only="rel_based")
        self._prepare_model()
        self.model.train()
        try:
            for phase in self.training_phases:
                self.run_training_phase(phase)
        finally:
            self.model.eval()  # usable after an interruption too


def _check_methods(model: torch.nn.Module, loss: Loss) -> None:
    """Raises AttributeError if the model lacks a method that a loss of the package calls."""
    for part in loss.losses if isinstance(loss, CompoundLoss) else [loss]:
        for name in ("embedding", "classification", "encoding", "decoding"):
            method = getattr(part, f"{name}_method", None)
            if method is not None:
                models.method_of(model, method)


__all__ = [
    "Data",
    "Dataset",
    "DerivedData",
    "LossOrLossDict",
    "NegSampledEdgeDataset",
    "ParametricDR",
    "RelOrRelDict",
    "TrainingPhase",
    "register_data_func",
    "register_loss",
    "register_loss_func",
    "register_relations",
    "register_transform",
    "validate_spec",
]
