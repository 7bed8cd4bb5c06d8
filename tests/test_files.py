"""The one writer of files: what it replaces, what it refuses, and what it leaves."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fastparadime.utils.files import replacing


def write(path: Path, content: bytes = b"new") -> None:
    with replacing(path) as file:
        file.write(content)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow beyond 1,000 bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_permissions(tmp_path: Path) -> None:
    write(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640
    (tmp_path / "new").chmod(0o604)
    write(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o604


def test_a_link_stays(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"old")
    (tmp_path / "link").symlink_to("kept")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "kept").read_bytes() == b"new"


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to(os.devnull)
    with socket.socket(socket.AF_UNIX) as bound:
        os.chdir(tmp_path)  # names of sockets are short
        bound.bind("socket")
        for name in ("pipe", "folder", "device", "socket"):
            with pytest.raises(FileExistsError, match=rf"{name} cannot be written: .* no regular"):
                write(tmp_path / name)
    assert names(tmp_path) == ["device", "folder", "pipe", "socket"]
    assert Path(os.devnull).is_char_device()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*none"):
        write(tmp_path / "none" / "file")


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("size", [1001, 2**20])
def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(OSError, match=r"File too large: '.*file'"):
        write(tmp_path / "file", bytes(size))
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    def fail() -> None:
        with replacing(tmp_path / "file") as file:
            file.write(b"half")
            raise ValueError("of the writer")

    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(ValueError, match="of the writer"):
        fail()
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_threads_write_to_one_path(tmp_path: Path) -> None:
    contents = [bytes([i]) * 10_000 for i in range(40)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda content: write(tmp_path / "file", content), contents))
    assert (tmp_path / "file").read_bytes() in contents
    assert names(tmp_path) == ["file"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from fastparadime.utils.files import replacing\n"
        "with replacing(sys.argv[1]) as file:\n"
        "    file.write(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "file")], check=False)
    assert done.returncode == -9
    assert len(names(tmp_path)) == 1
    with replacing(tmp_path / "file") as file:  # one that is being written stays
        write(tmp_path / "file", b"first")
        file.write(b"second")
    assert (tmp_path / "file").read_bytes() == b"second"
    assert names(tmp_path) == ["file"]
