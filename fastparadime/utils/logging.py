"""The log of routines that report what they do: lines with the time, on stdout and in files."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

LOGGER_NAME = "fastparadime"
LOGGING_FORMAT = "%(asctime)s: %(message)s"

_FORMATTER = logging.Formatter(LOGGING_FORMAT)


class _StdoutHandler(logging.Handler):
    """Writes to whatever stdout is at the time of the message."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
            bars: Any = getattr(sys.modules.get("tqdm.std"), "tqdm", None)
            if bars is not None and getattr(bars, "_instances", None):
                bars.write(line, file=sys.stdout)  # above the bars, not through them
            else:
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
        except (OSError, ValueError):  # stdout gone, or unable to write the text
            self.handleError(record)


def _make_logger() -> tuple[logging.Logger, logging.Handler]:
    logger = logging.getLogger(LOGGER_NAME)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # the root logger's handlers are the application's
    handler = _StdoutHandler()
    handler.setFormatter(_FORMATTER)
    logger.addHandler(handler)
    return logger, handler


logger, _stdout_handler = _make_logger()


def log(message: str) -> None:
    """Logs a message, as "2022-08-30 22:19:37,236: message" on stdout and in the log files."""
    logger.info("%s", message)


def set_logfile(
    filename: str | Path,
    mode: str = "a",
    disable_stdout: bool = False,
    disable_other_files: bool = False,
) -> None:
    """Logs to a file from now on, besides where the log goes already.

    Parameters
    ----------
    filename : str or path
    mode : str
        "a" appends to the file, "w" starts it anew.
    disable_stdout : bool
        Whether to stop logging to stdout.
    disable_other_files : bool
        Whether to close the log files set before.

    Raises
    ------
    OSError
        If the file cannot be opened; the log stays as it was then.
    """
    file_handler = logging.FileHandler(filename, mode=mode, encoding="utf-8")
    file_handler.setFormatter(_FORMATTER)
    if disable_stdout:
        logger.removeHandler(_stdout_handler)
    if disable_other_files:
        for handler in list(logger.handlers):
            if isinstance(handler, logging.FileHandler):
                logger.removeHandler(handler)
                handler.close()
    logger.addHandler(file_handler)
