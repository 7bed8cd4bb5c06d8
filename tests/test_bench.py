"""The programs of bench/ that time one operation: each runs, on the sizes of a test."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

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


def test_fits_by_several_processes_are_timed() -> None:
    asked = ["--method", "layout", "--rows", "64", "--epochs", "2", "--processes", "1", "2"]
    done = subprocess.run(
        [sys.executable, BENCH / "run.py", "processes", *asked, "--alone", "0"],
        check=True,
        capture_output=True,
        text=True,
    )
    head, *lines = done.stdout.splitlines()
    assert head == "64 x 32, 1 threads each"
    line = r"%d processes: [\d.]+ s, [\d.]+ times as fast; layout [\d.]+, cpu [\d.]+"
    assert [bool(re.fullmatch(line % n, said)) for n, said in enumerate(lines, 1)] == [True, True]


def test_packages_that_are_not_there_are_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = load("bench_new_rows", monkeypatch)
    monkeypatch.setattr(program.PEERS["numap"], "module", "of_no_package")
    assert list(program.present(["median", "numap", "layout"])) == ["median", "layout"]
    assert capsys.readouterr().out == "without numap: pip install numap, which is not there\n"


def test_every_operation_has_a_case() -> None:
    timed = {stem.removeprefix("bench_") for stem, _ in CASES}
    scripts = "".join(
        (BENCH / name).read_text("utf-8") for name in ("gpu_stages.py", "gpu_operations.py")
    )
    cuda = (BENCH.parent / "csrc" / "cuda").rglob("*.cu")
    kernels = {path.stem for path in cuda if path.parent.name != "support"}
    assert kernels <= timed
    assert {name for name in kernels if not re.search(rf"\b{name}\b", scripts)} == set()


def test_the_plan_of_a_gpu_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = load("gpu_stages", monkeypatch)
    (tmp_path / "mnist.npz").touch()
    (tmp_path / "pydantic-2.0-py3-none-any.whl").touch()
    planned = stages.plan(tmp_path, tmp_path)
    assert sum(stage.planned for stage in planned) < stages.PLANNED
    assert [stage.name for stage in planned][:6] == [
        "probe", "wheels", "build", "engines", "tests", "memcheck",
    ]  # fmt: skip
    (tmp_path / "fastparadime-1.0-cp312-cp312-linux_x86_64.whl").touch()
    assert "build" not in {stage.name for stage in stages.plan(tmp_path, tmp_path)}


def stub_stage(stages: ModuleType, name: str, program: str, **options: Any) -> Any:
    command = [sys.executable, "-c", program]
    return stages.Stage(name, 1, options.pop("most", 20), command, command, **options)


def test_stages_keep_what_they_gave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = load("gpu_stages", monkeypatch)
    unset = "import os; raise SystemExit(os.environ.get('ENGINE'))"
    slower = "import os; raise SystemExit(os.environ['ENGINE'] != 'slow')"
    plan = [
        stub_stage(stages, "good", f"print('well'); {unset}", otherwise={"ENGINE": "unused"}),
        stub_stage(stages, "bad", "raise SystemExit('went wrong')", otherwise={"ENGINE": "slow"}),
        stub_stage(stages, "slower", slower),
        stub_stage(stages, "endless", "while True: pass", most=1),
        stages.Stage("absent", 1, 1, ["no-such-program"], ["no-such-program"]),
        stub_stage(stages, "needed", "raise SystemExit(3)", needed=True),
        stub_stage(stages, "never", "print('too late')"),
    ]
    out = tmp_path / "out"
    assert stages.run_all(plan, stages.Results(out), tmp_path, stub=True) == 3
    kept = [json.loads(line) for line in (out / "stages.jsonl").read_text("utf-8").splitlines()]
    assert {stage["name"]: stage["status"] for stage in kept} == {
        "good": 0, "bad": 1, "slower": 0, "endless": "killed", "absent": "missing", "needed": 3,
    }  # fmt: skip
    with tarfile.open(out / "logs.tar") as logs:
        assert logs.getnames() == [f"{stage['name']}.log" for stage in kept]
    shown = capsys.readouterr().out
    assert "went wrong" in shown
    assert "well" not in shown


def test_a_run_that_is_killed_leaves_what_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed without notice within its third stage, whose log is there as far as it came."""
    out = tmp_path / "out"
    script = f"""
import pathlib, sys
sys.path.insert(0, {str(BENCH)!r})
import gpu_stages as stages
def stage(name, program):
    command = [sys.executable, "-u", "-c", program]
    return stages.Stage(name, 1, 60, command, command)
figure = "import pathlib, timing; timing.keep(pathlib.Path({str(out / "figures.jsonl")!r}), case='a', ms=[1.0])"
kill = "print('so far'); import os, signal; os.kill(os.getppid(), signal.SIGKILL)"
plan = [stage("one", "print('one')"), stage("two", figure), stage("three", kill)]
stages.run_all(plan, stages.Results(pathlib.Path({str(out)!r})), pathlib.Path({str(tmp_path)!r}), stub=True)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    kept = [json.loads(line) for line in (out / "stages.jsonl").read_text("utf-8").splitlines()]
    assert [(stage["name"], stage["status"]) for stage in kept] == [("one", 0), ("two", 0)]
    assert "so far" in (out / "running.log").read_text("utf-8")
    monkeypatch.setattr(sys, "argv", ["gpu_report.py", str(out)])
    load("gpu_report", monkeypatch).main()
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert report["figures"] == [{"case": "a", "ms": [1.0]}]
    assert len(list(out.iterdir())) <= 8
