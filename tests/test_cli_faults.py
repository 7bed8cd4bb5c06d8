"""The command line where a file is broken, a disk is full or memory is exhausted: one line, exit 2."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from fastparadime import cli, dr
from fastparadime.cli import common
from fastparadime.cli.tables import read_table

_QUICK = ("--quality", "fast", "--n-neighbors", "5", "--seed", "1")


def run(*args: object, command: click.Command = cli.main) -> Result:
    return CliRunner().invoke(command, [str(arg) for arg in args])


def assert_error(result: Result, *messages: str) -> None:
    assert result.exit_code == 2, result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("Error: ")
    assert all(message in lines[0] for message in messages), lines[0]


@pytest.fixture(name="X", autouse=True)
def _files(tmp_path: Path) -> np.ndarray:
    data = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    np.save(tmp_path / "X.npy", data)
    routine = dr.ParametricDR(in_dim=6, hidden_dims=[40], seed=0)
    routine.trained = True
    routine.save("model")
    return data


@pytest.fixture
def limit_files() -> Iterator[Callable[[int], None]]:
    """Lets no file grow beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


HEADERS = {
    "no closing brace": b"{'descr': '<f4', 'fortran_order': False, 'shape': (60, 6)",
    "no mapping": b"[1, 2, 3]",
    "another key": b"{'descr': '<f4', 'fortran_order': False, 'shapes': (60, 6)}",
    "a shape of words": b"{'descr': '<f4', 'fortran_order': False, 'shape': ('a', 6)}",
    "no dtype": b"{'descr': '<q9', 'fortran_order': False, 'shape': (60, 6)}",
    "nothing": b"",
    "nested": b"(" * 5000,
}


@pytest.mark.parametrize("name", HEADERS)
def test_broken_headers(name: str, X: np.ndarray) -> None:
    header = HEADERS[name] + b"\n"
    start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
    Path("bad.npy").write_bytes(start + header + X.tobytes())
    assert_error(run("apply", "model", "bad.npy", "-o", "Y.npy"), "cannot read bad.npy")


def test_every_flipped_byte_of_an_archive_is_found_or_changes_nothing() -> None:
    np.savez("bad.npz", X=np.eye(3))
    stored = Path("bad.npz").read_bytes()
    found = 0
    for place in range(len(stored)):
        changed = bytearray(stored)
        changed[place] ^= 0xFF
        Path("bad.npz").write_bytes(changed)
        try:
            np.testing.assert_array_equal(read_table("bad.npz"), np.eye(3))
        except ValueError as error:
            assert "bad.npz" in str(error)  # noqa: PT017
            found += 1
    assert found > len(stored) / 2


@pytest.mark.parametrize("row", ["#1,2", "0x10,1", "0x10,0x11", "1;5,2", "1.2.3,4"])
def test_broken_first_rows(row: str) -> None:
    Path("bad.csv").write_text(f"{row}\n3,4\n5,6\n")
    with pytest.raises(ValueError, match=r"bad\.csv .* neither numbers nor names, but holds"):
        read_table("bad.csv")


@pytest.mark.parametrize("row", ["a,b", "id,2019", ",0", "1st,name", "#,x"])
def test_names_in_a_first_row(row: str) -> None:
    Path("good.csv").write_text(f"{row}\n3,4\n5,6\n")
    np.testing.assert_array_equal(read_table("good.csv"), [[3, 4], [5, 6]])


@pytest.mark.parametrize(("output", "room"), [("Y.npy", 100), ("map.png", 1000)])
def test_a_full_disk_during_apply(
    output: str, room: int, limit_files: Callable[[int], None]
) -> None:
    limit_files(room)
    result = run("apply", "model", "X.npy", "-o", "Y.npy", "--plot", "map.png")
    assert_error(result, f"{output}: File too large")
    assert not Path(output).exists()


def test_a_full_disk_during_save(limit_files: Callable[[int], None]) -> None:
    limit_files(1000)
    result = run("embed", "X.npy", "-o", "Y.npy", "--save", "new", *_QUICK)
    assert_error(result, "new: File too large")
    assert np.load("Y.npy").shape == (60, 2)
    assert sorted(path.name for path in Path().iterdir()) == ["X.npy", "Y.npy", "model"]


def test_a_full_disk_during_export(limit_files: Callable[[int], None]) -> None:
    limit_files(1000)
    assert_error(run("export", "model", "new.pt2"), "new.pt2: File too large")
    assert not Path("new.pt2").exists()


def of_torch() -> None:
    torch.empty(2**58)


def of_numpy() -> None:
    np.empty(2**58)


@pytest.mark.parametrize("allocate", [of_torch, of_numpy])
def test_exhausted_memory(allocate: Callable[[], None]) -> None:
    group = common.Commands("group", commands={"do": click.Command("do", callback=allocate)})
    assert_error(run("do", command=group), "not enough memory", "allocate")
