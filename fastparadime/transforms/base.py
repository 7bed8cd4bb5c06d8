"""What transforms are, changes of form, and functions of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from fastparadime.relationdata import RelationData
from fastparadime.utils import ReprMixin
from fastparadime.utils.validate import check_callable


class RelationTransform(ReprMixin):
    """Base class of transforms; subclasses define `transform`."""

    def __init__(self, **kwargs: Any) -> None:
        self.kwargs = kwargs

    def __call__(self, reldata: RelationData) -> RelationData:
        if not isinstance(reldata, RelationData):
            raise TypeError(
                f"reldata must be RelationData, as relation_factory makes it, not "
                f"{type(reldata).__name__}"
            )
        return self.transform(reldata)

    def transform(self, reldata: RelationData) -> RelationData:
        """The transformed relations, as a new container."""
        raise NotImplementedError(f"{type(self).__name__} does not define transform")

    def _set_verbosity(self, verbose: bool) -> None:
        if hasattr(self, "verbose"):
            self.verbose = verbose


class Identity(RelationTransform):
    """Returns the relations as they are."""

    def transform(self, reldata: RelationData) -> RelationData:
        return reldata


class _Conversion(RelationTransform):
    _method: str

    def transform(self, reldata: RelationData) -> RelationData:
        converted: RelationData = getattr(reldata, self._method)()
        return converted


class ToFlatArray(_Conversion):
    """Converts to a `FlatRelationArray`."""

    _method = "to_flat_array"


class ToFlatTensor(_Conversion):
    """Converts to a `FlatRelationTensor`."""

    _method = "to_flat_tensor"


class ToSquareArray(_Conversion):
    """Converts to a `SquareRelationArray`."""

    _method = "to_square_array"


class ToSquareTensor(_Conversion):
    """Converts to a `SquareRelationTensor`."""

    _method = "to_square_tensor"


class ToTriangularArray(_Conversion):
    """Converts to a `TriangularRelationArray`."""

    _method = "to_triangular_array"


class ToTriangularTensor(_Conversion):
    """Converts to a `TriangularRelationTensor`."""

    _method = "to_triangular_tensor"


class ToNeighborTuple(_Conversion):
    """Converts to a `NeighborRelationTuple`."""

    _method = "to_neighbor_tuple"


class ToSparseArray(_Conversion):
    """Converts to a `SparseRelationArray`."""

    _method = "to_sparse_array"


class Functional(RelationTransform):
    """Applies a function to the relations.

    Parameters
    ----------
    f : callable
        Of the raw data, or of the container where `in_place` is False.
    in_place : bool
        Whether `f` maps raw data of one container to raw data of the same kind.
    check_valid : bool
        Whether the result is checked to fit the container.

    Raises
    ------
    ValueError
        If the result does not fit the container, with `check_valid`.
    """

    def __init__(
        self, f: Callable[..., Any], in_place: bool = True, check_valid: bool = False
    ) -> None:
        super().__init__()
        self.f = check_callable(f, "f")
        self.in_place = in_place
        self.check_valid = check_valid

    def transform(self, reldata: RelationData) -> RelationData:
        if not self.in_place:
            transformed: RelationData = self.f(reldata)
            return transformed
        changed = self.f(_copy(reldata.data))
        if self.check_valid:
            try:
                return type(reldata)(changed)  # type: ignore[call-arg]
            except (TypeError, ValueError) as error:
                raise ValueError(
                    "Transformed relation data no longer compatible with type "
                    f"{type(reldata).__name__}."
                ) from error
        result = object.__new__(type(reldata))
        result.data = changed
        return result


def _copy(data: Any) -> Any:
    if isinstance(data, tuple):
        return tuple(part.copy() for part in data)
    return data.clone() if isinstance(data, torch.Tensor) else data.copy()
