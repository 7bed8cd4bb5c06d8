"""Parametric dimensionality reduction at native speed, source-compatible with paraDime."""

from __future__ import annotations

import importlib
import sys
import warnings
from importlib import metadata
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from fastparadime.cli.config import show_config
    from fastparadime.estimators import UMAP, AlignedUMAP, KNNTransformer, ParametricUMAP
    from fastparadime.utils.tables import read_table

__version__ = metadata.version("fastparadime")

_MODULES = (
    "dr",
    "engines",
    "estimators",
    "exceptions",
    "graph",
    "layout",
    "loss",
    "models",
    "neighbors",
    "ops",
    "plot",
    "relationdata",
    "relations",
    "routines",
    "training",
    "transforms",
    "types",
    "utils",
)
_NAMES = {
    "UMAP": "estimators",
    "AlignedUMAP": "estimators",
    "KNNTransformer": "estimators",
    "ParametricUMAP": "estimators",
    "read_table": "utils.tables",
    "show_config": "cli.config",
}
# Where modules were before, and where they are now.
_MOVED = {
    "config": "cli.config",
    "dataset": "dr.dataset",
    "exporting": "dr.exporting",
    "inference": "dr.inference",
    "optim": "training.optim",
    "phases": "training.phases",
    "preparation": "dr.preparation",
    "quality": "routines.quality",
    "sampling": "training.sampling",
    "reference": "ops.reference",
    "saving": "dr.saving",
    "spec": "dr.spec",
    "spectral": "layout.spectral",
}
__all__ = [
    "UMAP",
    "AlignedUMAP",
    "KNNTransformer",
    "ParametricUMAP",
    "__version__",
    "read_table",
    "show_config",
]


def _moved(name: str) -> ModuleType:
    """The module that had a name before, or is within one that had it."""
    first, _, rest = name.partition(".")
    now = ".".join(filter(None, (__name__, _MOVED[first], rest)))
    warnings.warn(f"{__name__}.{name} is now {now}", DeprecationWarning, stacklevel=3)
    return importlib.import_module(now)


class _MovedModules(MetaPathFinder, Loader):
    """Imports modules by their former names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, name = fullname.partition(".")
        moved = package == __name__ and name.partition(".")[0] in _MOVED
        return ModuleSpec(fullname, self) if moved else None

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = _moved(module.__name__.partition(".")[2])


# First, since the others would load a second copy of what is within a moved package.
sys.meta_path.insert(0, _MovedModules())


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(f"fastparadime.{_NAMES[name]}"), name)
    if name in _MOVED:
        module = globals()[name] = _moved(name)  # one import asks twice, and is to warn once
        return module
    if name in _MODULES:
        return importlib.import_module(f"fastparadime.{name}")
    raise AttributeError(f"module 'fastparadime' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, *(name for name in globals() if name.startswith("__"))})
