"""What is installed: wheels and what audits them, and what is said where there is no compiler."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def audit() -> Any:
    """The script that audits wheels, as a module."""
    spec = importlib.util.spec_from_file_location("audit_wheel", ROOT / ".ci" / "audit_wheel.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A file with the folders of a wheel."""
    path = tmp_path / "fastparadime-1.0-cp311-cp311-linux_x86_64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("fastparadime/py.typed", "fastparadime-1.0.dist-info/METADATA"):
            archive.writestr(name, "")
    return path


@pytest.fixture
def report() -> dict[str, Any]:
    """What auditwheel says of a wheel that is right."""
    return {
        "overall_tag": "manylinux_2_28_x86_64",
        "external_libs": {},
        "unsupported_isa": False,
        "versioned_symbols": {"libc.so.6": ["GLIBC_2.2.5", "GLIBC_2.14"]},
    }


def test_a_wheel_that_is_right(audit: Any, wheel: Path, report: dict[str, Any]) -> None:
    assert audit.problems_of(wheel, report, None) == []
    assert audit.problems_of(wheel, report, "manylinux_2_28") == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"overall_tag": "linux_x86_64"}, "fits no manylinux tag: linux_x86_64"),
        ({"overall_tag": "manylinux_2_34_x86_64"}, "which is newer than manylinux_2_28"),
        ({"external_libs": {"libgomp.so.1": "/usr/lib/libgomp.so.1"}}, r"\['libgomp.so.1'\]"),
        ({"versioned_symbols": {"libcudart.so.12": ["v_12"]}}, r"\['libcudart.so.12'\]"),
        ({"unsupported_isa": True}, "instructions"),
    ],
)
def test_problems_of_a_wheel(
    audit: Any, wheel: Path, report: dict[str, Any], change: dict[str, Any], problem: str
) -> None:
    (found,) = audit.problems_of(wheel, {**report, **change}, "manylinux_2_28")
    assert re.search(problem, found)


def test_a_wheel_with_other_folders(audit: Any, wheel: Path, report: dict[str, Any]) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("tests/test_x.py", "")
    (found,) = audit.problems_of(wheel, report, None)
    assert "'tests'" in found


def test_newest_symbols_are_compared_as_numbers(audit: Any) -> None:
    symbols = ["GLIBC_2.2.5", "GLIBC_2.14", "GLIBCXX_3.4.9", "GLIBCXX_3.4.30"]
    assert audit.newest(symbols) == {"GLIBC": "2.14", "GLIBCXX": "3.4.30"}


def test_wheels_are_built_for_each_supported_python() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    supported = re.findall(r"Programming Language :: Python :: 3\.(\d+)", text)
    (built,) = re.findall(r'^build = "(cp.+)"$', text, re.MULTILINE)
    assert built.split() == [f"cp3{minor}-*" for minor in supported]
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    (tested,) = re.findall(r"python: \[(.+)\]", workflow)
    assert tested == ", ".join(f'"3.{minor}"' for minor in supported)


def test_without_a_compiler_the_packages_of_systems_are_named(tmp_path: Path) -> None:
    cmake, ninja = shutil.which("cmake"), shutil.which("ninja")
    if cmake is None or ninja is None:
        pytest.skip("cmake and ninja are not on the path")
    command = [cmake, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}", "-S", ROOT, "-B", tmp_path]
    empty = tmp_path / "empty"
    empty.mkdir()
    configured = subprocess.run(
        [*command, "-DSKBUILD_PROJECT_VERSION=1.0"],
        env={"PATH": str(empty)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert configured.returncode != 0
    message = " ".join(configured.stderr.split())
    assert "there is no C++ compiler here" in message
    assert "'apt install g++' (Debian, Ubuntu)" in message
    assert "'xcode-select --install' (macOS)" in message
