"""The precision of matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def tf32_products(*, wanted: bool) -> Iterator[None]:
    """Within a `with` block, lets float32 matrix products on CUDA devices round factors to tf32.

    Torch's setting is the process's own: products of other threads round too meanwhile. It is as
    before afterwards, and is not touched where `wanted` is False.
    """
    if not wanted:
        yield
        return
    # torch 2.9 brought another name for the setting, and warns of the first.
    matmul: Any = torch.backends.cuda.matmul
    name = "fp32_precision" if hasattr(matmul, "fp32_precision") else "allow_tf32"
    before = getattr(matmul, name)
    setattr(matmul, name, True if name == "allow_tf32" else "tf32")
    try:
        yield
    finally:
        setattr(matmul, name, before)
