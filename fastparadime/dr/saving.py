"""Files of trained routines: weights as safetensors, what else is kept as JSON in their header.

Nothing of a file is executed: a model's class is looked up among those registered here, or its
instance is given by the caller.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import reduce
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from fastparadime import models
from fastparadime.exceptions import SpecificationError
from fastparadime.utils.digests import check_digests, with_digests
from fastparadime.utils.files import replacing
from fastparadime.utils.validate import check_integer, check_type, first_doubled
from fastparadime.utils.warning import warn

FORMAT = 2
_MOST_LISTED, _LONGEST = 20, 1000  # problems of a message, and characters
KEY = "fastparadime"  # of the description in the header
UMAP_KEY = "fastparadime.umap"  # of that of a file of UMAP
_BESIDE = "beside/"  # starts the names of tensors that are no weights


@dataclass(frozen=True)
class Description:
    """What a file keeps beside the weights.

    Attributes
    ----------
    model_class : str
        The model's class, without its module.
    arguments : dict, optional
        Those that build a model of a registered class again.
    seed, out_dim, hidden_dims, history
        As of the routine.
    columns : list of str
        Names of the columns of the data, in order; empty if they have none.
    amounts : bool
        Whether integers of the data are amounts even if the model has an embedding table.
    estimator : dict, optional
        What an estimator keeps beside its routine, as JSON has it.
    """

    model_class: str
    arguments: dict[str, Any] | None
    seed: int
    out_dim: int
    hidden_dims: list[int]
    history: list[dict[str, Any]]
    columns: list[str] = field(default_factory=list)
    amounts: bool = False
    estimator: dict[str, Any] | None = None

    @classmethod
    def of(cls, model: torch.nn.Module, **settings: Any) -> Description:
        """The description of a model and its routine's `settings`, the attributes from `seed` on.

        The arguments of the model are there if its class is registered.
        """
        name = type(model).__qualname__
        known = models.registered(name) is type(model)
        return cls(name, model.arguments() if known else None, **settings)  # type: ignore[operator]

    @classmethod
    def from_json(cls, content: Any) -> Description:
        """The description in a header's JSON.

        Raises
        ------
        KeyError, TypeError, ValueError
            If anything is missing or of another kind.
        """
        arguments = content["arguments"]
        return cls(
            str(content["model_class"]),
            None if arguments is None else dict(arguments),
            check_integer(content["seed"], "seed", minimum=0),
            check_integer(content["out_dim"], "out_dim", minimum=1),
            [check_integer(width, "hidden_dims", minimum=1) for width in content["hidden_dims"]],
            [
                {
                    "name": check_type(run["name"], str, "name"),
                    "losses": [float(value) for value in run["losses"]],
                }
                for run in content["history"]
            ],
            columns=_names(content.get("columns", []), arguments),  # not in files of 0.2
            amounts=check_type(content.get("amounts", False), bool, "amounts"),
            estimator=None if content.get("estimator") is None else dict(content["estimator"]),
        )


@dataclass(frozen=True)
class SavedRoutine:
    """The content of a file."""

    path: str
    description: Description
    weights: Mapping[str, torch.Tensor]
    arrays: Mapping[str, torch.Tensor]  # what others keep beside them

    def model(self, instance: torch.nn.Module | None = None) -> torch.nn.Module:
        """A model that takes the weights, which it does not have yet.

        Parameters
        ----------
        instance : torch.nn.Module, optional
            Returned if it fits; built anew if None.

        Raises
        ------
        SpecificationError
            If the model is of another class or shape, or cannot be built from the file.
        """
        if instance is None:
            return self._build()
        given, wanted = type(instance).__qualname__, self.description.model_class
        if given != wanted:
            raise SpecificationError(
                f"{self.path} holds the weights of the model class {wanted}, but model is of the "
                f"class {given}"
            )
        self._check_weights(instance)
        return instance

    def _build(self) -> torch.nn.Module:
        name, arguments = self.description.model_class, self.description.arguments
        model_class = models.registered(name)
        if model_class is None or arguments is None:
            raise SpecificationError(
                f"{self.path} holds the weights of the model class {name}, which the file cannot "
                f"build: load it with model= an instance of {name}"
            )
        widths = arguments.get("hidden_dims")
        if isinstance(widths, list) and len(widths) > len(self.weights):
            raise SpecificationError(
                f"{self.path} is not a fastparadime model file: it has {len(widths)} hidden_dims "
                f"and {len(self.weights)} weights"
            )
        try:
            with torch.device("meta"):  # shapes only: a wrong file allocates nothing
                self._check_weights(model_class(**arguments))
            with torch.random.fork_rng(devices=[]):  # layers draw weights when they are made
                model = model_class(**arguments)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise SpecificationError(
                f"{self.path} is not a fastparadime model file: {name} cannot be built from "
                f"{reprlib.repr(arguments)}: {str(error)[:_LONGEST]}"
            ) from error
        dtypes = [value.dtype for value in self.weights.values() if value.is_floating_point()]
        return model.to(reduce(torch.promote_types, dtypes)) if dtypes else model

    def _check_weights(self, model: torch.nn.Module) -> None:
        state = model.state_dict()
        wanted = {name: tuple(getattr(value, "shape", ())) for name, value in state.items()}
        stored = {name: tuple(value.shape) for name, value in self.weights.items()}
        problems = [f"{name} is missing" for name in wanted if name not in stored]
        problems += [f"{name} is unknown" for name in stored if name not in wanted]
        problems += [
            f"{name} has shape {stored[name]} instead of {shape}"
            for name, shape in wanted.items()
            if stored.get(name, shape) != shape
        ]
        problems += [
            f"{name} is of {value.dtype} instead of {state[name].dtype}"
            for name, value in self.weights.items()
            if isinstance(state.get(name), torch.Tensor)
            and value.is_floating_point() != state[name].is_floating_point()
        ]
        problems[_MOST_LISTED:] = ["and more"] if len(problems) > _MOST_LISTED else []
        if problems:
            raise SpecificationError(
                f"the weights of {self.path} do not fit the model "
                f"{self.description.model_class}: {'; '.join(problems)}"
            )


def _names(columns: Any, arguments: Any) -> list[str]:
    listed = check_type(columns, list, "columns")
    names = [check_type(name, str, "columns") for name in listed]
    doubled = first_doubled(names)
    if doubled is not None:
        raise ValueError(f"columns must be distinct, but two are {doubled!r}")
    width = dict(arguments or {}).get("in_dim", len(names))
    if names and len(names) != width:
        raise ValueError(f"columns must name the {width} that the model takes, not {len(names)}")
    return names


def write(
    path: str | Path,
    model: torch.nn.Module,
    *,
    beside: Mapping[str, Any] | None = None,
    arrays: Mapping[str, torch.Tensor] | None = None,
    **settings: Any,
) -> None:
    """Writes a model and what `Description` keeps of its routine.

    Parameters
    ----------
    path : str or Path
        Replaced once the new file is complete.
    model : torch.nn.Module
        Of any class. What it keeps outside its state dict is not stored.
    beside : mapping, optional
        What others keep beside the description, as JSON has it.
    arrays : mapping of tensors, optional
        What they keep beside the weights.
    **settings
        The attributes of `Description` from `seed` on.

    Raises
    ------
    TypeError
        If the model's state dict holds anything but tensors.
    """
    from safetensors.torch import save

    state = model.state_dict()
    other = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if other:
        raise TypeError(f"only tensors can be saved, but the model's state has {other}")
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": metadata.version("fastparadime"),
        **asdict(Description.of(model, **settings)),
        **(beside or {}),
    }
    if content["estimator"] is None:
        del content["estimator"]
    # Copies, since safetensors refuses tensors that share memory, as tied weights do.
    kept = {**state, **{_BESIDE + name: value for name, value in (arrays or {}).items()}}
    weights = {
        name: value.to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, value in kept.items()
    }
    described = json.dumps(with_digests(content, weights))
    with replacing(path) as part:
        part.write_bytes(save(weights, metadata={KEY: described}))


def holds_umap(path: str | Path) -> bool:
    """Whether a file is that of a UMAP without a network; False of what is no such file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="np") as file:
            return UMAP_KEY in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def read(path: str | Path) -> SavedRoutine:
    """The content of a file that `write` wrote, on the CPU.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    SpecificationError
        If the file is not one of a fastparadime model, damaged, or of a format that is not known.

    Warns
    -----
    UserWarning
        If the file is of a version that kept no digests.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        with safe_open(str(path), framework="pt") as file:
            if holds_umap(path):
                raise ValueError("it holds a UMAP without a network, which UMAP.load reads")
            content = json.loads((file.metadata() or {})[KEY])
            if content["format"] == FORMAT:
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                if not check_digests(content, weights):
                    warn(
                        f"{path} was written by fastparadime {content.get('version', '0.1')}, which "
                        "kept no digests, so that damage would go unnoticed; save it anew",
                        UserWarning,
                    )
                names = [name for name in weights if name.startswith(_BESIDE)]
                arrays = {name.removeprefix(_BESIDE): weights.pop(name) for name in names}
                return SavedRoutine(str(path), Description.from_json(content), weights, arrays)
    except (
        SafetensorError,
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
        RecursionError,
    ) as error:
        raise SpecificationError(f"{path} is not a fastparadime model file: {error}") from error
    raise SpecificationError(
        f"{path} has format {content['format']!r} (fastparadime {content.get('version', '0.1')}), "
        f"but this version of fastparadime reads format {FORMAT}"
    )
