"""Maps of embeddings: what is drawn, explained and rejected."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from fastparadime.utils import _drawing
from fastparadime.utils.plotting import get_color_palette, get_colormap, save_map, scatterplot


@pytest.fixture
def ax():
    figure = Figure(figsize=(4, 4))
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def _coords(n: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32)


def _face_colors(ax) -> set[tuple[float, ...]]:
    return {tuple(rgb.round(4)) for rgb in ax.collections[0].get_facecolors()[:, :3]}


def _rgb(name: str) -> tuple[float, ...]:
    return tuple(np.round(to_rgb(name), 4))


def test_palette_and_colormap() -> None:
    palette = get_color_palette()
    assert len(set(palette.values())) == len(palette) == 10
    # As paraDime's notebooks ask for them.
    assert (palette["petrol"], palette["aqua"]) == ("#1c5c60", "#23c7a2")
    palette.clear()
    assert len(get_color_palette()) == 10
    assert get_colormap().N == 256


def test_classes_get_colors_and_a_legend_in_order(ax) -> None:
    assert scatterplot(_coords(30), [2, 0, 1] * 10, ax=ax) is ax
    first_three = ["#0072b2", "#e69f00", "#009e73"]
    assert _face_colors(ax) == {_rgb(c) for c in first_three}
    legend = ax.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["0", "1", "2"]
    assert [_rgb(line.get_color()) for line in legend.get_lines()] == [_rgb(c) for c in first_three]
    assert ax.get_aspect() == 1
    assert not ax.axison


def test_points_keep_their_labels_when_shuffled(ax) -> None:
    coords = _coords(500)
    scatterplot(coords, coords[:, 0] > 0, ax=ax, s=np.where(coords[:, 0] > 0, 9, 1))
    drawn = ax.collections[0]
    blue = np.isclose(drawn.get_facecolors()[:, :3], to_rgb("#0072b2")).all(axis=1)
    offsets = np.asarray(drawn.get_offsets())
    assert np.array_equal(blue, offsets[:, 0] <= 0)
    assert np.array_equal(drawn.get_sizes() == 9, offsets[:, 0] > 0)
    assert not np.array_equal(offsets, coords)


def test_colormap_labels_to_index_and_options(ax) -> None:
    labels = np.array(["b", "a"] * 5)
    scatterplot(
        torch.from_numpy(_coords(10)), labels, ["red", "green", "blue"], {"a": 2, "b": 0}, ax=ax,
        legend_options={"loc": "upper left", "title": "kind"}, edgecolor="black", alpha=1.0,
    )  # fmt: skip
    assert _face_colors(ax) == {_rgb("red"), _rgb("blue")}
    lines = ax.get_legend().get_lines()
    assert [_rgb(line.get_color()) for line in lines] == [_rgb("blue"), _rgb("red")]
    assert ax.get_legend().get_title().get_text() == "kind"


@pytest.mark.parametrize(
    "labels",
    [torch.arange(30) % 3, [0.5, 1.5] * 15, ["x", None, 3] * 10, np.ones((30, 1), bool)],
    ids=["tensor", "few floats", "mixed", "column"],
)
def test_kinds_of_classes(ax, labels) -> None:
    scatterplot(_coords(30), labels, ax=ax)
    assert ax.get_legend() is not None


def test_many_floats_get_a_colorbar_and_missing_ones_are_grey(ax) -> None:
    labels = np.linspace(0, 1, 100)
    labels[5] = np.nan
    scatterplot(_coords(100), labels, ax=ax)
    assert ax.get_legend() is None
    assert len(ax.figure.axes) == 2
    assert (0.75, 0.75, 0.75) in _face_colors(ax)


def test_more_classes_than_colors_stay_distinct(ax) -> None:
    scatterplot(_coords(120), np.arange(120) % 60, ax=ax)
    assert len(_face_colors(ax)) == 60


def test_no_labels_one_color_no_legend(ax) -> None:
    scatterplot(_coords(5), ax=ax, bgcolor=None)
    assert _face_colors(ax) == {_rgb("#0072b2")}
    assert ax.get_legend() is None


@pytest.mark.parametrize("labels", [None, "classes", "scale"])
def test_many_points_become_an_image(ax, labels) -> None:
    n = 60_000
    coords = _coords(n)
    kinds = {None: None, "classes": np.arange(n) % 2, "scale": coords[:, 0]}
    scatterplot(coords, kinds[labels], ax=ax)
    assert not ax.collections
    (image,) = ax.images
    left, right, bottom, top = image.get_extent()
    assert left <= coords[:, 0].min() < coords[:, 0].max() <= right
    assert bottom <= coords[:, 1].min() < coords[:, 1].max() <= top
    pixels = image.get_array()
    assert np.isfinite(pixels).all()
    assert 0 < (pixels[..., 3] > 0).mean() < 1


def test_image_puts_colors_where_the_points_are(ax) -> None:
    n = 60_000
    coords = np.repeat([[-1.0, 0.0], [1.0, 2.0]], n // 2, axis=0)
    scatterplot(coords, np.arange(n) >= n // 2, ax=ax)
    pixels = ax.images[0].get_array()
    height, width = pixels.shape[:2]
    lower_left = pixels[: height // 2, : width // 2]
    assert np.allclose(lower_left[lower_left[..., 3] > 0][:, :3], to_rgb("#0072b2"))
    upper_right = pixels[height // 2 :, width // 2 :]
    assert np.allclose(upper_right[upper_right[..., 3] > 0][:, :3], to_rgb("#e69f00"))
    assert not pixels[: height // 2, width // 2 :, 3].any()


@pytest.mark.parametrize("n", [1, 2, 60_000])
def test_identical_points(ax, n: int) -> None:
    scatterplot(np.zeros((n, 2)), ax=ax)
    ax.figure.canvas.draw()


def test_options_of_scatter_always_draw_points(ax) -> None:
    scatterplot(_coords(60_000), ax=ax, s=1)
    assert ax.collections
    assert not ax.images


_BAD = [
    (np.ones((4, 3)), None, "two columns"),
    (np.ones(4), None, "two dimensions"),
    (np.array([[0, 1], [np.nan, 1]]), None, "coords .* row 1"),
    (np.zeros((0, 2)), None, "coords is empty"),
    (np.ones((4, 2)), [1, 2], "each of the 4 points"),
    (np.ones((4, 2)), np.ones((4, 2)), "each of the 4 points"),
]


@pytest.mark.parametrize(("coords", "labels", "message"), _BAD)
def test_bad_input(ax, coords, labels, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scatterplot(coords, labels, ax=ax)
    assert not ax.collections


def test_bad_colors(ax) -> None:
    with pytest.raises(ValueError, match="2 colours"):
        scatterplot(_coords(3), [0, 1, 2], ["red", "blue"], ax=ax)
    with pytest.raises(ValueError, match="no entry for the label 2"):
        scatterplot(_coords(3), [0, 1, 2], labels_to_index={0: 0, 1: 1}, ax=ax)


def test_new_figure_has_the_asked_size() -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    ax = scatterplot(_coords(10), [0, 1] * 5, None, None, (5, 4))
    try:
        assert ax.figure.get_size_inches().tolist() == [5, 4]
        ax.figure.canvas.draw()
    finally:
        plt.close(ax.figure)


def test_save_map_is_deterministic(tmp_path) -> None:
    for name in ("a.png", "b.png"):
        save_map(tmp_path / name, _coords(200), np.arange(200) % 4, "title")
    content = (tmp_path / "a.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert content == (tmp_path / "b.png").read_bytes()


def test_save_map_needs_no_pyplot(tmp_path) -> None:
    code = (
        "import sys, numpy\n"
        "from fastparadime.utils.plotting import save_map\n"
        f"save_map({str(tmp_path / 'x.png')!r}, numpy.eye(2), [1, 2])\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("ending", ["svg", "pdf"])
def test_maps_as_vectors(tmp_path, ending: str) -> None:
    paths = [tmp_path / f"{i}.{ending}" for i in range(2)]
    for path in paths:
        save_map(path, _coords(200), np.arange(200) % 4, "cost in $ < 5", caption="n_neighbors=15")
    content = paths[0].read_bytes()
    assert content.startswith({"svg": b"<?xml", "pdf": b"%PDF"}[ending])
    assert content == paths[1].read_bytes()
    save_map(tmp_path / "map.part", _coords(9), format=ending)
    assert (tmp_path / "map.part").read_bytes()[:4] == content[:4]


def test_unknown_formats_write_nothing(tmp_path) -> None:
    with pytest.raises(ValueError, match="format must be"):
        save_map(tmp_path / "map.jpg", _coords(9), format="jpg")
    assert list(tmp_path.iterdir()) == []


def test_raster_threshold_is_documented() -> None:
    assert f"{_drawing.RASTER_FROM:,}" in (scatterplot.__doc__ or "")
