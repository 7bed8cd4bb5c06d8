"""Containers of relations between data points.

Two sparse containers hold torch tensors (`NeighborRelationTuple`, `SparseRelationArray`); the dense
ones hold a numpy array or a torch tensor in square, upper triangular or flat form. Transforms see
them all through `values` and `with_values`, so none has to tell them apart.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from fastparadime.ops import Edges
from fastparadime.types import Array, IndexList, Rels, TensorLike
from fastparadime.utils import ReprMixin
from fastparadime.utils.convert import (
    is_triangular,
    to_numpy,
    to_torch,
    triu_to_square_dim,
)

if TYPE_CHECKING:
    import scipy.sparse
    from typing_extensions import Self


class RelationData(ReprMixin):
    """Base class of the containers; `data` holds the raw relations."""

    _data: Any

    @property
    def data(self) -> Any:
        """The raw relations."""
        return self._data

    @data.setter
    def data(self, relations: Any) -> None:
        self._data = relations

    @property
    def values(self) -> Any:
        """The relation values alone, an array or tensor."""
        return self._data

    def with_values(self, values: Any) -> Self:
        """A container like this one with other values in the same places."""
        return type(self)(values)  # type: ignore[call-arg]

    def sub(self, indices: IndexList) -> torch.Tensor:
        """The square tensor of relations among some of the points."""
        index = torch.as_tensor(indices, dtype=torch.long)
        square = self._square()
        index = index.to(square.device)
        return square[index][:, index]

    def _square(self) -> torch.Tensor:
        raise TypeError(f"{type(self).__name__} has no square form")

    def to_flat_array(self) -> FlatRelationArray:
        """All values as a flat array."""
        return FlatRelationArray(to_numpy(self.to_square_array().data).ravel())

    def to_flat_tensor(self) -> FlatRelationTensor:
        """All values as a flat tensor."""
        return FlatRelationTensor(self._square().flatten())

    def to_square_array(self) -> SquareRelationArray:
        """The (n, n) array."""
        return SquareRelationArray(to_numpy(self._square()))

    def to_square_tensor(self) -> SquareRelationTensor:
        """The (n, n) tensor."""
        return SquareRelationTensor(self._square())

    def to_triangular_array(self) -> TriangularRelationArray:
        """The values above the diagonal, row by row, as an array."""
        return TriangularRelationArray(to_numpy(self.to_triangular_tensor().data))

    def to_triangular_tensor(self) -> TriangularRelationTensor:
        """The values above the diagonal, row by row, as a tensor."""
        square = self._square()
        n = len(square)
        row, column = torch.triu_indices(n, n, offset=1, device=square.device)
        return TriangularRelationTensor(square[row, column])

    def to_sparse_array(self) -> SparseRelationArray:
        """The non-zero values as a sparse matrix."""
        import scipy.sparse

        return SparseRelationArray(scipy.sparse.csr_matrix(to_numpy(self._square())))

    def to_neighbor_tuple(self) -> NeighborRelationTuple:
        """Neighbours and values of each point; every point must have equally many."""
        return self.to_sparse_array().to_neighbor_tuple()


class _Dense(RelationData):
    """A container around one array or tensor of a fixed form."""

    _form: str

    def __init__(self, relations: Any) -> None:
        if not _has_form(relations, self._form):
            raise ValueError(
                f"{type(self).__name__} takes a {self._form} {_kind(self)}, not "
                f"{type(relations).__name__} of shape {tuple(getattr(relations, 'shape', ()))}"
            )
        self._data = relations


def _kind(container: RelationData) -> str:
    return "numpy array" if type(container).__name__.endswith("Array") else "torch tensor"


def _has_form(relations: Any, form: str) -> bool:
    if not isinstance(relations, (np.ndarray, torch.Tensor)):
        return False
    if form == "square":
        return relations.ndim == 2 and relations.shape[0] == relations.shape[1]
    if relations.ndim != 1:
        return False
    return form == "flat" or is_triangular(len(relations))


class FlatRelationArray(_Dense):
    """A numpy array of relation values of no particular arrangement."""

    _form = "flat"

    def to_flat_array(self) -> FlatRelationArray:
        return self

    def to_flat_tensor(self) -> FlatRelationTensor:
        return FlatRelationTensor(to_torch(self.data))


class FlatRelationTensor(_Dense):
    """A torch tensor of relation values of no particular arrangement."""

    _form = "flat"

    def to_flat_array(self) -> FlatRelationArray:
        return FlatRelationArray(to_numpy(self.data))

    def to_flat_tensor(self) -> FlatRelationTensor:
        return self


class SquareRelationArray(_Dense):
    """A numpy array (n, n) of relations."""

    _form = "square"

    def _square(self) -> torch.Tensor:
        return to_torch(self.data)

    def to_square_array(self) -> SquareRelationArray:
        return self


class SquareRelationTensor(_Dense):
    """A torch tensor (n, n) of relations."""

    _form = "square"

    def _square(self) -> torch.Tensor:
        tensor: torch.Tensor = self.data
        return tensor

    def to_square_tensor(self) -> SquareRelationTensor:
        return self


class _Triangular(_Dense):
    _form = "triangular"

    def _square(self) -> torch.Tensor:
        values = to_torch(self.data)
        n = triu_to_square_dim(len(values))
        row, column = torch.triu_indices(n, n, offset=1, device=values.device)
        upper = values.new_zeros((n, n)).index_put((row, column), values)
        return upper + upper.T


class TriangularRelationArray(_Triangular):
    """The values above the diagonal of a symmetric matrix, as SciPy's pdist gives them."""

    def to_triangular_array(self) -> TriangularRelationArray:
        return self

    def to_flat_array(self) -> FlatRelationArray:
        return FlatRelationArray(self.data)


