"""Tables in text files: separators, decimal signs and headers are found out, pyarrow reads."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastparadime.utils.tables.arrays import needed
from fastparadime.utils.tables.raw import Part, Raw, Reading, TextFormat

EXTENSIONS = (".csv", ".tsv", ".tab", ".txt")
COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")
_SAMPLE = 256 * 1024  # bytes that show the format
_LINES = 100  # of them that are looked at
_DELIMITERS = (",", ";", "\t", "|", " ")
_POINT = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*", re.IGNORECASE).fullmatch
_COMMA = re.compile(r"\s*[-+]?(\d+,?\d*|,\d+)(e[-+]?\d+)?\s*", re.IGNORECASE).fullmatch
_SEPARATOR = re.compile(r'"?sep=(.)"?[ ]*\r?\n', re.IGNORECASE).match  # of Excel
_MISSING = ("", "na", "nan", "n/a", "#n/a", "null", "none", "inf", "-inf", "+inf", "infinity")
# Fields such as #1 or 0x10, which are numbers of another form rather than names of columns.
_MEANT_AS_NUMBER = re.compile(r"\W*(0x[0-9a-f]+|\d[\d.,e+-]*)\W*", re.IGNORECASE).fullmatch
# Cells of digits that a number does not keep.
_NOT_KEPT = r"^\s*([-+]?0\d+|\+\d+|-?\d{16,})\s*$"
_MANY_COLUMNS = 10  # whose names 0, 1, 2, ... are no row of integers


def read_text(content: Path | bytes, name: str, reading: Reading) -> Raw:
    """The columns of a text file, or of its bytes.

    Raises
    ------
    ValueError
        For what is no table, naming the file and the line.
    OSError
        If the file cannot be read.
    """
    pa = needed("pyarrow", name)
    reading = _told_encoding(content, reading)
    path = content if isinstance(content, Path) else None
    try:
        text, note = _format_of(_start(content), name, reading, path)
        with _opened(content) as stream:
            frame = _parsed(stream, text)
        if text.decimal == "." and text.delimiter != "," and _has_late_commas(frame):
            text = replace(text, decimal=",")
            with _opened(content) as stream:
                frame = _parsed(stream, text)
        frame = _with_names(frame, content, text, reading)
        if text.header:
            stripped = [column.strip().removeprefix("\ufeff") for column in frame.column_names]
            frame = frame.rename_columns(stripped)
            frame = _without_empty(frame, name, note)
    except (UnicodeDecodeError, LookupError) as error:
        raise ValueError(_not_text(name, reading, error)) from error
    except pa.ArrowInvalid as error:
        raise ValueError(f"cannot read {name}: {_reason(str(error), content, reading)}") from error
    except OSError as error:
        if error.filename is not None:
            raise
        raise ValueError(f"cannot read {name}: {error}") from error
    if frame.num_rows == 0:
        raise ValueError(f"cannot read {name} as a table: it has no rows of data")
    return Raw(name, [Part(name, frame.num_rows, text, path)], frame=frame, notes=note)


def _opened(content: Path | bytes) -> Any:
    import pyarrow as pa

    if isinstance(content, Path):
        return pa.input_stream(str(content), compression="detect")
    return pa.BufferReader(content)


def _start(content: Path | bytes) -> bytes:
    with _opened(content) as stream:
        start = bytes(stream.read(_SAMPLE))
        rest = stream.read(1)
    # The last line may be cut within a character.
    return start.rpartition(b"\n")[0] + b"\n" if rest and b"\n" in start else start


def _format_of(
    start: bytes, name: str, reading: Reading, path: Path | None
) -> tuple[TextFormat, list[str]]:
    decoded = codecs.getincrementaldecoder(reading.encoding)().decode(start)
    sample = decoded.removeprefix("\ufeff")
    tabs = path is not None and any(part in (".tsv", ".tab") for part in path.suffixes)
    told = _SEPARATOR(sample)
    sample = sample[told.end() :] if told else sample
    among = (told[1],) if told else ("\t",) if tabs else _DELIMITERS
    delimiter, decimal = _separators(sample, among)
    rows = _rows(sample, delimiter)
    if not rows:
        raise ValueError(f"cannot read {name} as a table: it has no rows of data")
    header, doubtful = reading.header, False
    if header is None:
        header, doubtful = _has_header(rows, name, decimal)
    names, skipped = (_names_of_all(rows), 0) if header else (None, 0)
    if names is not None:
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
        next(cells for cells in reader if any(cell.strip() for cell in cells))
        skipped = reader.line_num
    text = TextFormat(
        delimiter, decimal, header, reading.encoding, told is not None, skipped + bool(told), names
    )
    return text, [
        _header_note(list(filter(None, rows[0])), name, header, reading)
    ] if doubtful else []


def _names_of_all(rows: list[list[str]]) -> tuple[str, ...] | None:
    """Names of all columns where each row has one cell more than the first, as R writes them."""
    names = rows[0]
    if len(rows) < 2 or len(names) < 2 or any(len(cells) != len(names) + 1 for cells in rows[1:]):
        return None
    behind = all(not cells[-1].strip() for cells in rows[1:])
    return (*names, "") if behind else ("", *names)


def _told_encoding(content: Path | bytes, reading: Reading) -> Reading:
    """UTF-16 where the first bytes say so, as files of Windows do."""
    with _opened(content) as stream:
        start = bytes(stream.read(2))
    told = reading.encoding == "utf-8" and start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return replace(reading, encoding="utf-16") if told else reading


def _without_empty(frame: Any, name: str, note: list[str]) -> Any:
    """The columns but for those without a name and without any value, which are noted."""
    columns = enumerate(zip(frame.column_names, frame.columns, strict=True))
    empty = [at for at, (title, cells) in columns if not title and cells.null_count == len(cells)]
    if not empty or len(empty) == frame.num_columns:
        return frame
    note.append(f"{len(empty)} columns of {name} without a name and without any value are left out")
    return frame.select([at for at in range(frame.num_columns) if at not in empty])


def _header_note(first: list[str], name: str, header: bool, reading: Reading) -> str:
    numbers = ", ".join(cell.strip() for cell in first[:3]) + ", ..." * (len(first) > 3)
    remedy = ("--no-header", "header=False") if header else ("--header", "header=True")
    what = (
        ("names of columns", "a row of data") if header else ("a row of data", "names of columns")
    )
    return (
        f"the first row of {name}, {numbers}, is taken for {what[0]} "
        f"({remedy[not reading.command_line]} makes it {what[1]})"
    )


def _rows(sample: str, delimiter: str) -> list[list[str]]:
    lines = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    found: list[list[str]] = []
    try:
        for cells in lines:
            if any(cell.strip() for cell in cells):
                found.append(cells)
            if len(found) == _LINES:
                break
    except csv.Error:
        return found
    return found


def _separators(sample: str, delimiters: tuple[str, ...]) -> tuple[str, str]:
    """The delimiter and the decimal sign by which most cells are numbers, and rows of one length."""
    best, found = (-1.0, -1.0, -1), (delimiters[0], ".")
    for delimiter in delimiters:
        rows = _rows(sample, delimiter)
        if not rows:
            continue
        width = len(_names_of_all(rows) or rows[0])
        alike = (1 + sum(len(cells) == width for cells in rows[1:])) / len(rows) * (width > 1)
        body = [cell for cells in rows for cell in cells]
        points = sum(bool(_POINT(cell)) for cell in body)
        commas = 0 if delimiter == "," else sum(bool(_COMMA(cell)) for cell in body)
        numbers = max(points, commas) / max(1, len(body))
        score = (float(alike >= 0.9), round(numbers * alike, 2), width)
        if score > best:
            best, found = score, (delimiter, "," if commas > points else ".")
    return found if best[0] else (delimiters[0], found[1] if len(delimiters) == 1 else ".")


def _is_number(cell: str, decimal: str) -> bool:
    return cell.strip().lower() in _MISSING or bool((_POINT if decimal == "." else _COMMA)(cell))


def _has_header(rows: list[list[str]], name: str, decimal: str) -> tuple[bool, bool]:
    """Whether the first row has names, and whether that is doubtful, as these are numbers."""
    first = [cell.strip() for cell in rows[0]]
    if not all(_is_number(cell, decimal) for cell in first):
        if all(map(_MEANT_AS_NUMBER, first)):
            raise ValueError(
                f"cannot read {name} as a table of numbers: its first row is neither numbers nor a "
                f"header: {first[:10]}"
            )
        return True, False
    unnamed = first[0] == ""
    counted = first[1:] if unnamed else first
    if len(rows) < 2 or len(counted) < 2:
        return False, False
    if counted != [str(i) for i in range(len(counted))]:
        return _are_names(counted, [cells[unnamed:] for cells in rows[1:]])
    integers = all(cell.strip().isdigit() for cells in rows[1:] for cell in cells[unnamed:])
    sure = unnamed or not integers or len(counted) >= _MANY_COLUMNS
    return sure, sure and not unnamed


def _has_late_commas(frame: Any) -> bool:
    """Whether numbers have decimal commas behind what was looked at, and none has a point."""
    import pyarrow.compute as pc
    from pyarrow import types

    if any(types.is_floating(column.type) for column in frame.schema):
        return False
    texts = [column for column in frame.columns if types.is_string(column.type)]
    pattern = r"^\s*[-+]?(\d+,?\d*|,\d+)(e[-+]?\d+)?\s*$"
    return any(
        pc.all(pc.match_substring_regex(column, pattern, ignore_case=True)).as_py()
        and pc.any(pc.match_substring(column, ",")).as_py()
        for column in texts
    )


def _with_names(frame: Any, content: Path | bytes, text: TextFormat, reading: Reading) -> Any:
    """The columns, with the text of the cells where numbers would not keep what names are."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    kinds = {
        column.name: pa.string()
        for column in frame.schema
        if (types.is_integer(column.type) or types.is_floating(column.type))
        and reading.is_name(column.name)
    }
    if not kinds:
        return frame
    with _opened(content) as stream:
        texts = _parsed(stream, text, kinds)
    for name in kinds:
        cells = texts.column(name)
        if pc.any(pc.match_substring_regex(cells, _NOT_KEPT)).as_py():
            frame = frame.set_column(frame.column_names.index(name), name, cells)
    return frame


