"""Writes the tables of figures into the pages, from bench/results/*.json.

    python bench/tables.py            writes them between their markers
    python bench/tables.py --check    fails where a page says something else

A theme's file says once what holds for all of its entries: machine, command, unit. An entry may
say otherwise. Digits are shown as they stand in the file.
"""

import argparse
import difflib
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
PAGES = ("README.md", "bench/README.md", "docs/quality.md", "docs/coming-from-umap-learn.md")
KINDS = ("images", "words", "sentences", "cells", "table")
SHARED = ("machine", "command", "unit")
BLOCK = re.compile(r"(<!-- figures: (\S+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def themes():
    """The themes by the names of their files; every entry with what its theme shares."""
    found = {}
    for path in sorted(RESULTS.glob("*.json")):
        theme = json.loads(path.read_text(encoding="utf-8"), parse_float=str, parse_int=str)
        theme["entries"] = [
            {**{key: theme[key] for key in SHARED}, **entry} for entry in theme["entries"]
        ]
        found[path.stem] = theme
    return found


def shown(number):
    """A number as it stands in the file, thousands apart."""
    sign, digits = re.match(r"(-?)(.*)", number).groups()
    whole, point, rest = digits.partition(".")
    return f"{sign}{int(whole):,}{point}{rest}"


def figure(value):
    """A figure as text: a number, one a seed, a range, a mean with what it varies by."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    if "difference" in value:
        sign = "" if value["difference"].startswith("-") else "+"
        return f"{sign}{shown(value['difference'])} ± {shown(value['error'])}"
    if "deviation" in value:
        return f"{shown(value['mean'])} ± {shown(value['deviation'])}"
    span = f"{shown(value['low'])} to {shown(value['high'])}"
    middle = value.get("mean") or value.get("median")
    return f"{shown(middle)} ({span})" if middle else span


def called(name, value, entry):
    """A figure with its name and unit in a sentence, of seeds the least and the most."""
    unit = entry["unit"].get(name)
    if isinstance(value, list) and len(set(value)) > 1:
        value = {"low": min(value, key=float), "high": max(value, key=float)}
    elif isinstance(value, list):
        value = value[0]
    return " ".join(filter(None, (name, figure(value), unit)))


def in_words(entry, figures, names):
    """Figures in one cell; a time that comes first goes without its name."""
    names = [name for name in names if name in figures]
    words = [called(name, figures[name], entry) for name in names]
    if entry["unit"].get(names[0]) in ("s", "ms"):
        words[0] = words[0].removeprefix(names[0]).strip()
    return ", ".join(words)


def beside(entry, names):
    peers = entry.get("peers", {}).items()
    return "; ".join(f"{peer}: {in_words(entry, figures, names)}" for peer, figures in peers)


def line(cells):
    return "| " + " | ".join(cells) + " |"


def table_of(entries):
    """A row for each entry: its figures in columns, those of its peers in words."""
    units = {name: entry["unit"].get(name) for entry in entries for name in entry["figures"]}
    heads = [f"{name}, {unit}" if unit else name for name, unit in units.items()]
    tail = ["beside", "measured"] if any("peers" in entry for entry in entries) else ["measured"]
    rows = [line(["what", "data", *heads, *tail])]
    rows.append("|---|---|" + "--:|" * len(heads) + "---|" * len(tail))
    last = None
    for entry in entries:
        figures = entry["figures"]
        cells = [figure(figures[name]) if name in figures else "" for name in units]
        what = "" if entry["what"] == last else entry["what"]
        when = ", ".join(filter(None, (entry["date"], entry["commit"])))
        ends = [beside(entry, entry["figures"]), when][-len(tail) :]
        rows.append(line([what, entry["data"], *cells, *ends]))
        last = entry["what"]
    return rows


def theme_lines(theme):
    return [theme["about"], "", f"    {theme['command']}", "", *table_of(theme["entries"])]


def summary(found):
    """README.md's table: the entries that say how they are called there, by the kind of data."""
    entries = [e for theme in found.values() for e in theme["entries"] if "readme" in e]
    entries.sort(key=lambda entry: KINDS.index(entry["readme"]["kind"]))
    rows = [line(["data", "what", "fastparadime", "beside"]), "|---|---|---|---|"]
    for entry in entries:
        readme = entry["readme"]
        own = in_words(entry, entry["figures"], readme["show"])
        cells = [readme["kind"], readme["label"], f"**{own}**", beside(entry, readme["show"])]
        rows.append(line(cells))
    return rows


def written(text, found):
    """A page with the tables that its markers ask for."""

    def block(match):
        name = match[2]
        lines = summary(found) if name == "summary" else theme_lines(found[name])
        return match[1] + "\n" + "\n".join(lines) + "\n\n" + match[3]

    return BLOCK.sub(block, text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check, found, drifted = parser.parse_args().check, themes(), False
    for name in PAGES:
        before = (ROOT / name).read_text(encoding="utf-8")
        after = written(before, found)
        drifted |= before != after
        if check:
            lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, lineterm="")
            sys.stdout.writelines(f"{part}\n" for part in lines)
        else:
            (ROOT / name).write_text(after, encoding="utf-8")
    if check and drifted:
        raise SystemExit("python bench/tables.py writes these tables from bench/results")


if __name__ == "__main__":
    main()
