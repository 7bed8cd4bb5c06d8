"""Plots by umap.plot's arguments: what is drawn where, in which colours, and what explains it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from fastparadime import UMAP, plot
from fastparadime.plot import maps
from fastparadime.utils import _drawing
from fastparadime.utils._classes import check_labels, classes_of

N = 90
LABELS = np.arange(N) % 3
FIRST_COLORS = ["#0072b2", "#e69f00", "#009e73"]  # of classes


@pytest.fixture
def ax() -> Any:
    return Figure(figsize=(4, 4)).add_subplot()


@pytest.fixture
def _pyplot() -> Iterator[None]:
    mpl.use("Agg")
    yield
    plt.close("all")


def positions(n: int = N) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32)


def drawn(ax: Any) -> dict[tuple[float, float], tuple[float, ...]]:
    """Colours by position."""
    (points,) = ax.collections
    offsets, colors = np.asarray(points.get_offsets()), points.get_facecolors()[:, :3]
    pairs = zip(offsets.tolist(), colors.round(4).tolist(), strict=True)
    return {tuple(place): tuple(color) for place, color in pairs}


def rgb(color: Any) -> tuple[float, ...]:
    return tuple(np.round(to_rgb(color), 4).tolist())


def legend(ax: Any) -> dict[str, tuple[float, ...]]:
    shown = ax.get_legend()
    names = [text.get_text() for text in shown.get_texts()]
    return {
        name: rgb(line.get_color()) for name, line in zip(names, shown.get_lines(), strict=True)
    }


def test_classes_have_the_colors_of_the_legend(ax: Any) -> None:
    Y = positions()
    names = np.array(["ant", "bee", "cat"])[LABELS]
    assert plot.points(Y, names, ax=ax) is ax
    explained = legend(ax)
    assert explained == dict(zip(["ant", "bee", "cat"], map(rgb, FIRST_COLORS), strict=False))
    assert drawn(ax) == {
        tuple(place): explained[name] for place, name in zip(Y.tolist(), names, strict=True)
    }
    assert ax.get_aspect() == 1


@pytest.mark.parametrize(
    "options",
    [
        {"color_key": {0: "red", 1: "lime", 2: "blue", 3: "black"}},
        {"color_key": ["red", "#00ff00", (0, 0, 1)]},
        {"color_key_cmap": mpl.colors.ListedColormap(["red", "lime", "blue"])},
    ],
    ids=["mapping", "list", "colour map"],
)
def test_colors_of_ones_own(ax: Any, options: dict[str, Any]) -> None:
    plot.points(positions(), LABELS, ax=ax, **options)
    assert legend(ax) == {"0": rgb("red"), "1": rgb("lime"), "2": rgb("blue")}


def test_labels_are_classes_and_values_a_scale(ax: Any) -> None:
    plot.points(positions(), values=[0] * 60 + [1] * 30, cmap="gray", ax=ax)
    assert ax.get_legend() is None
    assert len(ax.figure.axes) == 2
    assert ax.figure.axes[1].get_ylim() == (0, 1)
    places = positions().tolist()
    found = drawn(ax)
    assert {found[tuple(place)] for place in places[:60]} == {(0, 0, 0)}
    assert {found[tuple(place)] for place in places[60:]} == {(1, 1, 1)}


def test_estimators_tensors_frames_and_lists(ax: Any) -> None:
    expected = set(map(tuple, positions().tolist()))
    for given in (
        SimpleNamespace(embedding_=positions()),
        torch.from_numpy(positions()),
        pd.DataFrame(positions()),
        positions().tolist(),
    ):
        ax.clear()
        plot.points(given, ax=ax)
        assert set(drawn(ax)) == expected
        assert set(drawn(ax).values()) == {rgb("#0072b2")}
        assert ax.get_legend() is None


def test_a_subset_keeps_its_colors(ax: Any) -> None:
    Y = positions()
    plot.points(Y, LABELS, ax=ax)
    whole = drawn(ax)
    ax.clear()
    plot.points(Y, LABELS, ax=ax, subset_points=LABELS == 2, show_legend=False)
    part = drawn(ax)
    assert set(part) == set(map(tuple, Y[LABELS == 2].tolist()))
    assert part.items() <= whole.items()
    assert ax.get_legend() is None


def test_points_without_a_position_are_left_out(ax: Any) -> None:
    Y = positions()
    Y[4] = np.nan
    plot.points(Y, LABELS, ax=ax)
    assert set(drawn(ax)) == set(map(tuple, np.delete(Y, 4, axis=0).tolist()))


def test_size_alpha_and_background(ax: Any) -> None:
    plot.points(positions(60_000), ax=ax, point_size=7.5, alpha=0.25, background="black")
    (points,) = ax.collections
    assert points.get_sizes().tolist() == [7.5]
    assert points.get_alpha() == 0.25
    assert ax.get_facecolor() == (0, 0, 0, 1)


def test_dark_backgrounds_have_light_text_and_classes(ax: Any) -> None:
    plot.points(positions(), np.arange(N) % 9, ax=ax, background="black")
    assert {rgb(text.get_color()) for text in ax.get_legend().get_texts()} == {rgb("#f0f0f0")}
    brightness = [np.dot(color, (0.299, 0.587, 0.114)) for color in legend(ax).values()]
    assert min(brightness) >= 0.3
    assert set(drawn(ax).values()) == set(legend(ax).values())


@pytest.mark.usefixtures("_pyplot")
def test_new_figures_have_the_asked_size() -> None:
    ax = plot.points(positions(), LABELS, width=300, height=200)
    ax.figure.canvas.draw()
    assert ax.figure.canvas.get_width_height() == (300, 200)


@pytest.mark.parametrize("renderer", ["image", "datashader"])
def test_images_hold_every_point_where_it_is(ax: Any, renderer: str) -> None:
    Y = np.repeat([[-1.0, 0.0], [1.0, 2.0]], 30_000, axis=0)
    labels = np.repeat(["low", "high"], 30_000)
    plot.points(Y, labels, renderer=renderer, color_key={"low": "red", "high": "blue"}, ax=ax)
    assert not ax.collections
    (image,) = ax.images
    pixels = np.asarray(image.get_array())
    rows, columns = np.nonzero(pixels[..., 3])
    assert len(rows) == 2 * 5  # a point has four neighbours
    low = rows < len(pixels) / 2
    np.testing.assert_array_equal(columns < pixels.shape[1] / 2, low)
    assert {tuple(color) for color in pixels[rows[low], columns[low], :3]} == {(1, 0, 0)}
    assert {tuple(color) for color in pixels[rows[~low], columns[~low], :3]} == {(0, 0, 1)}
    left, right, bottom, top = image.get_extent()
    assert left < -1 < 1 < right
    assert bottom < 0
    assert top > 2


@pytest.mark.parametrize("colored", ["classes", "scale", "one"])
def test_datashader_draws_the_same_image(colored: str) -> None:
    n = 120_000
    Y = positions(n)
    options = {"classes": {"labels": np.arange(n) % 70}, "scale": {"values": Y[:, 0]}, "one": {}}
    images = []
    for renderer in ("image", "datashader"):
        ax = Figure(figsize=(2, 2)).add_subplot()
        plot.points(Y, renderer=renderer, alpha=0.7, ax=ax, **options[colored])
        images.append(np.asarray(ax.images[0].get_array()))
    np.testing.assert_allclose(images[0], images[1], atol=1e-5)
    assert 0 < images[0][..., 3].max() <= 0.7


def test_counts_are_those_of_the_points() -> None:
    grid = _drawing.Grid(0.0, 0.0, 1.0, 3, 2)
    Y = np.array([[0.5, 0.5], [0.5, 0.5], [2.5, 1.5]])
    values = np.array([[1.0], [2.0], [4.0]])
    for add in (_drawing.add_up, maps._add_by_datashader):
        counts, sums = add(grid, Y, values)
        assert counts.tolist() == [[2, 0, 0], [0, 0, 1]]
        assert sums.tolist() == [[3, 0, 0], [0, 0, 4]]


@pytest.mark.parametrize(
    ("n", "expected"),
    [(50_000, "scatter"), (50_001, "image"), (1_000_000, "image"), (1_000_001, "datashader")],
)
def test_renderers_by_size(n: int, expected: str) -> None:
    assert maps._renderer(None, n, None) == expected
    assert maps._renderer(None, n, 1.0) == "scatter"
    for limit in (_drawing.RASTER_FROM, maps._DATASHADER_FROM):
        assert f"{limit:,}" in (plot.points.__doc__ or "")


def square() -> SimpleNamespace:
    """Four corners, an edge along the bottom, twice as strong a one along the top."""
    graph = scipy.sparse.csr_matrix(
        ([0.5, 0.5, 1.0, 1.0], ([0, 1, 2, 3], [1, 0, 3, 2])), shape=(4, 4)
    )
    return SimpleNamespace(
        embedding_=np.array([[0, 0], [1, 0], [0, 1], [1, 1]], float), graph_=graph
    )


def test_edges_are_drawn_where_they_are(ax: Any) -> None:
    plot.connectivity(square(), ax=ax, edge_color="red")
    assert not ax.collections
    pixels = np.asarray(ax.images[0].get_array())
    assert (pixels[..., :3] == (1, 0, 0)).all()
    bottom, top = pixels[0, 1:-1, 3], pixels[-1, 1:-1, 3]
    assert (bottom > 0).all()
    assert (top > bottom).all()
    assert not pixels[1:-1, :, 3].any()


def test_points_over_edges(ax: Any) -> None:
    plot.connectivity(square(), show_points=True, labels=[0, 0, 1, 1], background="k", ax=ax)
    assert len(drawn(ax)) == 4
    assert list(legend(ax)) == ["0", "1"]
    assert np.allclose(np.asarray(ax.images[0].get_array())[..., :3], to_rgb("#f0f0f0"))


def test_edges_of_lost_points_are_left_out(ax: Any) -> None:
    estimator = square()
    estimator.embedding_[3] = np.nan
    plot.connectivity(estimator, ax=ax)
    pixels = np.asarray(ax.images[0].get_array())[..., 3]
    assert (pixels[0, 1:-1] > 0).all()
    assert not pixels[1:].any()


def test_the_graph_of_umap(ax: Any) -> None:
    X = np.random.default_rng(0).normal(size=(N, 4))
    plot.connectivity(UMAP(n_epochs=20, random_state=0).fit(X), ax=ax)
    share = (np.asarray(ax.images[0].get_array())[..., 3] > 0).mean()
    assert 0.01 < share < 0.9


def test_widgets_hold_the_points_and_what_is_shown_of_them() -> None:
    Y = positions()
    names = [f"point {i}" for i in range(N)]
    widget = plot.interactive(Y, LABELS, hover_data=names, width=300, height=200)
    frame = widget._data
    np.testing.assert_array_equal(frame[["x", "y"]], Y)
    assert frame["label"].tolist() == [str(label) for label in LABELS]
    assert frame["name"].tolist() == names
    assert widget.tooltip()["enable"]
    assert widget.tooltip()["properties"] == ["label", "name"]
    assert widget.legend()["legend"]
    assert widget.color()["by"] == "label"
    colors = [color[:3] for color in widget.color()["map"]]
    expected = list(map(to_rgb, FIRST_COLORS))
    np.testing.assert_allclose(colors, expected, atol=1 / 255)
    assert (widget.width(), widget.height()) == (300, 200)
    assert widget.widget.points.shape == (N, 4)
    x, y = (getattr(widget, axis)()["scale"] for axis in "xy")
    assert x.vmax - x.vmin == pytest.approx(y.vmax - y.vmin)


def test_widgets_of_unknown_labels() -> None:
    labels = [None if label == 1 else f"kind {label}" for label in LABELS]
    widget = plot.interactive(positions(), labels, hover_data={"size": labels})
    shown = ["unknown" if label is None else label for label in labels]
    assert widget._data["label"].tolist() == shown
    sizes = widget._data["size"].tolist()  # pandas 3 keeps what is missing as NaN
    assert [size if isinstance(size, str) else None for size in sizes] == labels
    np.testing.assert_allclose(widget.color()["map"][-1][:3], 0.75, atol=1 / 255)


def test_widgets_of_scales_frames_and_subsets() -> None:
    Y = positions()
    frame = pd.DataFrame({"kind": LABELS, "weight": Y[:, 0]}, index=range(5, N + 5))
    subset = LABELS == 1
    widget = plot.interactive(
        Y, values=Y[:, 1], hover_data=frame, subset_points=subset, alpha=0.5, point_size=4,
        background="black", show_legend=False,
    )  # fmt: skip
    data = widget._data
    assert data.index.tolist() == np.flatnonzero(subset).tolist()
    assert widget.selection([4, 7]).selection().tolist() == [4, 7]
    assert widget.widget.selection.tolist() == [1, 2]
    np.testing.assert_array_equal(data["value"], Y[subset, 1])
    np.testing.assert_array_equal(data["weight"], Y[subset, 0])
    assert widget.tooltip()["properties"] == ["value", "kind", "weight"]
    assert widget.color()["by"] == "value"
    assert (widget.color()["norm"].vmin, widget.color()["norm"].vmax) == (
        pytest.approx(Y[:, 1].min()),
        pytest.approx(Y[:, 1].max()),
    )
    assert widget.opacity()["default"] == 0.5
    assert widget.size()["default"] == 4
    assert widget.background()["color"] == (0, 0, 0, 1)
    assert not widget.legend()["legend"]
    assert plot.interactive(Y)._data.columns.tolist() == ["x", "y"]


def test_widgets_show_all_of_a_map_on_a_laptop() -> None:
    wide, tall = positions() * (10, 1), positions() * (1, 10)
    for Y in (wide, tall):
        widget = plot.interactive(Y)
        width, height = widget.width(), widget.height()
        assert width <= 1366
        assert height <= 520  # of 650, less a notebook's own bars
        x, y = (getattr(widget, axis)()["scale"] for axis in "xy")
        assert x.vmax - x.vmin == pytest.approx(y.vmax - y.vmin)
        seen = (y.vmax - y.vmin) * np.array([width / height, 1])  # all of y, and x by the shape
        assert (np.ptp(Y, axis=0) < seen).all()


def test_import_is_light() -> None:
    code = (
        "import sys\n"
        "from fastparadime import plot\n"
        "heavy = {'matplotlib', 'pandas', 'datashader', 'jscatter'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_dates_are_named_as_such() -> None:
    days = np.array(["2020-01-02", "2020-01-01", "NaT", "2020-01-02"], "M8[ns]")
    values, known = check_labels(days, 4)
    assert classes_of(values, known)[0] == ["2020-01-01", "2020-01-02"]
    assert known.tolist() == [True, True, False, True]


def test_axes_that_are_in_no_figure() -> None:
    ax = Figure().add_subplot()
    ax.remove()
    with pytest.raises(ValueError, match="ax must be in a figure"):
        plot.points(positions(), ax=ax)
