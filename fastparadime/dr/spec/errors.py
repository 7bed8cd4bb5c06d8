"""What is wrong with a document, as one line for each error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails, PydanticCustomError

from fastparadime.exceptions import SpecificationError
from fastparadime.utils.messages import first_of

_SHOULD = "Input should be"
_FORMS = {
    "dict_type": f"{_SHOULD} a mapping",
    "model_type": f"{_SHOULD} a mapping",
    "list_type": f"{_SHOULD} a list",
    "tuple_type": f"{_SHOULD} a pair",
    "too_long": f"{_SHOULD} a pair",
}


def listed(known: Iterable[str]) -> str:
    """Names, quoted and separated by commas, the first of many."""
    return ", ".join(first_of(list(known), repr)) or "none"


def problem(reason: str, *at: str | int) -> PydanticCustomError:
    """An error of an entry; `at` is the path within it."""
    return PydanticCustomError("part", "{reason}", {"reason": reason, "at": at})


def failure(lines: Sequence[str]) -> SpecificationError:
    """The error of a document, with a line for each thing that is wrong."""
    flat = first_of(lines, lambda line: " ".join(line.split()))
    return SpecificationError("\n".join(["the specification cannot be used:", *flat]))


def line(details: ErrorDetails, model: type[BaseModel]) -> str:
    """An error of pydantic as 'place: what is wrong'."""
    place = (*details["loc"], *details.get("ctx", {}).get("at", ()))
    kind, value = details["type"], details["input"]
    if kind == "part":
        return f"{_path(place)}: {details['msg']}"
    if kind == "missing":
        return f"{_path(place)}: is missing"
    if kind in ("extra_forbidden", "invalid_key"):
        fields = listed(_fields_at(details["loc"][:-1], model))
        return f"{_path(place)}: is no field here; there are {fields}"
    message = _FORMS.get(kind, details["msg"])
    if not message.startswith(_SHOULD):
        return f"{_path(place)}: {message}"
    plain = isinstance(value, (str, int, float)) or value is None
    shown = repr(value) if plain else type(value).__name__
    return f"{_path(place)}: {message.replace(_SHOULD, 'must be')}, not {shown}"


def _path(place: Iterable[str | int]) -> str:
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return steps.removeprefix(".")


def _fields_at(place: Iterable[str | int], model: Any) -> list[str]:
    """The fields that the schema has at a place."""
    for step in place:
        if isinstance(step, str):
            fields = model.model_fields.items()
            model = _model_in(next(f.annotation for name, f in fields if step in (name, f.alias)))
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> Any:
    """The model that an annotation such as list[Model] holds."""
    arguments = get_args(annotation)
    return _model_in(arguments[0]) if arguments else annotation
