"""Kernels compiled for the host from their own source, see include/cuda_runtime_api.h."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
CSRC = HERE.parent.parent / "csrc"
# kernel<parameters><<<launch>>>( as a call.
_LAUNCH = re.compile(r"(\w+(?:<\w+>)?)\s*<<<(.*?)>>>\(", re.DOTALL)


Emulated = Callable[[str, str], ctypes.CDLL]


@pytest.fixture(scope="session")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Emulated:
    """Compiles `NAME.cpp` of this folder, which includes a file of csrc/cuda, as a library."""
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler is on the path")

    def compile_library(name: str, source: str) -> ctypes.CDLL:
        folder = tmp_path_factory.mktemp(name)
        text = (CSRC / "cuda" / source).read_text(encoding="utf-8")
        made = folder / f"{Path(source).name}.cpp"
        made.write_text(_LAUNCH.sub(r"emulated::launch(\1, \2)(", text), encoding="utf-8")
        folders = [f"-I{path}" for path in (folder, HERE / "include", CSRC)]
        options = ["-std=c++20", "-O1", "-w", "-shared", "-fPIC", "-ffp-contract=off"]
        output = folder / f"{name}.so"
        command = [compiler, *options, *folders, str(HERE / f"{name}.cpp"), "-o", str(output)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return ctypes.CDLL(str(output))

    return compile_library
