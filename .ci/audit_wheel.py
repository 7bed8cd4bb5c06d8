"""Audits a Linux wheel: `audit_wheel.py WHEEL [NEWEST_TAG]`.

It may need the C and C++ libraries of the system and nothing else, no instruction set beyond the
platform's, and hold no file but the package's. Where a tag such as manylinux_2_28 is given, it may
need no newer one. What it needs of each library is printed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

_MOST_BYTES = 100_000_000  # of a file that PyPI takes
_SYSTEM = {"libc.so.6", "libgcc_s.so.1", "libm.so.6", "libstdc++.so.6"}


def newest(symbols: list[str]) -> dict[str, str]:
    """The newest version of each family of symbols, such as GLIBC."""
    found: dict[str, tuple[int, ...]] = {}
    for symbol in symbols:
        family, _, version = symbol.rpartition("_")
        numbers = tuple(int(part) for part in version.split("."))
        found[family] = max(found.get(family, ()), numbers)
    return {family: ".".join(map(str, numbers)) for family, numbers in sorted(found.items())}


def glibc_of(tag: str) -> tuple[int, ...]:
    """(2, 28) of manylinux_2_28_x86_64, () of other tags."""
    match = re.match(r"manylinux_(\d+)_(\d+)", tag)
    return tuple(map(int, match.groups())) if match else ()


def problems_of(wheel: Path, report: dict, newest_tag: str | None) -> list[str]:
    """What is wrong with a wheel, a line each."""
    found = []
    tag = report["overall_tag"]
    if not glibc_of(tag):
        found.append(f"it fits no manylinux tag: {tag}")
    elif newest_tag is not None and glibc_of(tag) > glibc_of(newest_tag):
        found.append(f"it fits {tag}, which is newer than {newest_tag}")
    foreign = {*report["external_libs"], *report["versioned_symbols"]} - _SYSTEM
    if foreign:
        found.append(f"it needs libraries that not every system has: {sorted(foreign)}")
    if report["unsupported_isa"]:
        found.append("it needs instructions that not every processor of the platform has")
    if wheel.stat().st_size > _MOST_BYTES:
        found.append(f"it has {wheel.stat().st_size:,} bytes")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    if len(tops) != 2 or not all(top.startswith("fastparadime") for top in tops):
        found.append(f"it holds {sorted(tops)}")
    if "fastparadime/py.typed" not in names:
        found.append("it lacks py.typed")
    return found


def main(path: str, newest_tag: str | None = None) -> int:
    wheel = Path(path)
    shown = subprocess.run(
        ["auditwheel", "show", "--json", wheel], check=True, stdout=subprocess.PIPE, text=True
    )
    report = json.loads(shown.stdout)
    print(f"{wheel.name}: {report['overall_tag']}, {wheel.stat().st_size:,} bytes")
    for library, symbols in report["versioned_symbols"].items():
        needed = ", ".join(f"{name} {version}" for name, version in newest(symbols).items())
        print(f"  {library}: {needed}")
    problems = problems_of(wheel, report, newest_tag)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
