"""Files as people have them, of one frame of 60 rows, by the libraries that write them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import csv, feather, parquet
from scipy import sparse

REASON = "anndata's extra is not installed: it keeps pandas below 3"
anndata = pytest.importorskip("anndata", reason=REASON)
h5py = pytest.importorskip("h5py", reason=REASON)

FEATURES = ["height", "weight", "age", "income", "visits"]
ROWS = 60


def people() -> pd.DataFrame:
    """60 rows with an id, five numbers and a label."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(3, 5)) * 4
    kinds = np.arange(ROWS) % 3
    frame = pd.DataFrame((centres[kinds] + draw.normal(size=(ROWS, 5))).round(4), columns=FEATURES)
    frame.insert(0, "person", [f"p{i:03}" for i in range(ROWS)])
    frame["group"] = np.array(["north", "south", "west"])[kinds]
    return frame


def _matrix(frame: pd.DataFrame) -> np.ndarray:
    return frame[FEATURES].to_numpy(np.float32)


def _cells(frame: pd.DataFrame, form: Callable[..., Any] = np.asarray) -> anndata.AnnData:
    names = [name for name in frame.columns if name in FEATURES]
    obs = pd.DataFrame({"group": pd.Categorical(frame["group"])}, index=frame["person"].tolist())
    values = form(frame[names].to_numpy(np.float32))
    data = anndata.AnnData(values, obs=obs, var=pd.DataFrame(index=names))
    data.layers["scaled"] = data.X * 2
    data.obsm["X_pca"] = _matrix(frame)[:, :3]
    return data


def _lists(frame: pd.DataFrame, kind: pa.DataType) -> pa.Table:
    values = _matrix(frame).astype(np.float16).astype(kind.value_type.to_pandas_dtype())
    vectors = pa.array(list(values), kind)
    columns = {"group": frame["group"], "embedding": vectors, "person": frame["person"]}
    names = [name for name in frame.columns if name in columns]
    return pa.table({name: columns[name] for name in ("embedding", *names)})


def _shards(frame: pd.DataFrame, folder: Path, suffix: str) -> None:
    folder.mkdir()
    for number, start in enumerate(range(0, ROWS, 20)):
        part = frame[start : start + 20]
        if suffix == "parquet":
            part.to_parquet(folder / f"part-{number}.parquet", index=False)
        else:
            part.to_csv(folder / f"part-{number}.csv", index=False)
    (folder / "_SUCCESS").touch()


def _to_hdf5(path: Path, names: dict[str, np.ndarray]) -> None:
    with h5py.File(path, "w") as file:
        for name, values in names.items():
            file[name] = values


def _to_zarr(data: anndata.AnnData | np.ndarray, path: Path) -> None:
    zarr = pytest.importorskip("zarr", reason="zarr 3 needs Python 3.11")
    if isinstance(data, np.ndarray):
        zarr.save(str(path), data)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of another format in a later version
        data.write_zarr(path)


def _pyarrow_stream(frame: pd.DataFrame, path: Path) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table)


def _compressed(frame: pd.DataFrame, path: Path) -> None:
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        csv.write_csv(pa.Table.from_pandas(frame, preserve_index=False), stream)


