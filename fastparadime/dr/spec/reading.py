"""Documents from files, and the parts of a routine from documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastparadime.exceptions import SpecificationError
from fastparadime.utils.messages import first_of
from fastparadime.utils.validate import check_integer, first_doubled

if TYPE_CHECKING:
    from fastparadime.dr.spec.parts import Parts


def validate_spec(file_or_spec: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """Checks a specification as far as that is possible without data and model.

    Parameters
    ----------
    file_or_spec : str, Path or mapping
        A YAML or JSON file, or the document itself.

    Returns
    -------
    dict
        The document.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    SpecificationError
        If the file is neither YAML nor JSON, or with a line for each error in the document.
    """
    document = _document(file_or_spec)
    _parts(document)
    return document


def read_parts(file_or_spec: str | Path | Mapping[str, Any], out_dim: int = 2) -> Parts:
    """The parts that a specification describes, newly made.

    Parameters
    ----------
    file_or_spec : str, Path or mapping
        A YAML or JSON file, or the document itself.
    out_dim : int
        Columns of 'pca' and 'spectral' positions that do not say how many they have.

    Raises
    ------
    FileNotFoundError, SpecificationError
        As for `validate_spec`.
    """
    out_dim = check_integer(out_dim, "out_dim", minimum=1)
    return _parts(_document(file_or_spec), out_dim)


def _parts(document: Mapping[str, Any], out_dim: int = 2) -> Parts:
    from fastparadime.dr.spec.parts import build  # it imports pydantic

    return build(document, out_dim)


def _document(file_or_spec: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(file_or_spec, Mapping):
        return dict(file_or_spec)
    if not isinstance(file_or_spec, (str, Path)):
        raise TypeError(
            "file_or_spec must be a mapping or the path of a YAML or JSON file, not "
            f"{type(file_or_spec).__name__}"
        )
    path = Path(file_or_spec)
    if not path.is_file():
        what = "a folder, not a file" if path.is_dir() else "no such file"
        raise FileNotFoundError(f"{what}: {path}")
    try:
        document = _parse(path.read_text(encoding="utf-8"), path.suffix.lower())
    except (ValueError, RecursionError) as error:
        form = "JSON" if path.suffix.lower() == ".json" else "YAML or JSON"
        reason = first_of([str(error)])[0]
        raise SpecificationError(f"{path} is not a {form} file: {reason}") from error
    if document is None:
        raise SpecificationError(f"{path} is empty")
    if not isinstance(document, dict):
        raise SpecificationError(
            f"{path} must hold a mapping of sections, not {type(document).__name__}"
        )
    return document


def _parse(text: str, suffix: str) -> Any:
    """The content of a file; raises ValueError for text of another form, and for doubled keys."""
    if suffix == ".json":
        return json.loads(text, object_pairs_hook=_without_doubles) if text.strip() else None
    import yaml

    from fastparadime.dr.spec.yaml12 import Loader

    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ValueError(error) from error


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError(f"found the key {first_doubled(key for key, _ in pairs)!r} more than once")
    return mapping
