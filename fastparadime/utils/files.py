"""Writing files so that a failure leaves the old one."""

from __future__ import annotations

import glob
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` once it is complete and on the disk.

    The new file has the mode of the old one. What processes that were killed left is removed.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    OSError
        If `path` is something else than a file, or cannot be written; it names `path`.
    """
    target = Path(path).resolve()
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {target.parent}")
    if target.exists() and not target.is_file():
        raise FileExistsError(f"{path} cannot be written: it is there already and is not a file")
    part = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        _remove_left(target)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield part
        if target.exists():
            part.chmod(target.stat().st_mode & 0o7777)
        to_disk(part, os.O_RDWR)
        part.replace(target)
        if os.name != "nt":
            to_disk(target.parent, os.O_RDONLY)  # else the new name may be lost with the power
    except OSError as error:
        if error.filename not in (None, str(part)):
            raise  # of another file
        reason = error.strerror or str(error)
        raise type(error)(error.errno, reason, str(path)) from error
    finally:
        part.unlink(missing_ok=True)


def _remove_left(target: Path) -> None:
    """Removes parts of a file whose writers are no longer there."""
    for part in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
        writer = part.name.removeprefix(f".{target.name}.").split(".")[0]
        if writer.isdecimal() and not _runs(int(writer)):
            with suppress(OSError):
                part.unlink()


def _runs(process: int) -> bool:
    if os.name == "nt":
        return True  # a signal would end it there
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True


def to_disk(path: Path, flags: int) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
