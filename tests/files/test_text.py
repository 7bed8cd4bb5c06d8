"""Separators, decimal signs and headers of text files are found out, and errors name the line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fastparadime import read_table
from fastparadime.utils.tables import Table


def _written(tmp_path: Path, text: str | bytes, name: str = "x.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("text", "columns", "values"),
    [
        ("a,b\n1,2\n3,4.5\n", ("a", "b"), [[1, 2], [3, 4.5]]),
        ("a;b\n1,5;2\n3;4,5\n", ("a", "b"), [[1.5, 2], [3, 4.5]]),
        ("a;b\n1.5;2\n3;4\n", ("a", "b"), [[1.5, 2], [3, 4]]),
        ("a\tb\n1\t2\n3\t4\n", ("a", "b"), [[1, 2], [3, 4]]),
        ("i;v\nx;1,5\ny;2,5\n", ("v",), [[1.5], [2.5]]),
        ("a|b\n1|2\n3|4\n", ("a", "b"), [[1, 2], [3, 4]]),
        ("1 2\n3 4\n", None, [[1, 2], [3, 4]]),
        ("1,2\n3,4\n", None, [[1, 2], [3, 4]]),
        ("1e-3;-2,5e1\n3;4\n", None, [[0.001, -25], [3, 4]]),
        ("a\n1\n2\n", ("a",), [[1], [2]]),
        ("\n\na,b\n\n1,2\n\n3,4\n\n", ("a", "b"), [[1, 2], [3, 4]]),
        ('"a, b",c\r\n1,2\r\n3,4\r\n', ("a, b", "c"), [[1, 2], [3, 4]]),
        ("\ufeffa,b\n1,2\n3,4\n", ("a", "b"), [[1, 2], [3, 4]]),
        ("a,b\nTrue,1\nFalse,0\n", ("a", "b"), [[1, 1], [0, 0]]),
        (",0,1\nx,5,6\ny,7,8\n", ("0", "1"), [[5, 6], [7, 8]]),
        ("0,1\n0.5,6\n7,8\n", ("0", "1"), [[0.5, 6], [7, 8]]),
        ("0,1,2\n3,4,5\n", None, [[0, 1, 2], [3, 4, 5]]),
    ],
)
def test_formats(
    text: str, columns: tuple[str, ...] | None, values: list[list[float]], tmp_path: Path
) -> None:
    table = read_table(_written(tmp_path, text))
    assert table.columns == columns
    np.testing.assert_allclose(table.values, values, rtol=1e-6)


def test_dates_are_no_numbers(tmp_path: Path) -> None:
    table = read_table(_written(tmp_path, "day,n\n2020-01-01,1\n2020-01-02,2\n"))
    assert table.columns == ("n",)
    assert any("'day'" in note and "label_column='day'" in note for note in table.notes)


@pytest.mark.parametrize("header", [True, False])
def test_header_as_it_is_told(header: bool, tmp_path: Path) -> None:
    table = read_table(_written(tmp_path, "1,2\n3,4\n5,6\n"), header=header)
    assert table.columns == (("1", "2") if header else None)
    assert len(table) == 3 - header


def test_the_index_of_pandas_is_no_feature(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(20, 3)).round(3)
    frame = pd.DataFrame(X, columns=list("abc"))
    frame.to_csv(tmp_path / "x.csv")
    table = read_table(tmp_path / "x.csv")
    assert table.columns == ("a", "b", "c")
    assert table.ids is not None
    assert table.ids.tolist() == list(range(20))
    assert any("numbers the rows and is left out" in note for note in table.notes)
    again = pd.read_csv(tmp_path / "x.csv")
    again.to_csv(tmp_path / "again.csv", index=False)  # with the name Unnamed: 0
    assert read_table(tmp_path / "again.csv").columns == ("a", "b", "c")
    frame.insert(0, "number", np.arange(1, 21))
    frame.to_csv(tmp_path / "named.csv", index=False)
    assert read_table(tmp_path / "named.csv").columns == ("a", "b", "c")
    kept = read_table(tmp_path / "named.csv", columns=["number", "a"])
    assert kept.columns == ("number", "a")


def test_a_column_that_does_not_count_rows_stays(tmp_path: Path) -> None:
    assert read_table(_written(tmp_path, "a,b\n0,1\n1,1\n3,1\n")).columns == ("a", "b")
    assert read_table(_written(tmp_path, "a\n0\n1\n2\n")).columns == ("a",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3,x\n", r"column 'b' has 'x' in line 3; drop='b' leaves it out"),
        ('a,b\n"1","2\n3"\n3,4\n5,x\n6,7\n', r"column 'b' has '2\\n3' in line 3"),
        ("a,b\n1,2\n3\n", "line 3 has 1 cells instead of 2"),
        ("a,b\n1,2\n3,\n", r"line 3 has no value in column 'b': missing='median' fills"),
        ("a,b\n1,2\n\n\n3,inf\n", "line 5 has inf in column 'b': remove or replace such rows"),
        ("a,b\n1,1e39\n", "line 2 has 1e.39 in column 'b'"),
        ("a,b\n", "no rows of data"),
        ("\n \n", "no rows of data"),
        ("0x10,2\n3,4\n", "neither numbers nor a header: .'0x10', '2'."),
        ("name\nx\ny\n", "has no column of numbers, column 'name' is text: categories='name'"),
        ("a,a\n1,2\n", "columns of one name: 'a'"),
        ("sep=;\na;b\n1;2\n3\n", "line 4 has 1 cells instead of 2"),
        ("x y\n1 2 3\n4 5 6\n" + "7 8 9\n" * 200 + "1 2\n", "line 204 has 2 cells instead of 3"),
        (b"\xff\xfa\x00\x01", "not UTF-8 text; encoding='cp1252'"),
    ],
)
def test_errors_name_the_line(text: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        read_table(_written(tmp_path, text))
    assert "x.csv" in str(caught.value)


def test_encodings(tmp_path: Path) -> None:
    path = _written(tmp_path, "größe,b\n1,2\n3,4\n".encode("cp1252"))
    assert read_table(path, encoding="cp1252").columns == ("größe", "b")
    path = _written(tmp_path, "größe\tb\n1\t2\n3\t4\n".encode("utf-16"))
    assert read_table(path, encoding="utf-16").columns == ("größe", "b")
    with pytest.raises(ValueError, match="encoding= must be an encoding of text, not 'utf-9'"):
        read_table(path, encoding="utf-9")


def test_shards_are_joined_in_their_order(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        _written(tmp_path, f"a,b\n{number},0.5\n{number},1\n", f"part-{number}.csv")
    found: list[Table] = [read_table(tmp_path), read_table(tmp_path / "part-*.csv")]
    for table in found:
        assert table.values[:, 0].tolist() == [1, 1, 2, 2, 10, 10]
    _written(tmp_path, "a,b\n1,2\n,3\n", "part-11.csv")
    with pytest.raises(ValueError, match=r"line 3 of .*part-11.csv has no value in column 'a'"):
        read_table(tmp_path)
    _written(tmp_path, "a,c\n1,2\n", "part-3.csv")
    with pytest.raises(ValueError, match=r"part-3.csv has not the columns of .*'b', 'c' differ"):
        read_table(tmp_path)
    _written(tmp_path, "1", "y.npy")
    with pytest.raises(ValueError, match=r"files of several kinds: \.csv, \.npy"):
        read_table(tmp_path)
    with pytest.raises(FileNotFoundError, match="no file is like"):
        read_table(tmp_path / "none-*.csv")


def test_a_first_row_of_whole_numbers(tmp_path: Path) -> None:
    path = _written(tmp_path, "2020,2021,2022\n1.5,2.5,3.5\n4.5,5.5,NA\n")
    table = read_table(path, missing="mean")
    assert table.columns == ("2020", "2021", "2022")
    assert table.values.tolist() == [[1.5, 2.5, 3.5], [4.5, 5.5, 3.5]]
    (note,) = table.notes
    assert "2020, 2021, 2022, is taken for names of columns (header=False makes it" in note
    assert len(read_table(path, header=False, missing="mean")) == 3
    table = read_table(_written(tmp_path, "2020,2021,2022\n1.5,2,3\n4,5.5,6.5\n"))
    assert table.values[0].tolist() == [2020, 2021, 2022]
    (note,) = table.notes
    assert "is taken for a row of data (header=True makes it names of columns)" in note
    for text in ("5,3\n1,2\n3,4\n", "5,5\n1.5,2.5\n3.5,4.5\n", "3,5\n1,2.5\n3.5,4\n"):
        table = read_table(_written(tmp_path, text))
        assert len(table) == 3
        assert table.notes == ()


@pytest.mark.parametrize(
    "text", ["a,b,c,\n1,2,3,\n4,5,6,\n", "a,b,c,,\n1,2,3,,\n4,5,6,,\n", "a,b,c\n1,2,3,\n4,5,6,\n"]
)
def test_separators_behind_all_columns(text: str, tmp_path: Path) -> None:
    table = read_table(_written(tmp_path, text))
    assert table.columns == ("a", "b", "c")
    assert table.values.tolist() == [[1, 2, 3], [4, 5, 6]]
    (note,) = table.notes
    assert "without a name and without any value are left out" in note


def test_names_of_rows_as_r_writes_them(tmp_path: Path) -> None:
    rows = '"1" 0.5 0.25\n"2" 1 2\n'
    table = read_table(_written(tmp_path, '"x" "y"\n' + rows, "x.txt"))
    assert table.columns == ("x", "y")
    assert table.values.tolist() == [[0.5, 0.25], [1, 2]]
    assert table.ids is not None
    assert table.ids.tolist() == [1, 2]
    (note,) = table.notes
    assert "numbers the rows" in note
    table = read_table(_written(tmp_path, "\nx,y\nann,1,2\nbob,3,4\n"))
    assert table.columns == ("x", "y")
    assert table.ids is not None
    assert table.ids.tolist() == ["ann", "bob"]
    with pytest.raises(ValueError, match="line 4 has inf in column 'y'"):
        read_table(_written(tmp_path, "\nx,y\nann,1,2\nbob,3,inf\n"))


def test_a_separator_that_excel_tells(tmp_path: Path) -> None:
    path = _written(tmp_path, "sep=;\r\na;b\r\n1,5;2\r\n3;4,5\r\n")
    table = read_table(path)
    assert table.columns == ("a", "b")
    assert table.values.tolist() == [[1.5, 2], [3, 4.5]]
    with pytest.raises(ValueError, match="line 4 has no value in column 'b'"):
        read_table(_written(tmp_path, "sep=;\na;b\n1;2\n3;\n"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_told_by_its_first_bytes(encoding: str, tmp_path: Path) -> None:
    mark = "" if encoding == "utf-16" else "\ufeff"
    rows = "".join(f"{i % 7}\t{i % 5}\n" for i in range(60_000))  # more than is looked at
    table = read_table(_written(tmp_path, (mark + "größe\tb\n" + rows).encode(encoding)))
    assert table.columns == ("größe", "b")
    assert table.values.shape == (60_000, 2)
    assert table.values[8].tolist() == [1, 3]


def test_decimal_commas_far_behind(tmp_path: Path) -> None:
    start = "a;b\n" + "4;2\n" * 300_000
    table = read_table(_written(tmp_path, start + "1,5;3,25\n"))
    assert table.values[[0, -1]].tolist() == [[4, 2], [1.5, 3.25]]
    message = r"column 'a' has '1,5' in line 300002, whose decimal mark is not the '\.' of the file"
    with pytest.raises(ValueError, match=message):
        read_table(_written(tmp_path, start + "1,5;3.25\n"))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ('a,b\n1,"2"\n3,"4,567"\n', "'4,567'"),
        ("a;b\n1,5;2\n3,5;4.567,5\n", r"'4\.567,5'"),
        ("a;b\n1;2\n3;4'567\n", '"4\'567"'),
    ],
)
def test_thousands_separators_are_named(text: str, cell: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"'b' has {cell} in line 3, with a thousands separator"):
        read_table(_written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2%\n3,4%\n", "'2%' in line 2, with a percent sign.* 0.125 for 12.5%"),
        ("a;b\n1;2\n3;4,5 %\n", "'4,5 %' in line 3, with a percent sign"),
        (
            "a,b\n1,2\n3,(4)\n",
            r"'\(4\)' in line 3, a negative number in parentheses.* -5 for \(5\)",
        ),
        ('a,b\n1,"(2,000.5)"\n3,4\n', r"'\(2,000.5\)' in line 2, a negative number"),
    ],
)
def test_numbers_of_spreadsheets_are_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_table(_written(tmp_path, text))
