"""What show_config prints, and what importing the package leaves alone."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

import fastparadime
from fastparadime.cli import config

ENTRIES = [
    "fastparadime", "python", "platform", "torch", "compiler", "SIMD", "threads",
    "CUDA in this build", "CUDA in torch", "CUDA devices", "faiss",
]  # fmt: skip


def test_show_config_prints_each_entry(capsys: pytest.CaptureFixture[str]) -> None:
    fastparadime.show_config()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(ENTRIES)
    for name, line in zip(ENTRIES, lines, strict=True):
        assert line.startswith(f"{name} ")
        assert line.split("  ", 1)[1].strip()


def test_config_values() -> None:
    values = config.config()
    assert list(values) == ENTRIES
    assert all(isinstance(value, str) and value for value in values.values())
    assert values["fastparadime"] == fastparadime.__version__
    assert values["torch"] == torch.__version__
    assert values["threads"] == str(torch.get_num_threads())
    assert values["SIMD"] in ("avx512", "avx2", "neon", "baseline", "scalar", "sse2", "default")
    assert (values["CUDA devices"] == "none") == (not torch.cuda.is_available())


def test_config_without_faiss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "find_faiss", lambda: None)
    shown = config.config()["faiss"]
    assert "pip install 'fastparadime[cpu]'" in shown
    assert "'manhattan' and 'inner_product' are slow" in shown


def test_names_are_found_lazily() -> None:
    shown = dir(fastparadime)
    assert {"dr", "reference", "relations", "routines", "show_config"} <= set(shown)
    assert len(shown) == len(set(shown))
    assert not {"Any", "annotations", "importlib"} & set(shown)
    assert fastparadime.reference.smooth_knn is not None
    assert fastparadime.routines.quality.QUALITIES
    assert fastparadime.dr.ParametricDR is not None
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = fastparadime.nothing


MOVED = """
import importlib, json, sys, warnings
import fastparadime

warnings.simplefilter("always")
former, now = sys.argv[1:]
with warnings.catch_warnings(record=True) as seen:
    module = importlib.import_module(f"fastparadime.{former}")
    assert module is importlib.import_module(f"fastparadime.{now}")
    first = former.partition(".")[0]
    del sys.modules[f"fastparadime.{first}"], vars(fastparadime)[first]
    assert getattr(fastparadime, first).__name__ in module.__name__
print(json.dumps([(str(one.message), one.category.__name__) for one in seen]))
"""


@pytest.mark.parametrize(
    ("former", "now"),
    [
        ("config", "cli.config"), ("exporting", "dr.exporting"), ("phases", "training.phases"),
        ("quality", "routines.quality"), ("saving", "dr.saving"), ("spec", "dr.spec"),
        ("spec.names", "dr.spec.names"), ("spectral", "layout.spectral"),
    ],
)  # fmt: skip
def test_moved_modules_are_found_by_their_former_names(former: str, now: str) -> None:
    command = [sys.executable, "-c", MOVED, former, now]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    seen = json.loads(run.stdout)
    assert [f"fastparadime.{former} is now fastparadime.{now}", "DeprecationWarning"] in seen
    assert {category for _, category in seen} == {"DeprecationWarning"}


IMPORT = """
import json, locale, os, random, sys, threading
import numpy, torch

def state():
    tasks = "/proc/self/task"
    return {
        "threads": threading.active_count(),
        "tasks": len(os.listdir(tasks)) if os.path.isdir(tasks) else 0,
        "torch threads": [torch.get_num_threads(), torch.get_num_interop_threads()],
        "cuda": torch.cuda.is_initialized(),
        "torch state": torch.get_rng_state().tolist(),
        "numpy state": numpy.random.get_state()[1].tolist(),
        "python state": str(random.getstate()),
        "locale": locale.setlocale(locale.LC_ALL, None),
        "environment": dict(os.environ),
        "error handling": str(numpy.geterr()),
        "dtype": str(torch.get_default_dtype()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "folder": os.getcwd(),
        "path": sys.path,
    }

before, loaded = state(), set(sys.modules)
import fastparadime
MORE
heavy = (
    "scipy.optimize", "sklearn", "matplotlib", "faiss", "pandas", "pyarrow", "tqdm", "pydantic",
    "yaml",
)
added = sorted(name for name in set(sys.modules) - loaded if name in heavy)
print(json.dumps({"before": before, "after": state(), "added": added}))
"""


@pytest.mark.parametrize(
    "more",
    ["", "from fastparadime import dr, relations, transforms, loss, routines, neighbors, utils"],
    ids=["package", "modules"],
)
def test_import_is_light_and_changes_nothing(more: str) -> None:
    script = IMPORT.replace("MORE", more)
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    seen = json.loads(run.stdout)
    assert seen["after"] == seen["before"]
    assert not seen["after"]["cuda"]
    assert seen["added"] == []
    assert run.stderr == ""
