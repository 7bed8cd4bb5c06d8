"""What a routine computes before it trains: dataset, derived entries, global relations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch

from fastparadime import exceptions
from fastparadime.dr.dataset import Dataset, DerivedData, expanded, named_parts
from fastparadime.layout import pca_positions
from fastparadime.relationdata import RelationData
from fastparadime.relations import NeighborBasedPDist, PDist, Precomputed, Relations
from fastparadime.types import Data, TensorLike
from fastparadime.utils import frames
from fastparadime.utils.checkpoints import NOTHING
from fastparadime.utils.convert import to_torch, widened
from fastparadime.utils.display import HtmlReprMixin
from fastparadime.utils.logging import log
from fastparadime.utils.progress import timed
from fastparadime.utils.validate import check_option


def _with_room(part: Any) -> Any:
    """A derived entry's argument, whose sums and differences do not wrap."""
    return widened(part) if isinstance(part, torch.Tensor) else part


class Preparation(HtmlReprMixin):
    """Holds data and relations and computes them in order; `ParametricDR` trains on the result.

    Parameters
    ----------
    derived_data : mapping of DerivedData, optional
    global_relations : Relations or mapping of them, optional
    device : device
        Where global relations are computed.
    verbose : bool
    """

    def __init__(
        self,
        derived_data: Mapping[str, DerivedData] | None,
        global_relations: Relations | Mapping[str, Relations] | None,
        *,
        device: torch.device,
        verbose: bool,
    ) -> None:
        self.verbose = verbose
        self.derived_data = named_parts(derived_data, DerivedData, "derived", "derived_data")
        self.global_relations = named_parts(global_relations, Relations, "rel", "global_relations")
        self.global_relation_data: dict[str, RelationData] = {}
        self.stages: dict[str, float] = {}
        self.max_memory: float | None = None
        self._device = device
        self._global_relations_computed = False
        self._dataset: Dataset | None = None
        # While it trains: entries that are not on the device, each with its copy there.
        self._copies: dict[str, tuple[torch.Tensor, torch.Tensor]] | None = None
        self._course = NOTHING  # what keeps the stages of `train` while it runs

    def _check_against_model(self, dataset: Dataset) -> None:
        """Called with a dataset before it is registered."""

    def _columns_of(self, dataset: Dataset, key: str) -> tuple[str, ...]:
        """Names of the columns that a stored entry must have; empty if it may have any."""
        return ()

    @property
    def dataset(self) -> Dataset:
        """The registered dataset."""
        if self._dataset is None:
            raise exceptions.NoDatasetRegisteredError(
                "Attempted to access a dataset, but none was registered."
            )
        return self._dataset

    def _entry_on_device(self, key: str) -> torch.Tensor:
        """A dataset entry on the device; within `train`, it is copied there once."""
        entry = self.dataset.data[key]
        if self._copies is None or entry.device == self._device:
            return entry.to(self._device)
        source, copied = self._copies.get(key, (None, None))
        if copied is None or source is not entry:
            copied = entry.to(self._device)
            self._copies[key] = (entry, copied)
        return copied

    def register_dataset(self, dataset: Data | Dataset) -> None:
        """Registers a dataset, replacing an earlier one.

        Parameters
        ----------
        dataset : array, tensor, data frame, mapping of them, dataset of torch, or Dataset
            Columns with names are put into the order that the model was trained on.

        Raises
        ------
        TypeError, ValueError
            For data that is not as `Dataset` takes it, or columns that are missing or unknown.
        """
        if self.verbose:
            log("Registering dataset.")
        dataset = (
            dataset
            if isinstance(dataset, Dataset)
            else Dataset(dataset, max_memory=self.max_memory)
        )
        for key in tuple(dataset.columns):
            dataset = dataset.in_order(key, self._columns_of(dataset, key) or dataset.columns[key])
        self._check_against_model(dataset)
        self._dataset = dataset
        self._global_relations_computed = False

    def add_data(self, data: Mapping[str, TensorLike | DerivedData]) -> None:
        """Adds entries to the dataset, registering one if there is none, and derived entries.

        Raises
        ------
        TypeError, ValueError
            For entries that are neither, or of another length; nothing is added then.
        """
        if not isinstance(data, Mapping):
            raise TypeError(f"data must be a mapping of entries, not {type(data).__name__}")
        derived = {k: v for k, v in data.items() if isinstance(v, DerivedData)}
        regular: dict[str, Any] = {k: v for k, v in data.items() if k not in derived}
        if regular and self._dataset is None:
            self.register_dataset(regular)
        elif regular:
            regular = expanded(regular)
            stored = self.dataset.data.stored_name
            replaced = [key for key in regular if key in self.dataset.data]
            self.dataset.add({key: self._in_order(key, part) for key, part in regular.items()})
            # Relations of replaced data are out of date.
            outdated = {stored(key) for key in replaced}
            if any(stored(rel.data_key) in outdated for rel in self.global_relations.values()):
                self._global_relations_computed = False
            for key in regular if self.verbose else ():
                action, where = ("Overwriting", "in") if key in replaced else ("Adding", "to")
                log(f"{action} entry '{key}' {where} dataset.")
        for key in derived if self.verbose else ():
            if key in self.derived_data:
                log(f"Overwriting entry '{key}' in derived data.")
            else:
                log(f"Adding derived data entry '{key}'.")
        self.derived_data.update(derived)

    def _in_order(self, key: str, part: Any) -> Any:
        """An entry to be added, as rows whose columns are in order if they have names."""
        rows, columns = frames.rows_and_names(part, f"entry {key!r}")
        if not columns:
            return part
        stored = self.dataset.data.stored_name(key)
        expected = self._columns_of(self.dataset, stored) or columns
        order = frames.order_of(columns, expected, f"entry {key!r}")
        return frames.NamedRows(rows if order is None else rows[:, order], expected)

    def add_to_dataset(self, data: Mapping[str, TensorLike]) -> None:
        """Adds entries to the registered dataset (paraDime 0.3's name)."""
        if self._dataset is None:
            raise exceptions.NoDatasetRegisteredError(
                "Cannot inject additional data before registering a dataset."
            )
        self.add_data(data)

    def compute_derived_data(self, only: Literal["rel_based", "other"] | None = None) -> None:
        """Computes derived entries and adds them to the dataset.

        Parameters
        ----------
        only : {None, "rel_based", "other"}
            Those that need global relations, the others, or all.
        """
        check_option(only, (None, "rel_based", "other"), "only")
        dataset = self.dataset
        for key, entry in self.derived_data.items():
            if only is not None and entry.requires_relations != (only == "rel_based"):
                continue
            if entry.requires_relations and not self._global_relations_computed:
                raise exceptions.RelationsNotComputedError(
                    "Cannot compute relation-based derived entry before computing global relations."
                )
            if self.verbose:
                log(f"Computing derived data entry '{key}'.")
            sources: dict[str, Any] = {"data": dataset.data, "rels": self.global_relation_data}
            with timed(self.stages, key):
                arguments = [sources[kind][name] for kind, name in entry.type_key_tuples]
                if entry.func is not pca_positions:
                    arguments = [_with_room(part) for part in arguments]
                self.add_data({key: self._derived(key, entry, arguments)})

    def _derived(self, key: str, entry: DerivedData, arguments: list[Any]) -> TensorLike:
        """A derived entry; of relations, the one that the course of `train` keeps."""
        stage = self._course.read(f"derived {key}")
        if stage is not None:
            return stage.arrays["values"]
        found = entry.func(*arguments, **entry.kwargs)
        if self._course.keeps and entry.requires_relations:
            self._course.write(f"derived {key}", {"values": to_torch(found)})
        return found

    def compute_global_relations(self, force: bool = False) -> None:
        """Computes the global relations into `global_relation_data`, unless that was done.

        Parameters
        ----------
        force : bool
            Whether to compute them again.
        """
        check_option(force, (True, False), "force")
        dataset = self.dataset
        if force or not self._global_relations_computed:
            for key, relation in self.global_relations.items():
                if self.verbose:
                    log(f"Computing global relations '{key}'.")
                with timed(self.stages, f"relations '{key}'"):
                    name = dataset.data.stored_name(relation.data_key)
                    data, wide = self._entry_on_device(name), dataset.relation_data(name)
                    if wide.dtype != data.dtype:  # it has digits that float32 has dropped
                        data = wide.to(self._device)
                    if isinstance(relation, (NeighborBasedPDist, PDist)):
                        data = data.flatten(1)  # of images, rows of their values
                    if type(relation) not in (NeighborBasedPDist, PDist, Precomputed):
                        data = widened(data)
                    options: dict[str, Any] = {}
                    if self._course.keeps and type(relation) is NeighborBasedPDist:
                        options["course"] = self._course.part(f"relations {key}")
                    self.global_relation_data[key] = relation.compute_relations(data, **options)
        self._global_relations_computed = True
