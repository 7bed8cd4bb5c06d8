"""Categories and names mean the same in every file: numbers as numbers, text with its zeros."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from fastparadime import read_table


def _written(tmp_path: Path, text: str, name: str = "x.csv") -> Path:
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_categories_that_are_numbers_are_compared_as_numbers(tmp_path: Path) -> None:
    whole = read_table(_written(tmp_path, "a,k\n1,1\n2,2\n3,1\n", "k2.csv"), categories="k")
    assert whole.columns == ("a", "k=1", "k=2")
    points = read_table(_written(tmp_path, "a,k\n1,1.0\n2,2.0\n3,2.0\n", "k3.csv"), like=whole)
    assert points.values.tolist() == [[1, 1, 0], [2, 0, 1], [3, 0, 1]]
    text = read_table(_written(tmp_path, "a,k\n1,2.0\n2,x\n3,1\n", "k4.csv"), like=whole)
    assert text.values.tolist() == [[1, 0, 1], [2, 0, 0], [3, 1, 0]]
    first = read_table(tmp_path / "k3.csv", categories="k")
    assert first.columns == whole.columns
    assert read_table(tmp_path / "k2.csv", like=first).values.tolist() == whole.values.tolist()


def test_categories_keep_their_zeros(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2, 3], "k": ["01", "10", "01"]})
    parquet.write_table(table, tmp_path / "k.parquet")
    first = read_table(tmp_path / "k.parquet", categories="k")
    assert first.columns == ("a", "k=01", "k=10")
    later = read_table(_written(tmp_path, "a,k\n1,10\n2,01\n"), like=first)
    assert later.values.tolist() == [[1, 0, 1], [2, 1, 0]]
    assert read_table(tmp_path / "x.csv", categories="k*").columns == first.columns
    with pytest.raises(ValueError, match=r"number 1 in line 3, .* the text '01': write .* as text"):
        read_table(_written(tmp_path, "a,k\n1,10\n2,1\n"), like=first)


def test_categories_are_beside_the_positions_too(tmp_path: Path) -> None:
    whole = read_table(_written(tmp_path, "a,k,t\n1,x,p\n2,y,q\n", "k.csv"), categories="k")
    later = read_table(_written(tmp_path, "t,k,a\nr,y,5\n"), like=whole)
    assert whole.others.to_pydict() == {"k": ["x", "y"], "t": ["p", "q"]}
    assert later.others.to_pydict() == {"t": ["r"], "k": ["y"]}


def test_shards_of_which_one_has_zeros(tmp_path: Path) -> None:
    _written(tmp_path, "a,k\n1,10\n2,7\n", "1.csv")
    _written(tmp_path, "k,a\n01,3\n", "2.csv")
    table = read_table(tmp_path / "*.csv", categories="k")
    assert table.columns == ("a", "k=01", "k=10", "k=7")
    assert table.values.tolist() == [[1, 0, 1, 0], [2, 0, 0, 1], [3, 1, 0, 0]]


def test_ids_and_labels_keep_their_text(tmp_path: Path) -> None:
    rows = "00000,7,1\n00501,007,2\n10001,8,3\n"
    table = read_table(_written(tmp_path, " zip,l,a\n" + rows), id_column="zip", label_column="l")
    assert table.ids is not None
    assert table.labels is not None
    assert table.ids.tolist() == ["00000", "00501", "10001"]
    assert table.labels.tolist() == ["7", "007", "8"]
    assert table.values.tolist() == [[1], [2], [3]]
    later = read_table(tmp_path / "x.csv", like=table)
    assert later.ids is not None
    assert later.ids.tolist() == ["00000", "00501", "10001"]
    long = read_table(_written(tmp_path, "i,a\n12345678901234567891,1\n3,2\n"), id_column="i")
    assert long.ids is not None
    assert long.ids.tolist() == ["12345678901234567891", "3"]
    plain = read_table(_written(tmp_path, "i,a\n5,1\n3,2\n"), id_column="i")
    assert plain.ids is not None
    assert plain.ids.tolist() == [5, 3]


def test_rows_without_a_category(tmp_path: Path) -> None:
    path = _written(tmp_path, "a,k\n1,y\n2,x\n3,\n4,x\n")
    with pytest.raises(
        ValueError, match="line 4 has no value in column 'k': missing='most_frequent' fills"
    ):
        read_table(path, categories="k")
    table = read_table(path, categories="k", missing="most_frequent")
    assert table.columns == ("a", "k=x", "k=y")
    assert table.values.tolist() == [[1, 0, 1], [2, 1, 0], [3, 1, 0], [4, 1, 0]]
    later = read_table(_written(tmp_path, "k,a\n,1\ny,2\n", "later.csv"), like=table)
    assert later.values.tolist() == [[1, 1, 0], [2, 0, 1]]
    table = read_table(path, categories="k", missing="mean")
    assert table.values[2].tolist() == [3, 0, 0]
    (note,) = table.notes
    assert note.startswith("1 cells of 'k'")
    assert "0 in all of its features" in note
    whole = read_table(_written(tmp_path, "k,a\nx,1\ny,2\n", "whole.csv"), categories="k")
    with pytest.raises(ValueError, match="line 2 has no value in column 'k'"):
        read_table(tmp_path / "later.csv", like=whole)


def test_columns_without_any_value_are_left_out(tmp_path: Path) -> None:
    path = _written(tmp_path, "a,b,c\n1,,3\n4,,\n3,,5\n")
    table = read_table(path, missing="mean")
    assert table.columns == ("a", "c")
    assert table.values.tolist() == [[1, 3], [4, 4], [3, 5]]
    (note,) = table.notes
    assert "'b'" in note
    assert "no value at all and is left out" in note
    assert read_table(path, like=table).values.tolist() == table.values.tolist()
    with pytest.raises(ValueError, match=r"columns=: 'b' of .* has no value at all"):
        read_table(path, columns=["a", "b"], missing="mean")
    with pytest.raises(ValueError, match="no value at all in 'b'"):
        read_table(_written(tmp_path, "b\nNA\nNA\n"), missing="median")
    with pytest.raises(ValueError, match="no value at all in column 1: remove it"):
        read_table(_written(tmp_path, "1,,2\n3,,4\n"), missing="median")


def test_features_of_one_name(tmp_path: Path) -> None:
    path = _written(tmp_path, "a,k,k=x\n1,x,2\n2,y,3\n")
    with pytest.raises(ValueError, match="several features of one name, 'k=x'"):
        read_table(path, categories="k")