class TriangularRelationTensor(_Triangular):
    """The values above the diagonal of a symmetric matrix, as torch's pdist gives them."""

    def to_triangular_tensor(self) -> TriangularRelationTensor:
        return self

    def to_flat_tensor(self) -> FlatRelationTensor:
        return FlatRelationTensor(self.data)


class SparseRelationArray(RelationData):
    """A sparse square matrix of relations.

    Parameters
    ----------
    relations : SciPy sparse matrix (n, n) or Edges
        `data` gives it as a CSR matrix, `edges` as torch tensors.
    """

    def __init__(self, relations: scipy.sparse.spmatrix | scipy.sparse.sparray | Edges) -> None:
        self.data = relations

    @property
    def data(self) -> scipy.sparse.csr_matrix:
        """The relations as a SciPy CSR matrix with sorted indices."""
        import scipy.sparse

        indptr, _, tails, weights = (to_numpy(part) for part in self.edges)
        n = len(indptr) - 1
        return scipy.sparse.csr_matrix((weights, tails, indptr), shape=(n, n))

    @data.setter
    def data(self, relations: Any) -> None:
        self.edges = relations if isinstance(relations, Edges) else _edges_of(relations)

    @property
    def values(self) -> torch.Tensor:
        return self.edges.weights

    def with_values(self, values: torch.Tensor) -> SparseRelationArray:
        return SparseRelationArray(self.edges._replace(weights=values))

    def sub(self, indices: IndexList) -> torch.Tensor:
        rows = to_numpy(torch.as_tensor(indices))
        block = self.data[rows][:, rows].toarray()
        return torch.from_numpy(block).to(self.edges.weights.device)

    def _square(self) -> torch.Tensor:
        n = len(self.edges.indptr) - 1
        square = self.edges.weights.new_zeros((n, n))
        square[self.edges.heads.long(), self.edges.tails.long()] = self.edges.weights
        return square

    def to_sparse_array(self) -> SparseRelationArray:
        return self

    def to_neighbor_tuple(self) -> NeighborRelationTuple:
        counts = self.edges.indptr.diff()
        if len(counts) == 0 or bool((counts != counts[0]).any()):
            raise ValueError(
                "only relations with equally many neighbours for every point have a neighbour "
                f"tuple, not between {int(counts.min())} and {int(counts.max())}"
            )
        shape = (len(counts), int(counts[0]))
        return NeighborRelationTuple(
            (self.edges.tails.reshape(shape), self.edges.weights.reshape(shape))
        )


def _edges_of(matrix: Any) -> Edges:
    import scipy.sparse

    if not scipy.sparse.issparse(matrix) or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            "SparseRelationArray takes a square SciPy sparse matrix, not "
            f"{type(matrix).__name__} of shape {getattr(matrix, 'shape', None)}"
        )
    csr = scipy.sparse.csr_matrix(matrix, copy=True)
    csr.sum_duplicates()
    indptr = torch.from_numpy(csr.indptr.astype(np.int64))
    tails = torch.from_numpy(csr.indices.astype(np.int32))
    rows = torch.arange(matrix.shape[0], dtype=torch.int32)
    heads = torch.repeat_interleave(rows, indptr.diff())
    return Edges(indptr, heads, tails, torch.from_numpy(csr.data.astype(np.float32)))


