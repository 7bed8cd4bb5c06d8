"""The pages of the guide: blocks run, links lead somewhere, every public class is explained."""

from __future__ import annotations

import importlib
import re
import runpy
import shlex
import types
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from sklearn.datasets import load_iris

from fastparadime import cli
from tests.conftest import skip_without_onnx

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
LINKED = [*PAGES, *DECISIONS, ROOT / "CONTRIBUTING.md", ROOT / "bench" / "README.md"]
ROWS = 500
_NOT_RUN = r"(?:<!-- not run: (?P<reason>.+?) -->\n+)?"


class Block(NamedTuple):
    lines_before: int
    code: str
    reason: str | None


def blocks(page: Path, language: str) -> list[Block]:
    """The fenced blocks of a language, with the reason of those that must not run."""
    text = page.read_text(encoding="utf-8")
    fence = re.compile(_NOT_RUN + rf"^```{language}\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
    return [
        Block(text[: match.start("code")].count("\n"), match["code"], match["reason"])
        for match in fence.finditer(text)
    ]


def script_of(page: Path) -> str:
    """The page's Python as one script, each line where it is on the page."""
    script = ""
    for block in blocks(page, "python"):
        if block.reason is None:
            script += "\n" * (block.lines_before - script.count("\n")) + block.code
    return script


@pytest.fixture
def data(digits: Any) -> dict[str, Any]:
    """What the pages take for granted: some digits, others, and the labels of the first."""
    images, labels = digits
    return {"X": images[:ROWS], "X_new": images[ROWS : ROWS + 50], "labels": labels[:ROWS]}


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_run(page: Path, data: dict[str, Any], set_threads: Any, tmp_path: Path) -> None:
    from matplotlib import pyplot as plt

    if page.stem == "saving":
        skip_without_onnx()
    fences = page.read_text(encoding="utf-8").count("```python")
    assert len(blocks(page, "python")) == fences, "a block is not closed"
    before = {key: value.copy() for key, value in data.items()}
    script = tmp_path / f"{page.stem}.py"
    script.write_text(script_of(page), encoding="utf-8")
    set_threads(1)  # steps this small gain nothing from more
    with torch.random.fork_rng(devices=[]):
        runpy.run_path(str(script), init_globals=data)
    plt.close("all")
    for key, value in before.items():
        np.testing.assert_array_equal(data[key], value)


def run_commands(page: Path) -> int:
    """Runs the page's commands one after the other, and returns how many there were."""
    commands = [
        line
        for block in blocks(page, "sh")
        for line in block.code.replace("\\\n", "").splitlines()
        if block.reason is None
    ]
    for command in commands:
        program, *arguments = shlex.split(command, comments=True)
        assert program == "fastparadime"
        result = CliRunner().invoke(cli.main, arguments)
        assert result.exit_code == 0, f"{command}: {result.output}"
    return len(commands)


def test_commands_run(tmp_path: Path, data: dict[str, Any]) -> None:
    np.save(tmp_path / "X.npy", data["X"][:100])
    np.save(tmp_path / "labels.npy", data["labels"][:100])
    np.save(tmp_path / "new.npy", data["X_new"])
    iris = load_iris(as_frame=True)
    flowers = iris.data.assign(species=iris.target_names[iris.target])
    flowers.to_csv(tmp_path / "flowers.csv")
    flowers[::-5].to_csv(tmp_path / "new_flowers.csv", index=False)
    assert run_commands(DOCS / "command-line.md") >= 4
    assert {path.name for path in tmp_path.iterdir()} >= {
        "Y.npy", "map.png", "new_Y.npy", "map.csv", "map.parquet", "new_map.csv"
    }  # fmt: skip


def test_commands_of_the_tutorial_run(tmp_path: Path) -> None:
    writes_the_files = tmp_path / "write.py"
    writes_the_files.write_text(blocks(DOCS / "tutorial.md", "python")[0].code, encoding="utf-8")
    runpy.run_path(str(writes_the_files))
    assert run_commands(DOCS / "tutorial.md") == 3
    for file, rows in ("map.csv", 1500), ("later-map.csv", 297):
        header, *lines = (tmp_path / file).read_text(encoding="utf-8").splitlines()
        assert header == '"id","target","projection_x","projection_y"'
        assert len(lines) == rows
    assert (tmp_path / "later.png").read_bytes().startswith(b"\x89PNG")
    assert "<html" in (tmp_path / "map.html").read_text(encoding="utf-8")


_LINK = re.compile(r"\]\((?!https?://)([^)#]*)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = set(_LINK.findall(page.read_text(encoding="utf-8")))
    assert {link for link in links if not (page.parent / link).exists()} == set()


# What the guide's index does not list: the site's own pages, and what has an index of its own.
_NOT_LISTED = {
    "README.md", "changelog.md", "conf.py", "contributing.md", "examples/example_data.py",
    "index.md", "measured.md", "security.md",
}  # fmt: skip


def test_index_lists_every_page_and_example() -> None:
    listed = set(_LINK.findall((DOCS / "README.md").read_text(encoding="utf-8")))
    there = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.[mp][dy]")}
    in_gallery = {path for path in there if path.startswith("gallery/")} - {"gallery/index.md"}
    assert there - listed - in_gallery == _NOT_LISTED


def test_promises_name_tests_that_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (DOCS / "promises.md").read_text("utf-8"))
    assert len(named) > 15
    for file, name in named:
        assert f"def {name}(" in (ROOT / file).read_text("utf-8"), f"{file} has no {name}"


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_decisions_say_why(page: Path) -> None:
    _, *decisions = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert bool(decisions) == (page.stem != "README")
    for decision in decisions:
        reasons = re.findall(r"^- (\w[\w ]*):", decision, re.MULTILINE)
        assert reasons == ["Evidence", "Would change it"], decision.splitlines()[0]


def test_version_is_cited_and_dated() -> None:
    project, citation, changes = (
        (ROOT / name).read_text(encoding="utf-8")
        for name in ("pyproject.toml", "CITATION.cff", "CHANGELOG.md")
    )
    (version,) = re.findall(r'^version = "(.+)"$', project, re.MULTILINE)
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [version]
    (date,) = re.findall(r"^date-released: (.+)$", citation, re.MULTILINE)
    assert f"\n## [{version}] - {date}\n" in changes


def public_names(module: str) -> set[str]:
    """The public classes that a module defines; of the operations, the functions as well."""
    loaded = importlib.import_module(f"fastparadime.{module}")
    kinds = (type, types.FunctionType) if module == "ops" else type
    return {
        name
        for name, value in vars(loaded).items()
        if isinstance(value, kinds)
        and value.__module__.startswith(loaded.__name__)
        and not name.startswith("_")
    }


@pytest.mark.parametrize(
    ("module", "page"),
    [
        ("relations", "relations"),
        ("transforms", "transforms"),
        ("relationdata", "relation-data"),
        ("loss", "losses"),
        ("models", "models"),
        ("dr.dataset", "routines"),
        ("dr", "routines"),
        ("training.phases", "training"),
        ("routines", "routines"),
        ("neighbors", "neighbors-and-operations"),
        ("ops", "neighbors-and-operations"),
    ],
)
def test_every_public_name_is_explained(module: str, page: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    missing = {name for name in public_names(module) if f"`{name}" not in text}
    assert missing == set()
