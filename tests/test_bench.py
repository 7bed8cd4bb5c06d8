"""The programs of bench/ that time one operation: each runs, on the sizes of a test."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

BENCH = Path(__file__).resolve().parent.parent / "bench"
PROGRAMS = {
    path.stem: re.findall(r"^    main\((\w+),", path.read_text(encoding="utf-8"), re.MULTILINE)
    for path in sorted(BENCH.rglob("bench_*.py"))
}
CASES = [(stem, maker) for stem, makers in PROGRAMS.items() for maker in makers]


def load(stem: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (program,) = BENCH.rglob(f"{stem}.py")
    for folder in (BENCH, program.parent):
        monkeypatch.syspath_prepend(str(folder))
    return importlib.import_module(stem)


@pytest.mark.parametrize(("stem", "maker"), CASES)
def test_cases_run(
    stem: str, maker: str, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = getattr(load(stem, monkeypatch), maker)(1000, device)
    case.call()
    assert case.bytes_moved > 0
    assert case.label


def test_every_operation_once(
    device: torch.device, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_ops_once.py", "--device", str(device)])
    load("gpu_ops_once", monkeypatch).main()
    assert capsys.readouterr().out == "every operation ran\n"


def test_every_operation_has_a_case() -> None:
    timed = {stem.removeprefix("bench_") for stem, _ in CASES}
    script = (BENCH / "gpu.sh").read_text(encoding="utf-8")
    kernels = {path.stem for path in (BENCH.parent / "csrc" / "cuda").rglob("*.cu")}
    assert kernels <= timed
    assert {name for name in kernels if not re.search(rf"\b{name}\b", script)} == set()
