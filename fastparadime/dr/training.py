"""Training a routine: its defaults, its phases, and running them in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from fastparadime import exceptions, models
from fastparadime.dr import resuming
from fastparadime.dr.dataset import Dataset, DerivedData, expanded
from fastparadime.dr.inference import Inference
from fastparadime.dr.outputs import check_outputs
from fastparadime.dr.preparation import Preparation
from fastparadime.loss import CompoundLoss, Loss
from fastparadime.relations import Relations
from fastparadime.training import History, TrainingData, TrainingPhase, check_phase, run_phase
from fastparadime.training.row_weights import check_row_weights
from fastparadime.training.sampling import DataEntries
from fastparadime.types import Data
from fastparadime.utils.callbacks import Callback, Positions, asks_to_stop
from fastparadime.utils.checkpoints import NOTHING, CheckpointLike, Course
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
    callback : callable or None
        Told of every epoch; see `fastparadime.dr.ParametricDR`.
    history : History
    """

    batch_relations: dict[str, Relations]
    losses: dict[str, Loss]
    training_defaults: TrainingPhase
    training_phases: list[TrainingPhase]
    progress: bool | None
    callback: Callback | None
    history: History
    _seed_drawn = False  # whether nobody gave the seed
    _row_weights: torch.Tensor | None = None  # of the dataset, while it trains
    _weighted = False  # whether the last training had such
    _continues = False  # whether training goes on from a trained model with rows given anew

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

    def _phases_to_run(self) -> list[TrainingPhase]:
        """Those of `train`, in order, for subclasses to override."""
        return self.training_phases

    def run_training_phase(self, training_phase: TrainingPhase) -> None:
        """Runs one phase; the dataset and the global relations must be there."""
        self._run_phase(training_phase)

    def _run_phase(self, training_phase: TrainingPhase, course: Course = NOTHING) -> bool:
        """The same, and whether the callback asked to stop."""
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
            row_weights=self._row_weights,
        )
        bars = shows_bars(self.progress, verbose=self.verbose)
        epochs_before, first = len(training_phase.loss.history), self.history.epochs

        def ends(epoch: int) -> bool:
            if self.callback is None:  # losses stay on the device until they are read
                return False
            loss, positions = training_phase.loss, Positions(lambda: self._positions(loss))
            return asks_to_stop(self.callback, first + epoch, loss.history[-1], positions)

        try:
            with timed(self.stages, f"phase '{training_phase.name}'"):
                ended = run_phase(
                    self.model,
                    training_phase,
                    data,
                    verbose=self.verbose,
                    progress=bars,
                    course=course,
                    ends=ends,
                )
        except KeyboardInterrupt:
            self._record(training_phase, epochs_before)  # trained by the steps so far
            raise
        self._record(training_phase, epochs_before)
        return ended

    def _positions(self, loss: Loss) -> torch.Tensor:
        """Where the model has the rows of the dataset while it is trained."""
        method = next((m for m in _methods(loss, "embedding")), "embed")
        rows = self.dataset.data[self._embedded_key()]
        amounts = self._embedded_key() in self.dataset.data.amounts
        with models.evaluating(self.model):
            return models.embed_in_chunks(self.model, rows, method, amounts=amounts)

    def _record(self, phase: TrainingPhase, epochs_before: int) -> None:
        losses = phase.loss.history[epochs_before:]
        self.history.append({"name": phase.name, "losses": losses})
        if not self.trained:
            embedded = self.dataset.data.stored_name(self._embedded_key())
            self._columns = self.dataset.columns.get(embedded, ())
            self._amounts = embedded in self.dataset.data.amounts
        self.trained = True

    @memory_for("train")
    def train(
        self,
        data: Data | Dataset | None = None,
        *,
        checkpoint: CheckpointLike = None,
        sample_weight: Any = None,
    ) -> None:
        """Computes relations and derived data, then runs all phases in order.

        Parameters
        ----------
        data : array, tensor, data frame, mapping of them, or dataset or loader of torch, optional
            Added to the dataset first; see `Dataset` for what it takes. Training of a trained
            routine goes on with rows given here: if there are more or fewer than the dataset has,
            they replace it. The predefined routines then start from where the model has them, so
            that the map stays.
        checkpoint : str, Path or fastparadime.utils.checkpoints.Checkpoint, optional
            A folder that keeps each stage, and the weights within a phase: training that was ended
            goes on from there if a routine like this one is trained again, and ends with the same
            bits.
        sample_weight : (n,) array, optional
            How many equal rows each row of the dataset stands for. Items of batches, positive edges
            and negative ones are drawn by it, so that the loss is, on average, that of a dataset
            which has them so many times. Only ratios count. Relations are those without weights.

        Raises
        ------
        CheckpointError
            For a checkpoint of other data, parameters or versions, or a damaged one.
        NoDatasetRegisteredError
            If there is no data.
        TypeError, ValueError
            For weights that are negative, not finite, all zero, or not one for each row.
        """
        self._continues = self.trained and data is not None
        if data is not None:
            entries: Any = data if isinstance(data, Mapping) else {"main": data}
            self._take(entries)
        elif self._dataset is None:
            raise exceptions.NoDatasetRegisteredError(
                "Attempted to start training, but no data was pre-added or passed to 'train'."
            )
        weighted = sample_weight is not None
        weights = check_row_weights(sample_weight, len(self.dataset)) if weighted else None
        self._copies, self._row_weights = {}, weights
        try:
            self._prepare_training()
            self._check_phases()
            self._course = resuming.begun(self, checkpoint)
            self._train()
            self._weighted = weighted
            self.__dict__.pop("drift_", None)  # of an update before
        finally:
            self._copies, self._continues, self._row_weights = None, False, None
            self._course = NOTHING

    def _take(self, entries: Mapping[str, Any]) -> None:
        """Adds entries to the dataset; other rows for a trained model replace it."""
        if self.trained and self._dataset is not None:
            derived = {k: v for k, v in entries.items() if isinstance(v, DerivedData)}
            regular = {k: v for k, v in entries.items() if k not in derived}
            stored = self.dataset.data.stored_name
            main = stored(self._embedded_key())
            parts = expanded(regular).items()
            rows = next((part for key, part in parts if stored(key) == main), None)
            if rows is not None and _length(rows) != len(self.dataset):
                self._replace(regular)
                entries = derived
        self.add_data(entries)

    def _replace(self, entries: Mapping[str, Any]) -> None:
        """Registers other rows, unless the phases lack an entry of them."""
        before = self._dataset, self._global_relations_computed
        self.register_dataset(entries)
        try:
            self._check_phases()
        except (KeyError, TypeError, ValueError):
            self._dataset, self._global_relations_computed = before
            raise

    def _check_phases(self) -> None:
        entries = {*self.dataset.data.names(), *self.derived_data}
        for phase in self._phases_to_run():
            check_phase(phase, entries, self.global_relations, self.batch_relations)
            if self._model is not None:
                _check_methods(self._model, phase.loss)
                data, relations = self.dataset.data, self.batch_relations
                check_outputs(self._model, phase.loss, data, relations, self._width_of)

    def _train(self) -> None:
        self.compute_derived_data(only="other")
        self.compute_global_relations()
        self.compute_derived_data(only="rel_based")
        self._prepare_model()
        self.model.train()
        try:
            for number, phase in enumerate(self._phases_to_run(), 1):
                if self._run_phase(phase, self._course.part(f"phase {number}")):
                    break
        finally:
            self.model.eval()  # usable after an interruption too


def _length(rows: Any) -> int | None:
    """How many rows there are, None for what has none."""
    shape = getattr(rows, "shape", None)
    if shape is None:
        return len(rows) if hasattr(rows, "__len__") else None
    return shape[0] if len(shape) else None


def _check_methods(model: torch.nn.Module, loss: Loss) -> None:
    """Raises AttributeError if the model lacks a method that a loss of the package calls."""
    for method in _methods(loss, "embedding", "classification", "encoding", "decoding"):
        models.method_of(model, method)


def _methods(loss: Loss, *uses: str) -> list[str]:
    """The methods of the model that a loss calls, of some uses."""
    parts = loss.losses if isinstance(loss, CompoundLoss) else [loss]
    found = [getattr(part, f"{use}_method", None) for part in parts for use in uses]
    return [method for method in found if method is not None]
