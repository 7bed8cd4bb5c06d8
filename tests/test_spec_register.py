"""Parts of one's own in specifications."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fastparadime import dr, loss, models, relations, transforms
from fastparadime.dr import spec
from fastparadime.dr.spec import names
from fastparadime.exceptions import SpecificationError

pytestmark = pytest.mark.usefixtures("registries")


def subclasses(base: type) -> set[type]:
    return {kind for child in base.__subclasses__() for kind in (child, *subclasses(child))}


def test_every_part_of_the_package_has_a_name() -> None:
    # One is a base, one has losses as parts, and one takes the model that it is for.
    abstract = {transforms.AdaptiveNeighborhoodRescale, loss.CompoundLoss, loss.AnchorLoss}
    for base, registry in (
        (relations.Relations, names.RELATIONS),
        (transforms.RelationTransform, names.TRANSFORMS),
        (loss.Loss, names.LOSSES),
    ):
        public = {
            kind
            for kind in subclasses(base)
            if kind.__module__.startswith("fastparadime.") and not kind.__name__.startswith("_")
        }
        assert public - abstract == set(registry.values())


class Power(transforms.RelationTransform):
    def __init__(self, exponent: float = 2.0, name: str = "") -> None:
        super().__init__()
        self.exponent = exponent
        self.name = name

    def transform(self, reldata: Any) -> Any:
        return reldata.with_values(reldata.values**self.exponent)


class Squared(relations.PDist):
    pass


class Shifted(loss.PositionLoss):
    """Extends a loss of the package, and reads its keys."""

    def __init__(self, shift: float, data_key: str = "main", position_key: str = "pos") -> None:
        super().__init__(None, data_key, position_key)
        self.shift = shift


class Shrink(loss.Loss):
    """Has no keys and no name."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, model: Any, _g: Any, _b: Any, batch: Any, _d: Any) -> torch.Tensor:
        return (
            self.scale * models.as_input(model, batch["main"]).mean() * model(batch["main"]).sum()
        )


def first_columns(X: torch.Tensor, count: int = 2) -> torch.Tensor:
    return X[:, :count]


def absolute(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a - b).abs().mean()


OWN = {
    "relations": [
        {
            "name": "r",
            "level": "global",
            "type": "squared",
            "transforms": [{"type": "power", "options": {"exponent": 3.0, "name": "cube"}}],
        }
    ],
    "derived data": [
        {
            "name": "start",
            "data func": "columns",
            "keys": [["data", "main"]],
            "options": {"count": 2},
        }
    ],
    "losses": [
        {"name": "start", "type": "position", "func": "l1", "keys": {"data": ["main", "start"]}},
        {
            "name": "shifted",
            "type": "shifted",
            "keys": {"data": ["main", "start"]},
            "options": {"shift": 0.5},
        },
        {"name": "shrink", "type": "shrink", "options": {"scale": 0.25}},
    ],
    "training phases": [
        {
            "epochs": 1,
            "sampling": {"type": "item"},
            "optimizer": {"type": "adam"},
            "loss": {"components": ["start", "shrink", "shifted"]},
        }
    ],
}


def register_own() -> None:
    dr.register_relations("squared", Squared)
    dr.register_transform("power", Power)
    dr.register_data_func("columns", first_columns)
    dr.register_loss("shifted", Shifted)
    dr.register_loss("shrink", Shrink)
    dr.register_loss_func("l1", absolute)


def test_registered_parts_are_used_and_described() -> None:
    with pytest.raises(SpecificationError) as caught:
        dr.validate_spec(OWN)
    assert str(caught.value).count("must be one of") == 6
    register_own()
    routine = dr.ParametricDR.from_spec(OWN, seed=0)
    relation = routine.global_relations["r"]
    assert type(relation) is Squared
    assert [(tf.exponent, tf.name) for tf in relation.transform] == [(3.0, "cube")]
    assert routine.losses["start"].loss_function is absolute
    assert (routine.losses["shifted"].shift, routine.losses["shifted"].position_key) == (
        0.5,
        "start",
    )
    assert routine.losses["shrink"].scale == 0.25
    routine.train(np.random.default_rng(0).random((20, 3)))
    assert routine.dataset.data["start"].shape == (20, 2)
    assert spec.describe(routine) == OWN
    with pytest.raises(SpecificationError, match=r"'connect'.*'power', not 'powre'"):
        dr.validate_spec(
            {
                "relations": [
                    {**OWN["relations"][0], "transforms": [{"type": "powre"}]},
                ]
            }
        )


def test_a_loss_without_keys_reports_those_it_is_given() -> None:
    register_own()
    document = {"losses": [{"name": "s", "type": "shrink", "keys": {"data": ["main"]}}]}
    with pytest.warns(UserWarning, match=r"keys\.data\[0:\] of loss 's' is not used by Shrink"):
        dr.validate_spec(document)


@pytest.mark.parametrize(
    ("register", "taken", "part", "wrong", "message"),
    [
        (dr.register_data_func, "pca", first_columns, 3, "data_func must be callable, not 3"),
        (dr.register_loss_func, "mse", absolute, "l1", "loss_func must be callable, not 'l1'"),
        (
            dr.register_relations,
            "pdist",
            Squared,
            Power,
            "rel must be a subclass of Relations, not Power",
        ),
        (
            dr.register_transform,
            "connect",
            Power,
            Power(),
            "tf must be a subclass of RelationTransform, not an object Power",
        ),
        (dr.register_loss, "relation", Shrink, absolute, "loss must be a subclass of Loss, not an"),
    ],
)
def test_what_cannot_be_registered(
    register: Any, taken: str, part: Any, wrong: Any, message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        register("new", wrong)
    with pytest.raises(KeyError, match=f"Key '{taken}' already reserved"):
        register(taken, part)
    for name in (3, "", None):
        with pytest.raises(TypeError, match="name must be a string"):
            register(name, part)
    register("new", part)
    with pytest.raises(KeyError, match="Key 'new' already reserved"):
        register("new", part)