def _with_gaps(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.copy()
    frame.loc[frame["person"].isin(["p003", "p017"]), "age"] = np.nan
    return frame


def _coded(frame: pd.DataFrame) -> pa.Table:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    place = table.column_names.index("income")
    table = table.set_column(place, "income", table["income"].cast(pa.decimal128(12, 4)))
    place = table.column_names.index("group")
    return table.set_column(place, "group", table["group"].dictionary_encode())


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes
    ----------
    source : str
        What the command is given.
    write : callable
        Takes the frame and the folder.
    embed, both : tuple of str
        Options of `embed` alone, and of `apply` too.
    beside : bool
        Whether it holds ids and labels.
    """

    source: str
    write: Callable[[pd.DataFrame, Path], Any]
    embed: tuple[str, ...] = ()
    both: tuple[str, ...] = ()
    beside: bool = True


_IDS = ("--id-column", "person")

KINDS = {
    "csv of pandas": Kind("x.csv", lambda f, d: f.to_csv(d / "x.csv"), both=_IDS),
    "csv without index": Kind("x.csv", lambda f, d: f.to_csv(d / "x.csv", index=False), both=_IDS),
    "csv with decimal commas": Kind(
        "x.csv", lambda f, d: f.to_csv(d / "x.csv", index=False, sep=";", decimal=","), both=_IDS
    ),
    "tsv": Kind("x.tsv", lambda f, d: f.to_csv(d / "x.tsv", sep="\t"), both=_IDS),
    "txt with tabs": Kind("x.txt", lambda f, d: f.to_csv(d / "x.txt", sep="\t"), both=_IDS),
    "csv.gz": Kind("x.csv.gz", lambda f, d: f.to_csv(d / "x.csv.gz"), both=_IDS),
    "csv.zst": Kind("x.csv.zst", lambda f, d: _compressed(f, d / "x.csv.zst"), both=_IDS),
    "csv with a mark": Kind(
        "x.csv", lambda f, d: f.to_csv(d / "x.csv", encoding="utf-8-sig", index=False), both=_IDS
    ),
    "csv of Windows": Kind(
        "x.csv",
        lambda f, d: f.assign(Größe=1.0).to_csv(d / "x.csv", encoding="cp1252", index=False),
        ("--drop", "Größe"),
        (*_IDS, "--encoding", "cp1252"),
    ),
    "csv with quotes": Kind(
        "x.csv",
        lambda f, d: f.assign(note='said "a, b"\nand left').to_csv(d / "x.csv", quoting=1),
        both=_IDS,
    ),
    "csv with the id as index": Kind(
        "x.csv", lambda f, d: f.set_index("person").to_csv(d / "x.csv"), both=_IDS
    ),
    "csv with gaps": Kind(
        "x.csv", lambda f, d: _with_gaps(f).to_csv(d / "x.csv"), ("--missing", "median"), _IDS
    ),
    "csv with categories": Kind(
        "x.csv",
        lambda f, d: f.to_csv(d / "x.csv"),
        ("--categories", "group", "--scale", "standard"),
        _IDS,
    ),
    "csv, some columns": Kind(
        "x.csv",
        lambda f, d: f.to_csv(d / "x.csv"),
        ("--columns", "height,weight", "--columns", "in*", "--scale", "robust"),
        _IDS,
    ),
    "parquet of pandas": Kind("x.parquet", lambda f, d: f.to_parquet(d / "x.parquet"), both=_IDS),
    "parquet with an index": Kind(
        "x.parquet", lambda f, d: f.set_index("person").to_parquet(d / "x.parquet")
    ),
    "feather": Kind(
        "x.feather", lambda f, d: f.reset_index(drop=True).to_feather(d / "x.feather"), both=_IDS
    ),
    "csv of polars": Kind("x.csv", lambda f, d: pl.DataFrame(f).write_csv(d / "x.csv"), both=_IDS),
    "csv with bars": Kind(
        "x.csv", lambda f, d: pl.DataFrame(f).write_csv(d / "x.csv", separator="|"), both=_IDS
    ),
    "parquet of polars": Kind(
        "x.parquet", lambda f, d: pl.DataFrame(f).write_parquet(d / "x.parquet"), both=_IDS
    ),
    "arrow of polars": Kind(
        "x.arrow", lambda f, d: pl.DataFrame(f).write_ipc(d / "x.arrow"), both=_IDS
    ),
    "arrays of polars": Kind(
        "x.parquet",
        lambda f, d: pl.DataFrame({"person": f["person"], "v": _matrix(f), "group": f["group"]})
        .write_parquet(d / "x.parquet"),
        both=_IDS,
    ),
    "lists": Kind(
        "x.parquet",
        lambda f, d: parquet.write_table(_lists(f, pa.list_(pa.float32())), d / "x.parquet"),
        both=_IDS,
    ),
    "halves in lists of one length": Kind(
        "x.feather",
        lambda f, d: feather.write_feather(_lists(f, pa.list_(pa.float16(), 5)), d / "x.feather"),
        both=_IDS,
    ),
    "stream of arrow": Kind("x.arrows", lambda f, d: _pyarrow_stream(f, d / "x.arrows"), both=_IDS),
    "decimals and codes": Kind(
        "x.parquet", lambda f, d: parquet.write_table(_coded(f), d / "x.parquet"), both=_IDS
    ),
    "folder": Kind("shards", lambda f, d: _shards(f, d / "shards", "parquet"), both=_IDS),
    "pattern": Kind("shards/*.csv", lambda f, d: _shards(f, d / "shards", "csv"), both=_IDS),
    "h5ad": Kind("x.h5ad", lambda f, d: _cells(f).write_h5ad(d / "x.h5ad")),
    "sparse h5ad": Kind(
        "x.h5ad",
        lambda f, d: _cells(f, sparse.csr_matrix).write_h5ad(d / "x.h5ad"),
    ),
    "h5ad's layer": Kind(
        "x.h5ad", lambda f, d: _cells(f).write_h5ad(d / "x.h5ad"), ("--layer", "scaled")
    ),
    "h5ad's obsm": Kind(
        "x.h5ad", lambda f, d: _cells(f).write_h5ad(d / "x.h5ad"), ("--obsm", "X_pca")
    ),
    "AnnData in zarr": Kind("x.zarr", lambda f, d: _to_zarr(_cells(f), d / "x.zarr")),
    "h5": Kind(
        "x.h5",
        lambda f, d: _to_hdf5(d / "x.h5", {"g/x": _matrix(f), "n": np.arange(ROWS)}),
        beside=False,
    ),
    "bytes in h5": Kind(
        "x.h5:b",
        lambda f, d: _to_hdf5(
            d / "x.h5", {"a": _matrix(f), "b": (_matrix(f) * 9 + 128).astype(np.uint8)}
        ),
        beside=False,
    ),
    "zarr": Kind("x.zarr", lambda f, d: _to_zarr(_matrix(f), d / "x.zarr"), beside=False),
    "npy": Kind("x.npy", lambda f, d: np.save(d / "x.npy", _matrix(f)), beside=False),
    "npz": Kind(
        "x.npz:X", lambda f, d: np.savez(d / "x.npz", X=_matrix(f), n=np.ones(3)), beside=False
    ),
}  # fmt: skip
