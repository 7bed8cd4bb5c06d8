"""Recipes in the headers of models' files, which are safetensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fastparadime.utils.digests import with_digests
from fastparadime.utils.files import replacing
from fastparadime.utils.tables.recipe import Recipe

_KEY = "table"  # beside what a file says of its model


def recipe_of(path: str | Path) -> Recipe | None:
    """The recipe that a model's file keeps, None if it keeps none or is no such file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    SpecificationError
        If the recipe is damaged.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        with safe_open(str(path), framework="np") as file:
            _, content = _description(file.metadata())
    except (SafetensorError, ValueError, RecursionError):
        return None
    found = content.get(_KEY)
    return None if found is None else Recipe.from_content(found, str(path))


def add_recipe(path: Path, recipe: Recipe) -> None:
    """Adds a recipe to what a model's file says of the model."""
    from safetensors import safe_open
    from safetensors.torch import save

    with safe_open(str(path), framework="pt") as file:
        key, content = _description(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    described = json.dumps(with_digests({**content, _KEY: recipe.to_content()}, tensors))
    with replacing(path) as part:
        # One entry alone: safetensors writes several in an order that changes from run to run.
        part.write_bytes(save(tensors, metadata={key: described}))


def _description(metadata: dict[str, str] | None) -> tuple[str, dict[str, Any]]:
    if metadata is None or len(metadata) != 1:
        raise ValueError("a model's file says one thing of it")
    ((key, text),) = metadata.items()
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("what a file says of a model is a mapping")
    return key, content
