"""Messages that stay readable, whatever they are about."""

from __future__ import annotations

from collections.abc import Callable, Sequence

# How torch, and threads that get no stack, say that memory is exhausted.
_EXHAUSTED = ("allocate memory", "out of memory", "start new thread")
_MOST = 20  # lines or entries
_LONGEST = 1000  # characters of one


def first_of(entries: Sequence[str], form: Callable[[str], str] = str) -> list[str]:
    """The first lines or entries of a message, each cut where it is long, and how many follow."""
    shown = [form(entry) for entry in entries[:_MOST]]
    shown = [entry if len(entry) <= _LONGEST else f"{entry[:_LONGEST]}..." for entry in shown]
    left = len(entries) - len(shown)
    return [*shown, f"and {left} more"] if left > 0 else shown


def lacks_memory(error: RuntimeError) -> bool:
    """Whether an error of torch's or Python's is one of memory, which has no class of its own."""
    return any(words in str(error) for words in _EXHAUSTED)
