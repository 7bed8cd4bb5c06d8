"""The folder of a checkpoint: its manifest, and the files that this names with their digests."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastparadime.exceptions import CheckpointError
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.digests import HashedFile, digest_of_bytes, digest_of_file
from fastparadime.utils.files import replacing

FORMAT = 1
_MANIFEST, _LOCK = "manifest.json", ".lock"
_UNSAFE = re.compile(r"[^\w. -]")  # in names of files; numbers tell them apart
_OWN = re.compile(r"[\w. -]+\.\d+\.(npy|safetensors)")  # files that a manifest names
_START_ANEW = "start anew with another folder"
_ATTEMPTS = 100  # to lock a folder that refused runs remove meanwhile


class Folder:
    """The files of a checkpoint."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and not path.is_dir():
            raise CheckpointError(f"checkpoint {path} is a file: it must be a folder")
        self._made = not path.exists()
        self._made_lock = not (path / _LOCK).exists()
        others = [entry.name for entry in path.glob("[!.]*")]  # none of a folder that is not there
        if others and not (path / _MANIFEST).exists():  # before it gets a lock
            raise CheckpointError(
                f"checkpoint {path} is no checkpoint: it has {min(others)!r}, but no {_MANIFEST}"
            )
        self._lock = _locked(path)
        with self.as_found_if_refused():
            self.manifest = self._manifest()

    def __del__(self) -> None:
        self._unlock()

    def _unlock(self) -> None:
        lock = vars(self).pop("_lock", None)
        if lock is not None:
            os.close(lock)

    @contextmanager
    def as_found_if_refused(self) -> Iterator[None]:
        """A block of checks, whose error leaves the folder as it was and without a lock."""
        try:
            yield
        except BaseException:
            if self._made_lock:  # while it is locked, so that none loses the lock of another
                (self.path / _LOCK).unlink(missing_ok=True)
            self._unlock()
            if self._made:
                with suppress(OSError):  # of what others have written there
                    self.path.rmdir()
            raise

    def _manifest(self) -> dict[str, Any] | None:
        file = self.path / _MANIFEST
        if not file.exists():
            return None
        try:
            manifest = json.loads(file.read_text(encoding="utf-8"))
            own = manifest.pop("sha256")
            if own != _digest_of(manifest):
                raise ValueError("it does not have its digest")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{file} is damaged: {error}; {_START_ANEW}") from error
        if manifest["format"] != FORMAT:
            raise CheckpointError(
                f"{file} has format {manifest['format']!r}, but this version reads {FORMAT}"
            )
        found: dict[str, Any] = manifest
        return found

    @property
    def next_count(self) -> int:
        """The number that files of the stages to be added have in their names."""
        assert self.manifest is not None
        return int(self.manifest["count"]) + 1

    def add(self, stages: Mapping[str, Any]) -> None:
        """Has the manifest name stages whose files are written, instead of older ones."""
        assert self.manifest is not None
        both = {**self.manifest["stages"], **stages}
        self.replace_manifest({**self.manifest, "count": self.next_count, "stages": both})

    def replace_manifest(self, manifest: dict[str, Any]) -> None:
        """Writes the manifest; what it no longer names is removed."""
        told = json.dumps({**manifest, "sha256": _digest_of(manifest)}, indent=1)
        with replacing(self.path / _MANIFEST) as part:
            part.write_text(told, encoding="utf-8")
        self.manifest = manifest
        self.remove_left()

    def remove_left(self) -> None:
        """Removes files that the manifest does not name."""
        stages = (self.manifest or {})["stages"].values()
        named = {file for stage in stages for file, _ in stage["files"].values()}
        for entry in self.path.iterdir():
            if entry.name not in named and _OWN.fullmatch(entry.name):
                entry.unlink(missing_ok=True)


def _digest_of(manifest: Mapping[str, Any]) -> str:
    return digest_of_bytes(json.dumps(manifest, sort_keys=True).encode())


def _locked(folder: Path) -> int | None:
    """A lock on the folder, made if need be, which ends with the process; None where there are none."""
    for _ in range(_ATTEMPTS):
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # where a run that was refused has removed the folder
            descriptor = _locked_file(folder)
            if descriptor is None or _is_at(descriptor, folder / _LOCK):
                return descriptor
            os.close(descriptor)  # of a file that such a run has removed
    raise CheckpointError(f"checkpoint {folder} is removed by others whenever it is made")


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one of a path."""
    return path.exists() and os.path.samestat(os.fstat(descriptor), path.stat())


def _locked_file(folder: Path) -> int | None:
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    descriptor = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise CheckpointError(f"checkpoint {folder} is written by another process") from None
    except OSError:  # of a file system without locks
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def leaving_the_old() -> Iterator[None]:
    """A block of writing whose errors say that the checkpoint is what it was before."""
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno,
            f"{error.strerror or error}; the checkpoint is as it was before, and the run goes on "
            "from there when it is started again",
            error.filename,
        ) from error


def write_files(
    folder: Path, name: str, count: int, arrays: Mapping[str, torch.Tensor], *, weights: bool
) -> dict[str, Sequence[str]]:
    """Writes the arrays of a stage, weights into one file; names and digests of the files."""
    start = _UNSAFE.sub("_", name)
    written: dict[str, Sequence[str]] = {}
    if weights:
        file = f"{start}.{count}.safetensors"
        written["weights"] = (file, write_weights(folder / file, arrays))
    for key, values in () if weights else arrays.items():
        file = f"{start}.{_UNSAFE.sub('_', key)}.{count}.npy"
        written[key] = (file, write_array(folder / file, values))
    return written


def read_files(folder: Path, files: Mapping[str, Sequence[str]]) -> dict[str, torch.Tensor]:
    """The arrays of a stage by their names."""
    arrays: dict[str, torch.Tensor] = {}
    for key, (file, digest) in files.items():
        arrays.update(read_file(folder / file, digest, key))
    return arrays


def write_array(path: Path, values: torch.Tensor) -> str:
    """Writes an array as ``.npy``; its SHA-256."""
    with replacing(path) as part, part.open("wb") as file:
        hashed = HashedFile(file)
        np.lib.format.write_array(hashed, to_numpy(values), allow_pickle=False)
    return hashed.digest()


def write_weights(path: Path, weights: Mapping[str, torch.Tensor]) -> str:
    """Writes weights as safetensors; their SHA-256."""
    from safetensors.torch import save

    # Copies, since safetensors refuses tensors that share memory.
    held = {
        name: value.detach().to("cpu", copy=True).contiguous() for name, value in weights.items()
    }
    content = save(held)
    with replacing(path) as part:
        part.write_bytes(content)
    return digest_of_bytes(content)


def read_file(path: Path, digest: str, key: str) -> dict[str, torch.Tensor]:
    """The array of a file under a name, or weights under their own, on the CPU.

    Raises
    ------
    CheckpointError
        If the file is not there, or does not have its digest.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} of the checkpoint is not there; {_START_ANEW}")
    if digest_of_file(path) != digest:
        raise CheckpointError(f"{path} is damaged: it does not have its digest; {_START_ANEW}")
    if path.suffix == ".npy":
        return {key: torch.from_numpy(np.load(path, allow_pickle=False))}
    from safetensors.torch import load_file

    return dict(load_file(path))