def _are_names(first: list[str], body: list[list[str]]) -> tuple[bool, bool]:
    """Whether whole numbers, such as years, over others are names, and whether it is doubtful."""
    if not all(map(str.isdigit, first)) or len(set(first)) < len(first):
        return False, False
    cells = [cell.strip() for row in body for cell in row]
    cells = [cell for cell in cells if cell.lower() not in _MISSING]
    if len(body) > 1 and cells and not any(cell.lstrip("+-").isdigit() for cell in cells):
        return True, True
    rising = len(first) > 2 and all(int(a) < int(b) for a, b in itertools.pairwise(first))
    decimals = all(
        any(not cell.strip().lstrip("+-").isdigit() for cell in column)
        for column in zip(*body, strict=False)
    )
    return False, rising and decimals


def _parsed(stream: Any, text: TextFormat, kinds: dict[str, Any] | None = None) -> Any:
    """All columns, or those whose types are given."""
    from pyarrow import csv as arrow_csv

    reading = arrow_csv.ReadOptions(
        encoding=text.encoding,
        column_names=text.names,
        skip_rows=text.skipped,
        autogenerate_column_names=not text.header,
        block_size=16 * 2**20,
    )
    parsing = arrow_csv.ParseOptions(delimiter=text.delimiter, newlines_in_values=True)
    converting = arrow_csv.ConvertOptions(
        decimal_point=text.decimal,
        strings_can_be_null=True,
        column_types=kinds,
        include_columns=list(kinds or ()),
    )
    return arrow_csv.read_csv(
        stream, read_options=reading, parse_options=parsing, convert_options=converting
    )


