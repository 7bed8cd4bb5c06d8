"""Rows that stay on the disk: the same maps as from memory, and no table of them in float32."""

from __future__ import annotations

import copy
import itertools
import pickle
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet

from fastparadime import UMAP, ParametricUMAP, dr, models, routines
from fastparadime.utils.shards import Shards, on_disk

RNG = np.random.default_rng(0)
ROWS = RNG.integers(0, 60, size=(2500, 200)).astype(np.uint8)
LITTLE = 1.9e6  # bytes, in which they are searched; a table of them in float32 takes 2.0e6

Made = Callable[..., Any]


def umap(X: Any, **options: Any) -> Any:
    return UMAP(n_neighbors=6, n_epochs=20, random_state=0, **options).fit(X).embedding_


def estimator(X: Any, **options: Any) -> Any:
    options = {"quality": "fast", "hidden_dims": [8], "n_epochs": 20, **options}
    fitted = ParametricUMAP(n_neighbors=6, random_state=0, **options).fit(X)
    assert np.array_equal(fitted.transform(X[:30]), fitted.embedding_[:30])
    return fitted.embedding_


def routine(X: Any, **options: Any) -> Any:
    options = {"quality": "fast", "hidden_dims": [8], **options}
    made = routines.ParametricUMAP(n_neighbors=5, seed=0, **options)
    made.train(X)
    return made.apply(X).numpy()


def edges(X: Any, **options: Any) -> Any:
    return routine(X, quality=None, epochs=2, init_epochs=1, **options)


@pytest.mark.parametrize(
    ("made", "dtype"),
    [
        (umap, np.uint8),
        (umap, np.float16),
        (estimator, np.int8),
        (routine, np.uint8),
        (routine, np.float16),
        (edges, np.int8),
    ],
)
def test_the_same_map_as_from_memory(made: Made, dtype: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", ROWS.astype(dtype))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    np.testing.assert_array_equal(made(X, max_memory=LITTLE), made(ROWS.astype(np.float32)))


def test_shards_are_one_table(tmp_path: Path) -> None:
    for number, part in enumerate(np.array_split(ROWS, 12)):
        np.save(tmp_path / f"rows-{number}.npy", part)
    shards = Shards(tmp_path / "rows-*.npy")
    assert (shards.shape, shards.dtype, len(shards)) == (ROWS.shape, ROWS.dtype, 2500)
    for rows in (slice(None), slice(300, 700), slice(2499, 2500), slice(5, 5)):
        np.testing.assert_array_equal(shards[rows], ROWS[rows])
    np.testing.assert_array_equal(umap(shards, max_memory=LITTLE), umap(ROWS))
    np.testing.assert_array_equal(routine(shards, max_memory=LITTLE), routine(ROWS))
    np.testing.assert_array_equal(np.asarray(on_disk(shards)), ROWS)
    with pytest.raises(ValueError, match="slice of step 1, not of step 2"):
        shards[::2]


def test_bad_shards(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        Shards(tmp_path / "rows-*.npy")
    np.save(tmp_path / "a.npy", ROWS)
    np.save(tmp_path / "b.npy", ROWS[:, :3])
    with pytest.raises(ValueError, match=r"b\.npy has 3 columns of uint8, but .*a\.npy has 200"):
        Shards([tmp_path / "a.npy", tmp_path / "b.npy"])
    np.save(tmp_path / "c.npy", ROWS[0])
    with pytest.raises(ValueError, match=r"c\.npy must hold rows and columns"):
        Shards([tmp_path / "c.npy"])
    np.savez(tmp_path / "d.npz", ROWS)
    (tmp_path / "e.npy").write_text("1,2")
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "f.npy").write_bytes(whole[:-1])  # ends short of its shape
    for name in ("d.npz", "e.npy", "f.npy"):
        with pytest.raises(ValueError, match=rf"{name} must be a \.npy file"):
            Shards(str(tmp_path / name))
    with pytest.raises(TypeError, match="files must be a pattern or a sequence of paths, not int"):
        Shards(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="rows must be a slice of step 1, not int"):
        Shards([tmp_path / "a.npy"])[5]  # type: ignore[index]


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32])
@pytest.mark.parametrize("kind", ["columns", "lists", "fixed lists", "tensors"])
def test_groups_of_rows_of_parquet_files_are_one_table(
    kind: str, dtype: Any, tmp_path: Path
) -> None:
    rows = ROWS.astype(dtype)
    for number, part in enumerate([*np.array_split(rows, 3), rows[:0]]):
        write_parquet(tmp_path / f"rows-{number}.parquet", part, kind)
    shards = Shards(tmp_path / "rows-*.parquet")
    assert (shards.shape, shards.dtype, len(shards)) == (rows.shape, rows.dtype, 2500)
    for taken in (slice(None), slice(300, 900), slice(100, 101), slice(2499, 2500), slice(5, 5)):
        np.testing.assert_array_equal(shards[taken], rows[taken])
    np.testing.assert_array_equal(np.asarray(on_disk(shards)), rows)
    some = Shards(tmp_path / "rows-*.parquet", ["3", "1"] if kind == "columns" else ["v"])
    np.testing.assert_array_equal(some[:], rows[:, [3, 1]] if kind == "columns" else rows)


