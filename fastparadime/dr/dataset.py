"""The data that a routine works on: named tensors of one length, and entries derived from them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from fastparadime import layout
from fastparadime.dr.entries import as_entry, check_table, length_of, loaded
from fastparadime.dr.items import is_items, read_items
from fastparadime.layout import pca_positions
from fastparadime.relationdata import RelationData
from fastparadime.training.sampling import DataEntries, edge_batch
from fastparadime.types import Data, TensorLike, TypeKeyTuples
from fastparadime.utils import ReprMixin, frames
from fastparadime.utils.centring import far_columns
from fastparadime.utils.convert import to_float64, widened
from fastparadime.utils.validate import (
    check_callable,
    check_integer,
    check_list,
    check_option,
    check_type,
)


class DerivedData(ReprMixin):
    """A dataset entry computed from other entries or global relations before training.

    Parameters
    ----------
    func : callable
        Takes the entries and relations named by `type_key_tuples` and `kwargs`.
    type_key_tuples : sequence of (type, key)
        Types are 'data' and 'rels'; [('data', 'main')] if None.
    **kwargs
        Passed on to `func`.
    """

    def __init__(
        self,
        func: Callable[..., TensorLike],
        type_key_tuples: TypeKeyTuples | None = None,
        **kwargs: Any,
    ) -> None:
        self.func = check_callable(func, "func")
        self.type_key_tuples = [("data", "main")] if type_key_tuples is None else type_key_tuples
        self.kwargs = kwargs
        for pair in check_list(self.type_key_tuples, "type_key_tuples"):
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise ValueError(f"type_key_tuples must hold pairs (type, key), not {pair!r}")
            kind, _ = pair
            check_option(kind, ("data", "rels"), "the type of a derived entry's argument")
        self.requires_relations = any(kind == "rels" for kind, _ in self.type_key_tuples)


def expanded(data: Mapping[str, Any]) -> dict[str, Any]:
    """The entries, where datasets and loaders of torch, and `Dataset`, give theirs.

    Their main entry takes the key of the dataset; others stand behind those that are there.
    """
    found: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Dataset):
            parts = value.entries()
        elif is_items(value):
            parts = read_items(value, f"entry {key!r}")
        else:
            parts = {"main": value}
        main = "data" if "data" in parts else "main"
        if main not in parts:
            raise ValueError(f"entry {key!r} has no 'main' among {sorted(parts)}")
        found.update({other: part for other, part in parts.items() if other not in (main, *data)})
        found[key] = parts[main]
    return found


class Dataset(torch.utils.data.Dataset[dict[str, torch.Tensor]], ReprMixin):
    """Named tensors of one length.

    Parameters
    ----------
    data : (n, ...) array, tensor, list, data frame or source of rows, or mapping of them
        A single one becomes the entry 'main', which also answers to 'data'. An entry 'indices'
        is added where there is none. Float32 arrays in C order, memory-mapped ones included, are
        used where they are; sources, such as datasets of HDF5 or Zarr, are read into memory. So are
        datasets and loaders of torch, see ``dr.items.read_items``.
    tokens : sequence of str, optional
        The entries whose integers are numbers of tokens, to be looked up: batches hold them as
        integers. In other tables, integers are amounts, such as pixels, then, and batches hold them
        as float32. If None, batches hold integers, which become floats for models that have no
        `torch.nn.Embedding`.
    max_memory : float, optional
        Most bytes of a table that is made of the data: larger sources are copied to a temporary
        file, which is memory-mapped, instead of memory.

    Attributes
    ----------
    data : mapping of tensors
        Floats of arrays are float32 and integers int64, but for float16 and integers of one byte in
        tables, which stay and are widened batch by batch; see `relation_data` for relations.
    columns : mapping of tuples of str
        Names of the columns of entries that were frames with names.

    Raises
    ------
    TypeError, ValueError
        For an entry that is not an array or tensor, masked values, or lengths that differ.
    OSError, ValueError
        For a source that cannot be read, or ends before its shape says, and for rows that
        `max_memory` does not suffice for.

    Warns
    -----
    PrecisionWarning
        Where a column lies so far from zero that the network's float32 loses three of its digits.
    """

    tokens: list[str] | None

    def __init__(
        self,
        data: Data,
        *,
        tokens: Sequence[str] | None = None,
        max_memory: float | None = None,
    ) -> None:
        self._max_memory = max_memory
        known: Any = {"main": data} if is_items(data) else data
        if tokens is None and isinstance(known, Mapping):
            told = [part.tokens for part in known.values() if isinstance(part, Dataset)]
            tokens = next((part for part in told if part is not None), None)
        self.tokens = None if tokens is None else [str(key) for key in check_list(tokens, "tokens")]
        entries, columns = loaded(
            expanded(known) if isinstance(known, Mapping) else known, max_memory
        )
        if not entries:
            raise ValueError("data must hold at least one entry")
        if not isinstance(known, Mapping):
            check_table(entries["main"], "data", columns["main"])
        key, first = next(iter(entries.items()))
        self.columns: dict[str, tuple[str, ...]] = {}
        self.data = DataEntries()
        # Arrays that entries were rounded from, each with the entry.
        self._wide: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        self.num_items = (
            len(check_table(first, "entry 'main'", columns[key]))
            if key == "main"
            else length_of(key, first)
        )
        self._add(entries, columns)
        if "indices" not in self.data:
            self.data["indices"] = torch.arange(self.num_items)

    def add(self, data: Mapping[str, TensorLike]) -> None:
        """Adds or replaces entries, after all of them have been checked."""
        self._add(*loaded(expanded(data), self._max_memory))

    def _add(self, entries: Mapping[str, Any], columns: Mapping[str, tuple[str, ...]]) -> None:
        added: dict[str, torch.Tensor] = {}
        wide: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        for key, value in entries.items():
            if key in ("main", "data"):
                check_table(value, f"entry {key!r}", columns[key])
            if length_of(key, value) != self.num_items:
                raise ValueError(
                    f"Value for key {key!r} has shape {tuple(value.shape)}, but all entries must "
                    f"have {self.num_items} rows."
                )
            table = as_entry(value)
            if table.layout == torch.strided:
                # Rows in one piece each: batches gather them, natively where they are contiguous.
                table = table.contiguous()
            name = self.data.stored_name(key)
            added[name] = table
            if far_columns(value, f"entry {key!r}") and table.dtype == torch.float32:
                wide[name] = (table, to_float64(value))
        self.data.update(added)
        self._wide.update(wide)
        for key in entries:
            name = self.data.stored_name(key)
            self.columns.pop(name, None)
            if columns[key]:
                self.columns[name] = columns[key]
        self.data.amounts = self._amounts()

    def _amounts(self) -> frozenset[str]:
        """Stored names of the tables whose integers are no tokens, where it is said which are."""
        if self.tokens is None:
            return frozenset()
        tokens = {self.data.stored_name(key) for key in self.tokens}
        unknown = sorted(tokens - {*self.data})
        if unknown:
            raise KeyError(
                f"tokens must name entries, not {unknown}; there are {sorted(self.data)}"
            )
        return frozenset(key for key, entry in self.data.items() if entry.ndim > 1) - tokens

    def entries(self) -> dict[str, Any]:
        """The entries as they were given, with names of columns."""
        return {
            key: frames.NamedRows(self.relation_data(key), self.columns[key])
            if key in self.columns
            else self.relation_data(key)
            for key in self.data
        }

    def in_order(self, key: str, columns: Sequence[str]) -> Dataset:
        """A dataset whose entry has its named columns in an order; this one if it has it already.

        Raises
        ------
        ValueError
            If the entry has names and lacks some of `columns`, or has others.
        """
        name = self.data.stored_name(key)
        order = frames.order_of(self.columns.get(name, columns), columns, f"entry {key!r}")
        if order is None:
            return self
        found = copy.copy(self)
        found.data, found._wide = DataEntries(self.data), dict(self._wide)
        found.data.amounts = self.data.amounts
        found.data[name] = self.data[name][:, order].contiguous()
        if name in self._wide:
            found._wide[name] = (found.data[name], self._wide[name][1][:, order])
        found.columns = {**self.columns, name: tuple(columns)}
        return found

    def relation_data(self, key: str) -> torch.Tensor:
        """An entry for relations: what it was rounded from, where float32 has dropped digits."""
        entry = self.data[key]
        rounded, original = self._wide.get(self.data.stored_name(key), (None, entry))
        return original if rounded is entry else entry

    def __len__(self) -> int:
        return self.num_items

    def __getitem__(self, index: Any) -> dict[str, torch.Tensor]:
        amounts = self.data.amounts
        return {k: widened(value[index], amounts=k in amounts) for k, value in self.data.items()}


class NegSampledEdgeDataset(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """The edges of a graph, each with negative ones, for a loader of the user's own.

    Phases draw their batches from an `fastparadime.ops.EdgeSampler` instead, which is faster.

    Parameters
    ----------
    dataset : Dataset
        Of n points.
    relations : RelationData
        Between the n points.
    neg_sampling_rate : int
        Negative edges to each edge.
    data_key : str
        The entry that 'from_to_data' is taken from.
    generator : torch.Generator, optional
        Of the negative ends; the global one if None.

    Attributes
    ----------
    p_ij : SciPy COO matrix (n, n)
    weights : array (edges,)
        The relation values, e.g. for a `torch.utils.data.WeightedRandomSampler`.
    """

    def __init__(
        self,
        dataset: Dataset,
        relations: RelationData,
        neg_sampling_rate: int = 5,
        data_key: str = "main",
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        check_type(dataset, Dataset, "dataset")
        check_type(relations, RelationData, "relations")
        self.p_ij = relations.to_sparse_array().data.tocoo()
        if self.p_ij.shape[0] != len(dataset):
            raise ValueError(
                f"relations must be between the {len(dataset)} points of dataset, not "
                f"{self.p_ij.shape[0]}"
            )
        if data_key not in dataset.data:
            raise KeyError(
                f"dataset has no entry {data_key!r} (data_key), but {sorted(dataset.data)}"
            )
        self.dataset = dataset
        self.data_key = data_key
        self.weights = self.p_ij.data
        self.neg_sampling_rate = check_integer(neg_sampling_rate, "neg_sampling_rate", minimum=0)
        self.generator = generator

    def __len__(self) -> int:
        return len(self.weights)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """An edge with its negative ones, entries as in a batch of negative-edge sampling."""
        ends = 1 + self.neg_sampling_rate
        row = torch.full((ends,), int(self.p_ij.row[index]))
        col = torch.randint(len(self.dataset), (ends,), generator=self.generator)
        col[0] = int(self.p_ij.col[index])
        return dict(edge_batch(self.dataset.data, row, col, ends, self.data_key))


def named_parts(value: Any, kind: type, key: str, name: str) -> dict[str, Any]:
    """A mapping of parts, from one part or a mapping of them."""
    if value is None:
        return {}
    parts = dict(value) if isinstance(value, Mapping) else {key: value}
    for label, part in parts.items():
        if not isinstance(part, kind):
            raise TypeError(
                f"{name} must be {kind.__name__} or a mapping of them, but {label!r} is "
                f"{type(part).__name__}"
            )
    return parts


def spectral_positions(reldata: RelationData, n_components: int = 2) -> torch.Tensor:
    """Standardised spectral positions of the relations, float32 (n, n_components)."""
    return layout.spectral_positions(reldata.to_sparse_array().edges, n_components)


__all__ = [
    "Dataset",
    "DerivedData",
    "NegSampledEdgeDataset",
    "check_table",
    "named_parts",
    "pca_positions",
    "spectral_positions",
]
