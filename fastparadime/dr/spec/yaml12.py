"""A safe YAML loader by the core schema of YAML 1.2.2: 1e-3 is a number, `on` and `010` are not 1.1's."""

from __future__ import annotations

import re
from typing import Any

import yaml

from fastparadime.utils.validate import first_doubled


class Loader(yaml.SafeLoader):  # type: ignore[misc]
    """PyYAML's safe loader without the scalars of YAML 1.1, and without doubled keys."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        doubled = first_doubled(
            key.value for key, _ in node.value if key.tag == "tag:yaml.org,2002:str"
        )
        if doubled is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f"found the key {doubled!r} more than once", node.start_mark
            )
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def _integer(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node).replace("_", "")
    return int(text, 0) if text[1:2] in ("o", "x") else int(text)


# Digits may be grouped by underscores, as in ruamel.yaml and in Python.
_SCALARS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?((\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|\.(inf|Inf|INF))|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    "merge": (r"<<", ["<"]),
}
for _kind, (_pattern, _first) in _SCALARS.items():
    Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(f"(?:{_pattern})$"), _first
    )
Loader.add_constructor("tag:yaml.org,2002:int", _integer)
