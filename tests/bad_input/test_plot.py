"""Every plot refuses what it cannot draw, before it draws anything."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from fastparadime import UMAP, plot

Y = np.arange(8.0).reshape(4, 2)
GRAPH = scipy.sparse.csr_matrix(np.ones((4, 4)))
Call = Callable[..., Any]
Case = tuple[dict[str, Any], type[Exception], str]

SHARED: list[Case] = [
    ({"labels": [0, 1]}, ValueError, r"labels must have one value .* 4 points.*\(2,\)"),
    ({"values": [0, 1]}, ValueError, r"values must have one value .* 4 points.*\(2,\)"),
    ({"labels": [0] * 4, "values": [0] * 4}, ValueError, "labels and values were both given"),
    ({"values": list("abcd")}, TypeError, "values must be numbers.* classes are labels"),
    ({"values": [np.nan] * 4}, ValueError, "values must hold a finite number"),
    ({"cmap": "viridis"}, ValueError, "no values were given"),
    ({"values": range(4), "cmap": "none such"}, ValueError, "cmap must be .* not 'none such'"),
    ({"color_key": ["red"]}, ValueError, "no labels were given"),
    ({"color_key_cmap": "Spectral"}, ValueError, "no labels were given"),
    ({"labels": [0, 1, 2, 3], "color_key": ["red"]}, ValueError, "1 colours for 4 labels"),
    ({"labels": [0, 0, 1, 1], "color_key": {0: "red"}}, ValueError, "no colour for the label 1"),
    ({"labels": [0] * 4, "color_key": ["reddish"]}, ValueError, "color_key must hold colours"),
    ({"labels": [0] * 4, "color_key": "red"}, TypeError, "color_key must map .* not 'red'"),
    ({"labels": [0] * 4, "color_key_cmap": 3}, ValueError, "color_key_cmap must be .* not 3"),
    ({"labels": [0] * 4, "color_key": ["r"], "color_key_cmap": "jet"}, ValueError, "both given"),
    ({"background": "blackish"}, ValueError, "background must be a colour, not 'blackish'"),
    ({"width": 0}, ValueError, "width must be an integer >= 1, not 0"),
    ({"height": "800"}, TypeError, "height must be an integer >= 1, not '800'"),
    ({"show_legend": "no"}, ValueError, "show_legend must be .* not 'no'"),
]  # fmt: skip
OF_POINTS: list[Case] = [
    ({"subset_points": [True]}, ValueError, r"subset_points .* 4 points.*\(1,\)"),
    ({"subset_points": [0, 1, 2, 3]}, TypeError, "subset_points must hold truth values"),
    ({"subset_points": [False] * 4}, ValueError, "no point is left"),
    ({"alpha": 0}, ValueError, "alpha must be a finite number > 0, not 0"),
    ({"alpha": 1.5}, ValueError, r"alpha must lie in \(0, 1\], not 1.5"),
    ({"point_size": -1}, ValueError, "point_size must be .* not -1"),
]
CASES: dict[str, list[Case]] = {
    "points": [
        *SHARED, *OF_POINTS,
        ({"renderer": "gpu"}, ValueError, "renderer must be one of 'scatter'.* not 'gpu'"),
        ({"renderer": "image", "point_size": 1}, ValueError, "point_size .* not 'image'"),
        ({"title": 3}, TypeError, "title must be text, not int"),
        ({"caption": b"a"}, TypeError, "caption must be text, not bytes"),
    ],
    "connectivity": [
        *SHARED,
        ({"edge_color": "blackish"}, ValueError, "edge_color must be a colour"),
        ({"show_points": 1.5}, ValueError, "show_points must be .* not 1.5"),
    ],
    "interactive": [
        *SHARED, *OF_POINTS,
        ({"values": [0, 1, np.nan, 2]}, ValueError, "values must be finite in the widget"),
        ({"hover_data": 3}, TypeError, "hover_data must be a list .* 'name' is int"),
        ({"hover_data": "abcd"}, TypeError, "hover_data must be .* 'name' is str"),
        ({"hover_data": ["a"]}, ValueError, r"hover_data\['name'\] .* 4 points.*\(1,\)"),
        ({"hover_data": {"x": [1] * 4}}, ValueError, "hover_data has a column 'x'"),
    ],
}  # fmt: skip


def drawable() -> SimpleNamespace:
    return SimpleNamespace(embedding_=Y.copy(), graph_=GRAPH)


def test_the_walk_covers_every_plot() -> None:
    # tests/test_plot_html.py and tests/test_callbacks.py have those of the others.
    assert set(CASES) | {"history", "html"} == set(plot.__all__)
    for name, cases in CASES.items():
        arguments = set(inspect.signature(getattr(plot, name)).parameters)
        tried = {key for options, *_ in cases for key in options}
        assert arguments - tried == {"embedding" if name != "connectivity" else "estimator"} | (
            set() if name == "interactive" else {"ax"}
        )


@pytest.mark.parametrize(
    ("name", "number"), [(name, i) for name, cases in CASES.items() for i in range(len(cases))]
)
def test_what_cannot_be_drawn_is_refused(name: str, number: int) -> None:
    options, error, match = CASES[name][number]
    figures = plt.get_fignums()
    with pytest.raises(error, match=match):
        getattr(plot, name)(drawable(), **options)
    assert plt.get_fignums() == figures
    if name != "interactive":
        ax = Figure().add_subplot()
        with pytest.raises(error, match=match):
            getattr(plot, name)(drawable(), ax=ax, **options)
        assert not ax.get_children()[0].get_children()
        assert not ax.collections
        assert not ax.images


BAD_EMBEDDINGS: list[tuple[Any, type[Exception], str]] = [
    (np.ones((4, 3)), ValueError, r"two columns .* \(4, 3\)"),
    (np.ones(4), ValueError, r"two columns .* \(4,\)"),
    (np.ones((0, 2)), ValueError, r"two columns .* \(0, 2\)"),
    ([["a", "b"]], TypeError, "embedding must hold numbers"),
    (np.array([[0, 1], [np.inf, 1]]), ValueError, "embedding .* row 1 has inf"),
    (np.full((2, 2), np.nan), ValueError, "no point is left"),
    ("map.npy", TypeError, "embedding must be a table .* not str"),
    (None, TypeError, "embedding must be a table .* not NoneType"),
    (UMAP(), TypeError, "not UMAP: fit it before"),
    (GRAPH, TypeError, "embedding must be a table .* not csr_matrix"),
]


@pytest.mark.parametrize(("embedding", "error", "match"), BAD_EMBEDDINGS)
@pytest.mark.parametrize("name", sorted(CASES))
def test_embeddings(name: str, embedding: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        getattr(plot, name)(embedding)


def test_graphs() -> None:
    with pytest.raises(TypeError, match=r"sparse graph_.*SimpleNamespace has none"):
        plot.connectivity(SimpleNamespace(embedding_=Y))
    with pytest.raises(TypeError, match="sparse graph_"):
        plot.connectivity(SimpleNamespace(embedding_=Y, graph_=np.ones((4, 4))))
    with pytest.raises(ValueError, match=r"the 4 points .* \(3, 3\)"):
        plot.connectivity(SimpleNamespace(embedding_=Y, graph_=GRAPH[:3, :3]))


@pytest.mark.parametrize(
    ("package", "extra", "call"),
    [
        ("datashader", "plot", lambda: plot.points(Y, renderer="datashader")),
        ("datashader", "plot", lambda: plot.connectivity(drawable())),
        ("jscatter", "interactive", lambda: plot.interactive(Y)),
    ],
)
def test_missing_packages(
    package: str, extra: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as where it is not installed
    figures = plt.get_fignums()
    with pytest.raises(ImportError, match=rf"pip install 'fastparadime\[{extra}\]'"):
        call()
    assert plt.get_fignums() == figures
