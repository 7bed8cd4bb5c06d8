"""Recipes in the headers of models' files, which are safetensors."""

from __future__ import annotations

from pathlib import Path

from fastparadime.utils.files import replacing
from fastparadime.utils.tables.recipe import Recipe

KEY = "fastparadime.table"


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
            text = (file.metadata() or {}).get(KEY)
    except SafetensorError:
        return None
    return None if text is None else Recipe.from_json(text, str(path))


def add_recipe(path: Path, recipe: Recipe) -> None:
    """Adds a recipe to a model's file."""
    from safetensors import safe_open
    from safetensors.torch import save

    with safe_open(str(path), framework="pt") as file:
        metadata = {**(file.metadata() or {}), KEY: recipe.to_json()}
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    with replacing(path) as part:
        part.write_bytes(save(weights, metadata=metadata))
