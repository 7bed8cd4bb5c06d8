"""The precision of matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def tf32_products(*, wanted: bool) -> Iterator[None]:
    """Within a `with` block, lets float32 matrix products on CUDA devices round factors to tf32.

    Torch's setting is the process's own: products of other threads round too meanwhile. It is as
    before afterwards, and is not touched where `wanted` is False or it is on already.
    """
    matmul = torch.backends.cuda.matmul
    # torch 2.9 brought a second name for the setting; the first sets both.
    before = getattr(matmul, "fp32_precision", None)
    if not wanted or (matmul.allow_tf32 if before is None else before == "tf32"):
        yield
        return
    matmul.allow_tf32 = True
    try:
        yield
    finally:
        matmul.allow_tf32 = False
        if before is not None:
            matmul.fp32_precision = before
