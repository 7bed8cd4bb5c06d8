"""Containers of relations between data points.

Two sparse containers hold torch tensors (`NeighborRelationTuple`, `SparseRelationArray`); the dense
ones hold a numpy array or a torch tensor in square, upper triangular or flat form. Transforms see
them all through `values` and `with_values`, so none has to tell them apart.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from fastparadime import ops
from fastparadime.ops import Edges
from fastparadime.relationdata import _raw
from fastparadime.types import Array, IndexList, TensorLike
from fastparadime.utils import ReprMixin, triangular
from fastparadime.utils.convert import share, to_numpy, to_torch, triu_to_square_dim, value_range
from fastparadime.utils.masks import without_mask
from fastparadime.utils.warning import warn

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
        square = self._square()
        index = _raw.points_of(indices, len(square)).to(square.device)
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
        """The values above the diagonal, row by row, as a tensor.

        Raises
        ------
        ValueError
            If the relations are not symmetric.
        """
        square = self._square().detach()
        if not torch.allclose(square, square.T, equal_nan=True):
            i, j = torch.unravel_index((square - square.T).abs().argmax(), square.shape)
            raise ValueError(
                f"relations must be symmetric for a triangular form, but entry ({i}, {j}) is "
                f"{square[i, j]} and ({j}, {i}) is {square[j, i]}"
            )
        return TriangularRelationTensor(triangular.to_triangle(self._square()))

    def to_sparse_array(self) -> SparseRelationArray:
        """The non-zero values as a sparse matrix."""
        import scipy.sparse

        return SparseRelationArray(scipy.sparse.csr_matrix(to_numpy(self._square())))

    def to_neighbor_tuple(self) -> NeighborRelationTuple:
        """Neighbours and values of each point: all n points of a dense form, itself included."""
        square = self._square()
        indices = torch.arange(len(square), device=square.device).expand(square.shape)
        return NeighborRelationTuple((indices, square.float()))


class _Dense(RelationData):
    """A container around one array or tensor of a fixed form."""

    _form: str

    def __init__(self, relations: Any) -> None:
        relations = without_mask(relations, "relations")
        if not _raw.has_form(relations, self._form):
            raise ValueError(
                f"{type(self).__name__} takes a {self._form} {_kind(self)}, not "
                f"{type(relations).__name__} of shape {tuple(getattr(relations, 'shape', ()))}"
            )
        self._data = relations


def _kind(container: RelationData) -> str:
    return "numpy array" if type(container).__name__.endswith("Array") else "torch tensor"


class FlatRelationArray(_Dense):
    """A numpy array of relation values of no particular arrangement."""

    _form = "flat"

    def to_flat_array(self) -> FlatRelationArray:
        return self

    def to_flat_tensor(self) -> FlatRelationTensor:
        return FlatRelationTensor(share(self.data))


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
        return share(self.data)

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
        values = share(self.data)
        return triangular.to_square(values, triu_to_square_dim(len(values)))


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
        self.edges = relations if isinstance(relations, Edges) else _raw.edges_of(relations)

    @property
    def values(self) -> torch.Tensor:
        return self.edges.weights

    def with_values(self, values: torch.Tensor) -> SparseRelationArray:
        return SparseRelationArray(self.edges._replace(weights=values))

    def sub(self, indices: IndexList) -> torch.Tensor:
        points = _raw.points_of(indices, len(self.edges.indptr) - 1)
        return ops.subgraph(self.edges, points)

    def _square(self) -> torch.Tensor:
        n = len(self.edges.indptr) - 1
        square = self.edges.weights.new_zeros((n, n))
        square[self.edges.heads.long(), self.edges.tails.long()] = self.edges.weights
        return square

    def to_sparse_array(self) -> SparseRelationArray:
        return self

    def to_neighbor_tuple(self) -> NeighborRelationTuple:
        """As many neighbours for each point as the most that one has, missing ones at value 0."""
        return NeighborRelationTuple(_raw.filled_rows(self.edges))


class NeighborRelationTuple(RelationData):
    """Neighbours of each point and the relation values to them.

    Parameters
    ----------
    relations : tuple of (n, k) arrays
        Neighbour indices and relation values. Rows of fewer neighbours are filled up with the index
        -1, whose values count nothing: infinite ones among distances.
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
        self.indices, self._values = _raw.neighbor_parts(relations)
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
        self.indices, self._values = _raw.neighbor_parts(relations)

    @property
    def values(self) -> torch.Tensor:
        return self._values

    def with_values(self, values: TensorLike) -> NeighborRelationTuple:
        changed = to_torch(values)
        if changed.shape != self.indices.shape:
            return NeighborRelationTuple((self.indices, changed))  # which refuses them
        result = copy.copy(self)
        result._values = changed
        return result

    def _lists_itself(self) -> torch.Tensor | None:
        """Where points stand among their own neighbours, None if nowhere."""
        n = len(self.indices)
        if self.indices.device.type == "cpu":
            # By numpy: torch's threads would spin beside those of the operation that follows.
            found = (
                self.indices.numpy() == np.arange(n, dtype=to_numpy(self.indices).dtype)[:, None]
            )
            return torch.from_numpy(found) if found.any() else None
        mask = self.indices == torch.arange(n, device=self.indices.device)[:, None]
        return mask if bool(mask.any()) else None

    def without_self(self) -> NeighborRelationTuple:
        """The same neighbours without each point itself, where every row has it."""
        mask = self._lists_itself()
        if mask is None:
            return self
        if not bool((mask.sum(dim=1) == 1).all()):
            warn(
                "Neighbor relation tuple does not include all self-relations. "
                "Removal would lead to ragged array and is not performed.",
                UserWarning,
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
        tails, weights = tails.flatten(), self._values.gather(1, order).to(torch.float32).flatten()
        if n * k and value_range(tails)[0] < 0:
            there = tails >= 0
            indptr[1:] = there.view(n, k).sum(dim=1).cumsum(0)
            heads, tails, weights = heads[there], tails[there], weights[there]
        return SparseRelationArray(Edges(indptr, heads, tails, weights))

    def sub(self, indices: IndexList) -> torch.Tensor:
        return self.to_sparse_array().sub(indices)

    def _square(self) -> torch.Tensor:
        return self.to_sparse_array()._square()

    def to_neighbor_tuple(self) -> NeighborRelationTuple:
        return self