def write_parquet(path: Path, rows: Any, kind: str) -> None:
    flat = pa.array(rows.ravel())
    if kind == "columns":
        columns = {str(number): column for number, column in enumerate(rows.T.copy())}
        table = pa.table(columns | {"name": ["some"] * len(rows)})
    elif kind == "lists":
        starts = pa.array(np.arange(0, rows.size + 1, rows.shape[1], dtype=np.int32))
        table = pa.table({"v": pa.ListArray.from_arrays(starts, flat), "id": np.arange(len(rows))})
    else:
        vectors = pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])
        if kind == "tensors":
            named = pa.fixed_shape_tensor(flat.type, [rows.shape[1]])
            vectors = pa.ExtensionArray.from_storage(named, vectors)
        table = pa.table({"v": vectors})
    parquet.write_table(table, path, row_group_size=100)


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        ({"a": [1.0, None]}, None, r"bad\.parquet has no 'a' in row 1"),
        ({"v": [[1.0], [1.0, 2.0]]}, None, r"has 2 values in row 1, and 1 in its first one"),
        ({"v": [[1.0], [None]]}, None, r"lacks a value in row 1"),
        ({"v": [[1.0], None]}, None, r"has no 'v' in row 1"),
        ({"v": [[1.0]], "w": [[1.0]]}, None, r"several columns of vectors, 'v', 'w': name one"),
        ({"a": ["x"]}, None, r"must have a column of vectors or columns of numbers, not none"),
        ({"a": ["x"]}, ["a"], r"columns of numbers, not 'a' \(text\)"),
        ({"a": [1.0]}, ["b"], r"has no columns 'b', but 'a'"),
    ],
)
def test_bad_parquet_files(content: Any, columns: Any, message: str, tmp_path: Path) -> None:
    parquet.write_table(pa.table(content), tmp_path / "bad.parquet")
    with pytest.raises(ValueError, match=message):
        Shards(tmp_path / "bad.parquet", columns)[:]
    (tmp_path / "no.parquet").write_text("1,2")
    with pytest.raises(ValueError, match=r"no\.parquet must be a Parquet file"):
        Shards(tmp_path / "no.parquet")
    np.save(tmp_path / "a.npy", ROWS)
    with pytest.raises(ValueError, match=r"columns must be None for .*a\.npy"):
        Shards(tmp_path / "a.npy", ["a"])


def test_tensors_of_several_dimensions_are_no_vectors(tmp_path: Path) -> None:
    images = pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((4, 2, 3), np.float32))
    parquet.write_table(pa.table({"v": images}), tmp_path / "images.parquet")
    with pytest.raises(ValueError, match=r"columns of numbers, not 'v' \(.*shape=\[2,3\]"):
        Shards(tmp_path / "images.parquet", ["v"])
    with pytest.raises(ValueError, match="must have a column of vectors or columns of numbers"):
        Shards(tmp_path / "images.parquet")


@pytest.mark.parametrize("kind", ["columns", "lists", "fixed lists", "tensors"])
def test_groups_without_rows_are_none(kind: str, tmp_path: Path) -> None:
    write_parquet(tmp_path / "whole.parquet", ROWS[:7], kind)
    table = parquet.read_table(tmp_path / "whole.parquet")
    with parquet.ParquetWriter(tmp_path / "parts.parquet", table.schema) as writer:
        for part in (table[:0], table[:3], table[:0], table[:0], table[3:], table[:0]):
            writer.write_table(part)
    groups = parquet.ParquetFile(tmp_path / "parts.parquet").metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [
        0,
        3,
        0,
        0,
        4,
        0,
    ]
    shards = Shards(tmp_path / "parts.parquet")
    assert shards.shape == (7, 200)
    for taken in (slice(None), slice(0, 3), slice(2, 5), slice(3, 7), slice(7, 7)):
        np.testing.assert_array_equal(shards[taken], ROWS[:7][taken])


