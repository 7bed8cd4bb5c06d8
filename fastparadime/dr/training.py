"""Training a routine: its defaults, its phases, and running them in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from fastparadime import exceptions, models
from fastparadime.dr.dataset import Dataset
from fastparadime.dr.inference import Inference
from fastparadime.dr.outputs import check_outputs
from fastparadime.dr.preparation import Preparation
from fastparadime.loss import CompoundLoss, Loss
from fastparadime.relations import Relations
from fastparadime.training import TrainingData, TrainingPhase, check_phase, run_phase
from fastparadime.training.sampling import DataEntries
from fastparadime.types import Data
from fastparadime.utils.progress import memory_for, shows_bars, timed
from fastparadime.utils.seed import derive
from fastparadime.utils.validate import check_type


class Training(Preparation, Inference):
    """Holds losses and phases and runs them; `ParametricDR` is made of them.

    Attributes
    ----------
    batch_relations : dict of Relations
    losses : dict of Loss
    training_defaults : TrainingPhase
    training_phases : list of TrainingPhase
    progress : bool or None
        Whether progress bars are shown; as `verbose` on a terminal if None.
    """

    batch_relations: dict[str, Relations]
    losses: dict[str, Loss]
    training_defaults: TrainingPhase
    training_phases: list[TrainingPhase]
    progress: bool | None

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

    def _embedded_key(self) -> str:
        """The entry of the dataset that the model takes."""
        return next((rel.data_key for rel in self.batch_relations.values()), "main")

    def _columns_of(self, dataset: Dataset, key: str) -> tuple[str, ...]:
        return self._columns if key == dataset.data.stored_name(self._embedded_key()) else ()

    def _prepare_training(self) -> None:
        """Called at the start of training, for subclasses to override."""

    def _width_of(self, position_key: str) -> tuple[int, str] | None:
        """Columns of given positions, and what says so; for subclasses to extend."""
        positions = self.dataset.data.get(position_key)
        if positions is None or positions.ndim != 2:
            return None
        return positions.shape[1], f"entry {position_key!r} has shape {tuple(positions.shape)}"

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
        entries = DataEntries(
            (key, self._entry_on_device(key).to(self.device)) for key in self.dataset.data
        )
        entries.amounts = self.dataset.data.amounts
        data = TrainingData(
            entries,
            relations,
            self.batch_relations,
            self.device,
            derive(self.seed, "phase", len(self.history) + 1),
            joins_single=models.normalizes_batches(self.model),
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
        if not self.trained:
            embedded = self.dataset.data.stored_name(self._embedded_key())
            self._columns = self.dataset.columns.get(embedded, ())
            self._amounts = embedded in self.dataset.data.amounts
        self.trained = True

    @memory_for("train")
    def train(self, data: Data | Dataset | None = None) -> None:
        """Computes relations and derived data, then runs all phases in order.

        Parameters
        ----------
        data : array, tensor, data frame, mapping of them, or dataset or loader of torch, optional
            Added to the dataset first; see `Dataset` for what it takes.

        Raises
        ------
        NoDatasetRegisteredError
            If there is no data.
        """
        if data is not None:
            entries: Any = data if isinstance(data, Mapping) else {"main": data}
            self.add_data(entries)
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
                data, relations = self.dataset.data, self.batch_relations
                check_outputs(self._model, phase.loss, data, relations, self._width_of)
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
