"""Parametric dimensionality reduction at native speed, source-compatible with paraDime."""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastparadime.config import show_config
    from fastparadime.estimators import UMAP, KNNTransformer

__version__ = metadata.version("fastparadime")

_MODULES = (
    "dr",
    "estimators",
    "exceptions",
    "exporting",
    "loss",
    "models",
    "neighbors",
    "ops",
    "plot",
    "quality",
    "reference",
    "relationdata",
    "relations",
    "routines",
    "saving",
    "spec",
    "spectral",
    "training",
    "transforms",
    "types",
    "utils",
)
_NAMES = {"UMAP": "estimators", "KNNTransformer": "estimators", "show_config": "config"}
__all__ = ["UMAP", "KNNTransformer", "__version__", "show_config"]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(f"fastparadime.{_NAMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"fastparadime.{name}")
    raise AttributeError(f"module 'fastparadime' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, *(name for name in globals() if name.startswith("__"))})
