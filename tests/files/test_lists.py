"""Lists of numbers that are written as text are vectors, as lists are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner
from pyarrow import parquet

from fastparadime import cli, read_table

X = np.random.default_rng(0).normal(size=(30, 3)).round(4)
_FORMS = {
    "python": lambda row: str(row.tolist()),
    "numpy": str,
    "numpy over lines": lambda row: str(row).replace(" ", "\n ", 1),
    "bare": lambda row: " ".join(map(str, row)),
    "bare with commas": lambda row: ", ".join(map(str, row)),
    "tuple": lambda row: str(tuple(row.tolist())),
    "exponents": lambda row: "[" + ",".join(f"{value:.4e}" for value in row) + "]",
}


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_text_is_read_as_lists(form: str, kind: str, tmp_path: Path) -> None:
    names = [f"p{i}" for i in range(len(X))]
    frame = pd.DataFrame({"name": names, "v": [_FORMS[form](row) for row in X]})
    path = tmp_path / f"x.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    table = read_table(path, id_column="name")
    np.testing.assert_allclose(table.values, X, rtol=1e-6)
    assert table.columns is None
    assert table.recipe.vector == "v"
    (note,) = table.notes
    assert "'v'" in note
    assert "read as lists of numbers, from text" in note


def _csv(tmp_path: Path, *cells: str) -> Path:
    frame = pd.DataFrame({"n": np.arange(len(cells)) * 2.5, "v": cells})
    frame.to_csv(tmp_path / "x.csv", index=False)
    return tmp_path / "x.csv"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (("[1, 2]", "[3, x]"), r"column 'v' has '\[3, x\]' in line 3, which is no list of numbers"),
        (("[1, 2]", "[]"), r"column 'v' has '\[\]' in line 3"),
        (("[1, 2]", "[3]"), "lists of several lengths: 2 in line 2, 1 in line 3"),
        (("[1, 2]", ""), "has no list in line 3"),
        (("[1, None]", "[1, 2]"), "line 2 has nan in column 1: missing='median'"),
        (("[1.5 ... 2.]", "[3. ... 4.]"), "numpy has abbreviated: the numbers are lost"),
    ],
)
def test_text_that_is_no_list(cells: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_table(_csv(tmp_path, *cells))


@pytest.mark.parametrize(
    "cells", [("2020 01 02", "2020 01 03"), ("1 2 3", "3 2 1"), ("a b", "c d")]
)
def test_other_text_stays_text(cells: tuple[str, ...], tmp_path: Path) -> None:
    table = read_table(_csv(tmp_path, *cells))
    assert table.columns == ("n",)
    assert table.others.column("v").to_pylist() == list(cells)


def test_what_is_asked_for(tmp_path: Path) -> None:
    path = _csv(tmp_path, "1 2 3", "3 2 1")
    assert read_table(path, vector="v").values.tolist() == [[1, 2, 3], [3, 2, 1]]
    with pytest.raises(TypeError, match=r"column 'n' of .* is number, not lists of numbers"):
        read_table(path, vector="n")
    path = _csv(tmp_path, "[1, 2]", "[3, 2]")
    for chosen in ({"columns": "n"}, {"drop": "v"}, {"label_column": "v"}, {"id_column": "v"}):
        assert read_table(path, **chosen).values.tolist() == [[0], [2.5]]


def test_a_model_takes_lists_and_their_text(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"v": X.tolist()}), tmp_path / "x.parquet")
    pd.DataFrame({"v": [str(row.tolist()) for row in X]}).to_csv(tmp_path / "x.csv", index=False)

    def run(*words: str) -> None:
        result = CliRunner().invoke(cli.main, words)
        assert result.exit_code == 0, result.output

    run(
        "embed",
        "x.parquet",
        "-o",
        "y.npy",
        "--save",
        "m",
        "--n-neighbors",
        "5",
        "--quality",
        "fast",
    )
    run("apply", "m", "x.csv", "-o", "z.npy")
    np.testing.assert_allclose(np.load("y.npy"), np.load("z.npy"), atol=1e-5)


def test_tensors_of_one_dimension_are_lists(tmp_path: Path) -> None:
    vectors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(X))
    parquet.write_table(pa.table({"v": vectors}), tmp_path / "x.parquet")
    table = read_table(tmp_path / "x.parquet")
    np.testing.assert_array_equal(table.values, X.astype(np.float32))
    assert table.recipe.vector == "v"
    images = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ones((30, 2, 3)))
    parquet.write_table(pa.table({"v": vectors, "image": images}), tmp_path / "both.parquet")
    both = read_table(tmp_path / "both.parquet")
    np.testing.assert_array_equal(both.values, X.astype(np.float32))
