"""bench/scale_model.py: its arithmetic, and which stage it calls the bottleneck."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).resolve().parent.parent / "bench"


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("scale_model")


def test_exact_search_of_many_rows_is_the_bottleneck(
    model: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    model.main(["--rows", "10_000_000", "--columns", "50", "--processes", "2", "--search", "exact"])
    printed = capsys.readouterr().out
    assert "bottleneck: neighbors, " in printed
    assert "by its work" in printed


def test_exchanges_are_the_bottleneck_of_a_slow_network(
    model: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--rows", "10_000_000", "--processes", "8", "--search", "clusters"]
    model.main([*asked, "--network", "1e6", "--passes", "1"])
    assert "by its exchanges" in capsys.readouterr().out


def test_clusters_take_a_part_of_an_exact_search_and_send_more(model: ModuleType) -> None:
    rates = model.MACHINES["cores"]
    found = {
        search: model.stages(10_000_000, 50, 14, 2, rates, model.parsed(["--search", search]))[1]
        for search in ("exact", "clusters")
    }
    assert found["clusters"].computed < found["exact"].computed / 50
    sent = model.SENT * (4 * 50 + 20 + 8 * 19) / 2  # half of the rows stay where they are
    rows = 4 * 50
    assert found["exact"].received == 5_000_000 * rows
    assert found["clusters"].received == pytest.approx(5_000_000 * (rows + sent))


def test_time_of_an_exact_search_is_its_products_over_their_rate(model: ModuleType) -> None:
    asked = model.parsed(["--flops", "1e9", "--search", "exact"])
    rates = model.replace(model.MACHINES["gpus"], flops=1e9)
    found = {part.name: part for part in model.stages(1000, 10, 5, 4, rates, asked)}
    search = found["neighbors"]
    assert search.computed == pytest.approx(2 * 250 * 1000 * 10 / 1e9)
    assert search.received == 3 * 4 * 10 * 250
    alone = {part.name: part for part in model.stages(1000, 10, 5, 1, rates, asked)}
    assert {part.received for part in alone.values()} == {0.0}
    assert {part.waited for part in alone.values()} == {0.0}


def test_groups_take_half_of_the_epochs_of_many_points(model: ModuleType) -> None:
    rates, asked = model.MACHINES["cores"], model.parsed([])
    few, many = (
        {part.name: part for part in model.stages(n, 50, 14, 2, rates, asked)}
        for n in (1_000_000, 2_000_000)
    )
    assert few["groups"].computed == 0
    assert many["groups"].computed == pytest.approx(2 * many["layout"].computed / model.GROUP)
    assert many["layout"].computed == pytest.approx(few["layout"].computed)
