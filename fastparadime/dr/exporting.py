"""Trained models as programs for other runtimes: ONNX, and torch's ExportedProgram."""

from __future__ import annotations

import copy
import inspect
import io
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import torch

from fastparadime import models
from fastparadime.types import TensorLike
from fastparadime.utils.convert import to_torch
from fastparadime.utils.files import replacing


class _Call(torch.nn.Module):
    """A module whose call is a model's method."""

    def __init__(self, model: torch.nn.Module, method: str | None) -> None:
        super().__init__()
        self.model = model
        self.method = method

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = models.method_of(self.model, self.method)(X)
        return out


def export(
    model: torch.nn.Module,
    path: str | Path,
    X: TensorLike | None = None,
    method: str | None = None,
    *,
    columns: Sequence[str] = (),
) -> None:
    """Writes the model's program for any number of rows, on the CPU, in evaluation mode.

    Parameters
    ----------
    model : torch.nn.Module
        Left as it is.
    path : str or Path
        Its extension says what is written: ``.onnx`` or ``.pt2``.
    X : (n, ...) array or tensor, optional
        Whose shape and dtype show what the model takes. Needed where the model does not say how
        wide its input is.
    method : str, optional
        The model's method; its call if None.
    columns : sequence of str
        Names of the columns of the data, in order, written as a JSON list: into ONNX's metadata
        under ``"columns"``, into a ``.pt2`` as its extra file ``"columns"``.

    Raises
    ------
    AttributeError
        If the model has no such method.
    ModuleNotFoundError
        For ONNX without its packages, or with torch 2.4, which takes no exported program.
    ValueError
        For another extension, or rows that are missing or of another width.
    """
    writers = {".onnx": _onnx_bytes, ".pt2": _torch_bytes}
    suffix = Path(path).suffix
    if suffix not in writers:
        raise ValueError(
            f"{path} has an unknown extension; models are exported as {' or '.join(writers)}"
        )
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if "dynamic_shapes" not in inspect.signature(torch.onnx.export).parameters:
        missing.append(f"a later torch than {torch.__version__}")
    if suffix == ".onnx" and missing:
        raise ModuleNotFoundError(
            f"writing {path} needs {' and '.join(missing)}: pip install 'fastparadime[onnx]'"
        )
    models.method_of(model, method)
    rows = _example(model, X)
    call = _Call(copy.deepcopy(model).cpu(), method).eval()
    program = torch.export.export(
        call, (rows,), dynamic_shapes={"X": {0: torch.export.Dim("rows")}}
    )
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    content = writers[suffix](program, {"columns": json.dumps(list(columns))} if columns else {})
    with replacing(path) as part:
        part.write_bytes(content)


def _example(model: torch.nn.Module, X: TensorLike | None) -> torch.Tensor:
    if X is None:
        width = models.input_width(model)
        if width is None:
            raise ValueError(
                f"{type(model).__name__} does not say how wide its input is: give rows as X"
            )
        X = torch.zeros((1, width))
    if len(X) == 0:
        raise ValueError("X must have at least one row")
    models.check_width(model, X)
    row = models.as_input(model, to_torch(X[:1]))
    # Two rows, since one would be taken for a constant; zeros, since torch stores them in the file.
    return torch.zeros((2, *row.shape[1:]), dtype=row.dtype)


def _torch_bytes(program: torch.export.ExportedProgram, about: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files=about)
    return buffer.getvalue()


def _onnx_bytes(program: torch.export.ExportedProgram, about: dict[str, str]) -> bytes:
    with _quiet():
        converted = torch.onnx.export(
            program,
            input_names=["X"],
            output_names=["Y"],
            dynamic_shapes={"X": {0: "rows"}},
            dynamo=True,
            verbose=False,
        )
    model = cast("torch.onnx.ONNXProgram", converted).model_proto
    for key, value in about.items():
        model.metadata_props.add(key=key, value=value)
    content: bytes = model.SerializeToString()
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences what torch.onnx says of itself and of torchvision."""
    registry = logging.getLogger("torch.onnx._internal.exporter._registration")
    with warnings.catch_warnings():
        # torch copies trees with a class that it has deprecated.
        warnings.filterwarnings("ignore", r".*LeafSpec", FutureWarning)
        registry.addFilter(_not_torchvision)
        try:
            yield
        finally:
            registry.removeFilter(_not_torchvision)


def _not_torchvision(record: logging.LogRecord) -> bool:
    return "torchvision is not installed" not in record.getMessage()
