"""Where the programs of this folder that run until they are killed end."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any


class Calls:
    """Counts calls of functions, or kills the process at one of them."""

    def __init__(self, last: int | None = None) -> None:
        self.count, self.last = 0, last

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            self.count += 1
            if self.count == self.last:
                os.kill(os.getpid(), signal.SIGKILL)