def _not_text(name: str, reading: Reading, error: Exception) -> str:
    if isinstance(error, LookupError):
        return f"{reading.option('encoding')} must be an encoding of text, not {reading.encoding!r}"
    kind = "UTF-8" if reading.encoding == "utf-8" else reading.encoding
    return (
        f"cannot read {name}: it is not {kind} text; {reading.option('encoding', 'cp1252')} (of "
        "Windows) or 'utf-16' may be what it is in"
    )


def _reason(message: str, content: Path | bytes, reading: Reading) -> str:
    """What pyarrow says of a row, with the line of the file."""
    if "invalid UTF8" in message or "invalid UTF-8" in message:
        return f"it is not UTF-8 text: {reading.option('encoding', 'cp1252')} may be what it is in"
    if "Empty CSV file" in message:
        return "it has no rows of data"
    found = re.search(r"Expected (\d+) columns, got (\d+)(?:: (.*))?", message, re.DOTALL)
    if found is None:
        return message.removeprefix("CSV parse error: ")[:300]
    wanted, had = int(found[1]), int(found[2])
    with _opened(content) as stream:
        sample = stream.read().decode(reading.encoding, "replace")
    told = _SEPARATOR(sample)
    delimiter, _ = _separators(sample[:_SAMPLE], (told[1],) if told else _DELIMITERS)
    lines = csv.reader(sample.splitlines(keepends=True), delimiter=delimiter)
    try:
        # The first rows are what the others are compared with.
        for _ in range(1 + bool(told)):
            next(cells for cells in lines if cells)
        for cells in lines:
            if cells and len(cells) != wanted:
                return f"line {lines.line_num} has {len(cells)} cells instead of {wanted}"
    except (csv.Error, StopIteration):
        pass
    return f"a row has {had} cells instead of {wanted}: {(found[3] or '')[:100]!r}"
