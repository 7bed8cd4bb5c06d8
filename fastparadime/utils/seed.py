"""Seeds: fresh ones, ones derived from others, and seeding everything on request."""

from __future__ import annotations

import hashlib
import operator
import random
import secrets

import numpy as np
import torch

from fastparadime.utils.validate import check_integer


def seed_all(seed: int) -> torch.Generator:
    """Seeds the global generators of Python, numpy and torch, for code that draws from them.

    Routines never do: they take ``seed=`` and leave the global generators alone. Unlike paraDime's
    function of this name, this one neither switches torch to deterministic algorithms nor sets
    environment variables.

    Parameters
    ----------
    seed : int
        In [0, 2^63); numpy gets its lower 32 bits.

    Returns
    -------
    torch.Generator
        torch's default generator.
    """
    seed = check_integer(seed, "seed", minimum=0, maximum=2**63 - 1)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  the legacy global generator is what is seeded here
    return torch.manual_seed(seed)


def draw_seed() -> int:
    """A fresh seed in [0, 2^63) from the operating system; no generator's state is touched."""
    return secrets.randbits(63)


def derive(seed: int, *path: int | str) -> int:
    """A seed in [0, 2^63) for one use of many, the same on every run and platform.

    Parameters
    ----------
    seed : int
    *path : int or str
        Names the use; other paths, however alike, give unrelated seeds.
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in (seed, *path):
        kind, text = ("s", part) if isinstance(part, str) else ("i", str(operator.index(part)))
        encoded = text.encode()
        digest.update(f"{kind}{len(encoded)}:".encode() + encoded)
    return int.from_bytes(digest.digest(), "little") >> 1
