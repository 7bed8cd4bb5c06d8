"""One of two processes: writes where fits with a checkpoint go on, and what all of them refuse.

python tests/processes.py distributed_checkpoints_job STORE RANK PROCESSES FOLDER
"""

from __future__ import annotations

import copy
import json
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastparadime import UMAP
from fastparadime.neighbors import knn
from fastparadime.utils._checkpoint_folder import Folder
from fastparadime.utils.checkpoints import Checkpoint
from tests.distributed_job import by_groups, cuts, raised, table

SHORT = {"n_epochs": 10, "random_state": 3}


class Fits:
    """Fits of the rows of a table, of which this rank has some."""

    def __init__(self, X: Any, own: slice, group: Any, folder: Path) -> None:
        self.X, self.own, self.group, self.folder = X, X[own], group, folder

    def __call__(self, folder: Any, X: Any = None, **options: Any) -> Any:
        rows = self.own if X is None else X
        umap = UMAP(**{**SHORT, **options})
        return umap.fit(rows, process_group=self.group, checkpoint=folder).embedding_

    def bytes(self, *arguments: Any, **options: Any) -> bytes:
        return bytes(self(*arguments, **options).tobytes())


def goes_on(fits: Fits, rank: int) -> dict[str, bool]:
    """Whether fits that go on have the bits of those without a checkpoint."""
    plain, kept = fits.bytes(None), fits.folder / "kept"
    moved = fits.X[:100] if rank == 0 else fits.X[100:]  # which other ranks give
    other = fits(None, moved)
    known = knn(fits.own, 14, process_group=fits.group)
    drawn = [fits.bytes(fits.folder / "drawn", random_state=None) for _ in range(2)]
    given = [fits.bytes(fits.folder / "given", precomputed_knn=known) for _ in range(2)]
    with by_groups():
        grouped = [fits.bytes(None), *(fits.bytes(fits.folder / "grouped") for _ in range(2))]
    older = [fits.bytes(fits.folder / "older"), _without_epochs(fits, rank)]
    start = fits.own[:, :2]
    placed = [fits.bytes(fits.folder / "placed", init=start) for _ in range(2)]
    return {
        "begun": fits.bytes(kept) == plain,
        "over": fits.bytes(kept) == plain,
        "moved": np.array_equal(fits(kept, moved), other),
        "drawn": drawn[0] == drawn[1],
        "given": given == [plain, plain],
        "grouped": grouped[0] == grouped[1] == grouped[2] != plain,
        "older": older == [plain, plain],
        "placed": placed[0] == placed[1] != plain,
        "full": _after_a_full_disk(fits, rank) == plain,
    }


def _without_epochs(fits: Fits, rank: int) -> bytes:
    """What goes on from a start of which nothing tells how many epochs are done, as 0.2.0 wrote it."""
    path = fits.folder / "older"
    if rank == 0:
        folder = Folder(path)
        manifest = copy.deepcopy(folder.manifest)
        assert manifest is not None
        assert manifest["stages"]["start"]["about"] == {"epoch": 0}
        manifest["stages"]["start"]["about"] = {}
        del manifest["stages"]["layout"]
        folder.replace_manifest(manifest)
        del folder  # and its lock
    knn(fits.own, 14, process_group=fits.group)  # all wait for it
    return fits.bytes(path)


def refused(fits: Fits, rank: int) -> dict[str, Any]:
    """What is raised for other parameters and data than those of a checkpoint, and other folders."""
    folder, second = fits.folder, rank == 1
    changed = fits.own + (second and np.eye(*fits.own.shape))
    known = knn(changed, 14, process_group=fits.group)
    if rank == 0:
        UMAP(**SHORT).fit(fits.X, checkpoint=folder / "alone")
        (folder / "file").write_text("")
    cases: dict[str, Callable[[], Any]] = {
        "parameter": lambda: fits(folder / "kept", n_neighbors=8),
        "seed": lambda: fits(folder / "kept", random_state=4),
        "data": lambda: fits(folder / "kept", changed),
        "start": lambda: fits(folder / "placed", init=changed[:, :2]),
        "knn": lambda: fits(folder / "given", precomputed_knn=known),
        "alone": lambda: fits(folder / "alone"),
        "elsewhere": lambda: fits(_made(folder / f"own{rank}")),
        "nowhere": lambda: fits(folder / ("none" if second else "made")),
        "file": lambda: fits(folder / "file"),
        "one": lambda: fits(folder / "made" if second else None),
        "kind": lambda: fits(3),
        "full": lambda: _filled(fits, rank, "refused"),
        "damaged": lambda: fits(_damaged(fits, rank)),
    }
    return {name: raised(case) for name, case in cases.items()}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _filled(fits: Fits, rank: int, name: str) -> Any:
    """A fit whose second process can write no file of a slice."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        if rank == 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
        return fits(Checkpoint(fits.folder / name, seconds=0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def _after_a_full_disk(fits: Fits, rank: int) -> bytes:
    try:
        _filled(fits, rank, "full")
    except OSError:
        left = list((fits.folder / "full").glob("*.npy"))
        assert rank or not left  # which would take the room
    return fits.bytes(fits.folder / "full")


def _damaged(fits: Fits, rank: int) -> Path:
    if rank == 0:
        (file,) = (fits.folder / "full").glob("graph.12.weights.*.npy")
        content = bytearray(file.read_bytes())
        content[-3] ^= 1
        file.write_bytes(content)
        os.sync()
    return fits.folder / "full"


def take_part(rank: int, ranks: int, folder: Path, group: Any) -> None:
    own = slice(*cuts(ranks)[rank : rank + 2])
    fits = Fits(table(), own, group, folder)
    told = json.dumps({"same": goes_on(fits, rank), "refused": refused(fits, rank)})
    (folder / f"{rank}.json").write_text(told, encoding="utf-8")
