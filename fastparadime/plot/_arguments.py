"""What the plots share: their arguments checked, and packages that only some of them need."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from fastparadime.types import Array, TensorLike
from fastparadime.utils._classes import category_order, check_labels, classes_of
from fastparadime.utils._colors import (
    Coloring,
    color_classes,
    color_scale,
    color_table,
    is_dark,
    is_scale,
    one_color,
)
from fastparadime.utils._limits import Limits, limits_of
from fastparadime.utils.convert import to_numpy
from fastparadime.utils.masks import without_mask
from fastparadime.utils.validate import check_data, check_integer, check_positive

Values = TensorLike | Sequence[Any]


@dataclass(frozen=True)
class Map:
    """The points that are drawn, their colours, and which of those given they are."""

    points: Array  # float64 (m, 2)
    coloring: Coloring
    drawn: Array  # bool (n,)
    limits: Limits  # of all points, so that they stay when a subset is drawn


@dataclass(frozen=True)
class Colors:
    """The arguments that colour points, as they were given."""

    labels: Values | None = None
    values: Values | None = None
    cmap: Any = None
    color_key: Mapping[Any, Any] | Sequence[Any] | None = None
    color_key_cmap: Any = None
    background: Any = "white"

    def coloring(self, n: int) -> Coloring:
        """The colours of n points.

        Raises
        ------
        TypeError, ValueError
            For arguments that exclude or need one another, or do not fit the points.
        """
        check_color(self.background, "background")
        if self.labels is not None and self.values is not None:
            raise ValueError("labels and values were both given, but points have one colour")
        keyed = self.color_key is not None or self.color_key_cmap is not None
        if self.labels is None and keyed:
            raise ValueError("color_key and color_key_cmap colour labels, but no labels were given")
        if self.labels is not None:
            values, known = check_labels(self.labels, n)
            classes, codes = classes_of(values, known, category_order(self.labels))
            if keyed or not is_scale(values, len(classes)):
                return self._of_classes(classes, codes)
            return self._of_values(values, known)
        if self.values is not None:
            return self._of_values(*check_labels(self.values, n, "values"))
        if self.cmap is not None:
            raise ValueError("cmap colours values, but no values were given")
        return one_color(n, dark=self.dark)

    @property
    def dark(self) -> bool:
        """Whether the background is."""
        return is_dark(self.background)

    def _of_classes(self, classes: list[Any], codes: Array) -> Coloring:
        if self.color_key is not None and self.color_key_cmap is not None:
            raise ValueError("color_key and color_key_cmap were both given: one says the colours")
        if self.cmap is not None:
            raise ValueError("cmap colours values, but the labels are classes: color_key_cmap does")
        table = None
        if self.color_key is not None:
            table = _key_table(self.color_key, classes)
        elif self.color_key_cmap is not None:
            cmap = _colormap(self.color_key_cmap, "color_key_cmap")
            table = cmap(np.linspace(0, 1, len(classes)))[:, :3]
        return color_classes(classes, codes, table, dark=self.dark)

    def _of_values(self, values: Array, known: Array) -> Coloring:
        if values.dtype.kind not in "biuf":
            raise TypeError(f"values must be numbers, not {values.dtype}: classes are labels")
        numbers = np.where(known, values.astype(np.float64), np.nan)
        if not np.isfinite(numbers).any():
            raise ValueError("values must hold a finite number, but none is")
        if self.cmap is None:
            return color_scale(numbers, dark=self.dark)
        table = _colormap(self.cmap, "cmap")(np.arange(256) / 255)[:, :3]
        return color_scale(numbers, table, dark=self.dark)


def _key_table(color_key: Mapping[Any, Any] | Sequence[Any], classes: list[Any]) -> Array:
    if isinstance(color_key, Mapping):
        missing = [name for name in classes if name not in color_key]
        if missing:
            raise ValueError(f"color_key has no colour for the label {missing[0]!r}")
        colors = [color_key[name] for name in classes]
    elif isinstance(color_key, str) or not hasattr(color_key, "__len__"):
        raise TypeError(f"color_key must map labels to colours, or list them, not {color_key!r}")
    elif len(color_key) < len(classes):
        raise ValueError(f"color_key has {len(color_key)} colours for {len(classes)} labels")
    else:
        colors = list(color_key)
    try:
        return color_table(colors)
    except ValueError as error:
        raise ValueError(f"color_key must hold colours: {error}") from None


def _colormap(cmap: Any, name: str) -> Any:
    from matplotlib import colormaps
    from matplotlib.colors import Colormap

    if isinstance(cmap, Colormap):
        return cmap
    if not isinstance(cmap, str) or cmap not in colormaps:
        raise ValueError(f"{name} must be a colour map of matplotlib or its name, not {cmap!r}")
    return colormaps[cmap]


def map_of(embedding: Any, colors: Colors, subset_points: Any = None) -> Map:
    """The points of an embedding that are drawn.

    Colours are those of all points, so that they stay when a subset is drawn. Points of which no
    coordinate is known, as UMAP leaves those without neighbours, are not drawn.

    Raises
    ------
    TypeError, ValueError
        For an embedding that is no table of two columns, colours that do not fit it, and a subset
        that is not one truth value a point or leaves none.
    """
    points = positions_of(embedding)
    n = len(points)
    coloring = colors.coloring(n)
    placed: Array = ~np.all(np.isnan(points), axis=1)
    drawn = placed
    if subset_points is not None:
        subset, known = check_labels(subset_points, n, "subset_points")
        if subset.dtype != bool:
            raise TypeError(f"subset_points must hold truth values, not {subset.dtype}")
        drawn = drawn & subset & known
    if not drawn.any():
        raise ValueError(
            "no point is left to draw: all are without a position or out of the subset"
        )
    check_data(points[placed], "embedding", min_rows=1)
    codes, limits = coloring.codes[drawn], limits_of(points[placed])
    return Map(points[drawn], replace(coloring, codes=codes), drawn, limits)


def positions_of(embedding: Any) -> Array:
    """The coordinates float64 (n, 2) of an array, tensor or fitted estimator."""
    table = getattr(embedding, "embedding_", embedding)
    if hasattr(table, "to_numpy"):  # data frames
        table = table.to_numpy()
    table = without_mask(table, "embedding")
    if not isinstance(table, (np.ndarray, torch.Tensor, list, tuple)):
        raise TypeError(
            "embedding must be a table of positions, or an estimator with embedding_, not "
            f"{type(embedding).__name__}: fit it before, or give what it embeds"
        )
    points = to_numpy(table)
    if points.dtype.kind not in "biuf":
        raise TypeError(f"embedding must hold numbers, not {points.dtype}")
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(
            f"embedding must have rows of two columns to be drawn, but has shape {points.shape}"
        )
    return points.astype(np.float64)


def check_color(color: Any, name: str) -> None:
    """Raises ValueError for what matplotlib does not know as a colour."""
    from matplotlib.colors import is_color_like

    if not is_color_like(color):
        raise ValueError(f"{name} must be a colour, not {color!r}")


def check_pixels(width: Any, height: Any) -> tuple[int, int]:
    """The sizes, if they are whole numbers of pixels."""
    return check_integer(width, "width", minimum=1), check_integer(height, "height", minimum=1)


def check_alpha(alpha: Any) -> float | None:
    """The opacity, if it is in (0, 1], or None."""
    if alpha is None:
        return None
    if check_positive(alpha, "alpha") > 1:
        raise ValueError(f"alpha must lie in (0, 1], not {alpha}")
    return float(alpha)


def check_text(text: Any, name: str) -> str | None:
    """The text, if it is one or None."""
    if text is not None and not isinstance(text, str):
        raise TypeError(f"{name} must be text, not {type(text).__name__}")
    return text


_IN_CAPTION = ("n_neighbors", "min_dist", "spread", "metric", "n_epochs", "densmap", "random_state")


def parameters_of(embedding: Any) -> str:
    """What a caption says of an estimator: its name and main parameters that are set; else ""."""
    if not hasattr(embedding, "embedding_") or not hasattr(embedding, "get_params"):
        return ""
    params = embedding.get_params(deep=False)
    said = [
        f"{name}={params[name]}"
        for name in _IN_CAPTION
        if isinstance(params.get(name), (int, float, str)) and params[name] is not False
    ]
    name = type(embedding).__name__
    return f"{name}: {', '.join(said)}" if said else name


def load(module: str, extra: str, otherwise: str) -> Any:
    """A package that only some plots need.

    Raises
    ------
    ImportError
        If it is not installed, with the extra that has it and what goes without.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != module.split(".")[0]:
            raise
        raise ImportError(
            f"{module} is not installed: pip install 'fastparadime[{extra}]'{otherwise}"
        ) from None
