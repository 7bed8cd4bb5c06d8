"""Which columns become features, and what is learned of them and kept for later tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet
from sklearn.preprocessing import RobustScaler, StandardScaler

from fastparadime import read_table
from fastparadime.exceptions import SpecificationError
from fastparadime.utils.tables import Recipe


@pytest.fixture(name="frame")
def _frame() -> pd.DataFrame:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(draw.normal(size=(40, 3)), columns=["a", "b", "c"])
    frame["kind"] = np.array(["x", "y", "z", "y"])[np.arange(40) % 4]
    frame["key"] = [f"k{i}" for i in range(40)]
    return frame


def _parquet(frame: pd.DataFrame, tmp_path: Path, name: str = "x.parquet") -> Path:
    frame.to_parquet(tmp_path / name, index=False)
    return tmp_path / name


def test_a_column_that_tells_rows_apart_is_an_id(frame: pd.DataFrame, tmp_path: Path) -> None:
    (note,) = read_table(_parquet(frame.drop(columns="kind"), tmp_path)).notes
    assert note.endswith("left out as no number (id_column='key' keeps it beside the positions)")


def test_a_gap_in_a_later_table_is_for_a_fit_to_settle(frame: pd.DataFrame, tmp_path: Path) -> None:
    fitted = read_table(_parquet(frame, tmp_path))
    frame.loc[3, "b"] = np.nan
    later = _parquet(frame, tmp_path, "later.parquet")
    with pytest.raises(ValueError, match="'b': fill such cells in, or fit again with missing='med"):
        read_table(later, like=fitted)
    np.save(tmp_path / "other.npy", np.full((4, 2), np.nan, np.float32))
    with pytest.raises(ValueError, match="has 2 columns, but the model takes 3"):  # not its gaps
        read_table(tmp_path / "other.npy", like=fitted)


def test_text_is_left_out_and_said(frame: pd.DataFrame, tmp_path: Path) -> None:
    table = read_table(_parquet(frame, tmp_path))
    assert table.columns == ("a", "b", "c")
    assert table.others.column_names == ["kind", "key"]
    (note,) = table.notes
    assert "'kind', 'key'" in note
    assert "label_column='kind' colours by it" in note
    np.testing.assert_array_equal(table.values, frame[["a", "b", "c"]].to_numpy(np.float32))


def test_labels_and_ids(frame: pd.DataFrame, tmp_path: Path) -> None:
    path = _parquet(frame, tmp_path)
    table = read_table(path, label_column="kind", id_column="key")
    assert table.labels is not None
    assert table.ids is not None
    assert table.labels.tolist() == frame["kind"].tolist()
    assert table.ids.tolist() == frame["key"].tolist()
    assert table.notes == ()
    numbers = read_table(path, label_column="b")
    assert numbers.columns == ("a", "c")
    assert numbers.labels is not None
    np.testing.assert_array_equal(numbers.labels, frame["b"])


@pytest.mark.parametrize(
    ("arguments", "columns"),
    [
        ({"columns": ["c", "a"]}, ("c", "a")),
        ({"columns": "c,a"}, ("c", "a")),
        ({"columns": "[ab]"}, ("a", "b")),
        ({"drop": "b"}, ("a", "c")),
        ({"drop": ["a", "k*"]}, ("b", "c")),
    ],
)
def test_columns_are_chosen(
    arguments: dict[str, object], columns: tuple[str, ...], frame: pd.DataFrame, tmp_path: Path
) -> None:
    table = read_table(_parquet(frame, tmp_path), **arguments)
    assert table.columns == columns
    np.testing.assert_array_equal(table.values, frame[list(columns)].to_numpy(np.float32))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"columns": ["d"]}, "columns=: .* has no column 'd'"),
        ({"label_column": "kinds"}, "label_column=: .* no column 'kinds'; did you mean 'kind'"),
        ({"columns": ["kind"]}, "column 'kind' of .* is text, not numbers: categories='kind'"),
        ({"missing": "zero"}, "missing"),
        ({"scale": "minmax"}, "scale"),
    ],
)
def test_bad_arguments(
    arguments: dict[str, object], message: str, frame: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        read_table(_parquet(frame, tmp_path), **arguments)


@pytest.mark.parametrize(
    ("scale", "scaler"), [("standard", StandardScaler()), ("robust", RobustScaler())]
)
def test_scales_are_those_of_scikit_learn(
    scale: str, scaler: object, frame: pd.DataFrame, tmp_path: Path
) -> None:
    frame["c"] = 5.0  # constant
    table = read_table(_parquet(frame, tmp_path), scale=scale)
    expected = scaler.fit_transform(frame[["a", "b", "c"]])
    np.testing.assert_allclose(table.values, expected, atol=1e-6)
    assert table.values.dtype == np.float32


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent"])
def test_later_tables_are_made_like_the_first(
    strategy: str, frame: pd.DataFrame, tmp_path: Path
) -> None:
    frame.loc[[3, 8], "b"] = np.nan
    path = _parquet(frame, tmp_path)
    with pytest.raises(ValueError, match="row 3 has no value in column 'b'"):
        read_table(path)
    first = read_table(path, missing=strategy, scale="standard", categories="kind")
    assert first.columns == ("a", "b", "c", "kind=x", "kind=y", "kind=z")
    assert np.isfinite(first.values).all()
    np.testing.assert_array_equal(first.values[:, 3], frame["kind"] == "x")
    part = frame.loc[[8, 30, 2], ["kind", "c", "key", "b", "a"]].assign(more=1.0)
    later = read_table(_parquet(part, tmp_path, "later.parquet"), like=first)
    np.testing.assert_array_equal(later.values, first.values[[8, 30, 2]])
    assert later.columns == first.columns
    assert any("'more'" in note and "no such column" in note for note in later.notes)
    unknown = part.assign(kind="w")
    later = read_table(_parquet(unknown, tmp_path, "later.parquet"), like=first.recipe)
    assert later.values[:, 3:].tolist() == [[0, 0, 0]] * 3
    assert any("3 cells of 'kind'" in note for note in later.notes)
    lacking = part.drop(columns=["a", "c"])
    with pytest.raises(ValueError, match="lacks columns that the model takes: 'a', 'c'"):
        read_table(_parquet(lacking, tmp_path, "later.parquet"), like=first)
    with pytest.raises(ValueError, match="scale must not be given with like"):
        read_table(path, like=first, scale="robust")


def test_tables_without_names_are_matched_by_place(frame: pd.DataFrame, tmp_path: Path) -> None:
    first = read_table(_parquet(frame, tmp_path), scale="standard")
    X = frame[["a", "b", "c"]].to_numpy()
    np.save(tmp_path / "x.npy", X)
    later = read_table(tmp_path / "x.npy", like=first)
    np.testing.assert_allclose(later.values, first.values, atol=1e-6)
    np.save(tmp_path / "x.npy", X[:, :2])
    with pytest.raises(ValueError, match=r"x\.npy has 2 columns, but the model takes 3"):
        read_table(tmp_path / "x.npy", like=first)


def test_small_dtypes_stay(tmp_path: Path) -> None:
    X = np.arange(12, dtype=np.uint8).reshape(6, 2)
    dtypes = [np.uint8, np.int8, np.float16, np.float32]
    if int(pa.__version__.partition(".")[0]) < 15:  # its Parquet has no halves
        dtypes.remove(np.float16)
    for dtype in dtypes:
        table = pa.table({"a": X[:, 0].astype(dtype), "b": X[:, 1].astype(dtype) ** 2})
        parquet.write_table(table, tmp_path / "x.parquet")
        values = read_table(tmp_path / "x.parquet").values
        assert values.dtype == dtype
        lists = pa.FixedSizeListArray.from_arrays(pa.array(X.astype(dtype).ravel()), 2)
        parquet.write_table(pa.table({"v": lists}), tmp_path / "v.parquet")
        values = read_table(tmp_path / "v.parquet").values
        assert values.dtype == dtype
        np.testing.assert_array_equal(values, X)


@pytest.mark.parametrize("first", [0, 2**40])
def test_wide_integers_become_floats_that_hold_them(first: int, tmp_path: Path) -> None:
    X = first + np.arange(40, dtype=np.int64).reshape(20, 2)
    np.save(tmp_path / "x.npy", X)
    pd.DataFrame({"v": list(X)}).to_parquet(tmp_path / "v.parquet")
    for name in ("x.npy", "v.parquet"):
        values = read_table(tmp_path / name).values
        assert values.dtype == (np.float64 if first else np.float32)
        np.testing.assert_array_equal(values, X)


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ([[1.0, 2.0], [3.0]], "lists of several lengths: 2 in row 0, 1 in row 1"),
        ([[1.0, 2.0], None], "has no list in row 1"),
        ([[1.0, 2.0], [3.0, None]], "row 1 has nan in column 1: missing='median'"),
    ],
)
def test_bad_lists(lists: list[object], message: str, tmp_path: Path) -> None:
    parquet.write_table(pa.table({"v": lists}), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "x.parquet")


def test_one_of_several_lists_is_asked_for(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"v": [[1.0], [2.0]], "w": [[3.0], [4.0]]}), tmp_path / "x.pq")
    with pytest.raises(ValueError, match="several columns of lists, 'v', 'w': choose one by vec"):
        read_table(tmp_path / "x.pq")
    assert read_table(tmp_path / "x.pq", vector="w").values.tolist() == [[3], [4]]


def test_a_column_that_outweighs_the_others_is_said(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame["income"] = frame["a"] * 1e5
    frame = frame[["a", "b", "c", "income"]]
    (note,) = read_table(_parquet(frame, tmp_path)).notes
    assert "'income'" in note
    assert "scale='standard' makes all count alike" in note
    assert read_table(_parquet(frame, tmp_path), scale="standard").notes == ()


def test_recipes_are_kept_as_json(frame: pd.DataFrame, tmp_path: Path) -> None:
    path = _parquet(frame, tmp_path)
    recipe = read_table(path, missing="mean", scale="robust", categories="kind").recipe
    content = recipe.to_content()
    assert Recipe.from_content(json.loads(json.dumps(content)), "m") == recipe
    for damaged in ({**content, "scale": "rubust"}, {"digest": "a"}, [], {}, 3, "text"):
        with pytest.raises(SpecificationError, match="the table of m is damaged"):
            Recipe.from_content(damaged, "m")
