"""Messages that stay readable, whatever they are about."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_MOST = 20  # lines or entries
_LONGEST = 1000  # characters of one


def first_of(entries: Sequence[str], form: Callable[[str], str] = str) -> list[str]:
    """The first lines or entries of a message, each cut where it is long, and how many follow."""
    shown = [form(entry) for entry in entries[:_MOST]]
    shown = [entry if len(entry) <= _LONGEST else f"{entry[:_LONGEST]}..." for entry in shown]
    left = len(entries) - len(shown)
    return [*shown, f"and {left} more"] if left > 0 else shown
