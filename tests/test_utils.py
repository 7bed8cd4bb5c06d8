"""Conversion, seeds, logging and the repr mixin."""

from __future__ import annotations

import random
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from fastparadime.utils import ReprMixin, logging, seed
from fastparadime.utils.convert import (
    rowcol_to_triu_index,
    to_numpy,
    to_torch,
    triu_to_square_dim,
)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("f2", torch.float32), ("f4", torch.float32), ("f8", torch.float32), (">f8", torch.float32),
        ("i1", torch.int64), ("u2", torch.int64), (">i4", torch.int64), ("u8", torch.int64),
        ("?", torch.bool), ("c8", torch.complex64),
    ],
)  # fmt: skip
def test_to_torch_dtypes(dtype: str, expected: torch.dtype) -> None:
    tensor = to_torch(np.array([[0, 1], [1, 0]], dtype=dtype))
    assert tensor.dtype == expected
    assert tensor.tolist() == [[0, 1], [1, 0]]


def test_to_torch_shares_memory_and_keeps_tensors() -> None:
    array = np.ones((3, 2), np.float32)
    assert to_torch(array).data_ptr() == array.ctypes.data
    array.flags.writeable = False
    shared = to_torch(array)
    assert shared.data_ptr() == array.__array_interface__["data"][0]
    del array
    assert shared.sum() == 6  # the tensor keeps the memory alive
    tensor = torch.ones(2, dtype=torch.float64)
    assert to_torch(tensor) is tensor


def test_to_torch_memory_map(tmp_path) -> None:
    np.save(tmp_path / "x.npy", np.arange(6.0, dtype=np.float32).reshape(3, 2))
    tensor = to_torch(np.load(tmp_path / "x.npy", mmap_mode="r"))
    assert tensor.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_to_torch_strides_lists_and_empty() -> None:
    array = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert to_torch(array[::-1, ::-1]).tolist() == array[::-1, ::-1].tolist()
    record = np.zeros(3, dtype=[("a", "u1"), ("b", "<f4")])
    assert to_torch(record["b"]).tolist() == [0, 0, 0]
    assert to_torch([1, 2]).dtype == torch.int64
    assert to_torch((1.5, 2)).dtype == torch.float32
    empty = np.zeros((0, 4), np.float32)
    empty.flags.writeable = False
    assert to_torch(empty).shape == (0, 4)


@pytest.mark.parametrize("bad", ["text", None, 1.0, {"a": 1}])
def test_conversion_rejects_other_types(bad: object) -> None:
    for convert in (to_numpy, to_torch):
        with pytest.raises(TypeError, match=type(bad).__name__):
            convert(bad)


def test_to_torch_rejects_what_no_tensor_holds() -> None:
    with pytest.raises(TypeError, match="no numbers"):
        to_torch(["a", "b"])
    with pytest.raises(ValueError, match="int64"):
        to_torch(np.array([2**63], dtype=np.uint64))


def test_to_numpy() -> None:
    array = np.ones(3)
    assert to_numpy(array) is array
    assert to_numpy(torch.ones(2, requires_grad=True)).tolist() == [1, 1]
    assert to_numpy([[1, 2]]).shape == (1, 2)


@pytest.mark.parametrize("dim", [2, 3, 7])
def test_triangular_indices(dim: int) -> None:
    rows, columns = np.triu_indices(dim, 1)
    for index, (i, j) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        assert rowcol_to_triu_index(i, j, dim) == rowcol_to_triu_index(j, i, dim) == index
    assert triu_to_square_dim(len(rows)) == dim


def test_triangular_indices_are_exact_for_huge_matrices() -> None:
    dim = 10**12 + 7
    assert rowcol_to_triu_index(dim - 2, dim - 1, dim) == dim * (dim - 1) // 2 - 1
    assert triu_to_square_dim(dim * (dim - 1) // 2) == dim


def test_triangular_errors() -> None:
    with pytest.raises(ValueError, match="diagonal"):
        rowcol_to_triu_index(1, 1, 3)
    with pytest.raises(ValueError, match=r"\[0, 3\)"):
        rowcol_to_triu_index(1, 3, 3)
    with pytest.raises(ValueError, match="5 values"):
        triu_to_square_dim(5)
    with pytest.raises(ValueError, match="negative"):
        triu_to_square_dim(-1)


def test_seeds() -> None:
    state = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    drawn = {seed.draw_seed() for _ in range(100)}
    assert len(drawn) == 100
    assert all(0 <= s < 2**63 for s in drawn)
    assert random.getstate() == state[0]
    assert np.random.get_state()[1].tolist() == state[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), state[2])


