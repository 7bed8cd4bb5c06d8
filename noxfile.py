"""The checks that take more than one environment or more than minutes: ``nox -l`` lists them."""

from __future__ import annotations

import os

import nox

nox.options.default_venv_backend = "uv"
nox.options.sessions = ["tests"]

PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
# Libraries call what those that are newer than they deprecate: anndata of pandas, matplotlib of pyparsing.
OF_MIXED_AGES = ("-W", "ignore::DeprecationWarning", "-W", "ignore::FutureWarning")
# What is published later cannot fail a change: each run of CI makes one of those that are dated or pinned.
DAY = "2026-11-29"
# What quick tests import. All extras take minutes to install, and some hold others back: zarr raises
# numpy's lowest, and anndata keeps pandas below 3.
QUICK = ("pytest>=8.4", "click>=8.2", "polars>=1", "pandas>=2")


def install(session: nox.Session, *options: str) -> None:
    """What it needs, and then itself: where torch is there, an error is the build's."""
    session.install(*options, "-r", "pyproject.toml", "--extra", "cpu", "--extra", "test")
    session.install("--no-deps", ".")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The suite with the versions that constraints.txt pins."""
    install(session, "-c", "constraints.txt")
    session.run("pytest", *session.posargs)


@nox.session(python=PYTHONS[:2])
def lowest(session: nox.Session) -> None:
    """The suite with the lowest versions that pyproject.toml declares."""
    install(session, "--exclude-newer", DAY, "--resolution", "lowest-direct")
    session.run("pytest", *OF_MIXED_AGES, *session.posargs)


@nox.session(python=PYTHONS[-2:])
def newest(session: nox.Session) -> None:
    """The suite with the newest versions of everything."""
    install(session, "--upgrade")
    session.run("pytest", *OF_MIXED_AGES, *session.posargs)


def mixed(session: nox.Session, resolution: str) -> None:
    """The quick tests, with the pinned torch: its wheel for CPUs, where one is at hand."""
    session.install("-c", "constraints.txt", "torch")
    dated = ("--exclude-newer", DAY, "--resolution", resolution)
    session.install(*dated, "-r", "pyproject.toml", "--extra", "cpu", *QUICK)
    session.install("--no-deps", os.environ.get("FASTPARADIME_WHEEL", "."))
    session.run("pytest", *OF_MIXED_AGES, *session.posargs)


@nox.session(python="3.11")
def older(session: nox.Session) -> None:
    """Quick tests with the lowest versions of all but torch."""
    mixed(session, "lowest-direct")


@nox.session(python="3.11")
def newer(session: nox.Session) -> None:
    """Quick tests with the newest versions of all but torch."""
    mixed(session, "highest")


@nox.session(python="3.11")
@nox.parametrize("sanitizer", ["address", "undefined", "thread"])
def sanitized(session: nox.Session, sanitizer: str) -> None:
    """The operations' tests under one of gcc's sanitizers."""
    session.install("-c", "constraints.txt", "scikit-build-core", "pybind11", ".[cpu,test]")
    session.run("python", "tests/sanitized.py", sanitizer, *session.posargs)


@nox.session(python="3.11")
def nightly(session: nox.Session) -> None:
    """Property tests, damaged files and kills, ten times and more as many as in each change."""
    session.install("-c", "constraints.txt", ".[cpu,test]")
    session.env.update(FASTPARADIME_PROPERTIES="nightly", FASTPARADIME_FUZZ="400")
    session.run("pytest", "tests/properties", "tests/fuzzing", "tests/faults", *session.posargs)


@nox.session(python="3.11")
def load(session: nox.Session) -> None:
    """An hour of fits, transforms and applies from threads and processes side by side."""
    session.install("-c", "constraints.txt", ".[cpu,test]")
    session.run("python", "tests/faults/load.py", *(session.posargs or ["3600"]))
