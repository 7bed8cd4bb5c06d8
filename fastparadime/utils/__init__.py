"""Helpers around the routines: conversion, checks, logging, seeds and plots."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fastparadime.utils import convert, logging, plotting, seed, triangular, validate


class ReprMixin:
    """Shows an object as its class and public attributes, one a line."""

    def __repr__(self) -> str:
        lines = [
            f"  {key}={_indented(value)},\n"
            for key, value in vars(self).items()
            if not key.startswith("_")
        ]
        body = "\n" + "".join(lines) if lines else ""
        return f"{type(self).__name__}({body})"


def _indented(value: Any) -> str:
    if isinstance(value, (np.ndarray, torch.Tensor)) and value.ndim:
        return f"{type(value).__name__}(shape={tuple(value.shape)}, dtype={value.dtype})"
    if isinstance(value, dict) and value:
        entries = "".join(f"  {key!r}: {_indented(entry)},\n" for key, entry in value.items())
        return ("{\n" + entries + "}").replace("\n", "\n  ")
    return repr(value).replace("\n", "\n  ")


__all__ = ["ReprMixin", "convert", "logging", "plotting", "seed", "triangular", "validate"]
