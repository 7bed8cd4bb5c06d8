"""The site: it builds without a warning, and its reference has every public name."""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import fastparadime

pytest.importorskip("sphinx", reason="the site is built with fastparadime[docs]")

DOCS = Path(__file__).resolve().parent.parent / "docs"
# Beside the modules of the package's face, those that pages and programs name.
MODULES = [
    importlib.import_module(f"fastparadime{'.' * bool(name)}{name}")
    for name in (
        "", *sorted(fastparadime._MODULES), "layout.spectral", "ops.reference", "utils.convert",
        "utils.logging", "utils.plotting", "utils.seed", "utils.triangular", "utils.validate",
    )
]  # fmt: skip


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site that FASTPARADIME_SITE names, or one that is built from the pages as they are."""
    given = os.environ.get("FASTPARADIME_SITE")
    if given:
        return Path(given)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "--keep-going", "-q", DOCS, folder]
    # From elsewhere: the sources beside the pages have no compiled core.
    built = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="session")
def inventory(site: Path) -> set[str]:
    """The full names of what the site's reference explains."""
    from sphinx.util.inventory import InventoryFile

    content = (site / "objects.inv").read_bytes()
    entries = InventoryFile.loads(content, uri="").data
    return {name for kind, names in entries.items() if kind.startswith("py:") for name in names}


def public(module: types.ModuleType) -> dict[str, Any]:
    """What a module lists, or else the classes and functions that it defines; no modules."""
    found = vars(module)
    names = getattr(module, "__all__", None) or [
        name
        for name, value in found.items()
        if isinstance(value, (type, types.FunctionType)) and value.__module__ == module.__name__
    ]
    values = {name: getattr(module, name) for name in names if name[0] != "_"}
    return {name: value for name, value in values.items() if not inspect.ismodule(value)}


@pytest.fixture(scope="session")
def explained(inventory: set[str]) -> list[Any]:
    """The objects that the reference explains under the name of some public module."""
    return [
        value
        for module in MODULES
        for name, value in public(module).items()
        if f"{module.__name__}.{name}" in inventory
    ]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_reference_has_every_public_name(
    module: types.ModuleType, inventory: set[str], explained: list[Any]
) -> None:
    assert module.__name__ in inventory
    ids = {id(value) for value in explained}
    missing = {name for name, value in public(module).items() if id(value) not in ids}
    assert missing == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_reference_has_every_method(module: types.ModuleType, inventory: set[str]) -> None:
    missing = {
        f"{name}.{member}"
        for name, value in public(module).items()
        if inspect.isclass(value) and f"{module.__name__}.{name}" in inventory
        for member, kind in vars(value).items()
        if isinstance(kind, (types.FunctionType, classmethod, staticmethod, property))
        and not member.startswith("_")
        and f"{module.__name__}.{name}.{member}" not in inventory
    }
    assert missing == set()


def test_pages_have_their_pictures_and_their_search(site: Path) -> None:
    assert (site / "searchindex.js").stat().st_size > 10_000
    for name in ("images", "words", "sentences", "cells", "table", "choosing", "tutorial"):
        assert (site / "_images" / f"{name}.png").read_bytes().startswith(b"\x89PNG"), name
