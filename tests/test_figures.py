"""Measured figures: entries are whole, and the pages' tables are those of the data."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
RESULTS = sorted((ROOT / "bench" / "results").glob("*.json"))
REQUIRED = {"what", "data", "figures", "unit", "machine", "command", "commit", "date"}
FORMS = (
    {"low", "high"}, {"mean", "low", "high"}, {"median", "low", "high"}, {"mean", "deviation"},
    {"difference", "error"},
)  # fmt: skip


def entries(path: Path) -> list[dict[str, Any]]:
    theme = json.loads(path.read_text(encoding="utf-8"))
    shared = {key: theme[key] for key in ("machine", "command", "unit")}
    return [{**shared, **entry} for entry in theme["entries"]]


def check_figures(figures: dict[str, Any]) -> None:
    assert figures
    for value in figures.values():
        if isinstance(value, dict):
            assert set(value) in FORMS
        numbers = value.values() if isinstance(value, dict) else value
        for number in [value] if isinstance(value, (int, float)) else numbers:
            assert isinstance(number, (int, float))
        if isinstance(value, dict) and "low" in value:
            assert value["low"] <= next(iter(value.values())) <= value["high"]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_entries_are_whole(path: Path) -> None:
    found = entries(path)
    assert found
    assert len({(entry["what"], entry["data"]) for entry in found}) == len(found)
    for entry in found:
        assert set(entry) - {"peers", "readme"} == REQUIRED
        check_figures(entry["figures"])
        for figures in entry.get("peers", {}).values():
            check_figures(figures)
            assert set(figures) <= set(entry["figures"])
        assert set(entry.get("readme", {"show": []})["show"]) <= set(entry["figures"])
        assert entry["commit"] is None or re.fullmatch(r"[0-9a-f]{7,}", entry["commit"])
        assert datetime.date.fromisoformat(entry["date"]) >= datetime.date(2026, 11, 24)


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_commands_name_programs(path: Path) -> None:
    named = {
        script
        for entry in entries(path)
        for script in re.findall(r"bench/\w+\.py", entry["command"] or "")
    }
    assert named
    assert {script for script in named if not (ROOT / script).is_file()} == set()


def test_pages_say_what_the_data_says() -> None:
    check = [sys.executable, str(ROOT / "bench" / "tables.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_every_theme_has_a_place() -> None:
    pages = [ROOT / "bench" / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = re.findall(
        r"<!-- figures: (\w+) -->|results/(\w+)\.json",
        "".join(page.read_text(encoding="utf-8") for page in pages),
    )
    assert {path.stem for path in RESULTS} == {name for pair in shown for name in pair if name}
