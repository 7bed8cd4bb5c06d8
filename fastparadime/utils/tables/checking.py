"""Checks of a table's cells, which name the column and the row as the file counts it."""

from __future__ import annotations

import numpy as np

from fastparadime.types import Array
from fastparadime.utils.centring import some_rows
from fastparadime.utils.tables.raw import Raw, Reading
from fastparadime.utils.tables.recipe import Recipe

_BLOCK_BYTES = 16 * 2**20
_UNEVEN = 100.0  # times the median spread of columns, beyond which one outweighs the others


def check_cells(raw: Raw, values: Array, names: tuple[str, ...] | None, reading: Reading) -> None:
    """Raises ValueError if a cell is missing, infinite or beyond float32, with what to do."""
    if values.dtype.kind != "f" or not values.size:
        return
    step = max(1, _BLOCK_BYTES // (values.itemsize * values.shape[1]))
    for start in range(0, len(values), step):
        block = values[start : start + step]
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(block.sum(dtype=np.float32)):
                continue
            finite = np.isfinite(block.astype(np.float32, copy=False))
        if finite.all():
            continue
        row = int(np.argmin(finite.all(axis=1)))
        column = int(np.argmin(finite[row]))
        raise ValueError(_explained(raw, block[row, column], start + row, column, names, reading))


def _explained(
    raw: Raw,
    value: float,
    row: int,
    column: int,
    names: tuple[str, ...] | None,
    reading: Reading,
) -> str:
    missing = bool(np.isnan(value))
    what = "no value" if missing and names else str(value)
    name = repr(names[column]) if names else str(column)
    remedy = "remove or replace such rows"
    if missing and reading.settled:
        remedy = f"fill such cells in, or fit again with {reading.option('missing', 'median')}"
    elif missing:
        remedy = f"{reading.option('missing', 'median')} fills such cells in"
        if names:
            remedy += f", {reading.option('drop', names[column])} leaves the column out"
    return (
        f"{raw.source} must hold finite float32 values, but {raw.place(row)} has {what} in column "
        f"{name}: {remedy}"
    )


def check_categories(raw: Raw, name: str, cells: Array, reading: Reading) -> None:
    """Raises ValueError if a cell of a column of categories is missing, with what to do."""
    row = next((row for row, cell in enumerate(cells) if cell is None), None)
    if row is not None:
        option = reading.option("missing", "most_frequent")
        remedy = f"{option} fills such cells in"
        if reading.settled:
            remedy = f"fill such cells in, or fit again with {option}"
        raise ValueError(
            f"{raw.source} must have a category in each row, but {raw.place(row)} has no value in "
            f"column {name!r}: {remedy}"
        )


def left_empty(raw: Raw, numbers: Array, names: tuple[str, ...] | None) -> list[int]:
    """Places of columns without any value, which nothing can fill in.

    Raises
    ------
    ValueError
        If columns are known by place, where none can be left out.
    """
    if numbers.dtype.kind != "f" or not len(numbers):
        return []
    candidates = np.flatnonzero(np.isnan(numbers[0].astype(np.float64)))
    places = [int(place) for place in candidates if np.isnan(numbers[:, place]).all()]
    if places and not (names and raw.named):
        raise ValueError(f"{raw.source} has no value at all in column {places[0]}: remove it")
    return places


def check_width(source: str, numbers: Array, recipe: Recipe) -> None:
    """Raises ValueError for another number of columns than the model takes."""
    hot = sum(len(known) for _, known in recipe.categories)
    if numbers.shape[1] != recipe.width - hot:
        raise ValueError(
            f"{source} has {numbers.shape[1]} columns, but the model takes {recipe.width - hot}"
        )


def spread_note(
    raw: Raw,
    numbers: Array,
    names: tuple[str, ...] | None,
    reading: Reading,
    scale: str | None,
) -> list[str]:
    """What to say where a named column is so much wider than the others that these hardly count."""
    if scale is not None or not names or len(names) < 2:
        return []
    with np.errstate(all="ignore"):
        spreads = np.nanstd(some_rows(numbers), axis=0)
    wide = spreads[spreads > 0]
    if not len(wide) or spreads.max() <= _UNEVEN * np.median(wide):
        return []
    name, times = names[int(spreads.argmax())], spreads.max() / np.median(wide)
    return [
        (
            f"column {name!r} of {raw.source} is {times:,.0f} times as wide as most, and outweighs "
            f"them ({reading.option('scale', 'standard')} makes all count alike)"
        )
    ]
