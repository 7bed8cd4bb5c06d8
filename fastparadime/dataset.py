"""The data that a routine works on: named tensors of one length, and entries derived from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from fastparadime import spectral
from fastparadime.relationdata import RelationData
from fastparadime.sampling import DataEntries
from fastparadime.types import TensorLike, TypeKeyTuples
from fastparadime.utils import ReprMixin
from fastparadime.utils.convert import to_numpy, to_torch
from fastparadime.utils.validate import check_data, check_option

Data = TensorLike | Mapping[str, TensorLike]


class DerivedData:
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
        if not callable(func):
            raise TypeError(f"func must be callable, not {type(func).__name__}")
        self.func = func
        self.type_key_tuples = [("data", "main")] if type_key_tuples is None else type_key_tuples
        self.kwargs = kwargs
        for kind, _ in self.type_key_tuples:
            check_option(kind, ("data", "rels"), "the type of a derived entry's argument")
        self.requires_relations = any(kind == "rels" for kind, _ in self.type_key_tuples)


class Dataset(torch.utils.data.Dataset[dict[str, torch.Tensor]], ReprMixin):
    """Named tensors of one length.

    Parameters
    ----------
    data : (n, ...) array or tensor, or mapping of them
        A single one becomes the entry 'main', which also answers to 'data'. An entry 'indices'
        is added where there is none.

    Raises
    ------
    TypeError, ValueError
        For an entry that is not an array or tensor, or lengths that differ.
    """

    def __init__(self, data: Data) -> None:
        if not isinstance(data, Mapping):
            data = {"main": data}
        if not data:
            raise ValueError("data must hold at least one entry")
        self.data = DataEntries()
        self.num_items = len(next(iter(data.values())))
        self.add(data)
        if "indices" not in self.data:
            self.data["indices"] = torch.arange(self.num_items)

    def add(self, data: Mapping[str, TensorLike]) -> None:
        """Adds or replaces entries, after all of them have been checked."""
        for key, value in data.items():
            if not isinstance(value, (np.ndarray, torch.Tensor)):
                raise TypeError(
                    f"Value for key {key!r} must be a numpy array or PyTorch tensor, not "
                    f"{type(value).__name__}."
                )
            if value.ndim == 0 or len(value) != self.num_items:
                raise ValueError(
                    f"Value for key {key!r} has shape {tuple(value.shape)}, but all entries must "
                    f"have {self.num_items} rows."
                )
            if key in ("main", "data") and value.ndim <= 2:
                check_data(value, f"entry {key!r}")
        for key, value in data.items():
            self.data[key] = to_torch(value)

    def __len__(self) -> int:
        return self.num_items

    def __getitem__(self, index: Any) -> dict[str, torch.Tensor]:
        return {key: value[index] for key, value in self.data.items()}


def pca_positions(X: TensorLike, n_components: int = 2) -> torch.Tensor:
    """The first principal components of the rows of `X`, float32 (n, n_components)."""
    from sklearn.decomposition import PCA

    return to_torch(PCA(n_components=n_components).fit_transform(to_numpy(X)))


def spectral_positions(reldata: RelationData, n_components: int = 2) -> torch.Tensor:
    """Standardised spectral positions of the relations, float32 (n, n_components)."""
    return spectral.spectral_positions(reldata.to_sparse_array().edges, n_components)
