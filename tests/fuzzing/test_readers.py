"""Damaged files of every kind end in the error that is documented, or are read rightly.

`FASTPARADIME_FUZZ` is how many files of each kind are damaged, and by its value which. What is
found is kept in tests/corpus.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .mutations import mutants

COUNT = int(os.environ.get("FASTPARADIME_FUZZ") or 25)  # of each of twelve kinds
TABLE_ERRORS = {"ValueError", "TypeError", "OSError", "FileNotFoundError"}
KINDS = {
    "model.safetensors": ("model", {"SpecificationError"}),
    "umap.yaml": ("specification", {"SpecificationError"}),
    "tsne.json": ("specification", {"SpecificationError"}),
    "table.npy": ("table", TABLE_ERRORS),
    "table.npz": ("table", TABLE_ERRORS),
    "table.csv": ("table", TABLE_ERRORS),
    "table.parquet": ("table", TABLE_ERRORS),
    "table.feather": ("table", TABLE_ERRORS),
    "table.h5": ("table", TABLE_ERRORS),
    "table.h5ad": ("table", TABLE_ERRORS),
    "labels.csv": ("labels", TABLE_ERRORS),
    "umap.safetensors": ("umap", {"SpecificationError"}),
}


def _check(outcome: Any, path: Path, errors: set[str]) -> None:
    if outcome.error is None:
        return
    assert outcome.error in errors, f"{path}: {outcome.error}: {outcome.message[:500]}"
    if path.suffix not in (".yaml", ".json"):  # whose errors name the place in the document
        assert path.name in outcome.message, f"{path}: {outcome.message[:500]}"
    assert len(outcome.message) < 5000, f"{path}: {len(outcome.message)} characters"
    assert outcome.message.count("\n") <= 25, path


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_damaged_files(
    name: str, whole_files: dict[str, Path], read: Callable[..., list[Any]], tmp_path: Path
) -> None:
    kind, errors = KINDS[name]
    whole = whole_files[name]
    files = [whole]
    for number, content in enumerate(mutants(whole.read_bytes(), COUNT, COUNT)):
        files.append(tmp_path / f"{number}{whole.suffix}")
        files[-1].write_bytes(content)
    original, *found = read(kind, files)
    assert original.error is None, original
    for path, outcome in zip(files[1:], found, strict=True):
        _check(outcome, path, errors)
        if kind in ("model", "umap"):  # a checksum tells every change
            assert outcome.digest in (None, original.digest), f"{path} is another model"
