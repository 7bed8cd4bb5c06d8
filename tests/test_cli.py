"""The command line: what it writes, and one line with exit code 2 for every bad input."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from fastparadime import cli, dr
from tests.conftest import skip_without_onnx

_QUICK = ("--quality", "fast", "--n-neighbors", "5", "--recall", "0.9", "--seed", "1")


def _run(*args: object) -> Result:
    return CliRunner().invoke(cli.main, [str(arg) for arg in args])


def _assert_error(result: Result, message: str) -> None:
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if not _shows_stages_alone(line)]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("Error: ")
    assert message in lines[0]
    assert result.stdout == ""


def _shows_stages_alone(stderr: str) -> bool:
    """Whether there is nothing but a line for each stage that took more than a second."""
    return all(line.endswith(" ...") for line in stderr.splitlines())


def _save_model(path: str, in_dim: int, out_dim: int = 2) -> None:
    routine = dr.ParametricDR(in_dim=in_dim, out_dim=out_dim, hidden_dims=[4], seed=0)
    routine.trained = True
    routine.save(path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(name="X")
def _data(folder: Path) -> np.ndarray:
    data = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    np.save(folder / "X.npy", data)
    np.save(folder / "y.npy", np.arange(40) % 3)
    return data


def test_demo(folder: Path) -> None:
    result = _run("demo", "--output-dir", folder, "--seed", 3)
    assert result.exit_code == 0, result.output
    assert np.load(folder / "digits_embedding.npy").shape == (1797, 2)
    assert (folder / "digits_map.png").read_bytes().startswith(b"\x89PNG")
    for text in ("1,797 x 64 -> 2", "seed", "3", "cpu", "total", "digits_map.png"):
        assert text in result.stdout
    assert _shows_stages_alone(result.stderr)


@pytest.mark.usefixtures("X")
def test_embed_save_apply_give_the_same_coordinates(folder: Path) -> None:
    outputs = ("--plot", "map.png", "--labels", "y.npy", "--save", "model")
    result = _run("embed", "X.npy", "-o", "Y.npy", *outputs, *_QUICK)
    assert result.exit_code == 0, result.output
    assert all(name in result.stdout for name in ("40 x 6 -> 2", "Y.npy", "map.png", "model"))
    result = _run("apply", "model", "X.npy", "-o", "Z.npy", "--plot", "again.png")
    assert result.exit_code == 0, result.output
    embedding = np.load(folder / "Y.npy")
    assert embedding.dtype == np.float32
    assert np.array_equal(embedding, np.load(folder / "Z.npy"))
    assert (folder / "again.png").stat().st_size > 1000
    written = {"X.npy", "y.npy", "Y.npy", "map.png", "model", "Z.npy", "again.png"}
    assert {path.name for path in folder.iterdir()} == written


@pytest.mark.usefixtures("X")
def test_seed_repeats_and_is_reported(folder: Path) -> None:
    first = _run("embed", "X.npy", "-o", "a.npy", "--quality", "fast", "--n-neighbors", 5)
    seed = next(line.split()[1] for line in first.stdout.splitlines() if line.startswith("seed"))
    _run("embed", "X.npy", "-o", "b.npy", "--quality", "fast", "--n-neighbors", 5, "--seed", seed)
    assert np.array_equal(np.load(folder / "a.npy"), np.load(folder / "b.npy"))


@pytest.mark.usefixtures("X")
@pytest.mark.parametrize(
    ("options", "method"),
    [
        ((), "UMAP"),
        (("--save", "model"), "parametric UMAP"),
        (("--quality", "fast"), "parametric UMAP"),
        (("--method", "network"), "parametric UMAP"),
        (("--method", "umap", "--save", "model"), "UMAP"),
    ],
)
def test_a_network_is_trained_to_be_saved_or_asked_for(
    options: tuple[str, ...], method: str
) -> None:
    result = _run("embed", "X.npy", "-o", "Y.npy", "--n-neighbors", "5", *options)
    assert result.exit_code == 0, result.output
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("method")]
    assert line.removeprefix("method").strip() == method
    assert ("no model is saved (--method network trains one)" in result.stderr) == (not options)


def _write_parquet(path: str, columns: dict[str, object]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    pyarrow.parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


_WRITERS: dict[str, Callable[[np.ndarray], object]] = {
    "one.npz": lambda X: np.savez("one.npz", X=X),
    "two.npz:B": lambda X: np.savez("two.npz", A=X[:2], B=X),
    "bare.csv": lambda X: np.savetxt("bare.csv", X, delimiter=","),
    "head.csv": lambda X: np.savetxt(
        "head.csv", X, delimiter=",", header="a,b,c,d,e,f", comments="", encoding="utf-8-sig"
    ),
    "X.parquet": lambda X: _write_parquet("X.parquet", {f"c{i}": X[:, i] for i in range(6)}),
    "fortran.npy": lambda X: np.save("fortran.npy", np.asfortranarray(X)),
    "double.npy": lambda X: np.save("double.npy", X.astype(float)),
}


@pytest.mark.parametrize("source", _WRITERS)
def test_formats_give_the_same_embedding(folder: Path, X: np.ndarray, source: str) -> None:
    _save_model("model", 6)
    _WRITERS[source](X)
    assert _run("apply", "model", "X.npy", "-o", "Y.npy").exit_code == 0
    result = _run("apply", "model", source, "-o", "Z.npy")
    assert result.exit_code == 0, result.output
    assert np.allclose(np.load(folder / "Y.npy"), np.load(folder / "Z.npy"), atol=1e-6)


@pytest.mark.usefixtures("X")
@pytest.mark.parametrize("header", ["", "kind\n"])
def test_text_labels_from_csv(folder: Path, header: str) -> None:
    (folder / "y.csv").write_text(header + "cat\ndog\n" * 20)
    options = ("--labels", "y.csv", "--plot", "map.png")
    result = _run("embed", "X.npy", "-o", "Y.npy", *options, *_QUICK)
    assert result.exit_code == 0, result.output


@pytest.mark.usefixtures("X")
def test_unused_labels_are_noted() -> None:
    result = _run("embed", "X.npy", "-o", "Y.npy", "--labels", "y.npy", *_QUICK)
    assert result.exit_code == 0
    assert "--plot" in result.stderr


def _array(**kinds: object) -> Callable[[str], object]:
    ((_, value),) = kinds.items()
    return lambda path: np.save(path, np.asarray(value))


def _text(text: str | bytes) -> Callable[[str], object]:
    content = text.encode() if isinstance(text, str) else text
    return lambda path: Path(path).write_bytes(content)


def _truncated(path: str) -> None:
    np.save(path, np.ones((50, 6)))
    Path(path).write_bytes(Path(path).read_bytes()[:500])


def _nan(value: float) -> np.ndarray:
    data = np.ones((40, 6))
    data[7, 3] = value
    return data


_BAD_DATA = {
    "missing": ("bad.npy", lambda _: None, "no such file: bad.npy"),
    "empty folder": ("bad.npy", lambda path: Path(path).mkdir(), "no file that can be read"),
    "empty file": ("bad.npy", _text(""), "bad.npy is empty"),
    "not npy": ("bad.npy", _text("hello"), "not a valid .npy file"),
    "pickle": ("bad.npy", _text(b"\x80\x04N."), "not a valid .npy file"),
    "truncated": ("bad.npy", _truncated, "cut short"),
    "no rows": ("bad.npy", _array(x=np.ones((0, 6))), "bad.npy"),
    "one row": ("bad.npy", _array(x=np.ones((1, 6))), "at least 2 rows"),
    "no columns": ("bad.npy", _array(x=np.ones((9, 0))), "bad.npy"),
    "1-D": ("bad.npy", _array(x=np.ones(40)), "reshape(-1, 1)"),
    "3-D": ("bad.npy", _array(x=np.ones((4, 3, 2))), "two dimensions"),
    "objects": ("bad.npy", _array(x=np.array([[None]])), "Python objects"),
    "text": ("bad.npy", _array(x=np.array([["a"]])), "dtype <U1"),
    "complex": ("bad.npy", _array(x=np.ones((9, 2), complex)), "complex128"),
    "nan": ("bad.npy", _array(x=_nan(np.nan)), "row 7 has nan"),
    "inf": ("bad.npy", _array(x=_nan(np.inf)), "row 7 has inf"),
    "extension": ("bad.xyz", _text("1"), "unknown extension; files that can be read are .npy"),
    "not npz": ("bad.npz", _text("hello"), "not a valid .npz file"),
    "two arrays": (
        "bad.npz", lambda path: np.savez(path, a=np.ones(3), b=np.ones(3)), "bad.npz:NAME",
    ),
    "no such key": ("bad.npz:c", lambda _: np.savez("bad.npz", a=np.ones(3)), "there are: a"),
    "csv text": ("bad.csv", _text("a,b\n1,2\n3,x\n"), "cannot read bad.csv as a table of numbers"),
    "csv ragged": ("bad.csv", _text("1,2\n3\n"), "cannot read bad.csv"),
    "csv header only": ("bad.csv", _text("a,b\n"), "no rows"),
    "csv blank": ("bad.csv", _text("\n\n"), "no rows"),
    "csv missing value": (
        "bad.csv", _text("1,2\n3,\n"), "line 2 has no value in column 'f1': --missing median",
    ),
    "csv infinite value": ("bad.csv", _text("a,b\n1,2\n\n3,inf\n"), "line 4 has inf in column 'b'"),
    "csv binary": ("bad.csv", _text(b"\xff\xfa\x00\x01"), "not UTF-8"),
    "csv of utf-16 alone": ("bad.csv", _text(b"\xff\xfe\x00\x01"), "no rows of data"),
    "not parquet": ("bad.parquet", _text("hello"), "not a valid Parquet file"),
    "parquet text": (
        "bad.parquet", lambda path: _write_parquet(path, {"name": ["a", "b"]}), "column 'name'",
    ),
    "parquet null": (
        "bad.parquet", lambda path: _write_parquet(path, {"v": [1.0, None]}), "row 1 has no value in column 'v'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", _BAD_DATA)
def test_bad_data(folder: Path, case: str) -> None:
    source, write, message = _BAD_DATA[case]
    if source.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    write(source)
    _assert_error(_run("embed", source, "-o", "Y.npy"), message)
    assert not (folder / "Y.npy").exists()


_BAD_OPTIONS = [
    (("--n-neighbors", "40"), "--n-neighbors must be smaller than the number of rows, 40"),
    (("--n-neighbors", "0"), "'--n-neighbors'"),
    (("--n-neighbors", "2.5"), "'--n-neighbors'"),
    (("--n-components", "0"), "'--n-components'"),
    (("--min-dist", "-1"), "--min-dist must be in [0, 1]"),
    (("--min-dist", "nan"), "--min-dist must be in [0, 1]"),
    (("--metric", "euclid"), "'euclidean'"),
    (("--recall", "1.5"), "--recall must be in (0, 1], not 1.5"),
    (("--recall", "nan"), "--recall must be in (0, 1]"),
    (("--quality", "good"), "'--quality'"),
    (("--seed", "-1"), "'--seed'"),
    (("--device", "tpu"), "--device must be cpu, cuda or cuda:N, not 'tpu'"),
    (("--unknown",), "--unknown"),
    (("--labels", "short.npy", "--plot", "map.png"), "each of the 40 rows of X"),
    (("--labels", "none.npy"), "no such file: none.npy"),
    (("--plot", "map.pdf"), "written as .png"),
    (("--html", "map.htm5"), "written as .html or .htm"),
    (("--method", "umap", "--quality", "best"), "--quality is of --method network"),
    (("--labels", "y.npy", "--label-column", "a"), "exclude one another"),
    (("--columns", "a"), "X.npy has no names of columns"),
    (("--missing", "zero"), "'--missing'"),
    (("--plot", "map.png", "--n-components", "3"), "--plot draws two components"),
    (("--plot", "none/map.png"), "the folder of none/map.png does not exist"),
    (("--save", "."), "is not a file"),
    (("--save", "Y.npy"), "given twice"),
    (("--save", "X.npy"), "given twice"),
]


@pytest.mark.usefixtures("X")
@pytest.mark.parametrize(("options", "message"), _BAD_OPTIONS)
def test_bad_options(folder: Path, options: tuple[str, ...], message: str) -> None:
    np.save("short.npy", np.arange(39))
    _assert_error(_run("embed", "X.npy", "-o", "Y.npy", *options), message)
    assert not (folder / "Y.npy").exists()


@pytest.mark.usefixtures("X")
def test_bad_outputs_and_usage(folder: Path) -> None:
    _assert_error(_run("embed", "X.npy"), "'-o'")
    _assert_error(_run("embed", "-o", "Y.npy"), "'X'")
    _assert_error(_run("embed", "X.npy", "-o", "Y.xlsx"), "written as .npy, .csv")
    _assert_error(_run("embed", "X.npy", "-o", "none/Y.npy"), "the folder of none/Y.npy")
    _assert_error(_run("demo", "--output-dir", "none"), "does not exist")
    _assert_error(_run("demo", "--device", "tpu"), "--device")
    _assert_error(_run("unknown"), "unknown")
    assert {path.name for path in folder.iterdir()} == {"X.npy", "y.npy"}


@pytest.mark.usefixtures("X")
def test_cuda_asked_for_and_absent(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for command in (("embed", "X.npy", "-o", "Y.npy"), ("demo",)):
        _assert_error(_run(*command, "--device", "cuda"), "device 'cuda' was asked for")


@pytest.mark.usefixtures("X")
@pytest.mark.parametrize("extension", ["onnx", "pt2"])
def test_export(folder: Path, extension: str) -> None:
    if extension == "onnx":
        skip_without_onnx()
    _save_model("model", 6)
    result = _run("export", "model", f"model.{extension}")
    assert result.exit_code == 0, result.output
    assert f"model.{extension}" in result.stdout
    assert _shows_stages_alone(result.stderr)
    written = {path.name for path in folder.iterdir()}
    assert written == {"X.npy", "y.npy", "model", f"model.{extension}"}
    _assert_error(_run("export", "model", "model.tflite"), "exported as .onnx or .pt2")
    _assert_error(_run("export", "none", "model.onnx"), "no such file: none")
    _assert_error(_run("export", "X.npy", "model.onnx"), "is not a fastparadime model file")
    _assert_error(_run("export", "model", "model"), "given twice")


@pytest.mark.usefixtures("X")
def test_bad_models(folder: Path) -> None:
    (folder / "text").write_text("hello")
    _save_model("narrow", 5, out_dim=3)
    _save_model("deep", 6, out_dim=3)
    run = ("X.npy", "-o", "Y.npy")
    _assert_error(_run("apply", "none", *run), "no such file: none")
    _assert_error(_run("apply", "text", *run), "text is not a fastparadime model file")
    _assert_error(_run("apply", "narrow", *run), "X.npy has 6 columns")
    _assert_error(_run("apply", "deep", *run, "--plot", "map.png"), "the embedding has 3")
    _assert_error(_run("apply", "deep", *run, "--labels", "X.npy"), "each of the 40 rows")
    assert not (folder / "Y.npy").exists()


@pytest.mark.parametrize(
    ("file", "package", "remedy"),
    [
        ("X.parquet", "pyarrow", "pip install pyarrow"),
        ("X.csv", "pyarrow", "pip install pyarrow"),
        ("X.h5ad", "anndata", "pip install 'fastparadime[files]'"),
        ("X.h5", "h5py", "pip install 'fastparadime[files]'"),
        ("X.zarr", "zarr", "pip install 'fastparadime[files]'"),
    ],
)
def test_without_the_reader(
    folder: Path, file: str, package: str, remedy: str, monkeypatch
) -> None:
    (folder / file).write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, package, None)
    _assert_error(_run("embed", file, "-o", "Y.npy"), f"reading {file} needs {package}: {remedy}")


@pytest.mark.usefixtures("X")
def test_interruption_ends_with_one_line(folder: Path, monkeypatch) -> None:
    from fastparadime import routines

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(routines.ParametricUMAP, "train", interrupt)
    result = _run("embed", "X.npy", "-o", "Y.npy", *_QUICK)
    assert result.exit_code == 130
    assert result.stderr.splitlines() == ["Interrupted"]
    assert {path.name for path in folder.iterdir()} == {"X.npy", "y.npy"}


@pytest.mark.usefixtures("X")
def test_failed_write_leaves_nothing_behind(folder: Path, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", fail)
    command = ("embed", "X.npy", "-o", "Y.npy", "--quality", "fast", "--n-neighbors", "5")
    _assert_error(_run(*command), "No space left")
    assert {path.name for path in folder.iterdir()} == {"X.npy", "y.npy"}


def test_info_version_and_help() -> None:
    info = _run("info")
    assert info.exit_code == 0
    assert "torch" in info.stdout
    version = _run("--version")
    assert version.exit_code == 0
    assert "0." in version.stdout
    for args in ((), ("--help",)):
        result = _run(*args)
        assert result.exit_code == 0
        assert all(name in result.stdout for name in ("demo", "embed", "apply", "export", "info"))


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from fastparadime.cli import main\n"
        "try:\n    main(['--help'])\n"
        "finally:\n    assert not {'torch', 'numpy', 'scipy', 'matplotlib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
