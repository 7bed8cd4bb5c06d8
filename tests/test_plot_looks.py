"""How maps look: colours told apart, legends that fit, order, names, strays, sizes, captions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from colorspacious import cspace_convert
from matplotlib.figure import Figure
from skimage.color import deltaE_ciede2000, rgb2lab

from fastparadime import UMAP, plot
from fastparadime.utils._colors import coloring_of
from fastparadime.utils._limits import filled_share, limits_of

N = 240
CVD = (None, "deuteranomaly", "protanomaly")


def positions(n: int = N) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 2))


def axes(inches: float = 6) -> Any:
    return Figure(figsize=(inches, inches), layout="constrained").add_subplot()


def names_on(ax: Any) -> list[Any]:
    return [text for text in ax.texts if text.get_zorder() == 5]


def caption(ax: Any) -> str:
    return " ".join(text.get_text() for text in ax.texts if text.get_zorder() != 5)


def seen(colors: np.ndarray, vision: str | None) -> np.ndarray:
    """CIELAB of colours as this vision has them."""
    if vision is not None:
        space = {"name": "sRGB1+CVD", "cvd_type": vision, "severity": 100}
        colors = np.clip(cspace_convert(colors, space, "sRGB1"), 0, 1)
    return np.asarray(rgb2lab(colors[None])[0])


def distances(a: np.ndarray, b: np.ndarray, vision: str | None) -> np.ndarray:
    return np.asarray(deltaE_ciede2000(seen(a, vision)[:, None], seen(b, vision)[None]))


@pytest.mark.parametrize("vision", CVD)
@pytest.mark.parametrize("background", ["#fcfcfc", "black"])
@pytest.mark.parametrize(("count", "least"), [(10, 13), (20, 7.5)])
def test_classes_are_told_apart(
    vision: str | None, background: str, count: int, least: float
) -> None:
    dark = background == "black"
    labels = [*map(str, range(count)), None]
    coloring = coloring_of(labels, count + 1, dark=dark)
    classes, grey = coloring.table[:count], coloring.table[count:]
    apart = distances(classes, classes, vision) + 1e3 * np.eye(count)
    assert apart.min() > least
    assert distances(classes, grey, vision).min() > 8
    assert distances(classes, np.full((1, 3), 0.0 if dark else 0.988), vision).min() > 16


def test_sevens_and_eights_are_told_apart() -> None:
    table = coloring_of(np.arange(10), 10).table
    assert min(distances(table[7:8], table[8:9], vision)[0, 0] for vision in CVD) > 20


@pytest.mark.parametrize("dark", [False, True])
def test_sixty_classes_have_colors_of_their_own(dark: bool) -> None:
    table = coloring_of(np.arange(60), 60, dark=dark).table
    assert len({tuple(color) for color in table.round(3)}) == 60
    scale = coloring_of(np.linspace(0, 1, 60), 60, dark=dark)
    background = np.full((1, 3), 0.0 if dark else 0.988)
    assert distances(scale.table[:256], background, None).min() > 12


def entries(labels: Any) -> list[str]:
    ax = axes()
    plot.points(positions(), labels, ax=ax)
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_legends_have_the_order_that_readers_expect() -> None:
    words = np.array(["c10", "c2", "B1", "a"])[np.arange(N) % 4]
    assert entries(words) == ["a", "B1", "c2", "c10"]
    sizes = pd.Categorical(
        np.array(["small", "large", "mid"])[np.arange(N) % 3], ["small", "mid", "large", "none"]
    )
    assert entries(sizes) == entries(pd.Series(sizes)) == ["small", "mid", "large"]
    assert entries(np.arange(N) % 12) == [str(i) for i in range(12)]
    assert entries((np.arange(N) % 3).astype(float)) == ["0", "1", "2"]


def test_unknown_labels_are_last_grey_and_beneath() -> None:
    labels = np.array(["zebra", None, "unknown"], object)[np.arange(N) % 3]
    assert entries(labels) == ["unknown", "zebra", "(unknown)"]
    ax = axes()
    plot.points(positions(), labels, ax=ax)
    assert ax.get_legend().get_lines()[-1].get_color() == (0.75, 0.75, 0.75)
    grey = np.isclose(ax.collections[0].get_facecolors()[:, :3], 0.75).all(axis=1)
    assert grey[: N // 3].all()
    assert not grey[N // 3 :].any()


def test_names_are_as_they_were_given() -> None:
    labels = np.array(["_hidden", "$x^2$ in $", "two\nlines"])[np.arange(N) % 3]
    assert entries(labels) == ["$x^2$ in $", "_hidden", "two lines"]
    labels = np.array(["lone \ud800", "\udcff of a file", "whole"])[np.arange(N) % 3]
    assert sorted(entries(labels)) == ["lone \ufffd", "whole", "\ufffd of a file"]


@pytest.mark.parametrize(
    ("count", "longest", "inches"),
    [(3, 3, 4), (3, 200, 8), (30, 3, 8), (30, 20, 8), (58, 3, 4), (58, 200, 8)],
)
def test_legends_take_a_quarter_of_the_width(count: int, longest: int, inches: int) -> None:
    labels = [f"{i % count} {'a' * longest}"[:longest] for i in range(N)]
    ax = axes(inches)
    plot.points(positions(), labels, ax=ax)
    if ax.get_legend() is None:
        assert names_on(ax)
    else:
        box = ax.get_legend().get_window_extent()
        assert box.width <= 0.25 * ax.get_window_extent().width
        assert box.height <= ax.get_window_extent().height


def test_many_classes_are_named_on_the_map_and_no_name_is_over_another() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 120, 6000)
    Y = 10 * rng.normal(size=(120, 2))[labels] + rng.normal(size=(6000, 2))
    ax = axes(4)
    plot.points(Y, [f"class {label}" for label in labels], ax=ax)
    assert ax.get_legend() is None
    ax.figure.draw_without_rendering()
    texts = names_on(ax)
    boxes = np.array([text.get_window_extent().extents for text in texts])
    assert 20 < len(texts) < 120
    assert f"{120 - len(texts)} of 120 classes without room for a name" in caption(ax)
    left, bottom, right, top = boxes.T
    over = (
        (left[:, None] < right) & (left < right[:, None])
        & (bottom[:, None] < top) & (bottom < top[:, None])
    )  # fmt: skip
    np.testing.assert_array_equal(over, np.eye(len(texts), dtype=bool))
    frame = ax.get_window_extent()
    assert (left >= frame.x0).all()
    assert (right <= frame.x1).all()
    for text in texts:
        own = Y[labels == int(text.get_text().split()[1])]
        assert np.linalg.norm(own - text.get_position(), axis=1).min() < 5


def test_many_floats_are_a_scale_by_themselves() -> None:
    ax = axes()
    labels = np.linspace(0, 1, N)
    labels[3] = np.nan
    plot.points(positions(), labels, cmap="magma", ax=ax)
    assert ax.get_legend() is None
    assert len(ax.figure.axes) == 2
    assert "grey: no value" in caption(ax)
    with pytest.raises(ValueError, match="cmap colours values"):
        plot.points(positions(), np.arange(N) % 3, cmap="magma", ax=ax)


def test_strays_do_not_shrink_the_map() -> None:
    Y = positions(2000)
    Y[:2] = (100, 0), (0, -70)
    limits = limits_of(Y)
    np.testing.assert_array_equal(limits.low, Y[2:].min(axis=0))
    np.testing.assert_array_equal(limits.high, Y[2:].max(axis=0))
    ax = axes()
    plot.points(Y, ax=ax, caption="UMAP")
    assert ax.get_xlim()[1] < 6
    assert caption(ax) == "UMAP · 2 of 2,000 points lie outside"
    Y[:40] = (100, 0)  # a cluster is no stray
    assert limits_of(Y).high[0] == 100
    few = np.vstack([positions(40), [[100, 0]]])
    assert limits_of(few).high[0] == 100
    assert limits_of(np.zeros((100, 2))).side > 0


@pytest.mark.parametrize("n", [60, 3000])
def test_usual_maps_lose_no_point(n: int) -> None:
    kept = 0
    for seed in range(40):
        Y = np.random.default_rng(seed).normal(size=(n, 2))
        kept += limits_of(Y).holds(Y).all()
    assert kept >= 39


def test_points_at_the_border_are_whole() -> None:
    for options in ({}, {"point_size": 400.0}):
        ax = axes()
        Y = positions(60)
        plot.points(Y, ax=ax, **options)
        ax.figure.draw_without_rendering()
        places = ax.transData.transform(Y)
        radius = np.sqrt(ax.collections[0].get_sizes()[0]) / 2 / 72 * ax.figure.dpi
        frame = ax.get_window_extent()
        assert (places - radius >= (frame.x0, frame.y0)).all()
        assert (places + radius <= (frame.x1, frame.y1)).all()


def test_denser_maps_have_smaller_points() -> None:
    spread = np.random.default_rng(0).uniform(size=(3000, 2))
    dense = np.vstack([0.1 * spread, [[1, 1]] * 40])
    assert filled_share(spread, limits_of(spread)) > 0.95
    assert filled_share(dense, limits_of(dense)) < 0.05
    sizes = []
    for Y in (spread, dense):
        ax = axes()
        plot.points(Y, ax=ax)
        sizes.append(ax.collections[0].get_sizes()[0])
    assert sizes[1] < sizes[0] / 4


def test_titles_and_captions() -> None:
    umap = UMAP(n_neighbors=5, n_epochs=5, random_state=3).fit(positions(60))
    ax = axes()
    plot.points(umap, ax=ax, title="$5 and $6")
    assert ax.get_title(loc="left") == "$5 and $6"
    expected = "UMAP: n_neighbors=5, min_dist=0.1, spread=1.0, metric=euclidean, n_epochs=5"
    assert " ".join(caption(ax).split()) == f"{expected}, random_state=3"
    ax = axes()
    plot.points(umap, ax=ax, caption="")
    assert caption(ax) == ""
    ax = axes()
    plot.points(umap, ax=ax, title="\ud83d", caption="of a\udcff")
    assert (ax.get_title(loc="left"), caption(ax)) == ("\ufffd", "of a\ufffd")
    with pytest.raises(TypeError, match="title must be text, not int"):
        plot.points(umap, ax=ax, title=3)


def test_what_is_in_axes_stays_in_view() -> None:
    ax = axes()
    ax.plot([-50, 50], [0, 0])
    plot.points(positions(), ax=ax)
    assert ax.get_xlim()[0] <= -50
    assert ax.get_xlim()[1] >= 50
