"""What a forked process may do with torch."""

from __future__ import annotations

import os

import torch


def keep_to_one_thread() -> None:
    """Leaves torch one thread in processes forked from now on.

    A child has none of the threads of its parent's OpenMP, which would wait for them forever. The
    number of threads changes no result.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
