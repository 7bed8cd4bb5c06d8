"""Documents from routines: the way back."""

from __future__ import annotations

import inspect
import itertools
import numbers
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from fastparadime.dr.dataset import DerivedData
from fastparadime.dr.spec import names
from fastparadime.exceptions import SpecificationError
from fastparadime.loss import CompoundLoss, Loss
from fastparadime.relations import Relations
from fastparadime.training.phases import TrainingPhase

_MISSING = object()
# Settings of a phase that specifications have no field for.
_BEYOND = (
    "schedule", "noise", "shared_negatives", "edges", "patience", "cuda_graph", "tf32",
)  # fmt: skip


@runtime_checkable
class Routine(Protocol):
    """The parts of a `ParametricDR`."""

    derived_data: dict[str, Any]
    global_relations: dict[str, Any]
    batch_relations: dict[str, Any]
    losses: dict[str, Any]
    training_phases: list[TrainingPhase]


def describe(routine: Routine) -> dict[str, Any]:
    """The specification of a routine: dicts, lists, strings and numbers alone.

    Options are read from the attributes that have the names of a constructor's arguments, and left
    out where the part is the same without them. Model, data, seed and device are not part of a
    specification.

    Parameters
    ----------
    routine : ParametricDR

    Returns
    -------
    dict
        `fastparadime.dr.ParametricDR.from_spec` makes a routine of the same parts from it.

    Raises
    ------
    SpecificationError
        If a part has no name in specifications, or an option or setting that they cannot hold.
    TypeError
        If `routine` is not a routine.
    """
    if not isinstance(routine, Routine):
        raise TypeError(f"routine must be a ParametricDR, not {type(routine).__name__}")
    losses = {name: _loss(loss, f"loss {name!r}") for name, loss in routine.losses.items()}
    phases = [
        _phase(_determined(phase, routine), f"training phase {phase.name or i!r}", losses)
        for i, phase in enumerate(routine.training_phases)
    ]
    sections = {
        "derived data": [
            {"name": name, **_derived(entry, f"derived data {name!r}")}
            for name, entry in routine.derived_data.items()
        ],
        "relations": [
            {"name": name, "level": level, **_relations(rel, f"{level} relations {name!r}")}
            for level, group in (
                ("global", routine.global_relations),
                ("batch", routine.batch_relations),
            )
            for name, rel in group.items()
        ],
        "losses": [{"name": name, **entry} for name, entry in losses.items()],
        "training phases": phases,
    }
    return {section: entries for section, entries in sections.items() if entries}


def _determined(phase: TrainingPhase, routine: Routine) -> TrainingPhase:
    phase = phase.with_settings()
    phase.determine_loss(routine.losses)
    return phase


def _name_of(part: Any, registry: Mapping[str, Any], where: str) -> str:
    for name, known in registry.items():
        if _same(known, part):
            return name
    shown = getattr(part, "__qualname__", type(part).__qualname__)
    raise SpecificationError(
        f"{where} cannot be described: {shown} has no name in specifications; there are "
        f"{', '.join(repr(name) for name in registry)}"
    )


def _derived(entry: DerivedData, where: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "data func": _name_of(entry.func, names.DATA_FUNCS, where),
        "keys": [list(pair) for pair in entry.type_key_tuples],
    }
    return described | _as_field("options", _plain(entry.kwargs, where))


def _relations(relations: Relations, where: str) -> dict[str, Any]:
    described = {"type": _name_of(type(relations), names.RELATIONS, where)}
    if relations.data_key != "main":
        described["field"] = relations.data_key
    described |= _as_field(
        "options", _plain(_options(relations, where, "transform", "data_key"), where)
    )
    transforms = []
    for transform in relations.transform:
        name = _name_of(type(transform), names.TRANSFORMS, where)
        options = _plain(_options(transform, where), f"{name!r} of {where}")
        transforms.append({"type": name} | _as_field("options", options))
    return described | _as_field("transforms", transforms)


def _loss(loss: Loss, where: str) -> dict[str, Any]:
    described: dict[str, Any] = {"type": _name_of(type(loss), names.LOSSES, where)}
    options = _options(loss, where, "name")
    if "loss_function" in options:
        described["func"] = _name_of(options.pop("loss_function"), names.LOSS_FUNCS, where)
    keys = {}
    for what, arguments in names.loss_keys(type(loss)).items():
        if not options.keys().isdisjoint(arguments):
            keys[what] = [getattr(loss, name) for name in arguments]
        options = {name: value for name, value in options.items() if name not in arguments}
    return described | _as_field("keys", keys) | _as_field("options", _plain(options, where))