def test_parquet_files_of_other_columns_are_not_joined(tmp_path: Path) -> None:
    x, y = ROWS[:50, 0], ROWS[:50, 1]
    parquet.write_table(pa.table({"x": x, "y": y}), tmp_path / "1.parquet")
    parquet.write_table(pa.table({"y": y, "x": x}), tmp_path / "2.parquet")
    with pytest.raises(ValueError, match=r"2\.parquet has other columns than .*1\.parquet"):
        Shards(tmp_path / "*.parquet")
    named = Shards(tmp_path / "*.parquet", ["x", "y"])
    np.testing.assert_array_equal(named[:], np.stack([np.tile(x, 2), np.tile(y, 2)], axis=1))
    with pytest.raises(TypeError, match=r"columns must be a sequence of names, such as \['x'\]"):
        Shards(tmp_path / "*.parquet", "x")


@pytest.mark.parametrize("kind", ["npy", "columns", "lists"])
def test_pickled_shards_are_the_names_of_their_files(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if kind == "npy":
        np.save("rows.npy", ROWS)
    else:
        write_parquet(Path("rows.parquet"), ROWS, kind)
    shards = Shards("rows.*", None if kind != "columns" else ["2", "0"])
    shards[10:20]
    pickled = pickle.dumps(shards)
    assert len(pickled) < 2000
    monkeypatch.chdir(tmp_path.parent)
    for again in (pickle.loads(pickled), copy.deepcopy(shards)):
        assert (again.shape, again.dtype) == (shards.shape, shards.dtype)
        np.testing.assert_array_equal(again[5:900], shards[5:900])


def test_decimals_and_dictionaries_of_parquet_files_become_numbers(tmp_path: Path) -> None:
    parts = [Decimal("1.25"), Decimal("-3.50")]
    decimals = pa.array(parts, pa.decimal128(10, 2))
    named = pa.array([7, 9], pa.int16()).dictionary_encode()
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(parts * 2, pa.decimal128(10, 2)), 2)
    tables = {
        "decimals": ({"a": decimals, "b": pa.array([1, 2])}, [[1.25, 1], [-3.5, 2]]),
        "named": ({"a": decimals, "b": named}, [[1.25, 7], [-3.5, 9]]),
        "vectors": ({"v": vectors}, [[1.25, -3.5], [1.25, -3.5]]),
    }
    for name, (columns, expected) in tables.items():
        parquet.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
        shards = Shards(tmp_path / f"{name}.parquet")
        assert shards.dtype == np.float64
        assert shards[:].dtype == np.float64
        np.testing.assert_array_equal(shards[:], expected)


def test_blocks_of_another_dtype_than_is_told_are_converted() -> None:
    class Source:
        ndim, shape, dtype = 2, ROWS.shape, np.dtype(np.float32)

        def __getitem__(self, rows: slice) -> Any:
            return ROWS[rows].astype(">f8")

    found = np.asarray(on_disk(Source()))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, ROWS)


def test_what_needs_a_table() -> None:
    for options in ({"unique": True}, {"init": "pca"}, {"metric": "seuclidean"}):
        with pytest.raises(
            ValueError, match=r"max_memory=1\.9e\+06 bytes is less than a table of X"
        ):
            UMAP(max_memory=LITTLE, **options).fit(ROWS)
    with pytest.raises(ValueError, match="which a decoder needs"):
        ParametricUMAP(max_memory=LITTLE, parametric_reconstruction=True).fit(ROWS)
    with pytest.raises(ValueError, match="for X of float64, which becomes a table"):
        UMAP(max_memory=LITTLE).fit(ROWS.astype(float))
    with pytest.raises(ValueError, match="entry 'main' of float64, which becomes"):
        routines.ParametricUMAP(max_memory=LITTLE).train(ROWS.astype(float))
    for kind, memory in itertools.product((UMAP, ParametricUMAP), (-1, "1e9", [1], True)):
        for sample in (None, 100):
            with pytest.raises(
                (TypeError, ValueError), match=r"^max_memory must be a finite number"
            ):
                kind(max_memory=memory, sample=sample).fit(ROWS)
    fitted = UMAP(n_neighbors=6, n_epochs=2, max_memory=LITTLE, random_state=0).fit(ROWS)
    stayed = (
        r"not available for a fit whose rows stayed as they are, since max_memory=1\.9e\+06 bytes"
    )
    with pytest.raises(ValueError, match=f"transform is {stayed}.*or use ParametricUMAP"):
        fitted.transform(ROWS)


