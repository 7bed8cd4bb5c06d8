"""Long specifications: read in one pass, and told of in few lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fastparadime.dr import spec
from fastparadime.exceptions import SpecificationError

MANY = 40_000  # keys, with which a look at each for each would take minutes


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_doubled_keys_among_many(tmp_path: Path, suffix: str) -> None:
    many = MANY if suffix == "json" else MANY // 4  # PyYAML is slow
    keys = ", ".join(f'"{i}": 0' for i in range(many))
    path = tmp_path / f"long.{suffix}"
    path.write_text(f'{{{keys}, "{many - 1}": 1}}')
    with pytest.raises(SpecificationError, match=f"found the key '{many - 1}' more than once"):
        spec.validate_spec(path)


def test_many_unknown_fields(tmp_path: Path) -> None:
    (tmp_path / "long.json").write_text(json.dumps(dict.fromkeys(map(str, range(MANY)), 0)))
    with pytest.raises(SpecificationError) as error:
        spec.validate_spec(tmp_path / "long.json")
    lines = str(error.value).splitlines()
    assert len(lines) == 22
    assert lines[-1] == f"and {MANY - 20} more"


def test_many_entries_that_refer_to_many() -> None:
    losses = [{"name": str(i), "type": "position"} for i in range(500)]
    phases = [{"loss": {"components": ["missing"]}} for _ in range(500)]
    with pytest.raises(SpecificationError) as error:
        spec.validate_spec({"losses": losses, "training phases": phases})
    lines = str(error.value).splitlines()
    assert lines[-1] == "and 480 more"
    assert lines[1].endswith("'19', and 480 more")


def test_long_names_are_cut() -> None:
    with pytest.raises(SpecificationError) as error:
        spec.validate_spec({"x" * 10**6: 1})
    assert len(str(error.value)) < 2000
