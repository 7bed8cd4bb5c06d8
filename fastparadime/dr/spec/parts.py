"""The parts of a routine from a document, or all that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from fastparadime.dr.dataset import DerivedData
from fastparadime.dr.spec.errors import failure, line
from fastparadime.dr.spec.schema import REJECTED, Context, Document, reason_of
from fastparadime.loss import Loss
from fastparadime.relations import Relations
from fastparadime.training.phases import TrainingPhase, check_phase


class Parts(NamedTuple):
    """The parts of a routine, by the arguments of `ParametricDR`."""

    derived_data: dict[str, DerivedData]
    global_relations: dict[str, Relations]
    batch_relations: dict[str, Relations]
    losses: dict[str, Loss]
    training_phases: list[TrainingPhase]


def build(document: Mapping[str, Any], out_dim: int) -> Parts:
    """The parts that a document describes.

    Raises
    ------
    SpecificationError
        With a line for each error, naming its place.
    """
    global_relations = _names(document, "relations", "global")
    context = Context(global_relations, _names(document, "losses"), out_dim)
    try:
        checked = Document.model_validate(dict(document), context=context)
    except ValidationError as error:
        raise failure([line(details, Document) for details in error.errors()]) from None
    parts, problems = _collect(checked)
    problems += _check_together(parts)
    if problems:
        raise failure(problems)
    return parts


def _names(document: Mapping[str, Any], section: str, level: str | None = None) -> dict[str, None]:
    """Names that the entries of a section have, right or wrong as these may otherwise be."""
    entries = document.get(section)
    return {
        entry["name"]: None
        for entry in (entries if isinstance(entries, (list, tuple)) else ())
        if isinstance(entry, Mapping) and isinstance(entry.get("name"), str)
        if level is None or str(entry.get("level")) == level
    }


def _collect(document: Document) -> tuple[Parts, list[str]]:
    parts = Parts({}, {}, {}, {}, [entry.part for entry in document.training_phases])
    problems = []

    def add(named: dict[str, Any], entry: Any, place: str) -> None:
        if entry.name in named:
            problems.append(f"{place}.name: another entry has the name {entry.name!r} already")
        named[entry.name] = entry.part

    for i, relations in enumerate(document.relations):
        named = parts.global_relations if relations.level == "global" else parts.batch_relations
        add(named, relations, f"relations[{i}]")
    for i, derived in enumerate(document.derived_data):
        add(parts.derived_data, derived, f"derived data[{i}]")
    for i, loss in enumerate(document.losses):
        add(parts.losses, loss, f"losses[{i}]")
    return parts, problems


def _check_together(parts: Parts) -> list[str]:
    """What is wrong with phases and the parts they use, each of them right for itself."""
    problems = []
    for i, phase in enumerate(parts.training_phases):
        try:
            phase.determine_loss(parts.losses)
            check_phase(phase, (), parts.global_relations, parts.batch_relations)
        except REJECTED as error:
            problems.append(f"training phases[{i}]: {reason_of(error)}")
    return problems