def test_a_file_keeps_narrow_rows_as_they_are(tmp_path: Path) -> None:
    options = {"quality": "fast", "hidden_dims": [8], "n_epochs": 5}
    fitted = ParametricUMAP(n_neighbors=6, max_memory=LITTLE, random_state=0, **options).fit(ROWS)
    fitted.set_params(placement="median").save(tmp_path / "map")
    assert (tmp_path / "map").stat().st_size < 1.2 * ROWS.nbytes
    loaded = ParametricUMAP.load(tmp_path / "map")
    assert loaded.transform(ROWS[:9]).shape == (9, 2)
    assert fitted.to_routine()._dataset.data["main"].dtype == torch.uint8


def test_what_a_network_needs_a_table_for() -> None:
    options = {"quality": "fast", "hidden_dims": [8], "n_epochs": 5}
    fitted = ParametricUMAP(n_neighbors=6, max_memory=LITTLE, random_state=0, **options).fit(ROWS)
    stayed = r"is not available for a fit whose rows stayed .* in float32: give more$"
    with pytest.raises(ValueError, match=f"update {stayed}"):
        fitted.update(ROWS[:10])
    with pytest.raises(ValueError, match=f"placement='median' {stayed}"):
        fitted.set_params(placement="median").transform(ROWS[:10])


def test_a_sample_that_cannot_place_the_others_is_an_error_before_its_fit() -> None:
    told = []
    umap = UMAP(n_neighbors=6, max_memory=LITTLE, sample=2400, callback=told.append)
    with pytest.raises(ValueError, match="in float32 of the sample's 2400 rows, by which UMAP"):
        umap.fit(ROWS)
    assert not told
    umap = UMAP(n_neighbors=6, n_epochs=5, max_memory=LITTLE, sample=1000, random_state=0)
    assert umap.fit(ROWS).embedding_.shape == (2500, 2)


def test_scales_have_the_same_bits_of_any_dtype() -> None:
    found = []
    for dtype in (np.uint8, np.float16, np.float32, np.int64):
        model = models.ScaledEmbeddingModel(200, 2, [3], generator=torch.Generator().manual_seed(0))
        table = torch.from_numpy(ROWS.astype(dtype))
        model.fit_scales(table, torch.from_numpy(ROWS[:, :2].astype(np.float32)))
        found.append([value.numpy().tobytes() for value in model.buffers()])
    assert found[0] == found[1] == found[2] == found[3]


def test_entries_stay_narrow() -> None:
    dataset = dr.Dataset(ROWS.astype(np.float16))
    assert dataset.data["main"].dtype == torch.float16
    assert dataset[3:5]["main"].dtype == torch.float32


LIMITED = """
import resource, sys, warnings
from pathlib import Path
import numpy as np, torch
from fastparadime import UMAP, routines
from fastparadime.models import chunks
warnings.simplefilter("ignore")
torch.set_num_threads(1)  # torch's OpenMP ends a process that can have no further thread

def umap(X, max_memory):
    return UMAP(n_neighbors=6, n_epochs=5, random_state=0, max_memory=max_memory).fit(X).embedding_

def train(X, max_memory):
    routine = routines.ParametricUMAP(
        n_neighbors=5, seed=0, epochs=1, init_epochs=1, init_batch_size=100, batch_size=50,
        max_memory=max_memory)
    routine.train(X)
    return routine.apply(X)

X = np.load(sys.argv[2], mmap_mode="r")
function = {"umap": umap, "train": train}[sys.argv[1]]
function(X[:300], None)
chunks._CHUNK_BYTES = 2**20  # blocks of a fixed size would hide what grows with the rows
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + 60 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
try:
    function(X, float(sys.argv[3]) or None)
    print("done")
except MemoryError as error:
    print("MemoryError")
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits a process")
@pytest.mark.parametrize("call", ["umap", "train"])
def test_no_table_of_the_rows_is_made(call: str, tmp_path: Path) -> None:
    X = RNG.integers(0, 60, size=(8000, 2048)).astype(np.uint8)  # 66 MB in float32
    np.save(tmp_path / "X.npy", X)
    for max_memory, expected in (("0", "MemoryError"), ("18e6", "done")):
        command = [sys.executable, "-c", LIMITED, call, tmp_path / "X.npy", max_memory]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == expected