class NeighborRelationTuple(RelationData):
    """Neighbours of each point and the relation values to them.

    Parameters
    ----------
    relations : tuple of (n, k) arrays
        Neighbour indices and relation values.
    sort : {None, "ascending", "descending"}
        Order of each row by value; None keeps it as given.
    """

    def __init__(
        self,
        relations: tuple[TensorLike, TensorLike],
        sort: Literal["ascending", "descending"] | None = None,
    ) -> None:
        if sort not in (None, "ascending", "descending"):
            raise ValueError(f"sort must be None, 'ascending' or 'descending', not {sort!r}")
        self.indices, self._values = _neighbor_parts(relations)
        if sort is not None:
            order = self.values.argsort(dim=1, descending=sort == "descending", stable=True)
            self.indices = self.indices.gather(1, order)
            self._values = self._values.gather(1, order)

    @property
    def data(self) -> tuple[Array, Array]:
        """Neighbour indices and relation values as numpy arrays."""
        return to_numpy(self.indices), to_numpy(self._values)

    @data.setter
    def data(self, relations: tuple[TensorLike, TensorLike]) -> None:
        self.indices, self._values = _neighbor_parts(relations)

    @property
    def values(self) -> torch.Tensor:
        return self._values

    def with_values(self, values: TensorLike) -> NeighborRelationTuple:
        return NeighborRelationTuple((self.indices, values))

    def without_self(self) -> NeighborRelationTuple:
        """The same neighbours without each point itself, where every row has it."""
        own = torch.arange(len(self.indices), device=self.indices.device)[:, None]
        mask = self.indices == own
        if not bool(mask.any()):
            return self
        if not bool((mask.sum(dim=1) == 1).all()):
            warnings.warn(
                "Neighbor relation tuple does not include all self-relations. "
                "Removal would lead to ragged array and is not performed.",
                stacklevel=3,
            )
            return self
        shape = (len(self.indices), self.indices.shape[1] - 1)
        return NeighborRelationTuple(
            (self.indices[~mask].reshape(shape), self._values[~mask].reshape(shape))
        )

    def to_sparse_array(self) -> SparseRelationArray:
        n, k = self.indices.shape
        tails, order = self.indices.to(torch.int32).sort(dim=1)
        heads = torch.arange(n, dtype=torch.int32, device=tails.device).repeat_interleave(k)
        indptr = torch.arange(n + 1, device=tails.device) * k
        weights = self._values.gather(1, order).to(torch.float32)
        return SparseRelationArray(Edges(indptr, heads, tails.flatten(), weights.flatten()))

    def _square(self) -> torch.Tensor:
        return self.to_sparse_array()._square()

    def to_neighbor_tuple(self) -> NeighborRelationTuple:
        return self


def _neighbor_parts(relations: Any) -> tuple[torch.Tensor, torch.Tensor]:
    if not isinstance(relations, tuple) or len(relations) != 2:
        raise ValueError(f"expected a tuple (indices, values), not {type(relations).__name__}")
    indices, values = (to_torch(part) for part in relations)
    if indices.ndim != 2 or indices.shape != values.shape:
        raise ValueError(
            "indices and values must have one shape (n, k), not "
            f"{tuple(indices.shape)} and {tuple(values.shape)}"
        )
    if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < len(indices):
        raise ValueError(f"indices must lie in [0, {len(indices)})")
    return indices, values


def relation_factory(relations: Rels, force_flat: bool = False) -> RelationData:
    """The container that fits an array, tensor, sparse matrix or neighbour tuple.

    Raises
    ------
    TypeError
        If none fits.
    """
    if isinstance(relations, tuple):
        return NeighborRelationTuple(relations)
    if isinstance(relations, (np.ndarray, torch.Tensor)):
        array = isinstance(relations, np.ndarray)
        if _has_form(relations, "square"):
            return SquareRelationArray(relations) if array else SquareRelationTensor(relations)
        if _has_form(relations, "triangular") and not force_flat:
            return (
                TriangularRelationArray(relations) if array else TriangularRelationTensor(relations)
            )
        if _has_form(relations, "flat"):
            return FlatRelationArray(relations) if array else FlatRelationTensor(relations)
    elif hasattr(relations, "tocsr"):
        return SparseRelationArray(relations)
    raise TypeError(
        "relations must be a square or flat array or tensor, a square sparse matrix or a tuple "
        f"(indices, values), not {type(relations).__name__} of shape "
        f"{tuple(getattr(relations, 'shape', ()))}"
    )
