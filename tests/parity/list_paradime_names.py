"""Lists the public names of paraDime's sources, with arguments and defaults, as JSON.

    python tests/parity/list_paradime_names.py 0.3.3=PATH 1.1.0=PATH > tests/parity/paradime_names.json

PATH is the folder of the package `paradime`. Sources are parsed, nothing of them is run. An argument
is [name, default], the default as source text or null.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any


def public(name: str) -> bool:
    return not name.startswith("_") or name == "__call__"


def arguments_of(function: ast.FunctionDef) -> list[list[Any]]:
    names = [argument.arg for argument in function.args.args if argument.arg not in ("self", "cls")]
    defaults: list[Any] = [ast.unparse(value) for value in function.args.defaults]
    padded = [None] * (len(names) - len(defaults)) + defaults
    return [list(pair) for pair in zip(names, padded, strict=True)]


def attributes_of(kind: ast.ClassDef) -> list[str]:
    found = set()
    for node in ast.walk(kind):
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for part in target.elts if isinstance(target, ast.Tuple) else [target]:
                    if isinstance(part, ast.Attribute) and ast.unparse(part.value) == "self":
                        found.add(part.attr)
    for node in kind.body:
        if isinstance(node, ast.FunctionDef) and is_property(node):
            found.add(node.name)
    return sorted(name for name in found if public(name))


def is_property(function: ast.FunctionDef) -> bool:
    return any(
        ast.unparse(d) == "property" or ast.unparse(d).endswith(".setter")
        for d in function.decorator_list
    )


def class_entry(kind: ast.ClassDef) -> dict[str, Any]:
    functions = [node for node in kind.body if isinstance(node, ast.FunctionDef)]
    constructor = [node for node in functions if node.name == "__init__"]
    methods = {
        node.name: arguments_of(node)
        for node in functions
        if public(node.name) and not is_property(node)
    }
    return {
        "arguments": arguments_of(constructor[0]) if constructor else None,
        "methods": methods,
        "attributes": attributes_of(kind),
    }


def names_of(source: Path) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and public(node.name):
            names[node.name] = class_entry(node)
        elif isinstance(node, ast.FunctionDef) and public(node.name):
            names[node.name] = {"arguments": arguments_of(node)}
        elif isinstance(node, ast.Assign) and public(name := ast.unparse(node.targets[0])):
            names[name] = {}
    return names


def rows_of(listing: dict[str, dict[str, Any]]) -> list[str]:
    """A line of JSON a name: version, module, name and what the name is."""
    return [
        json.dumps([version, module, name, entry])
        for version, modules in listing.items()
        for module, names in modules.items()
        for name, entry in names.items()
    ]


def main() -> None:
    listing: dict[str, dict[str, Any]] = {}
    for argument in sys.argv[1:]:
        version, folder = argument.split("=")
        listing[version] = {}
        for source in sorted(Path(folder).rglob("*.py")):
            parts = source.relative_to(folder).with_suffix("").parts
            names = {} if parts[-1].startswith("_") else names_of(source)
            if names:
                listing[version][".".join(parts)] = names
    sys.stdout.write("[" + ",\n".join(rows_of(listing)) + "]\n")


if __name__ == "__main__":
    main()
