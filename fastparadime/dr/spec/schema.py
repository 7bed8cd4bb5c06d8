"""The schema of specifications; each entry builds its part as it is validated."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from fastparadime.dr.dataset import DerivedData, pca_positions, spectral_positions
from fastparadime.dr.spec import names
from fastparadime.dr.spec.errors import listed, problem
from fastparadime.exceptions import UnsupportedConfigurationError
from fastparadime.loss import Loss, RelationLoss
from fastparadime.relations import Relations
from fastparadime.training.phases import TrainingPhase
from fastparadime.transforms import RelationTransform
from fastparadime.utils.validate import check_integer
from fastparadime.utils.warning import warn

REJECTED = (KeyError, TypeError, ValueError, UnsupportedConfigurationError)


class Context(NamedTuple):
    """What an entry may refer to, as names in the document, and columns of positions."""

    global_relations: Mapping[str, None]
    losses: Mapping[str, None]
    out_dim: int


def reason_of(error: Exception) -> str:
    """What a part or check says against its arguments."""
    return str(error.args[0] if isinstance(error, KeyError) else error)


def _named_in(registry: Mapping[str, Any]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in registry:
            known = {"known": listed(registry)}
            raise PydanticCustomError("name", "Input should be one of {known}", known)
        return name

    return AfterValidator(check)


def _check_exists(name: Any, known: Mapping[str, None], what: str, *at: str | int) -> None:
    if not isinstance(name, str) or name not in known:
        raise problem(f"no {what} have the name {name!r}; there are {listed(known)}", *at)


def _loss_exists(name: str, info: ValidationInfo) -> str:
    _check_exists(name, info.context.losses, "losses")  # type: ignore[union-attr]
    return name


def _construct(kind: Callable[..., Any], options: Mapping[str, Any], **given: Any) -> Any:
    """A part of a class; options are checked by name, and may not replace what is given."""
    parameters = inspect.signature(kind).parameters
    named = [name for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD]
    allowed = [name for name in named if name not in given]
    for name in options:
        if name in given or (name not in named and len(named) == len(parameters)):
            reason = f"{kind.__name__} has no option {name!r} here; there are {listed(allowed)}"
            raise problem(reason, "options", name)
    try:
        return kind(**given, **options)
    except REJECTED as error:
        raise problem(reason_of(error), "options") from error


ABSENT: Any = None  # of a field that may be left out, but not be null
Options = Annotated[dict[StrictStr, Any], Field(default_factory=dict)]


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Entry(_Fields):
    _part: Any = PrivateAttr()

    @model_validator(mode="after")
    def _keep_part(self, info: ValidationInfo) -> _Entry:
        self._part = self.build(info.context)  # type: ignore[arg-type]
        return self

    @property
    def part(self) -> Any:
        return self._part

    def build(self, context: Context) -> Any:
        """The part that the entry describes."""
        raise NotImplementedError


class TransformEntry(_Entry):
    type: Annotated[StrictStr, _named_in(names.TRANSFORMS)]
    options: Options

    def build(self, context: Context) -> RelationTransform:
        transform: RelationTransform = _construct(names.TRANSFORMS[self.type], self.options)
        return transform


class RelationsEntry(_Entry):
    name: StrictStr
    level: Literal["global", "batch"]
    type: Annotated[StrictStr, _named_in(names.RELATIONS)]
    field: StrictStr = "main"
    options: Options
    transforms: Annotated[list[TransformEntry], Field(default_factory=list)]

    def build(self, context: Context) -> Relations:
        kind = names.RELATIONS[self.type]
        given: dict[str, Any] = {"transform": [entry.part for entry in self.transforms]}
        if "data_key" in inspect.signature(kind).parameters:  # precomputed relations have none
            given["data_key"] = self.field
        relations: Relations = _construct(kind, self.options, **given)
        return relations


class DerivedEntry(_Entry):
    name: StrictStr
    data_func: Annotated[StrictStr, _named_in(names.DATA_FUNCS)] = Field(alias="data func")
    keys: list[tuple[Literal["data", "rels"], StrictStr]]
    options: Options

    def build(self, context: Context) -> DerivedData:
        for i, (kind, key) in enumerate(self.keys):
            if kind == "rels":
                known = context.global_relations
                _check_exists(key, known, "global relations", "keys", i, 1)
        func, options = names.DATA_FUNCS[self.data_func], dict(self.options)
        try:
            if func in (pca_positions, spectral_positions):
                # out_dim is paraDime's name.
                columns = "n_components" if "n_components" in options else "out_dim"
                wanted = options.pop(columns, context.out_dim)
                options["n_components"] = check_integer(wanted, columns, minimum=1)
            inspect.signature(func).bind(*self.keys, **options)
            return DerivedData(func, list(self.keys), **options)
        except REJECTED as error:
            raise problem(reason_of(error), "options") from error


class LossKeys(_Fields):
    data: Annotated[list[StrictStr], Field(default_factory=list)]
    rels: Annotated[list[StrictStr], Field(default_factory=list)]
    methods: Annotated[list[StrictStr], Field(default_factory=list)]


class LossEntry(_Entry):
    name: StrictStr
    type: Annotated[StrictStr, _named_in(names.LOSSES)]
    func: Annotated[StrictStr, _named_in(names.LOSS_FUNCS)] = ABSENT
    keys: Annotated[LossKeys, Field(default_factory=LossKeys)]
    options: Options

    def build(self, context: Context) -> Loss:
        kind = names.LOSSES[self.type]
        arguments = names.loss_keys(kind)
        named = "name" in inspect.signature(kind).parameters
        given: dict[str, Any] = {"name": self.name} if named else {}
        for what, values in self.keys:
            used = arguments.get(what, ())
            given.update(zip(used, values, strict=False))
            if len(values) > len(used):  # which paraDime accepts
                unused = f"keys.{what}[{len(used)}:] of loss {self.name!r}"
                warn(f"{unused} is not used by {kind.__name__}.", UserWarning)
        if "func" in self.model_fields_set:
            given["loss_function"] = names.LOSS_FUNCS[self.func]
        elif issubclass(kind, RelationLoss):
            raise problem("is missing, but relation losses need it", "func")
        loss: Loss = _construct(kind, self.options, **given)
        return loss


class SamplingFields(_Fields):
    type: Literal["item", "edge", "standard", "negative_edge"] = "item"
    options: Options


class OptimizerFields(_Fields):
    type: Annotated[StrictStr, _named_in(names.OPTIMIZERS)] = "adam"
    options: Options


class LossFields(_Fields):
    components: list[Annotated[StrictStr, AfterValidator(_loss_exists)]]
    weights: list[StrictFloat] = ABSENT


class PhaseEntry(_Entry):
    name: StrictStr = ABSENT
    epochs: StrictInt = 5
    sampling: Annotated[SamplingFields, Field(default_factory=SamplingFields)]
    optimizer: Annotated[OptimizerFields, Field(default_factory=OptimizerFields)]
    loss: LossFields
    report_interval: StrictInt = Field(alias="report interval", default=5)

    def build(self, context: Context) -> TrainingPhase:
        given: dict[str, Any] = {
            "epochs": self.epochs,
            "sampling": names.SAMPLING.get(self.sampling.type, self.sampling.type),
            "loss_keys": self.loss.components,
            "loss_weights": self.loss.weights,
            "optimizer": names.OPTIMIZERS[self.optimizer.type],
            "loss": None,
        }
        for name in {"name", "report_interval"} & self.model_fields_set:
            given[name] = getattr(self, name)
        options: dict[str, Any] = {}
        for field in ("sampling", "optimizer"):
            for key, value in getattr(self, field).options.items():
                if key in given or key in options:
                    raise problem("is set by another field of the phase", field, "options", key)
                options[key] = value
        try:
            phase = TrainingPhase(**given, **options)
        except REJECTED as error:
            raise problem(reason_of(error)) from error
        if phase.sampling == "negative_edge":
            at = ("sampling", "options", "edge_rel_key")
            known = context.global_relations
            _check_exists(phase.edge_rel_key, known, "global relations", *at)
        return phase


class Document(_Fields):
    derived_data: list[DerivedEntry] = Field(alias="derived data", default=[])
    relations: list[RelationsEntry] = []
    losses: list[LossEntry] = []
    training_phases: list[PhaseEntry] = Field(alias="training phases", default=[])
