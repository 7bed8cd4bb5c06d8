"""The shared checks of arguments."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import torch

from fastparadime.utils import validate
from fastparadime.utils.validate import check_data, check_integer, check_option, check_positive


@pytest.mark.parametrize("dtype", ["?", "i1", "u8", "f2", "f4", "f8", "g"])
def test_arrays_are_returned_as_they_are(dtype: str) -> None:
    X = np.ones((3, 2), dtype)
    assert check_data(X) is X


@pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.float16, torch.float64])
def test_tensors_are_returned_as_they_are(dtype: torch.dtype) -> None:
    X = torch.ones(3, 2, dtype=dtype)
    assert check_data(X) is X


def test_lists_frames_and_memory_maps(tmp_path) -> None:
    assert np.array_equal(check_data([[1, 2], [3, 4.5]]), [[1, 2], [3, 4.5]])

    class Frame:
        def to_numpy(self) -> np.ndarray:
            return np.eye(2)

    assert np.array_equal(check_data(Frame()), np.eye(2))
    np.save(tmp_path / "x.npy", np.ones((4, 3)))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert check_data(mapped) is mapped
    check_data(torch.ones(2, 2, requires_grad=True))


_BAD = [
    ([], ValueError, "X is empty"),
    (np.zeros((0, 3)), ValueError, "X is empty"),
    (torch.zeros(0, 3), ValueError, "X is empty"),
    (np.ones((1, 3)), ValueError, r"at least 2 rows, but has shape \(1, 3\)"),
    (np.ones((3, 0)), ValueError, "at least 1 column"),
    (np.float64(3), TypeError, "float64"),
    (np.array(3.0), ValueError, r"shape \(\)"),
    (np.ones(3), ValueError, r"reshape\(-1, 1\)"),
    (torch.ones(2, 2, 2), ValueError, r"shape \(2, 2, 2\)"),
    ([[1, 2], [3]], ValueError, "differ in length"),
    (np.array([[None, 1], [2, 3]]), TypeError, r"dtype object.*astype\(float\)"),
    ([["a", "b"], ["c", "d"]], TypeError, "dtype <U1"),
    (np.ones((2, 2), complex), TypeError, "complex128"),
    (torch.ones(2, 2, dtype=torch.complex64), TypeError, "complex64"),
    (scipy.sparse.dia_array(np.eye(3)), TypeError, r"sparse.*\.toarray\(\).*TruncatedSVD"),
    (scipy.sparse.csr_matrix((3, 3)), TypeError, "sparse"),
    (torch.eye(3).to_sparse(), TypeError, r"\.to_dense\(\)"),
    (np.ma.masked_equal([[1, 2], [3, 1]], 1), TypeError, r"X .* 2 masked values: .*\.filled\(0\)"),
    ("text", TypeError, "not str"),
    (None, TypeError, "NoneType"),
]


@pytest.mark.parametrize(("X", "error", "message"), _BAD)
def test_bad_tables(X: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_data(X)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy])
def test_first_bad_row_is_named(monkeypatch, value: float, dtype: str, make) -> None:
    monkeypatch.setattr(validate, "_CHUNK_BYTES", 64)  # several chunks
    X = np.ones((50, 3), dtype)
    X[17, 2] = X[40, 0] = value
    with pytest.raises(ValueError, match=rf"table .* row 17 has {value} in column 2"):
        check_data(make(X), "table")


def test_values_beyond_float32_are_named_and_sums_may_overflow() -> None:
    X = np.full((4, 2), 3e38, np.float32)  # each finite, their sum not
    assert check_data(X) is X
    check_data(torch.from_numpy(X))
    with pytest.raises(ValueError, match=r"row 1 has 1e\+300"):
        check_data(np.array([[0.0], [1e300]]))


def test_min_rows() -> None:
    check_data(np.ones((1, 2)), min_rows=1)


def test_check_option() -> None:
    assert check_option("a", ("a", "b"), "mode") == "a"
    assert check_option(None, (None, "b"), "mode") is None
    for bad in ("c", 1, None, ["a"], np.zeros(3)):
        with pytest.raises(ValueError, match="mode must be one of 'a', 'b', not"):
            check_option(bad, {"a": 1, "b": 2}, "mode")


def test_check_integer() -> None:
    for good in (3, np.int32(3), np.uint8(3), 3.0, np.float32(3)):
        assert type(check_integer(good, "k", minimum=1, maximum=3)) is int
    assert check_integer(10**30, "k", minimum=0) == 10**30
    for bad in (True, np.True_, "3", None, 3j, [3]):
        with pytest.raises(TypeError, match="k must be an integer >= 1"):
            check_integer(bad, "k", minimum=1)
    for bad in (0, 4, 2.5, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"k must be an integer in \[1, 3\], not"):
            check_integer(bad, "k", minimum=1, maximum=3)


def test_check_positive() -> None:
    assert check_positive(np.float32(0.5), "rate") == 0.5
    assert check_positive(0, "rate", zero_ok=True) == 0.0
    for bad in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="rate must be a finite number > 0"):
            check_positive(bad, "rate")
    for bad in (True, "1", None):
        with pytest.raises(TypeError, match="rate must be a finite number >= 0"):
            check_positive(bad, "rate", zero_ok=True)