def _phase(phase: TrainingPhase, where: str, losses: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A phase; a loss of its own becomes one more of the losses."""
    default = TrainingPhase()

    def changed(*settings: str) -> dict[str, Any]:
        values = {name: getattr(phase, name) for name in settings}
        return {name: v for name, v in values.items() if v != getattr(default, name)}

    beyond = changed(*_BEYOND)
    if beyond:
        raise SpecificationError(
            f"{where} cannot be described: specifications have no {', '.join(beyond)}"
        )
    sampling = changed("batch_size", "batches_per_epoch", "edge_rel_key", "neg_sampling_rate")
    optimizer = changed("learning_rate") | phase.kwargs
    kind = next(name for name, value in names.SAMPLING.items() if value == phase.sampling)
    described: dict[str, Any] = _as_field("name", phase.name) | {
        "epochs": int(phase.epochs),
        "sampling": {"type": kind} | _as_field("options", _plain(sampling, where)),
        "optimizer": {"type": _name_of(phase.optimizer, names.OPTIMIZERS, where)}
        | _as_field("options", _plain(optimizer, where)),
        "loss": _components(phase, where, losses),
    }
    interval = changed("report_interval").get("report_interval")
    return described | _as_field("report interval", _plain(interval, where))


def _components(
    phase: TrainingPhase, where: str, losses: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    terms, weights = [phase.loss], [1.0]
    if isinstance(phase.loss, CompoundLoss):
        terms = phase.loss.losses
        # The shortest decimals of the float32 values.
        weights = [float(str(weight)) for weight in phase.loss.weights.numpy()]
    if len(terms) == 1 and weights != [1.0]:
        raise SpecificationError(f"{where} cannot be described: its only loss has a weight")
    components = []
    for i, term in enumerate(terms):
        described = _loss(term, f"the loss of {where}")
        wanted = [*phase.loss_keys[i : i + 1], *losses]
        name = next((name for name in wanted if losses.get(name) == described), None)
        if name is None:
            name = _free_name(phase.name or "loss", losses)
            losses[name] = described
        components.append(name)
    weighted = any(weight != 1.0 for weight in weights)
    return {"components": components} | ({"weights": weights} if weighted else {})


def _free_name(base: str, taken: Mapping[str, Any]) -> str:
    numbered = (f"{base} {i}" for i in itertools.count(2))
    return next(name for name in itertools.chain([base], numbered) if name not in taken)


def _as_field(name: str, value: Any) -> dict[str, Any]:
    """A field of an entry, if there is anything to say."""
    return {name: value} if value else {}


def _arguments(part: Any, left_out: tuple[str, ...]) -> dict[str, Any]:
    """The arguments of a part's constructor that its attributes keep, by name."""
    names = inspect.signature(type(part)).parameters
    return {name: getattr(part, name, _MISSING) for name in names if name not in left_out}


def _options(part: Any, where: str, *elsewhere: str) -> dict[str, Any]:
    """The fewest arguments that make the same part, but for those given elsewhere."""
    kind = type(part)
    left_out = ("verbose", *elsewhere)  # a routine sets the verbosity of its parts
    kept = _arguments(part, left_out)
    options: dict[str, Any] = {}
    for name, value in kept.items():
        parameter = inspect.signature(kind).parameters[name]
        if value is _MISSING:
            raise SpecificationError(
                f"{where} cannot be described: {kind.__name__} has no attribute {name!r}"
            )
        options.update(value if parameter.kind is parameter.VAR_KEYWORD else {name: value})
    # The last first: a curve's a and b follow from its min_dist and spread.
    for name in reversed(list(options)):
        fewer = {key: value for key, value in options.items() if key != name}
        try:
            same = _same(_arguments(kind(**fewer), left_out), kept)
        except (TypeError, ValueError):
            continue  # the argument is needed
        options = fewer if same else options
    return options


def _same(a: Any, b: Any) -> bool:
    """Whether two parts, options or collections of them have the same meaning."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, (torch.Tensor, np.ndarray)):
        return a.shape == b.shape and bool((a == b).all())
    if isinstance(a, torch.nn.Module):
        return _same(vars(a), vars(b))
    return bool(a == b)


def _plain(value: Any, where: str) -> Any:
    """A value as YAML and JSON have it."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item, where) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"option {key!r} of {where}") for key, item in value.items()}
    raise SpecificationError(
        f"{where} cannot be described: it is {type(value).__name__}, which a specification cannot "
        "hold"
    )
