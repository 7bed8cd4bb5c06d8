"""Damaged copies of a file: flipped bits, cut and repeated parts, numbers and marks of other kinds."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

_NUMBERS = [b"-1", b"0", b"1e999", b"nan", b"99999999999999999999", b"0x10", b"2.5", b"null"]
_MARKS = [
    b"[",
    b"]",
    b"{",
    b"}",
    b'"',
    b",",
    b":",
    b"\n",
    b"\x00",
    b"\xff",
    b"#",
    b"&a ",
    b"*a ",
    b"- ",
]


def _flip(data: bytearray, draw: random.Random) -> None:
    for _ in range(draw.choice([1, 1, 1, 4, 32])):
        place = draw.randrange(len(data))
        data[place] ^= 1 << draw.randrange(8)


def _overwrite(data: bytearray, draw: random.Random) -> None:
    place, count = draw.randrange(len(data)), draw.choice([1, 2, 4, 8])
    data[place : place + count] = draw.choice([b"\x00", b"\xff", b"\x7f", b"\x80"]) * count


def _cut(data: bytearray, draw: random.Random) -> None:
    del data[draw.randrange(len(data)) :]


def _leave_out(data: bytearray, draw: random.Random) -> None:
    place = draw.randrange(len(data))
    del data[place : place + draw.choice([1, 2, 8, 100])]


def _repeat(data: bytearray, draw: random.Random) -> None:
    place, count = draw.randrange(len(data)), draw.choice([1, 8, 100])
    part = bytes(data[place : place + count])
    data[place:place] = part * draw.choice([1, 2, 50])


def _insert(data: bytearray, draw: random.Random) -> None:
    place = draw.randrange(len(data) + 1)
    data[place:place] = draw.choice(_MARKS) * draw.choice([1, 1, 3, 2000])


def _renumber(data: bytearray, draw: random.Random) -> None:
    """Puts another number in the place of one that is written out."""
    found = list(re.finditer(rb"\d+", bytes(data)))
    if found:
        part = draw.choice(found)
        data[part.start() : part.end()] = draw.choice(_NUMBERS)


def _swap(data: bytearray, draw: random.Random) -> None:
    """Moves a piece elsewhere."""
    first, last = sorted(draw.randrange(len(data) + 1) for _ in range(2))
    part = bytes(data[first : min(last, first + 64)])
    del data[first : first + len(part)]
    place = draw.randrange(len(data) + 1)
    data[place:place] = part


_KINDS: list[Callable[[bytearray, random.Random], None]] = [
    _flip, _overwrite, _cut, _leave_out, _repeat, _insert, _renumber, _swap,
]  # fmt: skip


def mutants(content: bytes, count: int, seed: int) -> Iterator[bytes]:
    """So many damaged copies, each by one to three of the kinds; the same for the same seed."""
    draw = random.Random(seed)
    made = 0
    while made < count:
        data = bytearray(content)
        for _ in range(draw.choice([1, 1, 2, 3])):
            if data:
                draw.choice(_KINDS)(data, draw)
        if bytes(data) != content:
            made += 1
            yield bytes(data)
