"""Frames of any library as arrays and names of columns, and what is said of those that are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fastparadime.utils.frames import NamedRows, is_frame, order_of, rows_and_names

pd = pytest.importorskip("pandas", reason="pandas is not installed")
pl = pytest.importorskip("polars", reason="polars is not installed")
pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

NAMES = ["a", "b", "c"]
X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
FRAMES: dict[str, Callable[[np.ndarray], Any]] = {
    "pandas": lambda X: pd.DataFrame(X, columns=NAMES),
    "nullable": lambda X: pd.DataFrame(X, columns=NAMES).convert_dtypes(convert_integer=False),
    "arrow in pandas": lambda X: pd.DataFrame(X, columns=NAMES).astype("float[pyarrow]"),
    "objects": lambda X: pd.DataFrame(X.astype(float), columns=NAMES).astype(object),
    "polars": lambda X: pl.DataFrame(X, schema=NAMES),
    "pyarrow": lambda X: pa.table(dict(zip(NAMES, X.T, strict=True))),
    "record batch": lambda X: pa.RecordBatch.from_arrays(list(map(pa.array, X.T)), NAMES),
    "named rows": lambda X: NamedRows(X, NAMES),
}
LISTS = pd.ArrowDtype(pa.list_(pa.float32()))
VECTORS: dict[str, Callable[[np.ndarray], Any]] = {
    "objects": lambda X: pd.Series(list(X)),
    "lists in pandas": lambda X: pd.Series(X.tolist()),
    "arrow in pandas": lambda X: pd.Series(X.tolist(), dtype=LISTS),
    "chunks in pandas": lambda X: pd.concat(
        [pd.Series(x.tolist(), dtype=LISTS) for x in (X[:2], X[2:])]
    ),
    "polars lists": lambda X: pl.Series(X.tolist(), dtype=pl.List(pl.Float32)),
    "polars arrays": pl.Series,
    "pyarrow lists": lambda X: pa.chunked_array([X[:2].tolist(), X[2:].tolist()]),
    "part of pyarrow's": lambda X: pa.array([[0.0] * 3, *X.tolist()])[1:],
    "of one length": lambda X: pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 3),
    "tensors": lambda X: pa.FixedShapeTensorArray.from_numpy_ndarray(X),
    "tensors in a table": lambda X: pa.table({"v": VECTORS["tensors"](X)}),
    "in pandas' frame": lambda X: pd.DataFrame({"v": list(X)}),
    "in polars' frame": lambda X: pl.DataFrame({"v": X}),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_become_arrays_and_names(kind: str) -> None:
    frame = FRAMES[kind](X)
    rows, columns = rows_and_names(frame)
    assert is_frame(frame)
    assert columns == tuple(NAMES)
    assert rows.dtype == (np.float64 if kind == "objects" else np.float32)
    np.testing.assert_array_equal(rows, X)


@pytest.mark.parametrize("kind", VECTORS)
def test_vectors_become_tables_without_names(kind: str) -> None:
    rows, columns = rows_and_names(VECTORS[kind](X))
    assert (rows.shape, columns) == (X.shape, ())
    np.testing.assert_array_equal(rows, X)


def test_what_is_no_frame_stays() -> None:
    for value in (X, torch.from_numpy(X), [[1.0]], None, "X"):
        assert rows_and_names(value) == (value, ()) if value is not X else True
        assert not is_frame(value)
    assert rows_and_names(X)[0] is X
    frame = pd.DataFrame(X, columns=NAMES, copy=False)
    assert np.shares_memory(rows_and_names(frame)[0], X)
    assert np.shares_memory(rows_and_names(pd.DataFrame(X, copy=False))[0], X)


@pytest.mark.parametrize(
    ("make", "dtype", "expected"),
    [
        (lambda: pd.DataFrame({"a": pd.array([1, None], "Int64"), "b": [True, False]}), "f8",
         [[1, 1], [np.nan, 0]]),
        (lambda: pl.DataFrame({"a": [1, None], "b": [None, True]}), "f8", [[1, np.nan], [np.nan, 1]]),
        (lambda: pd.DataFrame({"a": [1.5, 2.5], "b": [True, False]}), "f8", [[1.5, 1], [2.5, 0]]),
        (lambda: pd.DataFrame({"a": np.array([1, 2], "u1"), "b": np.array([3, 4], "i2")}), "i2",
         [[1, 3], [2, 4]]),
        (lambda: pl.DataFrame({"a": [1, 2]}, schema={"a": pl.UInt8}), "u1", [[1], [2]]),
        (lambda: pd.DataFrame(np.ones((2, 1), np.float16)), "f2", [[1], [1]]),
        (lambda: pa.table({"a": pa.array([1, 2], pa.decimal128(5, 2))}), "f8", [[1], [2]]),
        (lambda: pd.DataFrame({"a": np.array([1, 2.5, None], object)}), "f8", [[1], [2.5], [np.nan]]),
        (lambda: pa.table({"v": pa.array([[1, 2], [3, 4]], pa.list_(pa.int8()))}), "i1",
         [[1, 2], [3, 4]]),
        (lambda: pl.Series([[1.0, None], [3.0, 4.0]]), "f8", [[1, np.nan], [3, 4]]),
        (lambda: pd.DataFrame({"a": pd.arrays.SparseArray([0, 2]), "b": [1, 3]}), "i8",
         [[0, 1], [2, 3]]),
        (lambda: pd.Series([1, 2], dtype="Int8"), "i1", [1, 2]),
    ],
)  # fmt: skip
def test_dtypes_that_hold_all_columns(
    make: Callable[[], Any], dtype: str, expected: list[Any]
) -> None:
    rows, _ = rows_and_names(make())
    assert rows.dtype == dtype
    np.testing.assert_array_equal(rows, expected)


def test_sparse_columns_stay_sparse() -> None:
    frame = pd.DataFrame({"a": [0.0, 2.0], "b": [0.0, 0.0]})
    rows, columns = rows_and_names(frame.astype(pd.SparseDtype(float, 0.0)))
    assert (rows.format, rows.nnz, columns) == ("csr", 1, ("a", "b"))
    filled, _ = rows_and_names(frame.astype(pd.SparseDtype(float, np.nan)))  # zeros are stored
    np.testing.assert_array_equal(filled, [[0, 0], [2, 0]])


def test_names_that_are_no_strings_are_none() -> None:
    assert rows_and_names(pd.DataFrame(X))[1] == ()
    levels = pd.MultiIndex.from_tuples([("a", "b"), ("a", "c"), ("d", "e")])
    rows, columns = rows_and_names(pd.DataFrame(X, columns=levels))
    assert columns == ()
    np.testing.assert_array_equal(rows, X)
    assert rows_and_names(pd.DataFrame(index=range(3)))[0].shape == (3, 0)


class Annotated:
    """What AnnData has."""

    obs = var = n_obs = None

    def __init__(self, *tables: str) -> None:
        self.obsm = dict.fromkeys(tables)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: pd.DataFrame({"n": [1], "city": ["x"]}), TypeError,
         r"column 'city' of X holds text .*get_dummies.*leave it out"),
        (lambda: pl.DataFrame({"city": ["x"]}), TypeError, "column 'city' of X holds text"),
        (lambda: pd.DataFrame({"k": pd.Categorical(["x"])}), TypeError,
         "column 'k' of X holds categories .*OneHotEncoder"),
        (lambda: pl.DataFrame({"k": ["x"]}, schema={"k": pl.Enum(["x"])}), TypeError, "categories"),
        (lambda: pa.table({"k": pa.array(["x"]).dictionary_encode()}), TypeError, "'k' of X holds cat"),
        (lambda: pd.DataFrame({"t": pd.to_datetime(["2020"])}), TypeError,
         r"column 't' of X has dtype Datetime.*astype\(int\)"),
        (lambda: pl.DataFrame({"a": [{"x": 1}]}), TypeError, "column 'a' of X has dtype Struct"),
        (lambda: pd.DataFrame({"a": [1, "x"]}), TypeError, r"'a' of X .* holds 'x' \(str\)"),
        (lambda: pd.Series(["x"]), TypeError, "X holds text"),
        (lambda: pd.Series([[1], [1, 2]]), ValueError, "1 values in row 0, 2 in row 1"),
        (lambda: pl.Series([[1, 2], [1, 2], [3]]), ValueError, "2 values in row 0, 1 in row 2"),
        (lambda: pl.Series([[1, 2], None]), ValueError, "X holds no vector in row 1"),
        (lambda: pd.Series([[1, 2], None]), ValueError, "X holds no vector in row 1"),
        (lambda: pd.concat([pd.Series([x], dtype=LISTS) for x in ([1, 2], [3])]), ValueError,
         "2 values in row 0, 1 in row 1"),
        (lambda: pl.Series([["x"], ["y"]]), TypeError, "vectors of dtype"),
        (lambda: pa.FixedShapeTensorArray.from_numpy_ndarray(np.ones((5, 2, 3))), TypeError,
         r"X holds tensors of shape \[2, 3\]: they must be vectors"),
        (lambda: pl.DataFrame({"id": [1], "v": [[1.0]]}), TypeError,
         "column 'v' of X holds vectors beside other columns"),
        (lambda: pd.DataFrame(X, columns=["a", "a", "b"]), ValueError, "X has two columns 'a'"),
        (lambda: pd.DataFrame(X, columns=["a", 1, "b"]), TypeError, "strings and some that are int"),
        (lambda: pl.DataFrame({"a": [1]}).lazy(), TypeError, r"lazy LazyFrame.*\.collect\(\)"),
        (lambda: Annotated("X_pca"), TypeError, r"Annotated.*use adata\.obsm\['X_pca'\]$"),
        (lambda: Annotated("X_pca", "X_umap"), TypeError, r"adata\.obsm\[\.\.\.\], which has 'X_pca'"),
        (Annotated, TypeError, r"adata\.obsm\[\.\.\.\] once scanpy\.pp\.pca"),
    ],
)  # fmt: skip
def test_what_is_no_table_of_numbers_is_named(
    make: Callable[[], Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        rows_and_names(make())


def test_named_rows_are_checked() -> None:
    named = NamedRows(X, NAMES)
    assert (len(named), named.shape, named.columns) == (5, (5, 3), tuple(NAMES))
    assert repr(named) == "NamedRows(5 x 3 float32, columns='a', 'b', 'c')"
    assert repr(NamedRows(np.ones((2, 9)), list("abcdefghi"))).endswith("'e' and 4 more)")
    for values, columns, error, match in (
        (X[0], (), ValueError, r"two dimensions, but has shape \(3,\)"),
        (X, ["a"], ValueError, "name the 3 columns of values, but holds 1 names"),
        (X, ["a", "a", "b"], ValueError, "distinct"),
        (X, ["a", 1, "b"], TypeError, "strings, not 1"),
    ):
        with pytest.raises(error, match=match):
            NamedRows(values, columns)  # type: ignore[arg-type]


def test_order_of_columns() -> None:
    assert order_of(NAMES, NAMES) is None
    assert order_of(["c", "a", "b"], NAMES) == [1, 2, 0]
    with pytest.raises(ValueError, match=r"X must have the 3 columns .* but lacks 'b', 'c'$"):
        order_of(["a"], NAMES)
    with pytest.raises(ValueError, match=r"but lacks 'b' and has besides 'x', 'y'$"):
        order_of(["a", "x", "c", "y"], NAMES)
