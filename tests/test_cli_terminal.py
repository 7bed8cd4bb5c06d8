"""What the command line shows of stages: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

fcntl = pytest.importorskip("fcntl", reason="opens a terminal as Unix does")
termios = pytest.importorskip("termios", reason="opens a terminal as Unix does")
# Seconds after which a stage is shown are none, or so many that none is.
SCRIPT = """
import sys
from fastparadime.cli import main, stages
stages._DELAY = float(sys.argv.pop(1))
main()
"""
# A stage that ends once it is shown, and one that ends at once.
STAGES = """
import sys, threading
from fastparadime.cli import stages
line_is_there = threading.Event()
class Shown(stages._Shown):
    def _show(self):
        super()._show()
        line_is_there.set()
stages._Shown = Shown
stages._DELAY, stages._TICK = 0.0, 0.01
report = stages.Report(bars=sys.stderr.isatty())
with report.watch("layout", 8) as advance:
    (shown,) = report._running
    if shown.with_bar:
        while shown.bar is None:
            pass
        advance(4)
        shown.bar.refresh()
    else:
        line_is_there.wait()
stages._DELAY = 1e6
with report.stage("read"):
    pass
"""


def on_terminal(*command: str) -> str:
    """What a command writes to a terminal, which it must leave with exit code 0."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        written = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # as Linux says that the other end is closed
                break
            if not part:
                break
            written += part
    os.close(ours)
    assert child.returncode == 0, written.decode()
    return written.decode()


def elsewhere(*command: str) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stderr + done.stdout


def controls(text: str) -> set[str]:
    """Control characters but for ends of lines, which a terminal has as two characters."""
    return {c for c in text.replace("\r\n", "\n") if not c.isprintable()} - {"\n"}


def test_a_stage_that_takes_long_shows_a_bar_and_a_short_one_nothing() -> None:
    shown = on_terminal(sys.executable, "-c", STAGES)
    assert "layout:  50%|" in shown
    assert "4/8" in shown
    assert "read" not in shown
    assert "\r" in controls(shown)
    # The bar is wiped away at its end.
    assert shown.rstrip("\r").rpartition("\r")[2].strip() == ""
    assert elsewhere(sys.executable, "-c", STAGES) == "layout ...\n"


@pytest.fixture(name="command")
def _command(tmp_path: Path) -> list[str]:
    X = np.random.default_rng(0).normal(size=(400, 20)).astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    files = [str(tmp_path / "X.npy"), "-o", str(tmp_path / "Y.npy")]
    return ["embed", *files, "--n-neighbors", "5", "--quality", "fast"]


def test_embed_on_a_terminal_and_elsewhere(command: list[str]) -> None:
    for delay, bars in (("0", True), ("1e6", False)):
        shown = on_terminal(sys.executable, "-c", SCRIPT, delay, *command, "--seed", "1")
        assert ("\r" in controls(shown)) == bars
        lines = elsewhere(sys.executable, "-c", SCRIPT, delay, *command, "--seed", "1")
        assert controls(lines) == set()
        before = [line for line in lines.splitlines() if line.endswith(" ...")]
        assert bool(before) == bars
    quiet = on_terminal(sys.executable, "-c", SCRIPT, "0", *command, "--quiet")
    assert controls(quiet) == set()
