"""Files that were once read wrongly, slowly or with a traceback, and what is to come of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
EXPECTED: dict[str, list[str]] = json.loads((CORPUS / "expected.json").read_text())


@pytest.mark.parametrize("kind", ["model", "specification", "table"])
def test_past_failures(kind: str, read: Callable[..., list[Any]]) -> None:
    names = [name for name, (of, *_) in EXPECTED.items() if of == kind]
    assert names
    for name, outcome in zip(names, read(kind, [CORPUS / name for name in names]), strict=True):
        _, error, message = EXPECTED[name]
        assert outcome.error == error, f"{name}: {outcome}"
        assert message in outcome.message, name


def test_every_file_has_what_is_expected() -> None:
    there = {path.name for path in CORPUS.iterdir()}
    assert there == {*EXPECTED, "expected.json"}


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
@pytest.mark.parametrize("doubled", [False, True])
def test_many_keys_are_answered_at_once_and_briefly(
    suffix: str, doubled: bool, read: Callable[..., list[Any]], tmp_path: Path
) -> None:
    keys = [f"key{number}" for number in range(20_000)] + ["key7"] * doubled
    path = tmp_path / f"many{suffix}"
    if suffix == ".json":
        path.write_text("{" + ", ".join(f'"{key}": 1' for key in keys) + "}")
    else:
        path.write_text("".join(f"{key}: 1\n" for key in keys))
    (outcome,) = read("specification", [path])
    assert outcome.error == "SpecificationError"
    assert ("'key7' more than once" in outcome.message) == doubled
    assert len(outcome.message) < 10_000
    assert outcome.message.count("\n") <= 25
