"""Recipes in the headers of models' files, which are safetensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
            (text,) = (file.metadata() or {}).values()
        found = json.loads(text).get(_KEY)
    except (SafetensorError, ValueError, AttributeError, RecursionError):
        return None
    return None if found is None else Recipe.from_content(found, str(path))


def beside_model(recipe: Recipe) -> dict[str, Any]:
    """What a model's file keeps of the table that the model was fitted to."""
    return {_KEY: recipe.to_content()}
