"""Checkpoints: what a run has made so far, in a folder from which it goes on if it is ended.

A folder holds arrays as ``.npy``, weights as safetensors, and ``manifest.json``, which names them
with their digests. A file is written under a new name first, then the manifest is replaced, then
the file that it held before is removed: at any moment the manifest tells of whole files alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from fastparadime.exceptions import CheckpointError
from fastparadime.utils._checkpoint_folder import (
    FORMAT,
    Folder,
    leaving_the_old,
    read_files,
    write_files,
)
from fastparadime.utils.fingerprints import described
from fastparadime.utils.validate import check_positive

_MOST_LISTED, _LONGEST = 8, 60  # differences of a message, and characters of each


class Checkpoint:
    """A folder that keeps what a run makes, for the argument `checkpoint` of fits and of `train`.

    A run that was ended, at whatever moment, goes on from there when it is started again with the
    same folder, data and parameters, and ends with the same bits as one that was not ended.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there. It must be empty, or hold a checkpoint.
    seconds : float
        The least time between two writings of positions or weights within a layout or a training
        phase, which are looked at after each epoch. Stages are written as soon as they are over.
    """

    def __init__(self, folder: str | Path, seconds: float = 120.0) -> None:
        if not isinstance(folder, (str, Path)):
            raise TypeError(f"folder must be a path, not {type(folder).__name__}")
        self.folder = Path(folder)
        self.seconds = check_positive(seconds, "seconds", zero_ok=True)


@dataclass(frozen=True)
class Stage:
    """What is kept of a stage: tensors on the CPU by name, and what JSON holds."""

    arrays: dict[str, torch.Tensor]
    about: dict[str, Any]


class Course:
    """What a run makes, stage by stage; this one keeps nothing."""

    keeps = False

    def part(self, name: str) -> Course:
        """The same for a part of the run, whose stages have names of their own."""
        return self

    def read(self, name: str) -> Stage | None:
        """What is kept of a stage, None if nothing is."""
        return None

    def write(
        self,
        name: str,
        arrays: Mapping[str, torch.Tensor],
        about: Mapping[str, Any] | None = None,
        *,
        weights: bool = False,
    ) -> None:
        """Keeps a stage, instead of what was kept of it before; `weights` go into one file."""

    def is_due(self) -> bool:
        """Whether the time has come to write what a stage has got to."""
        return False

    def made(
        self, name: str, make: Callable[[], torch.Tensor], device: torch.device | None = None
    ) -> torch.Tensor:
        """A tensor that is a stage of its own: what is kept of it, or else made and kept."""
        stage = self.read(name)
        if stage is not None:
            kept = stage.arrays["values"]
            return kept if device is None else kept.to(device)
        values = make()
        self.write(name, {"values": values})
        return values


NOTHING = Course()
CheckpointLike = str | Path | Checkpoint | Course | None


def begun(
    checkpoint: CheckpointLike,
    parameters: Mapping[str, Any],
    data: Mapping[str, Any],
    seed: int,
    *,
    drawn: bool,
) -> tuple[Course, int]:
    """The course of a run that begins or goes on, and its seed.

    Parameters
    ----------
    checkpoint : str, Path, Checkpoint, Course or None
        A course is gone on with, unchecked; None keeps nothing.
    parameters, data : mappings
        What decides about the result, as `fastparadime.utils.fingerprints.described` tells it.
    seed : int
    drawn : bool
        Whether the seed was drawn by this run: that of the checkpoint takes its place.

    Raises
    ------
    CheckpointError
        If the folder holds something else, the checkpoint of another run that has done a stage, or
        a damaged one; if another process writes it.
    OSError
        If it cannot be read or written.
    TypeError
        If `checkpoint` is nothing of that kind.
    """
    if checkpoint is None or isinstance(checkpoint, Course):
        return checkpoint or NOTHING, seed
    options = as_checkpoint(checkpoint)
    folder = Folder(options.folder)
    with folder.as_found_if_refused():
        return begun_in(folder, options.seconds, parameters, data, seed, drawn=drawn)


def as_checkpoint(checkpoint: Any) -> Checkpoint:
    """The argument of a fit, a path or a `Checkpoint`, as the latter.

    Raises
    ------
    TypeError
        If it is nothing of that kind.
    """
    if not isinstance(checkpoint, (str, Path, Checkpoint)):
        raise TypeError(
            "checkpoint must be the path of a folder, or a Checkpoint, not "
            f"{type(checkpoint).__name__}"
        )
    return checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)


def begun_in(
    folder: Folder,
    seconds: float,
    parameters: Mapping[str, Any],
    data: Mapping[str, Any],
    seed: int,
    *,
    drawn: bool,
) -> tuple[KeptCourse, int]:
    """`begun` in a folder that is open."""
    told = {
        "version": metadata.version("fastparadime"),
        "parameters": {**described(parameters), "seed": None if drawn else seed},
        "data": described(data),
    }
    known = folder.manifest
    differences = [] if known is None else _differences({k: known.get(k) for k in told}, told)
    if known is None or (differences and not known["stages"]):  # of which nothing is done
        folder.replace_manifest({"format": FORMAT, **told, "seed": seed, "count": 0, "stages": {}})
        return KeptCourse(folder, seconds), seed
    if differences:
        listed = "; ".join(differences[:_MOST_LISTED])
        raise CheckpointError(
            f"checkpoint {folder.path} is of another run: {listed}. Give what it was begun with, "
            "or another folder"
        )
    folder.remove_left()
    return KeptCourse(folder, seconds), int(known["seed"])


def _differences(there: Any, here: Any, name: str = "") -> list[str]:
    """What differs between two descriptions, a line each."""
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        there, here = (dict(enumerate(part)) for part in (there, here))
    if isinstance(there, dict) and isinstance(here, dict):
        lines: list[str] = []
        for key in sorted({*there, *here}):
            path = f"{name} {key!r}" if name else key
            lines += _differences(there.get(key), here.get(key), path)
        return lines
    return [] if there == here else [f"{name} is {_short(there)} there and {_short(here)} here"]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


class KeptCourse(Course):
    """A course whose stages are files of a folder."""

    keeps = True

    def __init__(self, folder: Folder, seconds: float, prefix: str = "") -> None:
        self.folder, self._seconds, self._prefix = folder, seconds, prefix
        self._written = time.monotonic()

    def part(self, name: str) -> Course:
        return KeptCourse(self.folder, self._seconds, f"{self._prefix}{name}.")

    def is_due(self) -> bool:
        return time.monotonic() - self._written >= self._seconds

    def entry(self, name: str) -> dict[str, Any] | None:
        """What the manifest has of a stage: its files, and what is told of it."""
        assert self.folder.manifest is not None
        found: dict[str, Any] | None = self.folder.manifest["stages"].get(self._prefix + name)
        return found

    def read(self, name: str) -> Stage | None:
        entry = self.entry(name)
        if entry is None:
            return None
        return Stage(read_files(self.folder.path, entry["files"]), entry["about"])

    def write(
        self,
        name: str,
        arrays: Mapping[str, torch.Tensor],
        about: Mapping[str, Any] | None = None,
        *,
        weights: bool = False,
    ) -> None:
        folder, name = self.folder, self._prefix + name
        try:
            with leaving_the_old():
                files = write_files(folder.path, name, folder.next_count, arrays, weights=weights)
                folder.add({name: {"files": files, "about": dict(about or {})}})
        except OSError:
            folder.remove_left()
            raise
        self._written = time.monotonic()