def test_derived_seeds_are_pinned_and_distinct() -> None:
    assert seed.derive(1, "a", 2) == 4701198891118079255
    paths = [(), ("a",), ("a", 1), ("a", "1"), ("a1",), ("a", 1, 1), ("a", 11), (1, "a"), ("s1:a",)]
    derived = [seed.derive(s, *path) for s in (0, 1) for path in paths]
    assert len(set(derived)) == len(derived)
    assert all(0 <= s < 2**63 for s in derived)
    assert seed.derive(3, np.int64(4)) == seed.derive(3, 4)


def test_seed_all_repeats_draws_and_leaves_torch_settings() -> None:
    saved = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        draws = []
        for _ in range(2):
            assert isinstance(seed.seed_all(2**40 + 1), torch.Generator)
            draws.append((random.random(), np.random.rand(), float(torch.rand(1))))  # noqa: NPY002
        assert draws[0] == draws[1]
        assert not torch.are_deterministic_algorithms_enabled()
        with pytest.raises(ValueError, match="seed"):
            seed.seed_all(-1)
    finally:
        random.setstate(saved[0])
        np.random.set_state(saved[1])  # noqa: NPY002
        torch.set_rng_state(saved[2])


@pytest.fixture
def restored_log():
    logger = logging.logger
    handlers = list(logger.handlers)
    yield
    for handler in logger.handlers:
        if handler not in handlers:
            handler.close()
    logger.handlers[:] = handlers


_LINE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}: %s\n"


def test_log_goes_to_the_current_stdout(capsys) -> None:
    logging.log("100% done")
    out, err = capsys.readouterr()
    assert re.fullmatch(_LINE % "100% done", out)
    assert not err


def test_log_beside_a_progress_bar(capsys) -> None:
    from tqdm import tqdm

    with tqdm(total=2):
        logging.log("note")
    out, _ = capsys.readouterr()
    assert re.search(_LINE % "note", out)


@pytest.mark.usefixtures("restored_log")
def test_log_files(tmp_path, capsys) -> None:
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    logging.set_logfile(str(first))
    logging.log("one")
    logging.set_logfile(second, "w", True, True)  # noqa: FBT003  paraDime's positional use
    logging.log("two")
    assert re.fullmatch(_LINE % "one", first.read_text())
    assert re.fullmatch(_LINE % "two", second.read_text())
    assert "two" not in capsys.readouterr().out


@pytest.mark.usefixtures("restored_log")
def test_failing_log_file_changes_nothing(tmp_path, capsys) -> None:
    with pytest.raises(FileNotFoundError):
        logging.set_logfile(tmp_path / "missing" / "x.log", disable_stdout=True)
    logging.log("still here")
    assert "still here" in capsys.readouterr().out


def test_repr_mixin() -> None:
    class Part(ReprMixin):
        def __init__(self) -> None:
            self.n = 3
            self._hidden = 1

    class Whole(ReprMixin):
        def __init__(self) -> None:
            self.name = "x"
            self.part = Part()
            self.X = torch.zeros(4, 2)
            self.parts = {"a": Part()}

    class Nothing(ReprMixin):
        pass

    assert repr(Part()) == "Part(\n  n=3,\n)"
    assert repr(Nothing()) == "Nothing()"
    assert repr(Whole()) == (
        "Whole(\n"
        "  name='x',\n"
        "  part=Part(\n    n=3,\n  ),\n"
        "  X=Tensor(shape=(4, 2), dtype=torch.float32),\n"
        "  parts={\n    'a': Part(\n      n=3,\n    ),\n  },\n"
        ")"
    )


def test_import_is_light_and_leaves_global_state_alone() -> None:
    code = (
        "import logging, random, sys, numpy, torch\n"
        "before = (logging.root.handlers[:], logging.root.level, random.getstate())\n"
        "from fastparadime import utils\n"
        "assert callable(utils.plotting.scatterplot)\n"
        "assert before == (logging.root.handlers, logging.root.level, random.getstate())\n"
        "assert 'matplotlib' not in sys.modules and 'scipy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
