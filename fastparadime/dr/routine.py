"""Routines: `ParametricDR` holds the parts and calls the stages in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fastparadime import models, ops
from fastparadime.dr import saving
from fastparadime.dr.dataset import Dataset, DerivedData, named_parts
from fastparadime.dr.inference import Inference
from fastparadime.dr.preparation import Preparation
from fastparadime.dr.spec import read_parts
from fastparadime.dr.training import Training
from fastparadime.loss import Loss
from fastparadime.relations import Relations
from fastparadime.training import History
from fastparadime.training.phases import TrainingPhase
from fastparadime.types import Data, Device
from fastparadime.utils.callbacks import Callback, check_callback
from fastparadime.utils.logging import log
from fastparadime.utils.seed import draw_seed
from fastparadime.utils.validate import check_data, check_integer, check_positive, check_type

RelOrRelDict = Relations | Mapping[str, Relations]
LossOrLossDict = Loss | Mapping[str, Loss]

if TYPE_CHECKING:
    from typing_extensions import Self


class ParametricDR(Training):
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
    callback : callable (epoch, loss, positions), optional
        Called after every epoch of `train`: with its number, counted from 0 through all phases, the
        sum of its batch losses, and where the model has the rows of the dataset (n, out_dim), which
        is computed once numpy.asarray, an index or a length asks for it. Training ends if it returns
        True. It is not saved with the routine.
    max_memory : float, optional
        Most bytes of a table that is made of the data; see `Dataset`.

    Attributes
    ----------
    seed : int
    stages : dict of float
        Seconds of each stage so far.
    history : History
        A list with a dict for each phase run so far: its 'name' and the 'losses' of its epochs.
        ``history.to_frame()`` is a data frame, `fastparadime.plot.history` a picture.
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
        callback: Callback | None = None,
        max_memory: float | None = None,
    ) -> None:
        if device is None and use_cuda:
            device = "cuda"
        elif device is None and isinstance(model, torch.nn.Module):
            device = models.device_of(model)
        where = ops.resolve_device(device)
        self._seed_drawn = seed is None
        number = draw_seed() if seed is None else check_integer(seed, "seed", minimum=0)
        Preparation.__init__(self, derived_data, global_relations, device=where, verbose=verbose)
        Inference.__init__(self, model, out_dim, hidden_dims, seed=number, device=where)
        self.progress, self.callback = progress, check_callback(callback)
        self.max_memory = None if max_memory is None else check_positive(max_memory, "max_memory")
        self.history = History()
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
        routine.history = History(about.history)
        routine._columns, routine._amounts = tuple(about.columns), about.amounts
        routine.trained, routine._saved_arrays = True, saved.arrays
        return routine

    def _displayed(self) -> dict[str, Any]:
        # Results and what is as it is by default would hide the parts.
        hidden = ("stages", "global_relation_data", "training_defaults")
        shown = {
            key: value
            for key, value in super()._displayed().items()
            if key not in hidden and not _is_unset(value)
        }
        more = {"dataset": self._dataset, "model": self._model}
        return {**shown, **{key: value for key, value in more.items() if value is not None}}

    def _check_against_model(self, dataset: Dataset) -> None:
        embedded = self._embedded_key()
        if embedded not in dataset.data:
            return
        entry = dataset.data[embedded]
        if self._model is None:
            self._build_model(check_data(entry, f"entry {embedded!r}").shape[1])
        else:
            models.check_width(self.model, entry)


def _is_unset(value: Any) -> bool:
    return value is None or (isinstance(value, (dict, list)) and not value)
