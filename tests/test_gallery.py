"""The gallery's examples at their small size, and that each has its page, output and picture."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GALLERY = Path(__file__).resolve().parent.parent / "docs" / "gallery"
OF_PACKAGES = {"cells", "choosing", "confidence", "table"}
OF_FILES = {
    "images": "mnist.npz",
    "new_rows": "mnist.npz",
    "sentences": "sentences.npz",
    "words": "words.npz",
}


@pytest.fixture
def run_example(
    monkeypatch: pytest.MonkeyPatch, set_threads: Any, tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """Runs an example as Python runs a script, and returns what it leaves behind."""
    set_threads(1)  # steps this small gain nothing from more
    monkeypatch.syspath_prepend(str(GALLERY))

    def run(name: str, *arguments: str) -> dict[str, Any]:
        picture = tmp_path / f"{name}.png"
        script = str(GALLERY / f"{name}.py")
        monkeypatch.setattr(sys, "argv", [script, *arguments, "--small", "--plot", str(picture)])
        found = runpy.run_path(script, run_name="__main__")
        assert picture.read_bytes().startswith(b"\x89PNG")
        return found

    return run


def test_every_example_has_its_output_and_picture() -> None:
    scripts = {path.stem for path in GALLERY.glob("*.py")} - {"command_line"}
    assert scripts == OF_PACKAGES | set(OF_FILES)
    for name in scripts:
        assert (GALLERY / f"{name}.txt").read_text(encoding="utf-8")
        assert (GALLERY / f"{name}.png").stat().st_size < 100_000


def test_cells(run_example: Any) -> None:
    pytest.importorskip("scanpy", reason="scanpy is not installed")
    found = run_example("cells")
    assert found["share"] > 0.6
    assert found["adata"].obsp["distances"].shape == (300, 300)


def test_choosing(run_example: Any) -> None:
    assert min(run_example("choosing")["trust"].values()) > 0.93


def test_confidence(run_example: Any) -> None:
    auc = run_example("confidence")["auc"]
    assert auc["noise"] > 0.98
    assert auc["halfway"] > 0.8


def test_table(run_example: Any) -> None:
    shares = run_example("table")["shares"]
    assert shares["scaled"] > max(0.9, shares["as measured"])


def test_images(run_example: Any, find_data: Callable[[str], Path]) -> None:
    assert run_example("images", str(find_data("mnist.npz")))["accuracy"] > 0.8


@pytest.mark.parametrize("file", ["mnist.npz", "sentences.npz"])
def test_new_rows(file: str, run_example: Any, find_data: Callable[[str], Path]) -> None:
    recall = run_example("new_rows", str(find_data(file)))["recall"]
    assert recall["anchors"] > recall["coordinates"] + 0.03


@pytest.mark.parametrize("name", ["sentences", "words"])
def test_text(name: str, run_example: Any, find_data: Callable[[str], Path]) -> None:
    found = run_example(name, str(find_data(OF_FILES[name])))
    assert found["Y"].shape == (3000, 2)
    assert found["trust"] > 0.75
