"""Runs quick tests in one of noxfile.py's environments, or in all, each made for it.

    python tests/versions.py by-commit|all|SESSION [--seconds N] [--folder F] [-- arguments of pytest]

A session is one of ``nox -l``: tests (the pinned versions), lowest or newest, and older or newer,
which leave torch as it is pinned. ``by-commit`` takes one of those that have been seen to pass, and
the files that most depend on versions, in an order by the hash of the commit. ``all`` comes before a
release. Tests end after `N` seconds, 330 if not given, of which the environment takes a part, but
never before a minute. Where a registry does not give the files, or not in six minutes, that is said
and no failure; a build that fails is one, as tests are. The core is compiled without link-time
optimisation, or taken from the wheel that FASTPARADIME_WHEEL names by older and newer.
Needs nox and uv; torch alone is a download of gigabytes where its wheels bring CUDA.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sanitized import ROOT, draws

NOX = (sys.executable, "-m", "nox", "--noxfile", str(ROOT / "noxfile.py"))
KINDS = ("tests", "lowest", "newest", "older", "newer")
# Those that have been seen to pass: each change runs one. One more is added after it has passed.
SEEN = ("newer", "older", "lowest-3.10", "tests-3.10", "tests-3.12", "tests-3.13")
_ROOM = 20e9  # bytes, of an environment with torch for CUDA, twice
_LONGEST_INSTALL = 360.0  # seconds
_SHORTEST_RUN = 60.0  # seconds
# Operations, and what other versions of libraries have changed.
_PARTS = (
    "columns",
    "dr",
    "frames",
    "loss",
    "relations",
    "saving",
    "spec",
    "transforms",
    "validate",
)
_SEEN_FILES = tuple(f"test_{part}.py" for part in _PARTS)
_FILES = ("ops/**/test_*.py", "files/test_*.py", *_SEEN_FILES)
PASSED, FAILED, ENDED, NONE = "passed", "failed", "ended by the time", "no environment"


def surroundings() -> dict[str, str]:
    """The variables of the environment, with pyenv's interpreters on the path, and no CUDA."""
    home = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    path = os.pathsep.join([*map(str, home.glob("versions/3.*/bin")), os.environ["PATH"]])
    build = "FASTPARADIME_CUDA=OFF;CMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF"
    variables = {**os.environ, "PATH": path, "SKBUILD_CMAKE_DEFINE": build}
    if folders := os.environ.get("PIP_FIND_LINKS"):  # where there may be a torch without CUDA
        variables.setdefault("UV_FIND_LINKS", ",".join(folders.split()))
    return variables


def listed(variables: dict[str, str]) -> list[dict[str, Any]]:
    """All of them, with their Python."""
    command = [*NOX, "--list", "--json", "--session", *KINDS]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=variables)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def sessions(every: list[dict[str, Any]], variables: dict[str, str]) -> list[str]:
    """Those whose Python is on this machine; the rest are named."""
    here = {one["python"] for one in every if _runs(f"python{one['python']}", variables)}
    for python in sorted({one["python"] for one in every} - here):
        _say(f"Python {python} is not on this machine: its environments are not made")
    return sorted(one["session"] for one in every if one["python"] in here)


def _runs(python: str, variables: dict[str, str]) -> bool:
    # What pyenv has on the path for a Python that is not chosen ends with an error.
    found = shutil.which(python, path=variables["PATH"])
    return found is not None and subprocess.run([found, "-c", ""], check=False).returncode == 0


def make(session: str, folder: Path, variables: dict[str, str]) -> str | None:
    """Makes or completes its environment; FAILED if it cannot be built, NONE if it is not to be had."""
    folder.mkdir(parents=True, exist_ok=True)
    is_there = any(folder.glob("*/lib/python*/site-packages/torch"))
    if not is_there and (free := shutil.disk_usage(folder).free) < _ROOM:
        _say(f"{free / 1e9:.0f} GB are free where {_ROOM / 1e9:.0f} are asked for: no {session}")
        return NONE
    status = _within(_LONGEST_INSTALL, [*_nox(session, folder), "-r", "--install-only"], variables)
    if status is None:
        _say(f"{session} was not made in {_LONGEST_INSTALL:.0f}s: no test was run with it")
        return NONE
    if status == 0:
        return None
    # pytest comes with all else that is needed, and before the package.
    needs_are_there = any(folder.glob("*/lib/python*/site-packages/pytest"))
    wrong = "could not be built" if needs_are_there else "could not be had: none was run"
    _say(f"{session} {wrong}, what is above says why")
    return FAILED if needs_are_there else NONE


def run(
    session: str, folder: Path, seconds: float, tests: list[str], variables: dict[str, str]
) -> str:
    """What became of it: one of PASSED, FAILED, ENDED and NONE."""
    began = time.monotonic()
    became = make(session, folder, variables)
    if became is not None:
        return became
    left = max(_SHORTEST_RUN, seconds - (time.monotonic() - began))
    _say(f"made in {time.monotonic() - began:.0f}s; tests for {left:.0f}s at most")
    status = _within(left, [*_nox(session, folder), "-R", "--", *tests], variables)
    if status is None:
        _say("ended by the time: what ran until then was well")
        return ENDED
    return FAILED if status else PASSED


def _nox(session: str, folder: Path) -> list[str]:
    chosen = ["--envdir", str(folder), "--session", session]
    return [*NOX, "--error-on-missing-interpreters", *chosen]


def _within(seconds: float, command: list[str], variables: dict[str, str]) -> int | None:
    """The exit status of a command, None if it and its children were ended by the time."""
    process = subprocess.Popen(command, cwd=ROOT, env=variables, start_new_session=True)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.wait()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("session", help="by-commit, all, or one that nox lists, as tests-3.12")
    parser.add_argument("--seconds", type=float, default=330)
    parser.add_argument(
        "--folder", type=Path, help="where environments stay; none stays if not given"
    )
    parser.add_argument("--only-make", action="store_true", help="run no test, fail for nothing")
    parser.add_argument("tests", nargs="*", help="arguments of pytest; those of some files if none")
    chosen = parser.parse_intermixed_args()
    # Who ends this ends its children, which are in a session of their own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    variables, draw, names = surroundings(), draws(), [chosen.session]
    found = listed(variables)
    if chosen.session in {"all", "by-commit"}:
        names = sessions(found, variables)
    elif chosen.session not in {one["session"] for one in found}:
        parser.error(f"there is no session {chosen.session!r} among those of nox -l")
    if chosen.session == "by-commit":
        seen = [name for name in names if name in SEEN]
        if not seen:
            _say(f"the Python of {', '.join(SEEN)} is not on this machine: nothing was run")
            return 0
        names = [draw.choice(seen)]
    wanted = _SEEN_FILES if chosen.session == "by-commit" else _FILES
    paths = [path for files in wanted for path in (ROOT / "tests").glob(files)]
    files = sorted(str(path.relative_to(ROOT)) for path in paths)
    quick = ["-q", "-x", "-m", "not slow and not cuda", *draw.sample(files, len(files))]
    became = {}
    for name in names:
        _say(f"Environment: {name}")
        with tempfile.TemporaryDirectory() as passing:
            folder = chosen.folder or Path(passing)
            if chosen.only_make:
                make(name, folder, variables)
            else:
                became[name] = run(name, folder, chosen.seconds, chosen.tests or quick, variables)
    for name, what in became.items():
        _say(f"{name}: {what}")
    return int(FAILED in became.values())


if __name__ == "__main__":
    sys.exit(main())
