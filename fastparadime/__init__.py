"""Parametric dimensionality reduction at native speed, source-compatible with paraDime."""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastparadime.config import show_config

__version__ = metadata.version("fastparadime")

_MODULES = (
    "dr",
    "exceptions",
    "exporting",
    "loss",
    "models",
    "neighbors",
    "ops",
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
__all__ = ["__version__", "show_config"]


def __getattr__(name: str) -> Any:
    if name == "show_config":
        return importlib.import_module("fastparadime.config").show_config
    if name in _MODULES:
        return importlib.import_module(f"fastparadime.{name}")
    raise AttributeError(f"module 'fastparadime' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES, "show_config"])
