"""How far a layout has got, kept in a course and read from it."""

from __future__ import annotations

import torch

from fastparadime.types import TensorLike
from fastparadime.utils.checkpoints import Course
from fastparadime.utils.convert import to_torch

_POSITIONS = "positions"


class LayoutProgress:
    """The positions of a layout after some of its epochs.

    Parameters
    ----------
    course : Course
        Holds how far the layout got in a run before.
    start : (n, dim) array or tensor
        Where it starts otherwise.
    wanted : set of int
        Numbers of epochs after which positions are kept.
    first_epoch : int
        Epochs that are done at the start.

    Attributes
    ----------
    positions : tensor (n, dim)
    epoch : int
        How many are done.
    over : bool
        Whether no more are to follow.
    kept : dict of tensors
    """

    def __init__(
        self, course: Course, start: TensorLike, wanted: set[int], first_epoch: int = 0
    ) -> None:
        self._course = course
        self.positions, self.epoch, self.over = to_torch(start), first_epoch, False
        self.kept = {0: self.positions.clone()} if 0 in wanted else {}
        stage = course.read("layout")
        if stage is not None:
            device = self.positions.device
            arrays = {name: values.to(device) for name, values in stage.arrays.items()}
            self.positions = arrays.pop(_POSITIONS)
            self.kept = {int(name): values for name, values in arrays.items()}
            self.epoch, self.over = stage.about["epoch"], stage.about["over"]

    def write(self, epoch: int, positions: torch.Tensor, *, over: bool = False) -> None:
        """Writes how far it has got."""
        arrays = {_POSITIONS: positions, **{str(at): values for at, values in self.kept.items()}}
        self._course.write("layout", arrays, {"epoch": epoch, "over": over})

    def write_if_due(self, epoch: int, positions: torch.Tensor) -> None:
        """The same, if the time has come."""
        if self._course.is_due():
            self.write(epoch, positions)
