"""How rows are made of a table: chosen columns, filled cells, categories and scales, to be kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from fastparadime.exceptions import SpecificationError
from fastparadime.types import Array

MISSING = ("mean", "median", "most_frequent")
SCALES = ("standard", "robust")
_BLOCK_BYTES = 16 * 2**20
VERSION = 1


@dataclass(frozen=True)
class Recipe:
    """What was decided about the columns of the data of a model.

    Attributes
    ----------
    named : bool
        Whether columns are known by name, else by place.
    columns : tuple of str
        Of numbers, in the order of the features; empty where they have no names.
    vector : str or None
        The column whose lists are the features.
    categories : tuple of (str, tuple of str)
        Columns with their categories, each of which is a feature after the numbers.
    label, id : str or None
    left_out : tuple of str
        Columns that are no features.
    width : int
        Features in all.
    wide : bool
        Whether columns stay float64, since float32 would drop digits of them.
    missing, scale : str or None
    fill, centre, divisor : tuple of float
        Of each number; empty without `missing` or `scale`.
    category_fill : tuple of str
        What fills cells of each column of categories; empty but for ``"most_frequent"``.
    layer, obsm : str or None
        Of AnnData.
    """

    named: bool
    columns: tuple[str, ...]
    vector: str | None
    categories: tuple[tuple[str, tuple[str, ...]], ...]
    label: str | None
    id: str | None
    left_out: tuple[str, ...]
    width: int
    wide: bool
    missing: str | None = None
    scale: str | None = None
    layer: str | None = None
    obsm: str | None = None
    fill: tuple[float, ...] = field(default=(), repr=False)
    centre: tuple[float, ...] = field(default=(), repr=False)
    divisor: tuple[float, ...] = field(default=(), repr=False)
    category_fill: tuple[str, ...] = ()

    @classmethod
    def of_columns(cls, names: tuple[str, ...]) -> Recipe:
        """The recipe that takes columns as they are."""
        return cls(
            named=True,
            columns=names,
            vector=None,
            categories=(),
            label=None,
            id=None,
            left_out=(),
            width=len(names),
            wide=True,
        )

    @property
    def features(self) -> tuple[str, ...] | None:
        """Names of the features, None where they have none."""
        if not self.named or not (self.columns or self.categories):
            return None
        hot = [f"{name}={value}" for name, values in self.categories for value in values]
        return (*self.columns, *hot)

    def to_content(self) -> dict[str, Any]:
        """The recipe as JSON has it, with a digest that tells damage."""
        content = {"version": VERSION, **asdict(self)}
        return {**content, "digest": _digest(content)}

    @classmethod
    def from_content(cls, found: Any, path: str) -> Recipe:
        """The recipe of a file.

        Raises
        ------
        SpecificationError
            If it is damaged or of another version.
        """
        try:
            content = dict(found)
            digest = content.pop("digest")
            if digest != _digest(content):
                raise ValueError("it does not have its digest")
            version = content.pop("version")
            if version != VERSION:
                raise ValueError(f"it is of version {version}, not {VERSION}")
            content["categories"] = [(name, tuple(known)) for name, known in content["categories"]]
            given: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
            return cls(**given)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SpecificationError(f"the table of {path} is damaged: {error}") from error


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def learned(values: Array, missing: str | None, scale: str | None) -> dict[str, Any]:
    """What filling and scaling take from the numbers (n, d) that a model is fitted to."""
    found: dict[str, Any] = {"missing": missing, "scale": scale}
    if not values.shape[1]:
        return found
    if missing is not None:
        from sklearn.impute import SimpleImputer

        imputer = SimpleImputer(strategy=missing, keep_empty_features=True)
        found["fill"] = _floats(imputer.fit(_wide(values)).statistics_)
        values = filled(values, found["fill"])
    if scale == "standard":
        from sklearn.preprocessing import StandardScaler

        standard = StandardScaler().fit(_wide(values))
        found.update(centre=_floats(standard.mean_), divisor=_floats(standard.scale_))
    elif scale == "robust":
        from sklearn.preprocessing import RobustScaler

        robust = RobustScaler().fit(_wide(values))
        found.update(centre=_floats(robust.center_), divisor=_floats(robust.scale_))
    return found


def _wide(values: Array) -> Array:
    return values if values.dtype == np.float64 else np.asarray(values, np.float64)


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def filled(values: Array, fill: tuple[float, ...]) -> Array:
    """Values with what is missing, NaN, filled in; the same array where nothing is."""
    if values.dtype.kind != "f":
        return values
    gaps = np.isnan(values)
    if not gaps.any():
        return values
    return np.where(gaps, np.asarray(fill, values.dtype), values)


def scaled(values: Array, centre: tuple[float, ...], divisor: tuple[float, ...]) -> Array:
    """(values - centre) / divisor in float32, worked out in float64."""
    middle, width = np.asarray(centre), np.asarray(divisor)
    table = np.empty(values.shape, np.float32)
    step = max(1, _BLOCK_BYTES // (8 * max(1, values.shape[1])))
    for start in range(0, len(values), step):
        block = values[start : start + step].astype(np.float64)
        table[start : start + step] = (block - middle) / width
    return table
