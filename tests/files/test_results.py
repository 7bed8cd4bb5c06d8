"""What the command line writes, and models of both methods that place new rows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from pyarrow import feather, parquet

import fastparadime
from fastparadime import cli, dr
from fastparadime.utils.tables import read_table

_UMAP = ("--method", "umap", "--n-neighbors", "5", "--seed", "1")


def _run(*args: object, given: bytes | None = None) -> Result:
    return CliRunner().invoke(cli.main, [str(arg) for arg in args], input=given)


def _ok(*args: object, given: bytes | None = None) -> Result:
    result = _run(*args, given=given)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(name="frame")
def _frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(draw.normal(size=(40, 4)).round(4), columns=list("abcd"))
    frame["kind"] = np.array(["x", "y"])[np.arange(40) % 2]
    frame["text"] = [f'row {i}, "quoted"' for i in range(40)]
    frame.to_csv("x.csv", index=False)
    return frame


def _read_text(path: str | Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t" if ".tsv" in str(path) else ",")


_READERS: dict[str, Any] = {
    "y.csv": _read_text,
    "y.tsv": _read_text,
    "y.csv.gz": _read_text,
    "y.parquet": lambda path: parquet.read_table(path).to_pandas(),
    "y.feather": lambda path: feather.read_table(path).to_pandas(),
    "y.arrow": lambda path: feather.read_table(path).to_pandas(),
}


@pytest.mark.parametrize("output", _READERS)
def test_outputs(output: str, frame: pd.DataFrame) -> None:
    _ok("embed", "x.csv", "-o", "y.npy", *_UMAP)
    result = _ok("embed", "x.csv", "-o", output, "--label-column", "kind", *_UMAP)
    assert output in result.stdout
    found = _READERS[output](output)
    nested = ["neighbors"] * (not output.startswith(("y.csv", "y.tsv")))
    assert list(found.columns) == ["kind", "text", "projection_x", "projection_y", *nested]
    Y = found[["projection_x", "projection_y"]].to_numpy(np.float32)
    np.testing.assert_array_equal(Y, np.load("y.npy"))
    assert found["kind"].tolist() == frame["kind"].tolist()
    assert found["text"].tolist() == frame["text"].tolist()


@pytest.mark.parametrize("method", [_UMAP, ("--quality", "fast", "--n-neighbors", "5")])
def test_neighbors_are_those_of_the_data(method: tuple[str, ...], frame: pd.DataFrame) -> None:
    _ok("embed", "x.csv", "-o", "y.parquet", "--recall", "1", *method)
    column = parquet.read_table("y.parquet")["neighbors"].to_pylist()
    X = frame[list("abcd")].to_numpy(np.float32)
    distances = np.linalg.norm(X[:, None] - X[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    for row, found in enumerate(column):
        assert found["ids"] == np.argsort(distances[row], kind="stable")[:5].tolist()
        np.testing.assert_allclose(found["distances"], np.sort(distances[row])[:5], rtol=1e-4)


def test_three_and_more_coordinates(frame: pd.DataFrame) -> None:
    _ok("embed", "x.csv", "-o", "y.csv", "--n-components", 3, *_UMAP)
    assert list(_read_text("y.csv").columns[-3:]) == [f"projection_{axis}" for axis in "xyz"]
    _ok("embed", "x.csv", "-o", "y.csv", "--n-components", 4, *_UMAP)
    assert list(_read_text("y.csv").columns[-4:]) == [f"projection_{i}" for i in range(4)]
    assert len(frame) == len(_read_text("y.csv"))


def _bytes_of(frame: pd.DataFrame, kind: str) -> bytes:
    file = io.BytesIO()
    X = frame[list("abcd")].to_numpy()
    if kind == "csv":
        frame.to_csv(file, index=False)
    elif kind == "csv.gz":
        frame.to_csv(file, index=False, compression="gzip")
    elif kind == "parquet":
        frame.to_parquet(file, index=False)
    elif kind == "feather":
        frame.to_feather(file)
    elif kind == "stream":
        table = pa.Table.from_pandas(frame, preserve_index=False)
        with pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
    elif kind == "npy":
        np.save(file, X)
    else:
        np.savez(file, X=X)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet", "feather", "stream", "npy", "npz"])
def test_standard_input_and_output(kind: str, frame: pd.DataFrame) -> None:
    _ok("embed", "x.csv", "-o", "y.npy", "--save", "model", *_UMAP)
    result = _ok("apply", "model", "-", "-o", "-", given=_bytes_of(frame, kind))
    found = pd.read_csv(io.StringIO(result.stdout))
    Y = found[["projection_x", "projection_y"]].to_numpy(np.float32)
    np.testing.assert_allclose(Y, np.load("y.npy"), atol=1e-5)
    assert "40 x 4 -> 2" in result.stderr
    assert "x.csv" not in result.stdout


def test_bad_standard_input() -> None:
    for given, message in ((b"", "standard input is empty"), (b"\x89HDF", "from a file alone")):
        result = _run("embed", "-", "-o", "-", given=given)
        assert result.exit_code == 2
        assert message in result.stderr
        assert result.stdout == ""


@pytest.mark.parametrize("method", [_UMAP, ("--quality", "fast", "--n-neighbors", "5")])
def test_models_keep_the_names_and_what_was_learned(
    method: tuple[str, ...], frame: pd.DataFrame
) -> None:
    options = ("--scale", "standard", "--categories", "kind", "--save", "model")
    _ok("embed", "x.csv", "-o", "y.npy", *options, *method)
    frame[["kind", "d", "c", "b", "a"]].to_csv("new.csv")
    _ok("apply", "model", "new.csv", "-o", "z.npy")
    np.testing.assert_allclose(np.load("z.npy"), np.load("y.npy"), atol=1e-5)
    table = read_table("new.csv", like="model")
    loaded: Any = fastparadime.UMAP if method is _UMAP else dr.ParametricDR
    model = loaded.load("model")
    assert list(model.feature_names_in_) == ["a", "b", "c", "d", "kind=x", "kind=y"]
    place = model.transform if method is _UMAP else model.apply
    np.testing.assert_allclose(place(table.rows), np.load("y.npy"), atol=1e-5)
    frame.drop(columns=["b", "kind"]).to_csv("new.csv")
    result = _run("apply", "model", "new.csv", "-o", "z.npy")
    assert result.exit_code == 2
    assert "lacks columns that the model takes: 'b', 'kind'" in result.stderr


def test_a_model_fitted_in_python_finds_columns_by_name(frame: pd.DataFrame) -> None:
    names = list("abcd")
    umap = fastparadime.UMAP(n_neighbors=5, random_state=0).fit(frame[names])
    umap.save("model")
    frame[["text", *names[::-1]]].to_csv("new.csv")
    _ok("apply", "model", "new.csv", "-o", "z.npy")
    np.testing.assert_allclose(np.load("z.npy"), umap.embedding_, atol=1e-5)


def test_recipes_in_damaged_models(frame: pd.DataFrame) -> None:
    _ok("embed", "x.csv", "-o", "y.npy", "--save", "model", *_UMAP)
    content = Path("model").read_bytes()
    damaged = content.replace(b'\\"scale\\": null', b'\\"scale\\": true')
    assert damaged != content
    Path("model").write_bytes(damaged)
    result = _run("apply", "model", "x.csv", "-o", "z.npy")
    assert result.exit_code == 2
    assert "the table of model is damaged" in result.stderr
    assert len(frame) == 40


def test_nothing_to_write_is_said(frame: pd.DataFrame) -> None:
    result = _run("embed", "x.csv", *_UMAP)
    assert result.exit_code == 2
    assert "nothing would be written: give '-o', '--plot' or '--html'" in result.stderr
    assert len(frame) == 40


def test_a_page_with_what_lies_beside_the_features(frame: pd.DataFrame) -> None:
    _ok("embed", "x.csv", "--html", "map.html", "--label-column", "kind", *_UMAP)
    page = Path("map.html").read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert len(frame) == 40
