"""Checkpoints of a fit by several processes, in one folder that all of them see.

Rows are kept slice by slice, each by whoever was dealt it, and what all ranks have alike by rank 0:
any number of ranks reads it. Rank 0 alone has the manifest, which names a stage when all have
written their parts of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastparadime.distributed.ranks import Ranks
from fastparadime.distributed.shards import SLICES, Shards, slices_of
from fastparadime.exceptions import CheckpointError
from fastparadime.utils import checkpoints
from fastparadime.utils._checkpoint_folder import Folder, leaving_the_old, read_files, write_files
from fastparadime.utils.checkpoints import NOTHING, CheckpointLike, Course, KeptCourse, Stage
from fastparadime.utils.convert import share, to_numpy

Arrays = Mapping[str, torch.Tensor]
_SEEN = ".seen."  # begins the names of files by which ranks see whether they have one folder


class SharedCourse(Course):
    """What the processes of a group make together, stage by stage; this one keeps nothing.

    All methods are collective.
    """

    def of_first(self) -> Course:
        """The course for work that rank 0 does alone, within a block that errors leave together."""
        return NOTHING

    def read_rows(self, name: str) -> Stage | None:
        """What is kept of the rows that this rank was dealt, None if nothing is."""
        return None

    def write_rows(
        self, name: str, of: Callable[[slice], Arrays], about: Mapping[str, Any] | None = None
    ) -> None:
        """Keeps a stage whose parts ranks have; `of` gives the arrays of a slice of the own rows."""


class KeptByAll(SharedCourse):
    """A course whose stages are files of a folder that all ranks see.

    Parameters
    ----------
    ranks : Ranks
    shards : Shards
    folder : Path
    first : KeptCourse or None
        That of rank 0, None on others.
    """

    keeps = True

    def __init__(
        self, ranks: Ranks, shards: Shards, folder: Path, first: KeptCourse | None
    ) -> None:
        self._ranks, self._shards, self._folder, self._first = ranks, shards, folder, first

    def of_first(self) -> Course:
        return self._first or NOTHING

    def is_due(self) -> bool:
        due = self._first is not None and self._first.is_due()
        return bool(self._ranks.from_first(torch.tensor([due], dtype=torch.int32)))

    def read(self, name: str) -> Stage | None:
        (entry,) = self._entries(name)
        if entry is None:
            return None
        with self._ranks.together():
            return Stage(read_files(self._folder, entry["files"]), entry["about"])

    def write(
        self,
        name: str,
        arrays: Arrays,
        about: Mapping[str, Any] | None = None,
        *,
        weights: bool = False,
    ) -> None:
        with self._ranks.together():
            self.of_first().write(name, arrays, about, weights=weights)

    def read_rows(self, name: str) -> Stage | None:
        entries = self._entries(*(_of_slice(name, number) for number in range(SLICES)))
        if entries[0] is None:
            return None
        with self._ranks.together():
            own = slices_of(self._ranks.rank, self._ranks.size)
            parts = [read_files(self._folder, entries[number]["files"]) for number in own]
            if not parts:  # of more ranks than slices
                some = read_files(self._folder, entries[0]["files"])
                parts = [{key: values[:0] for key, values in some.items()}]
            arrays = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
            return Stage(arrays, entries[0]["about"])

    def write_rows(
        self, name: str, of: Callable[[slice], Arrays], about: Mapping[str, Any] | None = None
    ) -> None:
        ranks, first, entries = self._ranks, self._first, {}
        count = ranks.told(first and first.folder.next_count)[0]
        own = zip(slices_of(ranks.rank, ranks.size), self._shards.slices(ranks.rank), strict=True)
        try:
            with ranks.together(), leaving_the_old():
                for number, rows in own:
                    part = _of_slice(name, number)
                    files = write_files(self._folder, part, count, of(rows), weights=False)
                    entries[part] = {"files": files, "about": dict(about or {})}
            told = ranks.told(entries)
            with ranks.together(), leaving_the_old():
                if first is not None:
                    first.folder.add({part: entry for some in told for part, entry in some.items()})
        except OSError:
            if first is not None:
                first.folder.remove_left()
            raise

    def _entries(self, *names: str) -> list[Any]:
        """What the manifest has of stages."""
        first = self._first
        found: list[Any] = self._ranks.told(first and [first.entry(name) for name in names])[0]
        return found


def begun(
    checkpoint: CheckpointLike,
    parameters: Mapping[str, Any],
    data: Mapping[str, Any],
    seed: int,
    ranks: Ranks,
    shards: Shards,
    *,
    drawn: bool,
) -> tuple[SharedCourse, int]:
    """`fastparadime.utils.checkpoints.begun` for all ranks, of the parameters and seed of rank 0.

    Either all ranks have a checkpoint, or none.

    Raises
    ------
    CheckpointError, OSError, TypeError
        As there, on all ranks; where ranks do not see one folder.
    """
    if checkpoint is None:
        return SharedCourse(), seed
    first = folder = None
    with ranks.together():
        options = checkpoints.as_checkpoint(checkpoint)
        if ranks.rank == 0:
            folder = Folder(options.folder)
    with contextlib.nullcontext() if folder is None else folder.as_found_if_refused():
        _check_seen(options.folder, ranks)
        with ranks.together():
            if folder is not None:
                first, seed = checkpoints.begun_in(
                    folder, options.seconds, parameters, data, seed, drawn=drawn
                )
    return KeptByAll(ranks, shards, options.folder, first), ranks.told(seed)[0]


def _check_seen(folder: Path, ranks: Ranks) -> None:
    """Raises CheckpointError unless each rank sees, in its folder, what all the others write."""
    key = ranks.told(secrets.token_hex(8))[0]
    names = [f"{_SEEN}{key}.{rank}" for rank in range(ranks.size)]
    must = (
        f"checkpoint {folder} must be one folder that all processes see, on one machine or a "
        "shared file system"
    )
    try:
        with ranks.together():
            if not folder.is_dir():
                raise CheckpointError(f"{must}: that of rank 0 is not there")
            (folder / names[ranks.rank]).touch()
        with ranks.together():
            for rank, name in enumerate(names):
                if not (folder / name).exists():
                    raise CheckpointError(f"{must}: what rank {rank} wrote in it is not there")
    finally:
        own = f"{_SEEN}*" if ranks.rank == 0 else names[ranks.rank]  # with those of killed runs
        for file in folder.glob(own):
            file.unlink(missing_ok=True)


def digest_of_rows(rows: Any, ranks: Ranks, shards: Shards) -> dict[str, Any]:
    """What `fastparadime.utils.fingerprints.fingerprint` tells of a table, of that of all ranks.

    Collective. The digest is that of the digests of 16 slices, wherever shards end.

    Parameters
    ----------
    rows : (n_local, ...) array or tensor
        Those that this rank was given, of one dtype and shape of a row on all ranks.
    ranks : Ranks
    shards : Shards
    """
    with ranks.together():
        table = np.ascontiguousarray(to_numpy(rows))
        own = table.view(np.uint8).reshape(len(table), -1) if len(table) else None
    width = max(ranks.told(0 if own is None else own.shape[1]))
    content = torch.empty((0, width), dtype=torch.uint8) if own is None else share(own)
    dealt = ranks.moved(content, shards.given, shards.dealt).numpy()
    digests = [hashlib.sha256(dealt[part].data).hexdigest() for part in shards.slices(ranks.rank)]
    total = hashlib.sha256("".join(part for some in ranks.told(digests) for part in some).encode())
    shape = [shards.n, *table.shape[1:]]
    return {"shape": shape, "dtype": str(table.dtype), "sha256": total.hexdigest()}


def _of_slice(name: str, number: int) -> str:
    return f"{name}.{number:02}"
