"""Writing files: the old one stays until the new one is whole, and stays after a failure."""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

# Without it parts of killed processes stay.
fcntl: Any = importlib.import_module("fcntl") if os.name == "posix" else None

_LONGEST = 200  # of a name, so that the one of its part is not too long


@contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """A file to write to, which takes the place of `path` once it is whole and on the disk.

    A link stays, and what it leads to is replaced; permissions stay as they are. What killed
    processes have left of the same file is removed.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    FileExistsError
        If `path` is there and no regular file.
    OSError
        If it cannot be written, naming it.
    """
    target = Path(path).resolve()
    mode = _check_target(path, target)
    try:
        part, file = _new_part(target)
        with file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if mode is not None:
                    part.chmod(mode)
                if fcntl is None:
                    file.close()  # Windows replaces no open file
                part.replace(target)
            finally:
                with contextlib.suppress(OSError):
                    file.close()  # a second attempt to write what did not fit
                part.unlink(missing_ok=True)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(part), str(target)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _check_target(path: str | Path, target: Path) -> int | None:
    """The permissions of the file that is there, None where there is none."""
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {target.parent}")
    if not target.exists():
        return None
    if not target.is_file():
        raise FileExistsError(f"{path} cannot be written: it is there and no regular file")
    if not os.access(target, os.W_OK):
        raise PermissionError(f"{path} cannot be written: there is no permission to replace it")
    return stat.S_IMODE(target.stat().st_mode)


def _new_part(target: Path) -> tuple[Path, IO[bytes]]:
    """A new file beside the target, locked: those that are not locked nobody writes any more."""
    start = f".{target.name[:_LONGEST]}."
    while True:
        part = target.with_name(f"{start}{secrets.token_hex(8)}.part")
        file = part.open("x+b")  # not "xb": numpy itself writes into those, and names no cause
        if fcntl is None:
            return part, file
        with contextlib.suppress(OSError):  # of folders without locks, where nothing is removed
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            break
        file.close()  # another process took it for a killed one's before it was locked
    _remove_leftovers(target.parent, start, part)
    return part, file


def _remove_leftovers(folder: Path, start: str, own: Path) -> None:
    for part in folder.iterdir():
        if part.name.startswith(start) and part.suffix == ".part" and part != own:
            with contextlib.suppress(OSError), part.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                part.unlink()
