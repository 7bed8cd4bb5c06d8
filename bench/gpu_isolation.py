"""A plugin of pytest: a process whose CUDA context is lost ends, so that others take its tests.

After an illegal access every later call fails in that process. pytest-xdist starts another one.
"""

import os

import pytest


def is_lost():
    """Whether the device answers no more in this process."""
    import torch

    if not torch.cuda.is_initialized():
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False


@pytest.hookimpl(trylast=True)
def pytest_runtest_logfinish():
    """Ends a worker once its test is reported; without workers there is none to take over."""
    if "PYTEST_XDIST_WORKER" in os.environ and is_lost():
        os._exit(1)
