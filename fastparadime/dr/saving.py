"""Files of trained routines: weights as safetensors, what else is kept as JSON in their header.

Nothing of a file is executed: a model's class is looked up among those registered here, or its
instance is given by the caller.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import reduce
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from fastparadime import models
from fastparadime.exceptions import SpecificationError
from fastparadime.utils.files import replacing
from fastparadime.utils.messages import first_of
from fastparadime.utils.validate import check_integer, check_type
from fastparadime.utils.warning import warn

FORMAT = 2
_KEY = "fastparadime"  # of the description in the header
_DIGEST_KEY = "fastparadime.sha256"  # of the description's digest
_SHOWN = 200  # characters of arguments in a message


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
    """

    model_class: str
    arguments: dict[str, Any] | None
    seed: int
    out_dim: int
    hidden_dims: list[int]
    history: list[dict[str, Any]]

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
                {"name": _name(run["name"]), "losses": [float(v) for v in run["losses"]]}
                for run in content["history"]
            ],
        )


@dataclass(frozen=True)
class SavedRoutine:
    """The content of a file."""

    path: str
    description: Description
    weights: Mapping[str, torch.Tensor]

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
        try:
            self._check_depth(arguments.get("hidden_dims"))
            with torch.device("meta"):  # shapes only: a wrong file allocates nothing
                self._check_weights(model_class(**arguments))
            with torch.random.fork_rng(devices=[]):  # layers draw weights when they are made
                model = model_class(**arguments)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise SpecificationError(
                f"{self.path} is not a fastparadime model file: {name} cannot be built from "
                f"{str(arguments)[:_SHOWN]}: {error}"
            ) from error
        dtypes = [value.dtype for value in self.weights.values() if value.is_floating_point()]
        return model.to(reduce(torch.promote_types, dtypes)) if dtypes else model

    def _check_depth(self, hidden_dims: Any) -> None:
        """Raises before layers are made that the file has no weights for, however many they are."""
        if isinstance(hidden_dims, list) and len(hidden_dims) > len(self.weights):
            raise ValueError(
                f"{len(hidden_dims)} hidden layers need more than the {len(self.weights)} tensors "
                "that the file holds"
            )

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
            f"{name} holds {value.dtype} instead of floating-point numbers"
            for name, value in self.weights.items()
            if _is_floating(state.get(name)) and not _is_floating(value)
        ]
        if problems:
            raise SpecificationError(
                f"the weights of {self.path} do not fit the model "
                f"{self.description.model_class}: {'; '.join(first_of(problems))}"
            )


def write(path: str | Path, model: torch.nn.Module, **settings: Any) -> None:
    """Writes a model and what `Description` keeps of its routine.

    Parameters
    ----------
    path : str or Path
        Replaced once the new file is complete.
    model : torch.nn.Module
        Of any class. What it keeps outside its state dict is not stored.
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
    content = {
        "format": FORMAT,
        "version": metadata.version("fastparadime"),
        **asdict(Description.of(model, **settings)),
    }
    # Copies, since safetensors refuses tensors that share memory, as tied weights do.
    weights = {
        name: value.to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, value in state.items()
    }
    stored = save(weights, metadata=_header(content, weights))
    with replacing(path) as file:
        file.write(stored)


def _header(content: dict[str, Any], weights: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """The description with the digests of all weights, and its own."""
    digests = {name: _digest(value) for name, value in weights.items()}
    text = json.dumps({**content, "sha256": digests})
    return {_KEY: text, _DIGEST_KEY: hashlib.sha256(text.encode()).hexdigest()}


def _digest(tensor: torch.Tensor) -> str:
    """Of a tensor's kind, shape and values."""
    found = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _check_digests(
    path: str | Path, header: Mapping[str, str], weights: Mapping[str, torch.Tensor]
) -> None:
    """Raises where anything is not as it was written; files of 0.2 and before cannot tell."""
    text = header[_KEY]
    digests, digest = json.loads(text).get("sha256"), header.get(_DIGEST_KEY)
    if digests is digest is None:
        warn(
            f"{path} has no checksums, as files of fastparadime 0.2: whether it is as it was "
            "written is not known. Saved again it has them.",
            UserWarning,
        )
        return
    if digest != hashlib.sha256(text.encode()).hexdigest():
        raise ValueError("it is damaged: the description is not the one that was written")
    wrong = [name for name in weights if digests.get(name) != _digest(weights[name])]
    if wrong or len(digests) != len(weights):
        named = ", ".join(first_of(wrong)) or "some"
        raise ValueError(f"it is damaged: weights are not those that were written ({named})")


def _name(value: Any) -> str | None:
    return value if value is None else check_type(value, str, "history's name")


def _is_floating(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def read(path: str | Path) -> SavedRoutine:
    """The content of a file that `write` wrote, on the CPU.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    SpecificationError
        If the file is not one of a fastparadime model, is damaged, or of a format that is not known.

    Warns
    -----
    UserWarning
        Of a file without checksums, as 0.2 and before wrote them.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        with safe_open(str(path), framework="pt") as file:
            header = file.metadata() or {}
            content = json.loads(header[_KEY])
            if content["format"] == FORMAT:
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                _check_digests(path, header, weights)
                return SavedRoutine(str(path), Description.from_json(content), weights)
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
