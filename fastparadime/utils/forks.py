"""Forked processes, such as those of data loaders, joblib and web servers."""

from __future__ import annotations

import os
import sys


def _one_thread() -> None:
    """Lets OpenMP's users work alone: its threads are not in the child, which would wait for them."""
    torch, faiss = sys.modules.get("torch"), sys.modules.get("faiss")
    if torch is not None:
        torch.set_num_threads(1)
    if faiss is not None and hasattr(faiss, "omp_set_num_threads"):
        faiss.omp_set_num_threads(1)


def register() -> None:
    """Makes forked children use one thread of torch and FAISS, with the same results."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_one_thread)
