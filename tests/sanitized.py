"""Builds the core with a sanitizer and runs the operations' tests with it.

    python tests/sanitized.py address|undefined|thread|by-commit [--files N] [tests ...]

A run of all files takes a quarter of an hour to an hour. `--files` takes so many of them, and
``by-commit`` one sanitizer, by the hash of the commit: each change runs others. Needs gcc's libasan,
libubsan and libtsan, and Linux.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = {"address": "libasan.so", "undefined": "libubsan.so", "thread": "libtsan.so"}
OPTIONS = {
    # Python and torch keep memory until the process ends; no leak of theirs is looked for.
    "address": {"ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=1:abort_on_error=0"},
    "undefined": {"UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"},
    # Code that was not built with the sanitizer (torch's OpenMP, numpy, Python) synchronises in
    # ways that it does not see: only accesses of the core are compared.
    "thread": {
        "TSAN_OPTIONS": "halt_on_error=1:ignore_noninstrumented_modules=1:report_signal_unsafe=0"
    },
}
# A process of little address space has no room for what a sanitizer keeps beside it.
TOO_LITTLE_MEMORY = ("tests/ops/test_extremes.py::test_threads_that_run_out_of_memory",)
# An installation for development would be found before the folder that the core was built into.
RUN = """
import sys
from pathlib import Path
folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
sys.meta_path[:] = [f for f in sys.meta_path if "skbc_fastparadime" not in type(f).__module__]
import fastparadime
assert Path(fastparadime.__file__).is_relative_to(folder), fastparadime.__file__
import pytest
sys.exit(pytest.main(sys.argv[2:]))
"""
_SETTING = "--config-settings"  # "-C" is of pip 23.1 and later


def build(sanitizer: str) -> Path:
    """The folder of a package whose core the sanitizer watches."""
    folder = ROOT / "build" / "sanitized" / sanitizer
    settings = {
        "build-dir": f"{folder}.build",
        "install.strip": "false",
        "cmake.define.FASTPARADIME_CUDA": "OFF",
        "cmake.define.FASTPARADIME_SANITIZE": sanitizer,
    }
    options = [part for name, value in settings.items() for part in (_SETTING, f"{name}={value}")]
    command = ["pip", "install", "-q", "--no-deps", "--upgrade", "--target", str(folder)]
    if all(map(find_spec, ("scikit_build_core", "pybind11"))):
        command.append("--no-build-isolation")
    subprocess.run([sys.executable, "-m", *command, *options, str(ROOT)], check=True)
    return folder


def draws() -> random.Random:
    """Those of the hash of the commit."""
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return random.Random(commit.stdout.strip())


def environment(sanitizer: str) -> dict[str, str]:
    # Python itself holds no C++: the sanitizer would not find what exceptions are thrown by.
    libraries = [_library(name) for name in (LIBRARIES[sanitizer], "libstdc++.so")]
    return {**os.environ, **OPTIONS[sanitizer], "LD_PRELOAD": " ".join(libraries)}


def _library(name: str) -> str:
    compiler = os.environ.get("CXX", "g++")
    found = subprocess.run(
        [compiler, f"-print-file-name={name}"], check=True, capture_output=True, text=True
    ).stdout.strip()
    if not Path(found).is_absolute():
        raise FileNotFoundError(f"{compiler} has no {name}: install the sanitizers of gcc")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sanitizer", choices=[*LIBRARIES, "by-commit"])
    parser.add_argument("--files", type=int, help="so many files of tests/ops, by the commit")
    parser.add_argument("tests", nargs="*", help="arguments of pytest; tests/ops if none")
    chosen = parser.parse_args()
    files = [str(path) for path in sorted((ROOT / "tests" / "ops").rglob("test_*.py"))]
    draw, sanitizer = draws(), chosen.sanitizer
    if sanitizer == "by-commit":
        sanitizer = draw.choice(list(LIBRARIES))
    some = files if chosen.files is None else draw.sample(files, min(chosen.files, len(files)))
    tests = chosen.tests or sorted(some)
    run = [sys.executable, "-c", RUN, str(build(sanitizer))]
    # Reports go to the terminal as they come: what pytest holds is lost when a process is ended.
    pytest = ["-q", "-x", "-s", "-p", "no:cacheprovider", "-m", "not cuda", "--rootdir", str(ROOT)]
    pytest += [part for name in TOO_LITTLE_MEMORY for part in ("--deselect", name)]
    if sanitizer == "thread":  # its shadow memory has fixed places
        run = ["setarch", "--addr-no-randomize", *run]
    return subprocess.run(
        [*run, *pytest, *tests], check=False, env=environment(sanitizer)
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
